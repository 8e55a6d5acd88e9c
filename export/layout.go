package export

// Which GGUF tensor holds which published tensor, and in which order of rows.
//
// Source: names of gguf-py's tensor map; MLA in the flavour with separate attn_k_b and attn_v_b that
// llama.cpp computes in absorbed form.

import (
	"fmt"

	"github.com/haenyeo/haenyeo/model"
	"github.com/haenyeo/haenyeo/weights"
)

// tensor is one tensor of the GGUF file.
type tensor struct {
	name  string // GGUF name
	shape []int  // row-major, slowest first: the reverse of GGUF's ne
	plain bool   // norms, biases and routers: always F32

	from []string // published tensors that its rows come from, all of shape each
	each []int

	// row says which row of which published tensor (index into from) row r holds; nil: the tensor is
	// from[0] as it is.
	row func(r int) (source, row int)
	// keys marks attn_k_b: row (head, latent channel) holds one column of the head's key rows.
	keys *keyRows
	// values are given here instead of from published tensors.
	values []float32
}

// keyRows are the rows of kv_b_proj that make keys: the first n of every stride rows.
type keyRows struct{ n, stride int }

// width is the length of a row; a vector is a column of rows of one number.
func (t *tensor) width() int { return rowWidth(t.shape) }

// rows is the number of rows.
func (t *tensor) rows() int { return product(t.shape) / t.width() }

func rowWidth(shape []int) int {
	if len(shape) == 1 {
		return 1
	}
	return shape[len(shape)-1]
}

