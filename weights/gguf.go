// This file holds the tensors of a GGUF: under which name it keeps which published tensor, and the parts
// that must be cut out of stacked and fused ones.
//
// Source: the tensor names of gguf-py of the llama.cpp project.

package weights

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/haenyeo/haenyeo/format/gguf"
	"github.com/haenyeo/haenyeo/model"
	"github.com/haenyeo/haenyeo/quant"
)

type ggufFiles struct {
	f      *gguf.File
	v4     bool
	layers int
}

func newGGUFFiles(f *gguf.File, cfg *model.Config) *ggufFiles {
	return &ggufFiles{f: f, v4: cfg.ModelType == "deepseek_v4", layers: cfg.NumHiddenLayers}
}

func (g *ggufFiles) locate(addr uintptr) (string, int64, bool) { return g.f.Locate(addr) }

func (g *ggufFiles) close() error { return g.f.Close() }

func (g *ggufFiles) find(name string) (tensor, bool) {
	if g.v4 {
		return g.findV4(name)
	}
	if own, ok := ggufName(name); ok {
		t, ok := g.plain(own)
		if !ok && strings.HasSuffix(own, ".nextn.shared_head_norm.weight") {
			return g.plain("output_norm.weight") // as in the programs that write such files
		}
		return t, ok
	}
	rest, ok := strings.CutPrefix(name, "model.layers.")
	number, rest, _ := strings.Cut(rest, ".")
	if expert, found := strings.CutPrefix(rest, "mlp.experts."); ok && found {
		return g.expert("blk."+number+".", expert)
	}
	return tensor{}, false
}

// GGUFName is the name that a GGUF gives the tensor which a model of shape c publishes under name; false for
// experts and for the two halves of eh_proj of V4, of which it keeps several together.
func GGUFName(c *model.Config, name string) (string, bool) {
	if c.ModelType == "deepseek_v4" {
		return ggufNameV4(name, c.NumHiddenLayers)
	}
	return ggufName(name)
}

// ownName is the name under which the files keep, or would keep, the tensor of a published name.
func (s *Source) ownName(name string) string {
	g, ok := s.files.(*ggufFiles)
	if !ok {
		return name
	}
	if own, ok := GGUFName(s.cfg, name); ok {
		return own
	}
	block, rest, ok := blockV4(name, g.layers)
	expert, found := strings.CutPrefix(rest, "ffn.experts.")
	if !g.v4 {
		number, inside, dot := strings.Cut(strings.TrimPrefix(name, "model.layers."), ".")
		block, ok = "blk."+number+".", dot
		expert, found = strings.CutPrefix(inside, "mlp.experts.")
	}
	_, matrix, _ := strings.Cut(expert, ".")
	if proj, known := expertNames[matrix]; ok && found && known {
		return block + "ffn_" + proj + "_exps.weight"
	}
	return name
}

func ggufName(name string) (string, bool) {
	if own, ok := ends[name]; ok {
		return own, true
	}
	rest, ok := strings.CutPrefix(name, "model.layers.")
	if !ok {
		return "", false
	}
	number, rest, _ := strings.Cut(rest, ".")
	base, suffix := splitSuffix(rest)
	own, ok := layerNames[base]
	return "blk." + number + "." + own + suffix, ok
}

// splitSuffix takes ".weight" or ".bias" off a name. A name without either is a parameter of its own,
// which GGUF gives ".weight".
func splitSuffix(name string) (base, suffix string) {
	for _, s := range []string{".weight", ".bias"} {
		if b, ok := strings.CutSuffix(name, s); ok {
			return b, s
		}
	}
	if name == "mlp.gate.e_score_correction_bias" {
		return name, ".bias"
	}
	return name, ".weight"
}

// ends are the tensors outside the layers.
var ends = map[string]string{
	"model.embed_tokens.weight": "token_embd.weight",
	"model.norm.weight":         "output_norm.weight",
	"lm_head.weight":            "output.weight",
}

