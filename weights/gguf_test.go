package weights

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/haenyeo/haenyeo/format/gguf"
	"github.com/haenyeo/haenyeo/kernel"
	"github.com/haenyeo/haenyeo/quant"
)

// rewritten is a GGUF taken apart, to be changed and written again.
type rewritten struct {
	t       testing.TB
	keys    []string
	values  map[string]any
	tensors []gguf.Tensor
}

func takeApart(t testing.TB, name string) *rewritten {
	t.Helper()
	f, err := gguf.Open(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := &rewritten{t: t, values: map[string]any{}}
	for _, k := range f.Metadata.Keys() {
		v, _ := f.Metadata.Get(k)
		w.set(k, v)
	}
	for _, x := range f.Tensors() {
		x.Data = bytes.Clone(x.Data)
		w.tensors = append(w.tensors, x)
	}
	return w
}

func (w *rewritten) set(key string, v any) {
	if _, ok := w.values[key]; !ok {
		w.keys = append(w.keys, key)
	}
	w.values[key] = v
}

func (w *rewritten) drop(key string) {
	w.keys = slices.DeleteFunc(w.keys, func(k string) bool { return k == key })
	delete(w.values, key)
}

func (w *rewritten) tensor(name string) *gguf.Tensor {
	w.t.Helper()
	for i := range w.tensors {
		if w.tensors[i].Name == name {
			return &w.tensors[i]
		}
	}
	w.t.Fatalf("no tensor %q", name)
	return nil
}

func (w *rewritten) remove(name string) gguf.Tensor {
	w.t.Helper()
	x := *w.tensor(name)
	w.tensors = slices.DeleteFunc(w.tensors, func(x gguf.Tensor) bool { return x.Name == name })
	return x
}

func (w *rewritten) add(name string, typ quant.Type, data []byte, shape ...int) {
	w.tensors = append(w.tensors, gguf.Tensor{Name: name, Type: typ, Shape: shape, Data: data})
}

// floats adds a float32 tensor whose numbers count up.
func (w *rewritten) floats(name string, shape ...int) {
	n := 1
	for _, d := range shape {
		n *= d
	}
	var data []byte
	for i := range n {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(float32(i)/64))
	}
	w.add(name, quant.F32, data, shape...)
}

func (w *rewritten) writeTo(path string, tensors []gguf.Tensor, extra map[string]any) string {
	w.t.Helper()
	var m gguf.Metadata
	for _, k := range w.keys {
		m.Set(k, w.values[k])
	}
	for _, k := range slices.Sorted(maps.Keys(extra)) {
		m.Set(k, extra[k])
	}
	var sources []gguf.Source
	for _, x := range tensors {
		sources = append(sources, gguf.Source{Name: x.Name, Type: x.Type, Shape: x.Shape, Emit: func(to io.Writer) error {
			_, err := to.Write(x.Data)
			return err
		}})
	}
	if err := gguf.Write(path, &m, sources); err != nil {
		w.t.Fatal(err)
	}
	return path
}

func (w *rewritten) write() string {
	return w.writeTo(filepath.Join(w.t.TempDir(), "m.gguf"), w.tensors, nil)
}

func sameTensors(t *testing.T, got, want map[string][]float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%d tensors, want %d", len(got), len(want))
	}
	for name, x := range want {
		if !slices.Equal(got[name], x) {
			t.Errorf("%s differs", name)
		}
	}
}

