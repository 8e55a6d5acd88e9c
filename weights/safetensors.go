// This file holds the safetensors of a directory, and the names that a checkpoint may use besides the
// published ones: those of the publisher's own tools, with or without "model." in front.

package weights

import (
	"fmt"
	"strings"

	"github.com/haenyeo/haenyeo/format/safetensors"
	"github.com/haenyeo/haenyeo/model"
	"github.com/haenyeo/haenyeo/quant"
)

// safetensorsFiles finds tensors by their published names, whatever the files call them.
type safetensorsFiles struct {
	r     *safetensors.Reader
	cfg   *model.Config
	other map[string]string // published name -> name in the files, where they differ
}

func openSafetensors(dir string, cfg *model.Config) (*safetensorsFiles, error) {
	r, err := safetensors.OpenDir(dir)
	if err != nil {
		return nil, err
	}
	f := &safetensorsFiles{r: r, cfg: cfg, other: map[string]string{}}
	rename := published
	if cfg.ModelType == "deepseek_v4" {
		rename = publishedV4
	}
	for _, name := range r.Names() {
		p := rename(name)
		if p == name {
			continue
		}
		if first, dup := f.other[p]; dup {
			r.Close()
			return nil, fmt.Errorf("weights: tensors %q and %q are both %q (in %q)", first, name, p, dir)
		}
		f.other[p] = name
	}
	return f, nil
}

func (f *safetensorsFiles) lookup(name string) (safetensors.Tensor, bool) {
	if t, ok := f.r.Tensor(name); ok {
		return t, true
	}
	if own, ok := f.other[name]; ok {
		return f.r.Tensor(own)
	}
	return safetensors.Tensor{}, false
}

func (f *safetensorsFiles) locate(addr uintptr) (string, int64, bool) { return f.r.Locate(addr) }

func (f *safetensorsFiles) close() error { return f.r.Close() }

// plainTypes are the types whose bytes mean the same in both kinds of files.
var plainTypes = map[safetensors.DType]quant.Type{
	safetensors.F64: quant.F64, safetensors.F32: quant.F32, safetensors.F16: quant.F16, safetensors.BF16: quant.BF16,
	safetensors.I64: quant.I64, safetensors.I32: quant.I32, safetensors.I16: quant.I16, safetensors.I8: quant.I8,
}

func (f *safetensorsFiles) find(name string) (tensor, bool) {
	base, isWeight := strings.CutSuffix(name, ".weight")
	w, ok := f.lookup(name)
	if !ok && isWeight {
		w, ok = f.lookup(base + ".weight_packed")
	}
	if !ok {
		return tensor{}, false
	}
	t := tensor{name: w.Name, shape: w.Shape, data: w.Data}
	packed := (w.DType == safetensors.I8 || w.DType == safetensors.U8) && len(w.Shape) == 2
	if isWeight && (packed || w.DType == safetensors.F8_E4M3) {
		if packed {
			t.shape = []int{w.Shape[0], 2 * w.Shape[1]}
		}
		if t.coded, t.err = f.scaled(base, w, packed); t.err == nil {
			t.decode = t.coded.Rows
		}
		t.scale = f.scaleBytes(base)
		return t, true
	}
	var known bool
	if t.typ, known = plainTypes[w.DType]; !known {
		t.err = fmt.Errorf("weights: tensor %q is stored as %v, which no published model does: take the original checkpoint or a GGUF file", w.Name, w.DType)
	}
	return t, true
}

// scaleBytes are the scales that stand beside a matrix.
func (f *safetensorsFiles) scaleBytes(base string) []byte {
	for _, suffix := range []string{".weight_scale_inv", ".scale", ".weight_scale"} {
		if s, ok := f.lookup(base + suffix); ok {
			return s.Data
		}
	}
	return nil
}