// layerNames are the published names inside a layer, without ".weight" and ".bias".
var layerNames = map[string]string{
	"input_layernorm":                  "attn_norm",
	"post_attention_layernorm":         "ffn_norm",
	"self_attn.q_proj":                 "attn_q",
	"self_attn.k_proj":                 "attn_k",
	"self_attn.v_proj":                 "attn_v",
	"self_attn.o_proj":                 "attn_output",
	"self_attn.q_norm":                 "attn_q_norm",
	"self_attn.k_norm":                 "attn_k_norm",
	"self_attn.q_a_proj":               "attn_q_a",
	"self_attn.q_a_layernorm":          "attn_q_a_norm",
	"self_attn.q_b_proj":               "attn_q_b",
	"self_attn.kv_a_proj_with_mqa":     "attn_kv_a_mqa",
	"self_attn.kv_a_layernorm":         "attn_kv_a_norm",
	"self_attn.kv_b_proj":              "attn_kv_b",
	"self_attn.k_b_proj":               "attn_k_b", // its keys transposed, head by head; not published
	"self_attn.v_b_proj":               "attn_v_b",
	"self_attn.indexer.wq_b":           "indexer.attn_q_b",
	"self_attn.indexer.wk":             "indexer.attn_k",
	"self_attn.indexer.k_norm":         "indexer.k_norm",
	"self_attn.indexer.weights_proj":   "indexer.proj",
	"mlp.gate_proj":                    "ffn_gate",
	"mlp.up_proj":                      "ffn_up",
	"mlp.down_proj":                    "ffn_down",
	"mlp.gate":                         "ffn_gate_inp",
	"mlp.gate.e_score_correction_bias": "exp_probs_b",
	"mlp.shared_experts.gate_proj":     "ffn_gate_shexp",
	"mlp.shared_experts.up_proj":       "ffn_up_shexp",
	"mlp.shared_experts.down_proj":     "ffn_down_shexp",
	"eh_proj":                          "nextn.eh_proj",
	"enorm":                            "nextn.enorm",
	"hnorm":                            "nextn.hnorm",
	"shared_head.norm":                 "nextn.shared_head_norm",
	"shared_head.head":                 "nextn.shared_head_head",
	"embed_tokens":                     "nextn.embed_tokens",
}

func (g *ggufFiles) findV4(name string) (tensor, bool) {
	if strings.HasPrefix(name, "mtp.") {
		if t, ok := g.plain(name); ok {
			return t, true // a variant that holds nothing but the MTP layer keeps the published names
		}
	}
	if own, ok := ggufNameV4(name, g.layers); ok {
		return g.plain(own)
	}
	block, rest, ok := blockV4(name, g.layers)
	if !ok {
		return tensor{}, false
	}
	if expert, ok := strings.CutPrefix(rest, "ffn.experts."); ok {
		return g.expert(block, expert)
	}
	switch rest {
	case "e_proj.weight", "h_proj.weight":
		t, ok := g.plain(block + "nextn.eh_proj.weight")
		if !ok {
			return t, false
		}
		return columns(t, rest == "h_proj.weight"), true
	}
	return tensor{}, false
}

func ggufNameV4(name string, layers int) (string, bool) {
	if own, ok := endsV4[name]; ok {
		return own, true
	}
	block, rest, ok := blockV4(name, layers)
	if !ok {
		return "", false
	}
	if rest == "ffn.gate.bias" {
		return block + "exp_probs_b.bias", true
	}
	base, suffix := splitSuffix(rest)
	own, ok := layerNamesV4[base]
	return block + own + suffix, ok
}