// Layouts that other programs write give the same tensors.
func TestGGUFLayouts(t *testing.T) {
	for name, c := range map[string]struct {
		file   string
		change func(w *rewritten)
	}{
		"gate and up of experts together": {"deepseek2-q8_0.gguf", func(w *rewritten) {
			gate, up := w.remove("blk.1.ffn_gate_exps.weight"), w.remove("blk.1.ffn_up_exps.weight")
			e, n := gate.Shape[0], len(gate.Data)/gate.Shape[0]
			var both []byte
			for x := range e {
				both = append(append(both, gate.Data[x*n:][:n]...), up.Data[x*n:][:n]...)
			}
			w.add("blk.1.ffn_gate_up_exps.weight", gate.Type, both, e, 2*gate.Shape[1], gate.Shape[2])
		}},
		"keys of latent attention in two dimensions": {"deepseek2-q8_0.gguf", func(w *rewritten) {
			for _, n := range []string{"blk.0.attn_k_b.weight", "blk.0.attn_v_b.weight"} {
				k := w.tensor(n)
				k.Shape = []int{k.Shape[0] * k.Shape[1], k.Shape[2]}
			}
		}},
		"all three latent tensors": {"deepseek2-old-q5_1.gguf", func(w *rewritten) {
			w.floats("blk.0.attn_k_b.weight", 4*32, 32)
			w.floats("blk.0.attn_v_b.weight", 4, 32, 32)
		}},
		"numbers for every layer": {"llama-q8_0.gguf", func(w *rewritten) {
			for _, k := range []string{"llama.attention.head_count", "llama.attention.head_count_kv", "llama.feed_forward_length"} {
				v := w.values[k].(uint32)
				w.set(k, []uint32{v, v})
			}
		}},
		"output grouped in three dimensions": {"deepseek4-mxfp4.gguf", func(w *rewritten) {
			o := w.tensor("blk.0.attn_output_a.weight")
			o.Shape = []int{2, o.Shape[0] / 2, o.Shape[1]}
		}},
		"parameters without .weight": {"deepseek4-mxfp4.gguf", func(w *rewritten) {
			w.tensor("blk.0.hc_attn_fn.weight").Name = "blk.0.hc_attn_fn"
		}},
		"prediction layers announced but left out": {"deepseek2-q8_0.gguf", func(w *rewritten) {
			w.set("deepseek2.block_count", uint32(3))
			w.set("deepseek2.nextn_predict_layers", uint32(1))
		}},
		"prediction layers announced and not counted": {"deepseek2-q8_0.gguf", func(w *rewritten) {
			w.set("deepseek2.nextn_predict_layers", uint32(1))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			want := openModel(t, filepath.Join("testdata", c.file))
			w := takeApart(t, c.file)
			c.change(w)
			got := openModel(t, w.write())
			sameTensors(t, decode(t, got), decode(t, want))
		})
	}
}

