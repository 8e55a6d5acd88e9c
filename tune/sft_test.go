package tune

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/haenyeo/haenyeo/format/safetensors"
	"github.com/haenyeo/haenyeo/kernel"
	"github.com/haenyeo/haenyeo/model"
	"github.com/haenyeo/haenyeo/train"
)

func newEngine(t testing.TB) *kernel.Engine {
	t.Helper()
	e, err := kernel.New(2, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

// shapes are the models that can be trained: V3 with experts and a layer for multi-token prediction, and Llama.
func shapes() map[string]*model.Config {
	return map[string]*model.Config{
		"v3": {
			ModelType: "deepseek_v3", HiddenSize: 32, NumHiddenLayers: 2, NumAttentionHeads: 2, IntermediateSize: 64, QLoraRank: 16, KVLoraRank: 16,
			QKNopeHeadDim: 8, QKRopeHeadDim: 8, VHeadDim: 8, MoEIntermediateSize: 16, NRoutedExperts: 4, NSharedExperts: 1, NumExpertsPerTok: 2,
			FirstKDenseReplace: 1, NormTopKProb: true, ScoringFunc: "sigmoid", TopKMethod: "noaux_tc", NumNextnPredictLayers: 1,
			InitializerRange: 0.06, MaxPositionEmbeddings: 128,
		},
		"llama": {
			ModelType: "llama", HiddenSize: 32, NumHiddenLayers: 2, NumAttentionHeads: 2, NumKeyValueHeads: 1, IntermediateSize: 64,
			InitializerRange: 0.06, MaxPositionEmbeddings: 128, TieWordEmbeddings: true,
		},
	}
}

// newModel leaves a fresh model with a byte tokenizer in a directory.
func newModel(t testing.TB, e *kernel.Engine, cfg *model.Config) string {
	t.Helper()
	dir, tok := t.TempDir(), byteTokenizer(t)
	cfg.VocabSize = tok.VocabSize()
	cfg.BOSTokenID, cfg.EOSTokenID = 256, []int{257}
	m, err := model.New(cfg, e, model.Options{MTP: cfg.NumNextnPredictLayers > 0})
	if err != nil {
		t.Fatal(err)
	}
	m.Init(1)
	if err := m.Save(dir, kernel.F32); err != nil {
		t.Fatal(err)
	}
	if err := tok.Save(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

func talk(t testing.TB) string {
	var lines []string
	for i := range 12 {
		lines = append(lines, fmt.Sprintf(`{"messages":[{"role":"user","content":"%d?"},{"role":"assistant","content":"it is %d"}]}`, i, i%3))
	}
	return writeLines(t, lines...)
}

// request is a small run.
func request(e *kernel.Engine, dir, data, out string) Request {
	return Request{
		Model: dir, Data: []string{data}, Format: "v3", Out: out, Batch: 2, Seq: 32, Steps: 12, Seed: 5, Engine: e,
		Options: func(o *train.Options) { o.DType, o.LR, o.Warmup = "f32", 0.01, 0 },
		Pace:    func(int) train.Pace { return train.Pace{CheckpointEvery: 4, Retries: 1} },
	}
}

func weightsOf(t testing.TB, dir string) map[string][]float32 {
	t.Helper()
	r, err := safetensors.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	return floatsOf(t, r)
}

func floatsOf(t testing.TB, r *safetensors.Reader) map[string][]float32 {
	t.Helper()
	all := map[string][]float32{}
	for _, name := range r.Names() {
		x, _ := r.Tensor(name)
		var err error
		if all[name], err = x.Float32(nil); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// Every way to train, on both kinds of model: the loss falls, the model is whole, and a run that was interrupted ends with the
// same bits.
func TestSFT(t *testing.T) {
	e := newEngine(t)
	for shape, cfg := range shapes() {
		for _, way := range []string{"full", "lora", "experts"} {
			if shape == "llama" && way == "experts" {
				continue
			}
			t.Run(shape+"/"+way, func(t *testing.T) {
				dir, data, out := newModel(t, e, cfg), talk(t), filepath.Join(t.TempDir(), "out")
				r := request(e, dir, data, out)
				switch way {
				case "lora":
					r.LoRA = &model.LoRA{Rank: 4, Alpha: 8}
				case "experts":
					r.Experts = 0.3
				}
				var losses []float64
				r.Emit = func(e train.Event) {
					if s, ok := e.(train.Step); ok {
						losses = append(losses, s.Loss)
					}
				}
				if _, err := SFT(t.Context(), r); err != nil {
					t.Fatal(err)
				}
				if last := losses[len(losses)-1]; !(last < losses[0]*0.97) {
					t.Errorf("the loss went from %g to %g", losses[0], last)
				}
				checkWhatTrained(t, way, weightsOf(t, dir), weightsOf(t, out))

				ctx, stop := context.WithCancel(t.Context())
				r.Out, r.Emit = filepath.Join(t.TempDir(), "again"), func(e train.Event) {
					if s, ok := e.(train.Step); ok && s.Step == 6 {
						stop()
					}
				}
				if _, err := SFT(ctx, r); !errors.As(err, new(*train.Interrupted)) {
					t.Fatalf("interrupted: %v", err)
				}
				r.Resume = true
				if _, err := SFT(t.Context(), r); err != nil {
					t.Fatal(err)
				}
				for _, name := range []string{"model.safetensors", AdapterDir + "/adapter_model.safetensors"} {
					a, err := os.ReadFile(filepath.Join(out, name))
					b, err2 := os.ReadFile(filepath.Join(r.Out, name))
					if (err == nil) != (err2 == nil) || !bytes.Equal(a, b) || (err == nil) != (way == "lora" || name == "model.safetensors") {
						t.Errorf("%s is not what it is without an interruption (%v, %v)", name, err, err2)
					}
				}
				card, err := os.ReadFile(filepath.Join(out, "README.md"))
				if err != nil || !strings.Contains(string(card), "## Stage: sft") || !strings.Contains(string(card), "| 12 | ") {
					t.Errorf("the card: %v\n%s", err, card)
				}
			})
		}
	}
}

// checkWhatTrained compares the weights before and after.
func checkWhatTrained(t *testing.T, way string, before, after map[string][]float32) {
	t.Helper()
	changed, same := 0, 0
	for name, x := range before {
		y, ok := after[name]
		if !ok || len(x) != len(y) {
			t.Errorf("%s is gone", name)
			continue
		}
		if equal := fmt.Sprint(x) == fmt.Sprint(y); equal {
			same++
		} else {
			changed++
			if way == "experts" && !strings.Contains(name, ".mlp.experts.") || way == "lora" && !strings.Contains(name, "_proj") {
				t.Errorf("%s changed", name)
			}
		}
	}
	if changed == 0 || way != "full" && same == 0 {
		t.Errorf("%d tensors changed, %d did not", changed, same)
	}
}

// The files of the adapter hold what was merged: W' = W + alpha/r·B A.
func TestAdapterIsWhatWasMerged(t *testing.T) {
	e := newEngine(t)
	dir, out := newModel(t, e, shapes()["llama"]), filepath.Join(t.TempDir(), "out")
	r := request(e, dir, talk(t), out)
	r.LoRA = &model.LoRA{Rank: 2, Alpha: 6, Targets: []string{"v_proj"}}
	if _, err := SFT(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	before, after := weightsOf(t, dir), weightsOf(t, out)
	f, err := safetensors.Open(filepath.Join(out, AdapterDir, "adapter_model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	adapter := floatsOf(t, f)
	if len(adapter) != 4 {
		t.Fatalf("%d tensors in the adapter", len(adapter))
	}
	const name, rank, width, rows = "model.layers.1.self_attn.v_proj", 2, 32, 16
	a, b := adapter["base_model.model."+name+".lora_A.weight"], adapter["base_model.model."+name+".lora_B.weight"]
	for i := range rows {
		for j := range width {
			want := float64(before[name+".weight"][i*width+j])
			for k := range rank {
				want += 3 * float64(b[i*rank+k]) * float64(a[k*width+j])
			}
			if got := float64(after[name+".weight"][i*width+j]); math.Abs(got-want) > 1e-6 {
				t.Fatalf("row %d, column %d: %g, want %g", i, j, got, want)
			}
		}
	}
}

func TestRequestsAreRefused(t *testing.T) {
	e := newEngine(t)
	dir, data := newModel(t, e, shapes()["llama"]), talk(t)
	for _, c := range []struct {
		says   string
		change func(r *Request)
	}{
		{"no data", func(r *Request) { r.Data = nil }},
		{"epochs or of steps", func(r *Request) { r.Epochs = 2 }},
		{"window", func(r *Request) { r.Seq = 129 }},
		{"has no experts", func(r *Request) { r.Experts = 0.2 }},
		{"choose one", func(r *Request) { r.Experts, r.LoRA = 0.2, &model.LoRA{Rank: 1, Alpha: 1} }},
		{"names no matrix", func(r *Request) { r.LoRA = &model.LoRA{Rank: 1, Alpha: 1, Targets: []string{"z_proj"}} }},
		{"no format", func(r *Request) { r.Format = "v9" }},
		{"holds no run to resume", func(r *Request) { r.Resume = true }},
		{"talk.jsonl", func(r *Request) { r.Out = filepath.Dir(data) }},
		{"is not empty", func(r *Request) { r.Out = dir }},
		{"line 1: the conversation has", func(r *Request) { r.Seq = 4 }},
	} {
		r := request(e, dir, data, filepath.Join(t.TempDir(), "out"))
		c.change(&r)
		if _, err := SFT(t.Context(), r); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v, want %q", err, c.says)
		}
	}
}

func TestChoose(t *testing.T) {
	got := choose([]int{1, 4}, [][]float64{{1, 4, 4, 1}, {10, 0, 0, 0}}, 0.5)
	want := []Expert{{1, 1, 0.4}, {1, 2, 0.4}, {4, 0, 1}}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", got, want)
	}
	trains := trainable(want)
	for name, is := range map[string]bool{
		"model.layers.1.mlp.experts.1.up_proj.weight": true, "model.layers.1.mlp.experts.10.up_proj.weight": false,
		"model.layers.4.mlp.experts.1.up_proj.weight": false, "model.layers.4.mlp.gate.weight": false, "model.layers.4.mlp.experts.0.down_proj.weight": true,
	} {
		if trains(name) != is {
			t.Errorf("%s trains: %v", name, !is)
		}
	}
}