func product(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// layout lists the tensors of a model's GGUF in the order in which they are written.
func layout(arch string, c *model.Config) []tensor {
	d, v := c.HiddenSize, c.VocabSize
	ts := []tensor{
		matrix("token_embd.weight", "model.embed_tokens.weight", v, d),
		vector("output_norm.weight", "model.norm.weight", d),
	}
	if !c.TieWordEmbeddings {
		ts = append(ts, matrix("output.weight", "lm_head.weight", v, d))
	}
	if c.RopeScaling.Type == "llama3" {
		f := weights.RopeDivisors(c)
		ts = append(ts, tensor{name: "rope_freqs.weight", shape: []int{len(f)}, plain: true, values: f})
	}
	for l := range c.NumHiddenLayers {
		b := block{c: c, to: fmt.Sprintf("blk.%d.", l), from: fmt.Sprintf("model.layers.%d.", l)}
		b.vector("attn_norm.weight", "input_layernorm.weight", d)
		b.vector("ffn_norm.weight", "post_attention_layernorm.weight", d)
		switch {
		case arch == deepseek2:
			b.latentAttention()
			if l < c.FirstKDenseReplace {
				b.mlp(c.IntermediateSize)
			} else {
				b.experts()
			}
		default:
			b.groupedAttention(arch)
			b.mlp(c.IntermediateSize)
		}
		ts = append(ts, b.tensors...)
	}
	return ts
}

// block collects the tensors of one layer.
type block struct {
	c        *model.Config
	to, from string // prefixes
	tensors  []tensor
}

func matrix(name, from string, rows, width int) tensor {
	return tensor{name: name, shape: []int{rows, width}, from: []string{from}, each: []int{rows, width}}
}

func vector(name, from string, n int) tensor {
	return tensor{name: name, shape: []int{n}, plain: true, from: []string{from}, each: []int{n}}
}

func (b *block) matrix(to, from string, rows, width int) *tensor {
	b.tensors = append(b.tensors, matrix(b.to+to, b.from+from, rows, width))
	return &b.tensors[len(b.tensors)-1]
}

func (b *block) vector(to, from string, n int) *tensor {
	b.tensors = append(b.tensors, vector(b.to+to, b.from+from, n))
	return &b.tensors[len(b.tensors)-1]
}

func (b *block) mlp(f int) {
	d := b.c.HiddenSize
	b.matrix("ffn_gate.weight", "mlp.gate_proj.weight", f, d)
	b.matrix("ffn_up.weight", "mlp.up_proj.weight", f, d)
	b.matrix("ffn_down.weight", "mlp.down_proj.weight", d, f)
}

// latentAttention is MLA. kv_b_proj, head by head n key rows and v value rows over the latent
// channels, becomes attn_k_b [H,R,n] (transposed) and attn_v_b [H,v,R].
func (b *block) latentAttention() {
	c := b.c
	d, h, r, p := c.HiddenSize, c.NumAttentionHeads, c.KVLoraRank, c.QKRopeHeadDim
	n, v := c.QKNopeHeadDim, c.VHeadDim
	if q := c.QLoraRank; q > 0 {
		b.matrix("attn_q_a.weight", "self_attn.q_a_proj.weight", q, d)
		b.vector("attn_q_a_norm.weight", "self_attn.q_a_layernorm.weight", q)
		b.matrix("attn_q_b.weight", "self_attn.q_b_proj.weight", h*(n+p), q)
	} else {
		b.matrix("attn_q.weight", "self_attn.q_proj.weight", h*(n+p), d)
	}
	b.matrix("attn_kv_a_mqa.weight", "self_attn.kv_a_proj_with_mqa.weight", r+p, d)
	b.vector("attn_kv_a_norm.weight", "self_attn.kv_a_layernorm.weight", r)

	k := b.matrix("attn_k_b.weight", "self_attn.kv_b_proj.weight", h*(n+v), r)
	k.shape, k.keys = []int{h, r, n}, &keyRows{n, n + v}
	values := b.matrix("attn_v_b.weight", "self_attn.kv_b_proj.weight", h*(n+v), r)
	values.shape = []int{h, v, r}
	values.row = func(i int) (int, int) { return 0, i/v*(n+v) + n + i%v }

	b.matrix("attn_output.weight", "self_attn.o_proj.weight", d, h*v)
}

// groupedAttention is the block of the Llama line. In a GGUF of architecture llama neighbouring
// channels rotate together, where the published weights rotate channel i with i + width/2: there
// the rows of q and k change places.
func (b *block) groupedAttention(arch string) {
	c := b.c
	d, h, hk, w := c.HiddenSize, c.NumAttentionHeads, c.NumKeyValueHeads, c.HeadDim
	var pairs func(int) (int, int)
	if arch == llama {
		pairs = func(i int) (int, int) { return 0, i/w*w + i%2*(w/2) + i%w/2 }
	}
	for _, p := range []struct {
		to, from    string
		rows, width int
		row         func(int) (int, int)
		bias        bool
	}{
		{"attn_q", "self_attn.q_proj", h * w, d, pairs, c.QKVBias},
		{"attn_k", "self_attn.k_proj", hk * w, d, pairs, c.QKVBias},
		{"attn_v", "self_attn.v_proj", hk * w, d, nil, c.QKVBias},
		{"attn_output", "self_attn.o_proj", d, h * w, nil, c.AttentionBias},
	} {
		b.matrix(p.to+".weight", p.from+".weight", p.rows, p.width).row = p.row
		if p.bias {
			t := b.vector(p.to+".bias", p.from+".bias", p.rows)
			t.row = p.row
		}
	}
	if c.QKNorm {
		b.vector("attn_q_norm.weight", "self_attn.q_norm.weight", w)
		b.vector("attn_k_norm.weight", "self_attn.k_norm.weight", w)
	}
}

// experts is the DeepSeekMoE layer: the experts' matrices stacked, expert slowest.
func (b *block) experts() {
	c := b.c
	d, e, f, s := c.HiddenSize, c.NRoutedExperts, c.MoEIntermediateSize, c.NSharedExperts
	b.matrix("ffn_gate_inp.weight", "mlp.gate.weight", e, d).plain = true
	b.vector("exp_probs_b.bias", "mlp.gate.e_score_correction_bias", e)
	for _, m := range []struct {
		to, from    string
		rows, width int
	}{{"gate", "gate_proj", f, d}, {"up", "up_proj", f, d}, {"down", "down_proj", d, f}} {
		t := tensor{name: b.to + "ffn_" + m.to + "_exps.weight", shape: []int{e, m.rows, m.width}, each: []int{m.rows, m.width}}
		for x := range e {
			t.from = append(t.from, fmt.Sprintf("%smlp.experts.%d.%s.weight", b.from, x, m.from))
		}
		t.row = func(i int) (int, int) { return i / m.rows, i % m.rows }
		b.tensors = append(b.tensors, t)
	}
	if s > 0 {
		b.matrix("ffn_gate_shexp.weight", "mlp.shared_experts.gate_proj.weight", s*f, d)
		b.matrix("ffn_up_shexp.weight", "mlp.shared_experts.up_proj.weight", s*f, d)
		b.matrix("ffn_down_shexp.weight", "mlp.shared_experts.down_proj.weight", d, s*f)
	}
}