// A file that keeps its multi-token prediction layer gives it under the published names.
func TestGGUFPredictionLayers(t *testing.T) {
	w := takeApart(t, "deepseek2-q8_0.gguf")
	for _, x := range slices.Clone(w.tensors) {
		if rest, ok := strings.CutPrefix(x.Name, "blk.1."); ok {
			w.add("blk.2."+rest, x.Type, x.Data, x.Shape...)
		}
	}
	w.set("deepseek2.block_count", uint32(3))
	w.set("deepseek2.nextn_predict_layers", uint32(1))
	w.floats("blk.2.nextn.eh_proj.weight", 32, 64)
	w.floats("blk.2.nextn.enorm.weight", 32)
	w.floats("blk.2.nextn.hnorm.weight", 32)
	s := openModel(t, w.write())
	if c := s.Config(); c.NumHiddenLayers != 2 || c.NumNextnPredictLayers != 1 {
		t.Fatalf("%d layers and %d for prediction", c.NumHiddenLayers, c.NumNextnPredictLayers)
	}
	all := decode(t, s)
	if !slices.Equal(all["model.layers.2.mlp.experts.3.up_proj.weight"], all["model.layers.1.mlp.experts.3.up_proj.weight"]) {
		t.Error("expert of the prediction layer differs")
	}
	if x := all["model.layers.2.eh_proj.weight"]; x[65] != 65./64 {
		t.Errorf("eh_proj: %v", x[:70])
	}
	if !slices.Equal(all["model.layers.2.shared_head.norm.weight"], all["model.norm.weight"]) {
		t.Error("without a norm of its own the prediction layer uses the model's")
	}

	w = takeApart(t, "deepseek4-mxfp4.gguf")
	for _, x := range slices.Clone(w.tensors) {
		if rest, ok := strings.CutPrefix(x.Name, "blk.2."); ok && !strings.Contains(rest, "compressor") {
			w.add("blk.3."+rest, x.Type, x.Data, x.Shape...)
		}
	}
	w.set("deepseek4.block_count", uint32(4))
	w.set("deepseek4.nextn_predict_layers", uint32(1))
	w.set("deepseek4.attention.compress_ratios", []uint32{0, 4, 128, 0})
	eh := make([]float32, 32*64)
	for i := range eh {
		eh[i] = float32(i%7-3) * 0.25
	}
	packed := make([]byte, quant.Q8_0.Bytes(len(eh)))
	if err := quant.Encode(packed, eh, quant.Q8_0); err != nil {
		t.Fatal(err)
	}
	w.add("blk.3.nextn.eh_proj.weight", quant.Q8_0, packed, 32, 64)
	for _, n := range []string{"enorm", "hnorm", "shared_head_norm"} {
		w.floats("blk.3.nextn."+n+".weight", 32)
	}
	w.floats("blk.3.nextn.hc_head_fn.weight", 4, 128)
	w.floats("blk.3.nextn.hc_head_base.weight", 4)
	w.floats("blk.3.nextn.hc_head_scale.weight", 1)
	all = decode(t, openModel(t, w.write()))
	for i, x := range all["mtp.0.e_proj.weight"] {
		h := all["mtp.0.h_proj.weight"][i]
		at := i/32*64 + i%32
		if math.Abs(float64(x-eh[at])) > 0.01 || math.Abs(float64(h-eh[at+32])) > 0.01 {
			t.Fatalf("element %d of e_proj and h_proj: %v and %v, want %v and %v", i, x, h, eh[at], eh[at+32])
		}
	}
}

