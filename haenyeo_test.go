package haenyeo

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/haenyeo/haenyeo/infer"
	"github.com/haenyeo/haenyeo/kernel"
	"github.com/haenyeo/haenyeo/model"
	"github.com/haenyeo/haenyeo/tokenizer"
	"github.com/haenyeo/haenyeo/train"
)

// tiny makes a small random model with a tokenizer that adds a begin token.
func tiny(t *testing.T) string {
	t.Helper()
	e, err := kernel.New(1, "")
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	m, err := model.New(&model.Config{
		ModelType: "llama", VocabSize: 300, HiddenSize: 16, IntermediateSize: 24, NumHiddenLayers: 1, NumAttentionHeads: 2,
		MaxPositionEmbeddings: 32, InitializerRange: 0.3, BOSTokenID: 0, EOSTokenID: []int{1},
	}, e, model.Options{})
	if err != nil {
		t.Fatal(err)
	}
	m.Init(3)
	dir := t.TempDir()
	if err := m.Save(dir, kernel.F32); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("testdata/sea.txt")
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.Train(context.Background(), func(yield func(string, error) bool) { yield(string(text), nil) },
		tokenizer.TrainOptions{VocabSize: 300})
	if err != nil {
		t.Fatal(err)
	}
	c := tok.Config()
	c.AddBOS = true
	if err := tok.SetConfig(c); err != nil {
		t.Fatal(err)
	}
	if err := tok.Save(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

func open(t *testing.T, path string) *Model {
	t.Helper()
	m, err := Open(path, Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}

// allLogits collects the logits [T,V] of tokens.
func allLogits(m *Model, tokens []int32) ([]float32, error) {
	var all []float32
	err := m.Logits(context.Background(), tokens, func(_ int, logits []float32) error {
		all = append(all, logits...)
		return nil
	})
	return all, err
}

func TestPromptAndItsTokensAreTheSame(t *testing.T) {
	m := open(t, tiny(t))
	ctx := context.Background()
	ids, err := m.Encode("The sea")
	if err != nil || ids[0] != 0 {
		t.Fatalf("ids %v, %v: must begin with the begin token", ids, err)
	}
	if again, _ := m.Encode("<｜begin▁of▁sentence｜>The sea"); !slices.Equal(again, ids) {
		t.Errorf("a text that brings its begin token gives %v, want %v", again, ids)
	}
	s := infer.Sampling{Temperature: 0.9, Seed: 4}
	a, err := m.Generate(ctx, Request{Prompt: "The sea", MaxTokens: 9, Sampling: s}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var streamed strings.Builder
	b, err := m.Generate(ctx, Request{Tokens: ids, MaxTokens: 9, Sampling: s}, func(text string) error {
		streamed.WriteString(text)
		return nil
	})
	if err != nil || !reflect.DeepEqual(a, b) || streamed.String() != b.Text {
		t.Errorf("%+v, %+v, streamed %q, %v", a, b, streamed.String(), err)
	}
	logits, err := allLogits(m, ids)
	if err != nil || len(logits) != len(ids)*m.Config().VocabSize {
		t.Errorf("%d logits, %v", len(logits), err)
	}
}

// A tokenizer with ids that the model has no rows for belongs to another model.
func TestTokenizerOfAnotherModel(t *testing.T) {
	dir := tiny(t)
	text, err := os.ReadFile("testdata/sea.txt")
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.Train(context.Background(), func(yield func(string, error) bool) { yield(string(text), nil) },
		tokenizer.TrainOptions{VocabSize: 310})
	if err != nil {
		t.Fatal(err)
	}
	if err := tok.Save(dir); err != nil {
		t.Fatal(err)
	}
	m, err := Open(dir, Options{Threads: 1})
	if err == nil {
		m.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "310 tokens") || !strings.Contains(err.Error(), "300 rows") {
		t.Errorf("error %v", err)
	}
}

// More tokens than a number can say are an error of its own, not a context of a negative size.
func TestEndlesslyManyTokens(t *testing.T) {
	m := open(t, tiny(t))
	_, err := m.Generate(context.Background(), Request{Tokens: []int32{1, 2}, MaxTokens: math.MaxInt}, nil)
	if err == nil || !strings.Contains(err.Error(), "ask for fewer") {
		t.Errorf("error %v", err)
	}
}

// The window is a limit of what was learned, not of what can be computed: one warning, and the numbers of a
// model whose configuration says more.
func TestBeyondTheWindow(t *testing.T) {
	dir := tiny(t)
	var warnings strings.Builder
	m, err := Open(dir, Options{Threads: 1, Logger: slog.New(slog.NewTextHandler(&warnings, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	long := make([]int32, 40)
	for i := range long {
		long[i] = int32(7 * i % 300)
	}
	if _, err := allLogits(m, long[:32]); err != nil || warnings.Len() != 0 {
		t.Errorf("in the window: %v, warnings %q", err, warnings.String())
	}
	if m.Room(30) != 2 || m.Room(40) != 0 {
		t.Errorf("room for %d after 30 and %d after 40 in a window of 32", m.Room(30), m.Room(40))
	}
	got, err := allLogits(m, long)
	if err != nil {
		t.Fatal(err)
	}
	r, err := m.Generate(context.Background(), Request{Tokens: long[:30], MaxTokens: 20}, nil)
	if err != nil || len(r.Tokens) != 20 && r.FinishReason != infer.FinishStop {
		t.Errorf("%d tokens behind 30 in a window of 32, %v", len(r.Tokens), err)
	}
	if strings.Count(warnings.String(), "window") != 2 { // text and key of one line
		t.Errorf("warnings %q, want one", warnings.String())
	}
	wide := m.Config()
	text, err := wide.JSON()
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.Replace(text, []byte(`"max_position_embeddings": 32`), []byte(`"max_position_embeddings": 64`), 1)
	if err := os.WriteFile(filepath.Join(dir, "config.json"), text, 0o666); err != nil {
		t.Fatal(err)
	}
	if want, err := allLogits(open(t, dir), long); err != nil || !slices.Equal(got, want) {
		t.Errorf("logits depend on the window (%v)", err)
	}
	if _, err := allLogits(m, nil); err == nil {
		t.Error("logits of nothing")
	}
}

func TestGenerationConfig(t *testing.T) {
	for text, want := range map[string]struct {
		s   infer.Sampling
		end []int32
		bad bool
	}{
		`{}`: {},
		`{"eos_token_id": 7, "temperature": 0.6}`:                             {end: []int32{7}}, // do_sample is missing: greedy
		`{"do_sample": true, "eos_token_id": [7, 9]}`:                         {s: infer.Sampling{Temperature: 1}, end: []int32{7, 9}},
		`{"do_sample": true, "temperature": 0.6, "top_p": 0.95, "top_k": 20}`: {s: infer.Sampling{Temperature: 0.6, TopP: 0.95, TopK: 20}},
		`{"repetition_penalty": 1.2, "no_repeat_ngram_size": 3, "top_k": 5}`:  {s: infer.Sampling{RepetitionPenalty: 1.2, NoRepeat: infer.NoRepeat{N: 3}}},
		`{"do_sample": true, "temperature": -1}`:                              {bad: true},
		`{"temperature": -5}`:                                                 {bad: true}, // not in use, but not meant either
		`{"top_p": 5}`:                                                        {bad: true},
		`{} {"eos_token_id": 7}`:                                              {bad: true},
		`{"eos_token_id": "x"}`:                                               {bad: true},
		`{`:                                                                   {bad: true},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "generation_config.json"), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		s, end, err := readGenerationConfig(dir)
		if (err != nil) != want.bad || err == nil && (!reflect.DeepEqual(s, want.s) || !slices.Equal(end, want.end)) {
			t.Errorf("%s: %+v, %v, %v", text, s, end, err)
		}
	}
	for text, says := range map[string]string{`[]`: "holds a JSON array, not an object", `{"top_k": "x"}`: "top_k cannot be a string"} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "generation_config.json"), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		if _, _, err := readGenerationConfig(dir); err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "struct") {
			t.Errorf("%s: error %v, want %q", text, err, says)
		}
	}
	if _, _, err := readGenerationConfig(t.TempDir()); err != nil {
		t.Errorf("a missing file: %v", err)
	}
}

// Whatever was saved by this package is what it opens, and training goes on from it.
func TestPretrainFromAModel(t *testing.T) {
	dir := tiny(t)
	e, err := kernel.New(1, "")
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	out := filepath.Join(t.TempDir(), "out")
	r := PretrainRequest{
		Model: dir, Data: []string{"testdata/sea.txt"}, Batch: 4, Seq: 32, Steps: 8, Out: out, Engine: e,
		Options: func(steps int) train.Options {
			o := train.Defaults("adamw", steps, &model.Config{})
			o.LR = 0.02
			return o
		},
		Pace: func(int) train.Pace { return train.Pace{CheckpointEvery: 4} },
	}
	done, err := Pretrain(context.Background(), r)
	if err != nil {
		t.Fatal(err)
	}
	if done.Step != 8 || done.ValBPB == 0 {
		t.Errorf("%+v", done)
	}
	before, _, err := open(t, dir).BitsPerByte(context.Background(), r.Data)
	if err != nil {
		t.Fatal(err)
	}
	after, _, err := open(t, out).BitsPerByte(context.Background(), r.Data)
	if err != nil || after.BPB >= before.BPB {
		t.Errorf("bits per byte %v before, %v after, %v", before.BPB, after.BPB, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	r.Out = filepath.Join(t.TempDir(), "interrupted")
	if _, err := Pretrain(ctx, r); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	for _, bad := range []PretrainRequest{
		{}, {Model: dir, Config: &model.Config{}, Data: r.Data}, {Model: dir}, {Model: dir, Data: r.Data, Batches: "x"},
		{Model: dir, Data: r.Data, Batch: 0, Seq: 8}, {Model: dir, Data: r.Data, Batch: 1, Seq: 8, Steps: -1},
	} {
		if _, err := Pretrain(context.Background(), bad); err == nil {
			t.Errorf("accepted %+v", bad)
		}
	}
}

// A directory that is not the run's is left alone, and what cannot work is refused before it costs.
func TestPretrainRefuses(t *testing.T) {
	dir := tiny(t)
	e, err := kernel.New(1, "")
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	foreign := t.TempDir()
	for _, f := range []string{"log.jsonl", "config.json", "model.safetensors", "tokenizer.json"} {
		if err := os.WriteFile(filepath.Join(foreign, f), []byte("mine"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for want, change := range map[string]func(*PretrainRequest){
		"no run to resume": func(r *PretrainRequest) { r.Out, r.Resume = foreign, true },
		"is not empty":     func(r *PretrainRequest) { r.Out = foreign },
		"holds no run":     func(r *PretrainRequest) { r.Resume = true },
		"inside the data":  func(r *PretrainRequest) { r.Data = []string{filepath.Dir(r.Out)} },
		"MB are free":      func(r *PretrainRequest) { r.Batch = 1 << 40 },
		"window":           func(r *PretrainRequest) { r.Seq = 1 << 20 },
		"multi-token": func(r *PretrainRequest) {
			o := r.Options
			r.Options = func(n int) train.Options { p := o(n); p.MTPLambda = 1; return p }
		},
		"eps": func(r *PretrainRequest) {
			o := r.Options
			r.Options = func(n int) train.Options { p := o(n); p.Eps = 0; return p }
		},
	} {
		r := PretrainRequest{
			Model: dir, Data: []string{"testdata/sea.txt"}, Batch: 4, Seq: 32, Steps: 8, Engine: e,
			Out:     filepath.Join(t.TempDir(), "out"),
			Options: func(steps int) train.Options { return train.Defaults("adamw", steps, &model.Config{}) },
			Pace:    func(int) train.Pace { return train.Pace{} },
		}
		change(&r)
		if _, err := Pretrain(context.Background(), r); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
		if _, err := os.Stat(r.Out); err == nil && r.Out != foreign {
			t.Errorf("%s: something was written", want)
		}
	}
	if entries, _ := os.ReadDir(foreign); len(entries) != 4 {
		t.Error("the directory of something else was touched")
	}
	for _, f := range []string{"log.jsonl", "config.json", "model.safetensors", "tokenizer.json"} {
		if b, _ := os.ReadFile(filepath.Join(foreign, f)); string(b) != "mine" {
			t.Errorf("%s was written over", f)
		}
	}
}
