package weights

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/haenyeo/haenyeo/format/safetensors"
	"github.com/haenyeo/haenyeo/kernel"
	"github.com/haenyeo/haenyeo/quant"
)

// Files of one model under the configuration of another that asks for less: the tensors that are left over say so.
func TestDirectoriesOfLargerModels(t *testing.T) {
	m, _ := small(t)
	good := t.TempDir()
	if err := m.Save(good, kernel.F32); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		key, with string   // in config.json
		extra     []string // tensors
		says      string   // "": it opens
	}{
		"a layer more":                {`"num_hidden_layers": 2`, `"num_hidden_layers": 1`, nil, `"model.layers.1.input_layernorm.weight" is one of layer 1, but the configuration has 1 layers (num_hidden_layers)`},
		"prediction layers unsaid":    {`"num_nextn_predict_layers": 1`, `"num_nextn_predict_layers": 0`, nil, ""},
		"no shared experts":           {`"n_shared_experts": 1`, `"n_shared_experts": 0`, nil, "mlp.shared_experts.down_proj.weight"},
		"more experts":                {"", "", []string{"model.layers.1.mlp.experts.4.up_proj.weight"}, "experts.4.up_proj.weight\" has no place"},
		"an indexer":                  {"", "", []string{"model.layers.0.self_attn.indexer.wk.weight"}, "indexer.wk.weight\" has no place in a deepseek_v3"},
		"biases":                      {"", "", []string{"model.layers.0.self_attn.q_proj.bias"}, "q_proj.bias"},
		"norms of heads":              {"", "", []string{"model.layers.0.self_attn.q_norm.weight"}, "q_norm"},
		"a layer in other spelling":   {"", "", []string{"layers.7.attn.wq_a.weight"}, "layer 7"},
		"a table of frequencies":      {"", "", []string{"model.layers.0.self_attn.rotary_emb.inv_freq"}, ""},
		"scales of something":         {"", "", []string{"model.layers.0.self_attn.k_scale", "model.layers.0.mlp.up_proj.input_scale"}, ""},
		"copies in prediction layers": {"", "", []string{"model.layers.2.shared_head.something.weight", "model.layers.2.more.weight"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := rename(t, good, func(n string) string { return n }, 1e6)
			path := filepath.Join(dir, "config.json")
			b, err := os.ReadFile(path)
			if err != nil || !strings.Contains(string(b), c.key) {
				t.Fatalf("%q is not in %s, %v", c.key, b, err)
			}
			if err := os.WriteFile(path, []byte(strings.Replace(string(b), c.key, c.with, 1)), 0o666); err != nil {
				t.Fatal(err)
			}
			r, err := safetensors.OpenDir(good)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			var tensors []safetensors.Tensor
			for _, n := range r.Names() {
				x, _ := r.Tensor(n)
				tensors = append(tensors, x)
			}
			for _, n := range c.extra {
				tensors = append(tensors, safetensors.Tensor{Name: n, DType: safetensors.F32, Shape: []int{1}, Data: make([]byte, 4)})
			}
			writeTensors(t, filepath.Join(dir, safetensors.FileName), tensors)
			expectOpen(t, dir, c.says)
		})
	}
}

func TestGGUFOfLargerModels(t *testing.T) {
	for _, c := range []struct {
		file   string
		change func(w *rewritten)
		says   string
	}{
		{"llama-q8_0.gguf", func(w *rewritten) { w.set("llama.block_count", uint32(1)) }, "is one of layer 1, but the configuration has 1 layers (block_count)"},
		{"llama-q8_0.gguf", func(w *rewritten) { w.floats("blk.9.attn_norm.weight", 4) }, "layer 9"},
		{"llama-q8_0.gguf", func(w *rewritten) { w.floats("blk.1.attn_q.bias", 4) }, `"blk.1.attn_q.bias" has no place in a llama`},
		{"llama-q8_0.gguf", func(w *rewritten) { w.floats("blk.0.attn_q_norm.weight", 4) }, "attn_q_norm"},
		{"llama-q8_0.gguf", func(w *rewritten) { w.floats("blk.0.attn_q.scale", 1) }, ""},
		{"deepseek2-q8_0.gguf", func(w *rewritten) { w.floats("blk.0.indexer.proj.weight", 4) }, "indexer.proj"},
		{"deepseek2-q8_0.gguf", func(w *rewritten) { w.set("deepseek2.expert_gating_func", uint32(gatingSoftmax)) }, `"blk.1.exp_probs_b.bias" has no place in a deepseek_v2`},
		{"deepseek2-q8_0.gguf", func(w *rewritten) { w.set("deepseek2.expert_shared_count", uint32(0)) }, "_shexp"},
		{"deepseek4-mxfp4.gguf", func(w *rewritten) { w.add("blk.0.attn_q.bias", quant.F32, make([]byte, 4), 1) }, "attn_q.bias"},
	} {
		w := takeApart(t, c.file)
		c.change(w)
		expectOpen(t, w.write(), c.says)
	}
}

// expectOpen opens a model and wants an error of one line that holds says, or none.
func expectOpen(t *testing.T, path, says string) {
	t.Helper()
	s, err := Open(path)
	if err == nil {
		s.Close()
	}
	switch {
	case says == "" && err != nil:
		t.Error(err)
	case says != "" && (err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "\n")):
		t.Errorf("error %v, want one line with %q", err, says)
	}
}

// An error is one line, whatever is wrong and whatever the path is called; the problems stay apart for who lists them.
func TestProblemsOnOneLine(t *testing.T) {
	w := takeApart(t, "llama-q8_0.gguf")
	w.set("llama.feed_forward_length", uint32(1024))
	_, err := Open(w.write())
	var list Problems
	if !errors.As(err, &list) || len(list) < 6 {
		t.Fatalf("error %v with %d problems", err, len(list))
	}
	if s := err.Error(); strings.Contains(s, "\n") || strings.Count(s, "; ") != maxTold || strings.Count(s, "weights: ") != 1 || !strings.Contains(s, "and perhaps more") {
		t.Errorf("error %q", s)
	}
	dir := filepath.Join(t.TempDir(), "two\nlines")
	if err := os.MkdirAll(filepath.Join(dir, "empty"), 0o777); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(dir, "nothing"), filepath.Join(dir, "empty"), filepath.Join(dir, "empty", "config.json")} {
		if _, err := Open(path); err == nil || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), `two\nlines`) {
			t.Errorf("error %v", err)
		}
	}
}