// What keys say, and what their absence means.
func TestGGUFKeys(t *testing.T) {
	for _, c := range []struct {
		file   string
		change func(w *rewritten)
		want   func(s *Source) bool
		says   string // error
	}{
		{"deepseek2-q8_0.gguf", func(w *rewritten) { w.drop("deepseek2.expert_gating_func") },
			func(s *Source) bool {
				return s.Config().ModelType == "deepseek_v3" && s.Config().ScoringFunc == "sigmoid"
			}, ""},
		{"deepseek2-q8_0.gguf", func(w *rewritten) {
			w.drop("deepseek2.expert_gating_func")
			w.remove("blk.1.exp_probs_b.bias")
		},
			func(s *Source) bool {
				c := s.Config()
				return c.ModelType == "deepseek_v2" && c.ScoringFunc == "softmax" && c.TopKMethod == "group_limited_greedy" && c.NGroup == 4
			}, ""},
		{"deepseek2-q8_0.gguf", func(w *rewritten) {
			w.drop("deepseek2.expert_group_count")
			w.drop("deepseek2.expert_group_used_count")
		}, func(s *Source) bool { return s.Config().NGroup == 1 && s.Config().TopKMethod == "noaux_tc" }, ""},
		{"deepseek2-q8_0.gguf", func(w *rewritten) {}, func(s *Source) bool {
			r := s.Config().RopeScaling
			return r.MScale == 1 && r.MScaleAllDim == 1 && r.Factor == 40 && r.BetaFast == 32 && s.Config().RMSNormEps == 1e-6
		}, ""},
		{"deepseek2-old-q5_1.gguf", func(w *rewritten) {}, func(s *Source) bool {
			c := s.Config()
			return c.RopeScaling.MScaleAllDim == 0.707 && c.QLoraRank == 0 && c.TopKMethod == "greedy" && c.NSharedExperts == 2 && !c.NormTopKProb
		}, ""},
		{"deepseek2-old-q5_1.gguf", func(w *rewritten) { w.drop("deepseek2.attention.q_lora_rank") }, func(s *Source) bool { return s.Config().QLoraRank == 0 }, ""},
		{"deepseek4-mxfp4.gguf", func(w *rewritten) { w.drop("deepseek4.swiglu_clamp_shexp") }, func(s *Source) bool {
			c := s.Config()
			return c.SwigluLimit == 10 && c.RopeScaling.AttentionFactor == 1 && slices.Equal(c.CompressRatios, []int{0, 4, 128}) && c.NumHashLayers == 1 && c.SlidingWindow == 8
		}, ""},
		{"llama-q8_0.gguf", func(w *rewritten) {}, func(s *Source) bool { return s.Config().RopeScaling.Type == "llama3" }, ""},
		{"llama-q8_0.gguf", func(w *rewritten) { w.remove("rope_freqs.weight"); w.set("llama.rope.scaling.factor", float32(4)) },
			func(s *Source) bool {
				return s.Config().RopeScaling.Type == "linear" && s.Config().RopeScaling.Factor == 4
			}, ""},
		{"llama-q8_0.gguf", func(w *rewritten) {
			w.remove("rope_freqs.weight")
			w.set("llama.rope.scaling.type", "yarn")
			w.set("llama.rope.scaling.factor", float32(4))
			w.set("llama.rope.scaling.original_context_length", uint32(64))
			w.set("llama.rope.scaling.yarn_attn_factor", float32(0.8782488562869419))
		}, func(s *Source) bool { return s.Config().RopeScaling.AttentionFactor == 1 }, ""},
		{"llama-q8_0.gguf", func(w *rewritten) { w.remove("output.weight") }, func(s *Source) bool { return s.Config().TieWordEmbeddings }, ""},

		{"llama-q8_0.gguf", func(w *rewritten) { w.set("general.architecture", "gemma3") }, nil, `architecture "gemma3" is not supported; supported are llama`},
		{"llama-q8_0.gguf", func(w *rewritten) { w.set("general.architecture", "deepseek41") }, nil, "DeepSeek-V4.1"},
		{"llama-q8_0.gguf", func(w *rewritten) { w.set("general.architecture", "deepseek2-ocr") }, nil, "reads images"},
		{"llama-q8_0.gguf", func(w *rewritten) { w.set("general.architecture", "dflash") }, nil, "drafter"},
		{"llama-q8_0.gguf", func(w *rewritten) { w.set("llama.expert_count", uint32(8)) }, nil, "architecture llama with experts"},
		{"llama-q8_0.gguf", func(w *rewritten) { w.set("llama.attention.head_count_kv", []uint32{1, 2}) }, nil, "layers of different shapes"},
		{"llama-q8_0.gguf", func(w *rewritten) { w.set("llama.feed_forward_length", uint32(1024)) }, nil, "the configuration asks for [1024"},
		{"llama-q8_0.gguf", func(w *rewritten) { w.set("llama.rope.dimension_count", uint32(4)) }, nil, "rotating 4 of"},
		{"llama-q8_0.gguf", func(w *rewritten) { w.set("llama.vocab_size", uint32(7)) }, nil, "vocab_size"},
		{"llama-q8_0.gguf", func(w *rewritten) {
			w.set("tokenizer.ggml.tokens", append(w.values["tokenizer.ggml.tokens"].([]string), "one", "more"))
			w.drop("tokenizer.ggml.token_type")
		}, nil, "the tokenizer has 322 tokens, but the embedding 320 rows"},
		{"llama-q8_0.gguf", func(w *rewritten) { w.remove("blk.1.attn_k.weight") }, nil, "\"blk.1.attn_k.weight\""},
		{"deepseek2-q8_0.gguf", func(w *rewritten) { w.set("deepseek2.leading_dense_block_count", uint32(0)) }, nil, `"blk.0.ffn_gate_inp.weight" (model.layers.0.mlp.gate.weight)`},
		{"deepseek2-q8_0.gguf", func(w *rewritten) { w.set("deepseek2.leading_dense_block_count", uint32(0)) }, nil, `"blk.0.ffn_gate_exps.weight" (model.layers.0.mlp.experts.0.gate_proj.weight)`},
		{"deepseek4-mxfp4.gguf", func(w *rewritten) { w.remove("blk.1.attn_sinks.weight") }, nil, `"blk.1.attn_sinks.weight" (layers.1.attn.attn_sink)`},
		{"llama-q8_0.gguf", func(w *rewritten) { w.set("llama.rope.scaling.type", "longrope"); w.remove("rope_freqs.weight") }, nil, "longrope"},
		{"deepseek2-q8_0.gguf", func(w *rewritten) { w.set("deepseek2.expert_gating_func", uint32(3)) }, nil, "gating function 3"},
		{"deepseek2-q8_0.gguf", func(w *rewritten) { w.set("deepseek2.attention.key_length_mla", uint32(40)) }, nil, "key_length_mla"},
		{"deepseek2-q8_0.gguf", func(w *rewritten) { w.set("deepseek2.attention.value_length_mla", uint32(7)) }, nil, `"deepseek2.attention.value_length_mla" is 7`},
		{"deepseek2-q8_0.gguf", func(w *rewritten) { w.set("deepseek2.expert_group_used_count", uint32(99)) }, nil, `(key "deepseek2.expert_group_used_count")`},
		{"llama-q8_0.gguf", func(w *rewritten) { w.set("llama.rope.freq_base", float32(-1)); w.remove("rope_freqs.weight") }, nil, `rope_theta is -1, must be above 1 (key "llama.rope.freq_base")`},
		{"deepseek4-mxfp4.gguf", func(w *rewritten) { w.set("deepseek4.attention.compress_ratios", []uint32{0, 4, 64}) }, nil, "compress_ratios[2] is 64"},
		{"deepseek4-mxfp4.gguf", func(w *rewritten) { w.set("deepseek4.swiglu_clamp_shexp", []float32{1, 1, 1}) }, nil, "a clamp of 1"},
		{"deepseek4-mxfp4.gguf", func(w *rewritten) { w.set("deepseek4.swiglu_clamp_exp", []float32{1, 1, 2}) }, nil, "layers of different shapes"},
	} {
		w := takeApart(t, c.file)
		c.change(w)
		s, err := Open(w.write())
		switch {
		case c.says != "":
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s: error %v, want %q", c.file, err, c.says)
			}
		case err != nil:
			t.Errorf("%s: %v", c.file, err)
		case !c.want(s):
			t.Errorf("%s: read as %+v", c.file, s.Config())
		}
		if err == nil {
			s.Close()
		}
	}
}