// blockV4 turns the layer in a name of V4 into the block that it is in a GGUF, where MTP layers come after
// the others; rest is the name without it.
func blockV4(name string, layers int) (block, rest string, ok bool) {
	part, rest, _ := strings.Cut(name, ".")
	number, rest, _ := strings.Cut(rest, ".")
	switch part {
	case "layers":
	case "mtp":
		k, err := strconv.Atoi(number)
		if err != nil || k < 0 || k > 1<<20 {
			return "", "", false
		}
		number = strconv.Itoa(layers + k)
	default:
		return "", "", false
	}
	return "blk." + number + ".", rest, true
}

var endsV4 = map[string]string{
	"embed.weight":  "token_embd.weight",
	"norm.weight":   "output_norm.weight",
	"head.weight":   "output.weight",
	"hc_head_fn":    "output_hc_fn.weight",
	"hc_head_base":  "output_hc_base.weight",
	"hc_head_scale": "output_hc_scale.weight",
}

var layerNamesV4 = map[string]string{
	"attn_norm":                     "attn_norm",
	"ffn_norm":                      "ffn_norm",
	"hc_attn_fn":                    "hc_attn_fn",
	"hc_attn_base":                  "hc_attn_base",
	"hc_attn_scale":                 "hc_attn_scale",
	"hc_ffn_fn":                     "hc_ffn_fn",
	"hc_ffn_base":                   "hc_ffn_base",
	"hc_ffn_scale":                  "hc_ffn_scale",
	"attn.attn_sink":                "attn_sinks",
	"attn.wq_a":                     "attn_q_a",
	"attn.q_norm":                   "attn_q_a_norm",
	"attn.wq_b":                     "attn_q_b",
	"attn.wkv":                      "attn_kv",
	"attn.kv_norm":                  "attn_kv_a_norm",
	"attn.wo_a":                     "attn_output_a",
	"attn.wo_b":                     "attn_output_b",
	"attn.compressor.ape":           "attn_compressor_ape",
	"attn.compressor.wkv":           "attn_compressor_kv",
	"attn.compressor.wgate":         "attn_compressor_gate",
	"attn.compressor.norm":          "attn_compressor_norm",
	"attn.indexer.wq_b":             "indexer.attn_q_b",
	"attn.indexer.weights_proj":     "indexer.proj",
	"attn.indexer.compressor.ape":   "indexer_compressor_ape",
	"attn.indexer.compressor.wkv":   "indexer_compressor_kv",
	"attn.indexer.compressor.wgate": "indexer_compressor_gate",
	"attn.indexer.compressor.norm":  "indexer_compressor_norm",
	"ffn.gate":                      "ffn_gate_inp",
	"ffn.gate.tid2eid":              "ffn_gate_tid2eid",
	"ffn.shared_experts.w1":         "ffn_gate_shexp",
	"ffn.shared_experts.w2":         "ffn_down_shexp",
	"ffn.shared_experts.w3":         "ffn_up_shexp",
	"enorm":                         "nextn.enorm",
	"hnorm":                         "nextn.hnorm",
	"norm":                          "nextn.shared_head_norm",
	"hc_head_fn":                    "nextn.hc_head_fn",
	"hc_head_base":                  "nextn.hc_head_base",
	"hc_head_scale":                 "nextn.hc_head_scale",
}

// plain is the tensor of that GGUF name as a matrix or vector: leading dimensions beyond two are one.
func (g *ggufFiles) plain(name string) (tensor, bool) {
	t, ok := g.f.Tensor(name)
	if !ok {
		short, cut := strings.CutSuffix(name, ".weight")
		if !cut {
			return tensor{}, false
		}
		if t, ok = g.f.Tensor(short); !ok {
			return tensor{}, false
		}
	}
	out := tensor{name: t.Name, shape: t.Shape, typ: t.Type, data: t.Data}
	if n := len(t.Shape); n > 2 {
		rows := 1
		for _, d := range t.Shape[:n-1] {
			rows *= d
		}
		out.shape = []int{rows, t.Shape[n-1]}
	}
	return g.rescaled(out, t.Name, 0), true
}

