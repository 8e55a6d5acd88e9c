package model

// This file holds a second, slow model: everything in float64, one token and one head at a time, no
// fusing, no chunks, no cache. Tests compare losses with it and differentiate it numerically.

import (
	"fmt"
	"math"
	"sort"
	"strings"
)

type reference struct {
	c *Config
	w map[string][]float64
	// experts chosen, in the order of evaluation: a numerical derivative is only valid if they stay
	routes []int
	given  [][]int32 // Batch.Experts
	lora   float64   // what adapters are multiplied by
	row    int       // of the batch
	moes   int       // MoE layers of this row that are done
}

func newReference(m *Model) *reference {
	r := &reference{c: m.cfg, w: map[string][]float64{}}
	for _, p := range m.Params() {
		for _, v := range p.Data {
			r.w[p.Name] = append(r.w[p.Name], float64(v))
		}
	}
	if l := m.opt.LoRA; l != nil {
		r.lora = l.Alpha / float64(l.Rank)
	}
	return r
}

type vec = []float64

func dot(a, b vec) (s float64) {
	for i := range a {
		s += a[i] * b[i]
	}
	return s
}

func sigma(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// apply is W x + b for the projection of that name.
func (r *reference) apply(name string, x vec) vec {
	w, b := r.w[name+".weight"], r.w[name+".bias"]
	y := make(vec, len(w)/len(x))
	for i := range y {
		y[i] = dot(w[i*len(x):][:len(x)], x)
		if b != nil {
			y[i] += b[i]
		}
	}
	if r.w[name+loraA] != nil {
		ax := r.apply(name+strings.TrimSuffix(loraA, ".weight"), x)
		for i, v := range r.apply(name+strings.TrimSuffix(loraB, ".weight"), ax) {
			y[i] += r.lora * v
		}
	}
	return y
}

func (r *reference) norm(name string, x vec, eps float64) vec {
	s := 1 / math.Sqrt(dot(x, x)/float64(len(x))+eps)
	y := make(vec, len(x))
	for i := range y {
		y[i] = r.w[name+".weight"][i] * x[i] * s
	}
	return y
}

// rotate turns the pairs (i, i+half), or (2i, 2i+1) where interleaved.
func (r *reference) rotate(x vec, pos int, interleaved bool) {
	f, factor := r.c.RopeScaling.Frequencies(len(x), r.c.RopeTheta)
	for i := range f {
		a, b := i, i+len(f)
		if interleaved {
			a, b = 2*i, 2*i+1
		}
		s, c := math.Sincos(float64(pos) * f[i])
		x[a], x[b] = factor*(x[a]*c-x[b]*s), factor*(x[a]*s+x[b]*c)
	}
}

// attend is the output of one head at position t: keys and values of positions first..t.
func attend(q vec, k, v []vec, first, t int, scale float64) vec {
	p, sum := make(vec, t+1), 0.0
	for s := first; s <= t; s++ {
		p[s] = math.Exp(scale * dot(q, k[s]))
		sum += p[s]
	}
	o := make(vec, len(v[t]))
	for s := first; s <= t; s++ {
		for i := range o {
			o[i] += p[s] / sum * v[s][i]
		}
	}
	return o
}

func (r *reference) mla(at string, x []vec, first []int) []vec {
	c := r.c
	n, pe, H := c.QKNopeHeadDim, c.QKRopeHeadDim, c.NumAttentionHeads
	q, k, v := make([][]vec, H), make([][]vec, H), make([][]vec, H)
	for t := range x {
		var qt vec
		if c.QLoraRank > 0 {
			qt = r.apply(at+"q_b_proj", r.norm(at+"q_a_layernorm", r.apply(at+"q_a_proj", x[t]), 1e-6))
		} else {
			qt = r.apply(at+"q_proj", x[t])
		}
		full := r.apply(at+"kv_a_proj_with_mqa", x[t])
		shared := full[c.KVLoraRank:]
		r.rotate(shared, t, true)
		kv := r.apply(at+"kv_b_proj", r.norm(at+"kv_a_layernorm", full[:c.KVLoraRank], 1e-6))
		for h := range H {
			qh := qt[h*(n+pe):][:n+pe]
			r.rotate(qh[n:], t, true)
			kvh := kv[h*(n+c.VHeadDim):][:n+c.VHeadDim]
			q[h], k[h], v[h] = append(q[h], qh), append(k[h], append(append(vec{}, kvh[:n]...), shared...)), append(v[h], kvh[n:])
		}
	}
	scale := 1 / math.Sqrt(float64(n+pe))
	if s := c.RopeScaling; s.Type != "" && s.MScaleAllDim != 0 {
		m := 0.1*s.MScaleAllDim*math.Log(s.Factor) + 1
		scale *= m * m
	}
	return r.heads(at, q, k, v, first, scale)
}

func (r *reference) heads(at string, q, k, v [][]vec, first []int, scale float64) []vec {
	var y []vec
	for t := range first {
		var o vec
		for h := range q {
			g := h * len(k) / len(q)
			o = append(o, attend(q[h][t], k[g], v[g], first[t], t, scale)...)
		}
		y = append(y, r.apply(at+"o_proj", o))
	}
	return y
}

func (r *reference) gqa(at string, x []vec, first []int) []vec {
	c := r.c
	H, G, w := c.NumAttentionHeads, c.NumKeyValueHeads, c.HeadDim
	q, k, v := make([][]vec, H), make([][]vec, G), make([][]vec, G)
	for t := range x {
		qt, kt, vt := r.apply(at+"q_proj", x[t]), r.apply(at+"k_proj", x[t]), r.apply(at+"v_proj", x[t])
		head := func(x vec, h int, norm string) vec {
			y := x[h*w:][:w]
			if c.QKNorm {
				y = r.norm(at+norm, y, c.RMSNormEps)
			}
			r.rotate(y, t, false)
			return y
		}
		for h := range H {
			q[h] = append(q[h], head(qt, h, "q_norm"))
		}
		for g := range G {
			k[g], v[g] = append(k[g], head(kt, g, "k_norm")), append(v[g], vt[g*w:][:w])
		}
	}
	return r.heads(at, q, k, v, first, 1/math.Sqrt(float64(w)))
}

func (r *reference) mlp(at string, x vec) vec {
	g, u := r.apply(at+"gate_proj", x), r.apply(at+"up_proj", x)
	for i := range g {
		g[i] = g[i] * sigma(g[i]) * u[i]
	}
	return r.apply(at+"down_proj", g)
}

// best returns the k largest of x, ascending; ties to the lower index.
func best(x vec, k int) []int {
	order := make([]int, len(x))
	for i := range order {
		order[i] = i
	}
	sort.SliceStable(order, func(i, j int) bool { return x[order[i]] > x[order[j]] })
	out := order[:k]
	sort.Ints(out)
	return out
}

// moe returns the layer's outputs and its balance loss of this sequence.
func (r *reference) moe(at string, x []vec) (y []vec, balance float64) {
	c := r.c
	E, K := c.NRoutedExperts, c.NumExpertsPerTok
	f, P := make(vec, E), make(vec, E)
	for t := range x {
		s := r.apply(at+"gate", x[t])
		a := make(vec, E)
		var total float64
		for i := range s {
			s[i] = sigma(s[i])
			total += s[i]
			a[i] = s[i] + r.w[at+"gate.e_score_correction_bias"][i]
		}
		for _, i := range best(s, K) {
			f[i] += float64(E) / float64(K*len(x))
			r.routes = append(r.routes, i)
		}
		for i := range s {
			P[i] += s[i] / total / float64(len(x))
		}
		size := E / c.NGroup
		groups := make(vec, c.NGroup)
		for g := range groups {
			for _, i := range best(a[g*size:][:size], min(2, size)) {
				groups[g] += a[g*size+i]
			}
		}
		keep := best(groups, c.TopKGroup)
		for i := range a {
			if j := sort.SearchInts(keep, i/size); j == len(keep) || keep[j] != i/size {
				a[i] = math.Inf(-1)
			}
		}
		chosen := best(a, K)
		if r.moes < len(r.given) {
			if ids := r.given[r.moes][(r.row*len(x)+t)*K:][:K]; ids[0] >= 0 {
				for i, id := range ids {
					chosen[i] = int(id)
				}
			}
		}
		r.routes = append(r.routes, chosen...)
		var sum float64
		for _, i := range chosen {
			sum += s[i]
		}
		yt := make(vec, c.HiddenSize)
		for _, i := range chosen {
			w := s[i] * c.RoutedScalingFactor
			if c.NormTopKProb {
				w /= sum
			}
			for j, v := range r.mlp(at+fmt.Sprintf("experts.%d.", i), x[t]) {
				yt[j] += w * v
			}
		}
		if c.NSharedExperts > 0 {
			for j, v := range r.mlp(at+"shared_experts.", x[t]) {
				yt[j] += v
			}
		}
		y = append(y, yt)
	}
	r.moes++
	return y, dot(f, P)
}

func (r *reference) layer(i int, x []vec, first []int) (y []vec, balance float64) {
	at := fmt.Sprintf("model.layers.%d.", i)
	normed := func(name string) (n []vec) {
		for _, v := range x {
			n = append(n, r.norm(at+name, v, r.c.RMSNormEps))
		}
		return n
	}
	add := func(d []vec) {
		for t := range x {
			y := make(vec, len(d[t]))
			for j := range y {
				y[j] = x[t][j] + d[t][j]
			}
			x[t] = y
		}
	}
	x = append([]vec{}, x...)
	if r.c.ModelType == v3 {
		add(r.mla(at+"self_attn.", normed("input_layernorm"), first))
	} else {
		add(r.gqa(at+"self_attn.", normed("input_layernorm"), first))
	}
	n := normed("post_attention_layernorm")
	var d []vec
	if r.c.IsMoE(i) {
		d, balance = r.moe(at+"mlp.", n)
	} else {
		for _, v := range n {
			d = append(d, r.mlp(at+"mlp.", v))
		}
	}
	add(d)
	return x, balance
}

func (r *reference) nll(h vec, target int32) float64 {
	head := "lm_head"
	if r.c.TieWordEmbeddings {
		head = "model.embed_tokens"
	}
	logits, sum := r.apply(head, h), 0.0
	for _, l := range logits {
		sum += math.Exp(l)
	}
	return math.Log(sum) - logits[target]
}

func (r *reference) embed(id int32) vec {
	return r.w["model.embed_tokens.weight"][int(id)*r.c.HiddenSize:][:r.c.HiddenSize]
}

// loss is what LossGrad computes.
func (r *reference) loss(b *Batch, o LossOptions, beforeNorm bool) Loss {
	var l Loss
	r.routes = nil
	var mtps int
	for row := range b.B {
		r.row, r.moes = row, 0
		tokens := b.Tokens[row*(b.T+1):][:b.T+1]
		x, first := make([]vec, b.T), make([]int, b.T)
		for t := range x {
			x[t] = r.embed(tokens[t])
			if b.First != nil {
				first[t] = int(b.First[row*b.T+t])
			}
		}
		for i := range r.c.NumHiddenLayers {
			var balance float64
			x, balance = r.layer(i, x, first)
			l.Balance += balance / float64(b.B)
		}
		h := make([]vec, b.T)
		target := func(t int) int32 {
			if b.Targets != nil {
				return b.Targets[row*b.T+t]
			}
			return tokens[t+1]
		}
		for t := range h {
			h[t] = r.norm("model.norm", x[t], r.c.RMSNormEps)
			if target(t) >= 0 {
				l.CE += r.nll(h[t], target(t))
				l.Tokens++
			}
		}
		if o.MTPLambda == 0 {
			continue
		}
		state := h
		if beforeNorm {
			state = x
		}
		L := r.c.NumHiddenLayers
		at := fmt.Sprintf("model.layers.%d.", L)
		u := make([]vec, b.T)
		for t := range u {
			e := r.norm(at+"enorm", r.embed(tokens[t+1]), r.c.RMSNormEps)
			u[t] = r.apply(at+"eh_proj", append(e, r.norm(at+"hnorm", state[t], r.c.RMSNormEps)...))
		}
		y, balance := r.layer(L, u, first)
		l.Balance += balance / float64(b.B)
		for t := range b.T - 1 {
			if target(t+1) >= 0 && first[t+1] <= t {
				l.MTP += r.nll(r.norm(at+"shared_head.norm", y[t], r.c.RMSNormEps), target(t+1))
				mtps++
			}
		}
	}
	l.CE /= float64(l.Tokens)
	l.MTP /= float64(max(mtps, 1))
	if o.BalanceAlpha == 0 {
		l.Balance = 0
	}
	l.Total = l.CE + float64(o.BalanceAlpha)*l.Balance + float64(o.MTPLambda)*l.MTP
	return l
}