// Factors beside NVFP4 are applied, one for each expert of a stack.
func TestNVFP4Factors(t *testing.T) {
	w := takeApart(t, "deepseek4-mxfp4.gguf")
	up := w.tensor("blk.0.ffn_up_shexp.weight")
	up.Type, up.Shape, up.Data = quant.NVFP4, []int{32, 64}, bytes.Repeat([]byte{0x38, 0x38, 0x38, 0x38, 0x12, 0x34, 0x56, 0x78}, 32*36/8)
	f := &ggufFiles{v4: true}
	path := w.write()
	var err error
	if f.f, err = gguf.Open(path); err != nil {
		t.Fatal(err)
	}
	defer f.close()
	plain, ok := f.find("layers.0.ffn.shared_experts.w3.weight")
	w.add("blk.0.ffn_up_shexp.scale", quant.F32, binary.LittleEndian.AppendUint32(nil, math.Float32bits(3)), 1)
	g := &ggufFiles{v4: true}
	if g.f, err = gguf.Open(w.write()); err != nil {
		t.Fatal(err)
	}
	defer g.close()
	scaled, ok2 := g.find("layers.0.ffn.shared_experts.w3.weight")
	if !ok || !ok2 {
		t.Fatal("tensor is missing")
	}
	a, b := make([]float32, 32*64), make([]float32, 32*64)
	for _, x := range []struct {
		t   tensor
		dst []float32
	}{{plain, a}, {scaled, b}} {
		m, err := x.t.stored(32, 64)
		if err != nil {
			t.Fatal(err)
		}
		m.Rows(x.dst, 0, 32)
	}
	for i := range a {
		if b[i] != 3*a[i] {
			t.Fatalf("element %d is %v, want 3 times %v", i, b[i], a[i])
		}
	}
}