// expert finds one matrix of one expert, "17.up_proj.weight", in the stack [E,n,k] of all, or in that of gate
// and up together [E,2n,k].
func (g *ggufFiles) expert(block, rest string) (tensor, bool) {
	number, rest, _ := strings.Cut(rest, ".")
	x, err := strconv.Atoi(number)
	proj, found := expertNames[rest]
	if err != nil || !found {
		return tensor{}, false
	}
	if t, ok := g.f.Tensor(block + "ffn_" + proj + "_exps.weight"); ok {
		return g.slice(t, x, 0, 1)
	}
	if t, ok := g.f.Tensor(block + "ffn_gate_up_exps.weight"); ok && proj != "down" {
		return g.slice(t, x, map[string]int{"gate": 0, "up": 1}[proj], 2)
	}
	return tensor{}, false
}

var expertNames = map[string]string{
	"gate_proj.weight": "gate", "up_proj.weight": "up", "down_proj.weight": "down",
	"w1.weight": "gate", "w3.weight": "up", "w2.weight": "down",
}

// slice is part i of parts of the rows of expert x of t, [E,n,k].
func (g *ggufFiles) slice(t gguf.Tensor, x, i, parts int) (tensor, bool) {
	shape := t.Shape
	if len(shape) == 2 {
		shape = []int{1, shape[0], shape[1]} // a dimension of one that was left out
	}
	if len(shape) != 3 || x < 0 || x >= shape[0] || shape[1]%parts != 0 {
		return tensor{}, false
	}
	n, k := shape[1]/parts, shape[2]
	size := n * t.Type.Bytes(k)
	at := (x*parts + i) * size
	out := tensor{name: t.Name, shape: []int{n, k}, typ: t.Type, data: t.Data[at : at+size : at+size]}
	return g.rescaled(out, t.Name, x), true
}

// rescaled applies the factor that may accompany NVFP4, one for a tensor or for each expert of a stack.
func (g *ggufFiles) rescaled(t tensor, name string, x int) tensor {
	if t.typ != quant.NVFP4 || len(t.shape) == 0 {
		return t
	}
	base, ok := strings.CutSuffix(name, ".weight")
	s, found := g.f.Tensor(base + ".scale")
	if !ok || !found {
		return t
	}
	factors, err := s.Float32(nil)
	if err == nil && len(factors) != 1 && x >= len(factors) {
		err = fmt.Errorf("weights: tensor %q has %d factors for more experts", s.Name, len(factors))
	}
	if err != nil {
		t.err = err
		return t
	}
	factor := factors[0]
	if len(factors) > 1 {
		factor = factors[x]
	}
	k := t.shape[len(t.shape)-1]
	plain, err := t.stored(t.len()/k, k)
	if err != nil {
		t.err = err
		return t
	}
	t.decode = func(dst []float32, lo, hi int) {
		plain.Rows(dst, lo, hi)
		for i := range dst[:(hi-lo)*k] {
			dst[i] *= factor
		}
	}
	return t
}

// columns is the left or right half of the columns of t.
func columns(t tensor, right bool) tensor {
	if len(t.shape) != 2 || t.shape[1]%2 != 0 || t.shape[1]/2%t.typ.Block() != 0 || t.decode != nil {
		t.err = fmt.Errorf("weights: tensor %q of type %v and shape %v cannot be cut into halves", t.name, t.typ, t.shape)
		return t
	}
	k := t.shape[1] / 2
	row, half, at := t.typ.Bytes(2*k), t.typ.Bytes(k), 0
	if right {
		at = half
	}
	typ, data, name := t.typ, t.data, t.name
	t.shape = []int{t.shape[0], k}
	t.decode = func(dst []float32, lo, hi int) {
		for r := lo; r < hi; r++ {
			if err := quant.Decode(dst[(r-lo)*k:][:k], data[r*row+at:][:half], typ); err != nil {
				panic(fmt.Sprintf("weights: tensor %q: %v", name, err)) // the lengths were checked above
			}
		}
	}
	return t
}