// scaled is a matrix of 8 or, packed, 4 bits, with the scales that stand beside it.
func (f *safetensorsFiles) scaled(base string, w safetensors.Tensor, packed bool) (coded, error) {
	scale, ok := f.lookup(base + ".weight_scale_inv")
	if !ok {
		scale, ok = f.lookup(base + ".scale")
	}
	if ok && packed {
		return fp4(w, scale)
	}
	if ok {
		rows, cols := f.cfg.Quantization.BlockRows, f.cfg.Quantization.BlockCols
		if rows == 0 { // expert_dtype alone, or no quantization_config
			rows, cols = 128, 128
		}
		return fp8(w, scale, rows, cols)
	}
	scale, ok = f.lookup(base + ".weight_scale")
	global, whole := f.lookup(base + ".weight_scale_2")
	if !whole {
		global, whole = f.lookup(base + ".weight_global_scale")
	}
	if ok && whole && packed {
		return nvfp4(w, scale, global)
	}
	return nil, fmt.Errorf("weights: tensor %q is stored as %v without scales that are known (%q): files are missing, or it is a format that is not supported", w.Name, w.DType, base+".weight_scale_inv")
}

// published turns a name of V3 or an older generation into the published one.
func published(name string) string {
	parts := strings.Split(name, ".")
	if parts[0] == "model" {
		parts = parts[1:]
	}
	if len(parts) == 0 {
		return name
	}
	switch parts[0] {
	case "lm_head":
		return strings.Join(parts, ".")
	case "head":
		parts[0] = "lm_head"
		return strings.Join(parts, ".")
	case "embed":
		parts[0] = "embed_tokens"
	case "embed_tokens", "norm", "layers":
	default:
		return name
	}
	indexer := false
	for i, p := range parts {
		if i < 2 {
			continue
		}
		last := i == len(parts)-1
		switch {
		case p == "indexer":
			indexer = true
		case p == "scale" && last:
			parts[i] = "weight_scale_inv"
		case p == "bias" && last && parts[i-1] == "gate":
			parts[i] = "e_score_correction_bias"
		case indexer:
		default:
			if q, ok := convertedNames[p]; ok {
				parts[i] = q
			}
		}
	}
	// The publisher's tools call q_a_layernorm q_norm, which in Qwen3 is something else.
	if len(parts) > 3 && parts[2] == "self_attn" && parts[3] == "q_norm" && strings.Contains(name, ".attn.q_norm.") {
		parts[3] = "q_a_layernorm"
	}
	return "model." + strings.Join(parts, ".")
}

// convertedNames are the names of the publisher's own tools, which convert V3 to them.
var convertedNames = map[string]string{
	"attn": "self_attn", "ffn": "mlp", "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
	"wq": "q_proj", "wq_a": "q_a_proj", "wq_b": "q_b_proj", "wkv_a": "kv_a_proj_with_mqa", "kv_norm": "kv_a_layernorm",
	"wkv_b": "kv_b_proj", "wo": "o_proj", "w1": "gate_proj", "w2": "down_proj", "w3": "up_proj",
}

// publishedV4 turns a name of V4 into the published one.
func publishedV4(name string) string {
	parts := strings.Split(name, ".")
	if parts[0] == "model" && len(parts) > 1 {
		parts = parts[1:]
	}
	for i, p := range parts {
		last := i == len(parts)-1
		switch {
		case i == 0:
			switch p {
			case "embed_tokens":
				parts[0] = "embed"
			case "lm_head":
				parts[0] = "head"
			}
		case p == "self_attn":
			parts[i] = "attn"
		case p == "mlp":
			parts[i] = "ffn"
		case p == "input_layernorm":
			parts[i] = "attn_norm"
		case p == "post_attention_layernorm":
			parts[i] = "ffn_norm"
		case p == "gate_proj":
			parts[i] = "w1"
		case p == "down_proj":
			parts[i] = "w2"
		case p == "up_proj":
			parts[i] = "w3"
		case p == "weight_scale_inv" && last:
			parts[i] = "scale"
		case p == "e_score_correction_bias" && last:
			parts[i] = "bias"
		}
	}
	return strings.Join(parts, ".")
}