// CheckFinite finds one number that is none anywhere in a model.
func TestCheckFinite(t *testing.T) {
	e, err := kernel.New(2, "")
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	for _, c := range []struct{ file, tensor, says string }{
		{"deepseek2-q8_0.gguf", "", ""},
		{"deepseek4-mxfp4.gguf", "", ""},
		{"deepseek2-q8_0.gguf", "blk.1.ffn_down_exps.weight", "blk.1.ffn_down_exps.weight\" holds NaN in row 5, column 0"},
		{"deepseek2-q8_0.gguf", "blk.0.attn_k_b.weight", "blk.0.attn_k_b.weight\" holds NaN in row 5"},
		{"deepseek2-q8_0.gguf", "output_norm.weight", "output_norm.weight\" holds NaN in row 0"},
		{"deepseek2-old-q5_1.gguf", "token_embd.weight", "token_embd.weight\" holds NaN in row 5"},
	} {
		w := takeApart(t, c.file)
		if c.tensor != "" {
			x := w.tensor(c.tensor)
			row := x.Type.Bytes(x.Shape[len(x.Shape)-1])
			if len(x.Shape) == 1 {
				copy(x.Data[12:], []byte{0, 0, 0xc0, 0x7f})
			} else {
				copy(x.Data[5*row:], []byte{0, 0x7e}) // the scale of a block
			}
		}
		err := openModel(t, w.write()).CheckFinite(context.Background(), e)
		if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s, %s: error %v, want %q", c.file, c.tensor, err, c.says)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := openModel(t, filepath.Join("testdata", "llama-q8_0.gguf")).CheckFinite(ctx, e); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: error %v", err)
	}
}

func (w *rewritten) split(dir string, n int) []string {
	w.t.Helper()
	var paths []string
	per := (len(w.tensors) + n - 1) / n
	for i := range n {
		part := w.tensors[min(i*per, len(w.tensors)):min((i+1)*per, len(w.tensors))]
		extra := map[string]any{"split.no": uint16(i), "split.count": uint16(n), "split.tensors.count": int32(len(w.tensors))}
		from := w
		if i > 0 {
			from = &rewritten{t: w.t}
		}
		paths = append(paths, from.writeTo(filepath.Join(dir, fmt.Sprintf("big-%05d-of-%05d.gguf", i+1, n)), part, extra))
	}
	return paths
}

func TestSplitGGUF(t *testing.T) {
	whole := decode(t, openModel(t, filepath.Join("testdata", "deepseek2-q8_0.gguf")))
	dir := t.TempDir()
	w := takeApart(t, "deepseek2-q8_0.gguf")
	paths := w.split(dir, 3)
	for _, p := range append(paths, dir) {
		s := openModel(t, p)
		sameTensors(t, decode(t, s), whole)
		if s.Dir() != dir || len(s.GGUF().Tensors()) != len(w.tensors) {
			t.Errorf("%d tensors in %q", len(s.GGUF().Tensors()), s.Dir())
		}
	}
	for name, c := range map[string]struct {
		damage func(t *testing.T, dir string, paths []string) (open string)
		says   string
	}{
		"missing": {func(t *testing.T, dir string, paths []string) string {
			os.Remove(paths[1])
			return paths[2]
		}, `1 are missing: "big-00002-of-00003.gguf"`},
		"of another model": {func(t *testing.T, dir string, paths []string) string {
			other := takeApart(t, "llama-q8_0.gguf").split(t.TempDir(), 3)
			os.Rename(other[1], paths[1])
			return paths[0]
		}, "belongs to another model"},
		"the same twice": {func(t *testing.T, dir string, paths []string) string {
			b, _ := os.ReadFile(paths[2])
			os.WriteFile(paths[1], b, 0o666)
			return paths[0]
		}, "does not say that it is file 1 (split.no 2)"},
		"renamed": {func(t *testing.T, dir string, paths []string) string {
			os.Rename(paths[0], filepath.Join(dir, "model.gguf"))
			return filepath.Join(dir, "model.gguf")
		}, "not named like"},
		"fewer tensors": {func(t *testing.T, dir string, paths []string) string {
			w := takeApart(t, "deepseek2-q8_0.gguf")
			w.writeTo(paths[2], w.tensors[len(w.tensors)-1:], map[string]any{"split.no": uint16(2), "split.count": uint16(3), "split.tensors.count": int32(len(w.tensors))})
			return paths[0]
		}, "they are not of one model"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := c.damage(t, dir, takeApart(t, "deepseek2-q8_0.gguf").split(dir, 3))
			if _, err := Open(path); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v, want %q", err, c.says)
			}
		})
	}
}

// A number that is none is found where it is read as a vector.
func TestVectorNamesWhatIsNotFinite(t *testing.T) {
	w := takeApart(t, "deepseek2-q8_0.gguf")
	copy(w.tensor("blk.1.exp_probs_b.bias").Data[8:], []byte{0, 0, 0xc0, 0x7f})
	s := openModel(t, w.write())
	_, err := s.Vector("model.layers.1.mlp.gate.e_score_correction_bias", s.Config().NRoutedExperts)
	if err == nil || !strings.Contains(err.Error(), `"blk.1.exp_probs_b.bias" (model.layers.1.mlp.gate.e_score_correction_bias) holds NaN at element 2`) {
		t.Errorf("error %v", err)
	}
}

// Whatever the metadata and the table of tensors say, opening a file ends with an error or a model whose
// tensors can be read.
func FuzzOpenGGUF(f *testing.F) {
	const weights = 1 << 18 // zeros after the header
	for _, name := range []string{"llama-q8_0.gguf", "deepseek-q4_0.gguf", "deepseek2-q8_0.gguf", "deepseek2-old-q5_1.gguf", "deepseek4-mxfp4.gguf"} {
		w := takeApart(f, name)
		for _, k := range slices.Clone(w.keys) {
			if strings.HasPrefix(k, "tokenizer.") {
				w.drop(k)
			}
		}
		size := 0
		for _, x := range w.tensors {
			size += (len(x.Data) + 31) &^ 31
		}
		data, err := os.ReadFile(w.write())
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data[:len(data)-size])
	}
	path := filepath.Join(f.TempDir(), "m.gguf")
	f.Fuzz(func(t *testing.T, header []byte) {
		if err := os.WriteFile(path, append(bytes.Clone(header), make([]byte, weights)...), 0o666); err != nil {
			t.Fatal(err)
		}
		s, err := Open(path)
		if err != nil {
			return
		}
		defer s.Close()
		readAll(t, s)
	})
}

// readAll reads a row of every tensor that an opened model must have.
func readAll(t *testing.T, s *Source) {
	for want := range Expected(s.Config()) {
		n := 1
		for _, d := range want.Shape {
			n *= d
		}
		var err error
		switch {
		case want.Ints:
			_, err = s.Ints(want.Name, n)
		case len(want.Shape) == 1:
			s.Vector(want.Name, n) // may hold what is not finite
		case strings.HasSuffix(want.Name, "kv_b_proj.weight"):
			c := s.Config()
			_, err = s.LatentUp(strings.TrimSuffix(want.Name, "kv_b_proj.weight"), c.NumAttentionHeads, c.QKNopeHeadDim, c.VHeadDim, c.KVLoraRank)
		default:
			m, e := s.Matrix(want.Name, want.Shape[0], want.Shape[1])
			if err = e; err == nil {
				m.Rows(make([]float32, m.K), m.N-1, m.N)
			}
		}
		if err != nil {
			t.Fatalf("a model that was opened has a tensor that cannot be read: %v", err)
		}
	}
}
