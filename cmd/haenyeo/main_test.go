package main

// Command lines, run in this process: exit statuses, help, and the shape of what --json prints.

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/haenyeo/haenyeo/format/safetensors"
	"github.com/haenyeo/haenyeo/kernel"
	"github.com/haenyeo/haenyeo/model"
	"github.com/haenyeo/haenyeo/tokenizer"
)

// execute runs one command line.
func execute(t *testing.T, stdin string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, complaints bytes.Buffer
	status = run(context.Background(), append(args, "--threads=1"), strings.NewReader(stdin), &out, &complaints)
	return status, out.String(), complaints.String()
}

// works runs a command line that must succeed and returns its standard output.
func works(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	status, out, complaints := execute(t, stdin, args...)
	if status != exitDone {
		t.Fatalf("%v: status %d\n%s", args, status, complaints)
	}
	return out
}

// jsonLines parses standard output that must be JSON objects and nothing else.
func jsonLines(t *testing.T, out string) []map[string]any {
	t.Helper()
	var lines []map[string]any
	for _, line := range strings.Split(strings.TrimSuffix(out, "\n"), "\n") {
		var o map[string]any
		if err := json.Unmarshal([]byte(line), &o); err != nil {
			t.Fatalf("not a JSON object: %q: %v", line, err)
		}
		lines = append(lines, o)
	}
	return lines
}

// has checks that an object has these keys (and perhaps others).
func has(t *testing.T, o map[string]any, keys ...string) {
	t.Helper()
	for _, k := range keys {
		if _, ok := o[k]; !ok {
			t.Errorf("key %q is missing: there are %v", k, slices.Sorted(maps.Keys(o)))
		}
	}
}

const testVocab = 320

func testConfig() model.Config {
	return model.Config{
		ModelType: "deepseek_v3", VocabSize: testVocab, HiddenSize: 32, IntermediateSize: 48, NumHiddenLayers: 2, NumAttentionHeads: 2,
		MaxPositionEmbeddings: 64, QLoraRank: 16, KVLoraRank: 16, QKNopeHeadDim: 8, QKRopeHeadDim: 8, VHeadDim: 8,
		MoEIntermediateSize: 16, NRoutedExperts: 4, NSharedExperts: 1, NumExpertsPerTok: 2, FirstKDenseReplace: 1,
		NormTopKProb: true, InitializerRange: 0.3, BOSTokenID: 0, EOSTokenID: []int{1},
	}
}

// testText is enough for the tiny vocabulary, in several languages.
func testText() string {
	var b strings.Builder
	for i := range 200 {
		fmt.Fprintf(&b, "Record %d: the sea is deep, 바다는 깊다, el mar es hondo, laut itu dalam.\n", i)
	}
	return b.String()
}

// testModel makes a tiny model with a tokenizer.
func testModel(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	e, err := kernel.New(1, "portable")
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	cfg := testConfig()
	m, err := model.New(&cfg, e, model.Options{})
	if err != nil {
		t.Fatal(err)
	}
	m.Init(42)
	if err := m.Save(dir, kernel.F32); err != nil {
		t.Fatal(err)
	}
	docs := func(yield func(string, error) bool) { yield(testText(), nil) }
	tok, err := tokenizer.Train(context.Background(), docs, tokenizer.TrainOptions{VocabSize: testVocab})
	if err != nil {
		t.Fatal(err)
	}
	if err := tok.Save(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

func testTextFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "text.txt")
	if err := os.WriteFile(path, []byte(strings.Repeat(testText(), 8)), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestStatusOfCommandLines(t *testing.T) {
	dir := testModel(t)
	missing := filepath.Join(t.TempDir(), "nothing")
	bare := t.TempDir() // a model without tokenizer
	for _, name := range []string{"config.json", "model.safetensors"} {
		copyFile(t, filepath.Join(dir, name), filepath.Join(bare, name))
	}
	empty, text := t.TempDir(), testTextFile(t)
	for _, c := range []struct {
		args   string
		status int
		says   string // on stderr
	}{
		{"nonsense", exitUsage, "nonsense"},
		{"generate", exitUsage, "<model>"},
		{"generate DIR --prompt x --cpu abacus", exitUsage, "abacus"},
		{"logits DIR", exitUsage, "--tokens"},
		{"logits DIR --tokens 1,two", exitUsage, "two"},
		{"generate DIR --prompt x --tokens 1", exitUsage, "exclude"},
		{"generate DIR --tokens=", exitUsage, "at least one"},
		{"logits DIR --tokens=,", exitUsage, "at least one"},
		{"generate DIR --prompt x --temperature -1", exitUsage, "temperature"},
		{"generate DIR --prompt x --top-p 2", exitUsage, "top-p"},
		{"generate DIR --prompt x --max-tokens -1", exitUsage, "max-tokens"},
		{"generate DIR --prompt x --logprobs 2", exitUsage, "--json"},
		{"generate DIR --prompt x --logprobs -1 --json", exitUsage, "logprobs"},
		{"generate DIR --prompt x --dtype f64", exitUsage, "dtype"},
		{"generate DIR --prompt x", exitDone, ""},
		{"generate DIR --prompt x --stop y", exitDone, ""},
		{"generate MISSING --prompt x", exitFailed, "config.json"},
		{"generate EMPTY --prompt x", exitFailed, "model directory"},
		{"generate DIR --tokens 320", exitFailed, "320"},
		{"generate DIR --tokens=-1", exitFailed, "-1"},
		{"generate BARE --prompt x", exitFailed, "tokenizer"},
		{"generate BARE --tokens 5 --max-tokens 3", exitDone, ""},
		{"logits DIR --tokens 5,320", exitFailed, "320"},
		{"logits BARE --tokens 5 --rounding none", exitDone, ""},
		{"inspect MISSING", exitFailed, "no such file"},
		{"convert DIR --out x --type q8_0", exitUsage, ".gguf"},
		{"convert DIR --out x --imatrix y", exitUsage, ".gguf"},
		{"convert DIR --out x.gguf --imatrix y", exitUsage, "q4_k_m"},
		{"convert DIR --out x.gguf --type q4_k_m --imatrix MISSING", exitFailed, "no such file"},
		{"convert DIR --out /nowhere/x", exitFailed, "/nowhere"},
		{"convert DIR --out /nowhere/x.gguf", exitFailed, "/nowhere"},
		{"convert DIR --out x.gguf --type q3_x", exitUsage, "q3_x"},
		{"tokenizer encode MISSING", exitFailed, "tokenizer"},
		{"tokenizer train --vocab 300 --out x MISSING", exitFailed, "no such file"},
		{"tokenizer train --vocab 255 --out x MISSING", exitUsage, "256"},
		{"tokenizer train --vocab 300 --out DIR/new DIR", exitFailed, "inside the data"},
		{"tokenizer train --vocab 300 --min-frequency 0 --out x MISSING", exitUsage, "--min-frequency"},
		{"tokenizer train --vocab 300 --special middle --out x MISSING", exitUsage, "--special"},
		{"pretrain --data x", exitUsage, "--model or --config"},
		{"pretrain --resume --out EMPTY", exitUsage, "repeat the flags"},
		{"pretrain --model DIR --data x --steps 0", exitUsage, "--steps 0"},
		{"pretrain --model DIR", exitUsage, "--data or --batches"},
		{"pretrain --model DIR --data x --resume", exitUsage, "--out"},
		{"pretrain --model DIR --data x --betas 0.9", exitUsage, "--betas"},
		{"pretrain --model DIR --data x --lr=-1", exitUsage, "learning rate"},
		{"pretrain --model DIR --data MISSING --steps 1", exitFailed, "no such file"},
		{"bpb BARE MISSING", exitFailed, "tokenizer"},
		{"bpb DIR DIR/model.safetensors", exitFailed, "no text in"},
		{"pretrain --model DIR --data MISSING --tokenizer EMPTY", exitFailed, "holds none (tokenizer.json)"},
		{"tokenizer train --vocab 300 --out DIR/config.json EMPTY", exitFailed, "choose another --out"},
		{"tokenizer train --vocab 300 --out x EMPTY/no*.txt", exitFailed, "matches nothing: give"},
		{"create --size XL", exitUsage, "XL"},
		{"create --data MISSING DIR/config.json --out x", exitFailed, "no such file"},
		{"pretrain --model DIR --batches x y", exitUsage, "--data or --batches"},
		{"create --steps 5 --budget 5m --out x", exitUsage, "one of them"},
		{"create --out DIR", exitFailed, "something else"},
		{"create --resume --out EMPTY", exitFailed, "no run to resume"},
		{"create --steps=-1 --out x", exitUsage, "--steps"},
		{"create --steps 0 --out x", exitUsage, "--steps"},
		{"create --steps -1 --out x", exitUsage, "--steps -1: must be positive"},
		{"create --budget -5m --out x", exitUsage, "--budget -5m0s: must be positive"},
		{"create --vocab 1000000000 --data TEXT --out x", exitFailed, "a vocabulary of 1000000000"},
		{"create --budget=-5m --out x", exitUsage, "--budget"},
		{"create --budget 0s --out x", exitUsage, "--budget"},
		{"create --vocab=-1 --out x", exitUsage, "vocabulary"},
		{"create --vocab 10 --out x", exitUsage, "too small"},
		{"create --config DIR/config.json --size S --out x", exitUsage, "one of them"},
		{"create --out=", exitUsage, "--out"},
		{"pretrain --model DIR --data DIR/config.json --batch 0", exitUsage, "positive"},
		{"pretrain --model DIR --data DIR/config.json --steps=-1", exitUsage, "--steps"},
		{"pretrain --model DIR --data DIR/config.json --betas 2,3", exitUsage, "betas"},
		{"pretrain --model DIR --data DIR/config.json --eps 0", exitUsage, "eps"},
		{"pretrain --model DIR --data DIR/config.json --clip=-1", exitUsage, "clip"},
		{"pretrain --model DIR --data DIR/config.json --ema 1", exitUsage, "EMA"},
		{"pretrain --model DIR --data DIR/config.json --weight-decay inf", exitUsage, "weight decay"},
		{"pretrain --model DIR --data DIR/config.json --mtp-lambda 1", exitUsage, "multi-token"},
		{"pretrain --model DIR --data DIR/config.json --seq 100000", exitUsage, "max_position_embeddings"},
		{"pretrain --model DIR --data DIR/config.json --batch 100000000000 --seq 16", exitFailed, "MB are free"},
		{"pretrain --model DIR --data DIR/config.json --eval-every=-1", exitUsage, "--eval-every"},
		{"pretrain --model DIR --data DIR/config.json --checkpoint-every=-1", exitUsage, "--checkpoint-every"},
		{"pretrain --model DIR --data DIR/config.json --seq 16 --resume --out EMPTY", exitFailed, "no run to resume"},
		{"pretrain --model DIR --data DIR/config.json --seq 16 --resume --out DIR", exitFailed, "something else"},
		{"pretrain --model DIR --data DIR/config.json --seq 16 --out DIR", exitFailed, "is not empty"},
		{"pretrain --model DIR --data DIR --seq 16 --out DIR/new", exitFailed, "inside the data"},
		{"create --data= --out x", exitFailed, "is empty"},
		{"bench train --steps 2", exitUsage, "--steps"},
		{"bench decode MISSING", exitFailed, "config.json"},
		{"version", exitDone, ""},
	} {
		t.Run(c.args, func(t *testing.T) {
			args := strings.Fields(strings.NewReplacer("TEXT", text, "DIR", dir, "MISSING", missing, "BARE", bare, "EMPTY", empty).Replace(c.args))
			status, _, complaints := execute(t, "", args...)
			if status != c.status {
				t.Errorf("status %d, want %d; %s", status, c.status, complaints)
			}
			if !strings.Contains(complaints, c.says) {
				t.Errorf("stderr %q does not speak of %q", complaints, c.says)
			}
			if strings.Contains(complaints, "haenyeo: haenyeo:") {
				t.Errorf("stderr %q names the program twice", complaints)
			}
			if before, last, _ := strings.Cut(complaints, "haenyeo: "); c.status != exitDone && (strings.Count(last, "\n") != 1 || strings.Contains(before, "error")) {
				t.Errorf("an error is one line, the last, not %q", complaints)
			}
		})
	}
}

// More threads than a pool can have are refused; they used to be waited for without end.
func TestImpossibleThreads(t *testing.T) {
	for threads, says := range map[string]string{"70000": "--threads 70000: give at most 4096", "-3": "--threads -3: give 0 (all) or more"} {
		var complaints bytes.Buffer
		status := run(context.Background(), []string{"doctor", "--threads", threads}, strings.NewReader(""), io.Discard, &complaints)
		if status != exitUsage || !strings.Contains(complaints.String(), says) {
			t.Errorf("%s: status %d, stderr %q", threads, status, complaints.String())
		}
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, b, 0o666); err != nil {
		t.Fatal(err)
	}
}

// Every command explains itself with one worked example, without a model.
func TestHelpOfEveryCommand(t *testing.T) {
	for _, c := range []string{
		"create", "plan", "pretrain", "tokenizer train", "tokenizer encode", "tokenizer decode", "bpb", "chat", "generate", "logits", "inspect",
		"convert", "perplexity", "pull", "doctor", "bench train", "bench decode", "bench prefill", "bench tokenizer", "bench kernels", "version",
	} {
		out := works(t, "", append(strings.Fields(c), "--help")...)
		if strings.Count(out, "Example:") != 1 || !strings.Contains(out, "haenyeo "+c) {
			t.Errorf("%s --help has no example of its own:\n%s", c, out)
		}
		for _, flag := range []string{"--json", "--threads", "--cpu", "-v"} {
			if !strings.Contains(out, flag) {
				t.Errorf("%s --help does not list %s", c, flag)
			}
		}
	}
	var out bytes.Buffer
	if status := run(context.Background(), nil, nil, &out, &out); status != exitDone || !strings.Contains(out.String(), "create") {
		t.Errorf("without arguments: status %d\n%s", status, out.String())
	}
}

func TestGenerateJSON(t *testing.T) {
	dir := testModel(t)
	o := jsonLines(t, works(t, "", "generate", dir, "--prompt", "the sea", "--max-tokens", "8", "--temperature", "0", "--json"))[0]
	if len(o) != 3 {
		t.Errorf("keys %v", slices.Sorted(maps.Keys(o)))
	}
	if o["finish_reason"] != "length" || len(o["tokens"].([]any)) != 8 || o["text"] == "" {
		t.Errorf("got %v", o)
	}
	plain := works(t, "", "generate", dir, "--prompt", "the sea", "--max-tokens", "8", "--temperature", "0")
	if plain != o["text"].(string)+"\n" {
		t.Errorf("plain %q, JSON %q", plain, o["text"])
	}
	if piped := works(t, "the sea\n", "generate", dir, "--max-tokens", "8", "--temperature", "0"); piped != plain {
		t.Errorf("from stdin %q, from --prompt %q", piped, plain)
	}
	probable := jsonLines(t, works(t, "", "generate", dir, "--prompt", "the sea", "--max-tokens", "4", "--temperature", "0", "--logprobs", "2", "--json"))[0]
	logprobs, _ := probable["logprobs"].([]any)
	if len(logprobs) != len(probable["tokens"].([]any)) {
		t.Fatalf("%d log-probabilities: %v", len(logprobs), probable)
	}
	for i, p := range logprobs {
		p := p.(map[string]any)
		top := p["top"].([]any)
		first := top[0].(map[string]any)
		if p["token"] != probable["tokens"].([]any)[i] || len(top) != 2 || first["token"] != p["token"] || first["logprob"] != p["logprob"] || p["logprob"].(float64) > 0 {
			t.Errorf("log-probability %d: %v", i, p)
		}
	}
	if _, asked := o["logprobs"]; asked {
		t.Error("log-probabilities that nobody asked for")
	}
	none := jsonLines(t, works(t, "", "generate", dir, "--tokens", "0,5", "--max-tokens", "0", "--json"))[0]
	if fmt.Sprint(none["tokens"]) != "[]" {
		t.Errorf("no tokens are %v, want an empty list", none["tokens"])
	}
	window := jsonLines(t, works(t, "", "generate", dir, "--tokens", "0,5", "--temperature", "0", "--json"))[0]
	if n := len(window["tokens"].([]any)); n != 62 {
		t.Errorf("%d tokens in a window of 64 after a prompt of 2", n)
	}
	_, out, says := execute(t, "", "generate", dir, "--tokens", "0,5", "--max-tokens", "70", "--temperature", "0", "--json")
	if beyond := jsonLines(t, out)[0]; len(beyond["tokens"].([]any)) != 70 || strings.Count(says, "level=WARN") != 1 {
		t.Errorf("beyond the window: %v, stderr %q", beyond, says)
	}
}

// The text of a fixed model stays what it was, whatever is made faster.
func TestGoldenText(t *testing.T) {
	dir := testModel(t)
	got := jsonLines(t, works(t, "", "generate", dir, "--tokens", "0,300,17", "--max-tokens", "12", "--temperature", "0", "--json"))[0]
	const tokens, text = "[80 80 156 92 193 186 238 152 36 130 44 193]", "jj\ufffdv\ufffd\ufffd\ufffd\ufffd>\ufffdF\ufffd"
	if fmt.Sprint(got["tokens"]) != tokens || got["text"] != text {
		t.Errorf("greedy\n got %v %q\nwant %s %q", got["tokens"], got["text"], tokens, text)
	}
	first := works(t, "", "generate", dir, "--tokens", "0,300,17", "--max-tokens", "12", "--temperature", "0.8", "--seed", "5", "--json")
	again := works(t, "", "generate", dir, "--tokens", "0,300,17", "--max-tokens", "12", "--temperature", "0.8", "--seed", "5", "--json")
	other := works(t, "", "generate", dir, "--tokens", "0,300,17", "--max-tokens", "12", "--temperature", "0.8", "--seed", "6", "--json")
	if first != again || first == other {
		t.Errorf("seed 5: %sagain: %sseed 6: %s", first, again, other)
	}
}

func TestLogitsJSON(t *testing.T) {
	dir := testModel(t)
	lines := jsonLines(t, works(t, "", "logits", dir, "--tokens", "3,1,4,1,5", "--json"))
	if len(lines) != 5 {
		t.Fatalf("%d lines for 5 tokens", len(lines))
	}
	for i, o := range lines {
		if len(o) != 3 || o["position"] != float64(i) || o["token"] != []float64{3, 1, 4, 1, 5}[i] || len(o["logits"].([]any)) != testVocab {
			t.Errorf("line %d: position %v, token %v", i, o["position"], o["token"])
		}
	}
}

func TestNaNInWeightsIsReported(t *testing.T) {
	dir := testModel(t)
	poison(t, dir)
	for _, args := range [][]string{
		{"logits", dir, "--tokens", "3,4", "--json"},
		{"generate", dir, "--tokens", "3,4", "--json"},
		{"convert", dir, "--out", filepath.Join(t.TempDir(), "m.gguf")},
		{"bpb", dir, testTextFile(t)},
	} {
		status, out, complaints := execute(t, "", args...)
		if status != exitFailed || !strings.Contains(complaints, "NaN") || out != "" {
			t.Errorf("%v: status %d, stdout %q, stderr %q", args[0], status, out, complaints)
		}
	}
}

// poison puts a NaN into the final norm of the model in dir.
func poison(t *testing.T, dir string) {
	t.Helper()
	r, err := safetensors.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var sources []safetensors.Source
	for _, name := range r.Names() {
		x, _ := r.Tensor(name)
		v, err := x.Float32(nil)
		if err != nil {
			t.Fatal(err)
		}
		if name == "model.norm.weight" {
			v[3] = float32(math.NaN())
		}
		sources = append(sources, safetensors.Floats(name, safetensors.F32, x.Shape, v))
	}
	r.Close()
	if err := safetensors.Write(filepath.Join(dir, "model.safetensors"), sources, nil); err != nil {
		t.Fatal(err)
	}
}

func TestInspectJSON(t *testing.T) {
	dir := testModel(t)
	file := filepath.Join(t.TempDir(), "m.gguf")
	works(t, "", "convert", dir, "--out", file)
	var params []any
	for path, arch := range map[string]string{dir: "deepseek_v3", file: "deepseek2"} {
		o := jsonLines(t, works(t, "", "inspect", path, "--json"))[0]
		has(t, o, "architecture", "generation", "params", "active", "bytes", "types", "tensors", "problems")
		if o["architecture"] != arch || len(o["problems"].([]any)) != 0 {
			t.Errorf("%s: architecture %v, problems %v", path, o["architecture"], o["problems"])
		}
		has(t, o["tensors"].([]any)[0].(map[string]any), "name", "type", "shape", "bytes")
		params = append(params, o["params"])
	}
	if params[0] != params[1] {
		t.Errorf("parameters %v: the same in both formats", params)
	}
	if out := works(t, "", "inspect", dir); !strings.Contains(out, "kv_b_proj") {
		t.Errorf("plain:\n%s", out)
	}
	// A model that lacks a tensor, or that this program does not know, is still described.
	text, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	larger := strings.Replace(string(text), `"num_hidden_layers": 2`, `"num_hidden_layers": 3`, 1)
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(larger), 0o666); err != nil {
		t.Fatal(err)
	}
	status, out, says := execute(t, "", "inspect", dir, "--json")
	if o := jsonLines(t, out)[0]; status != exitFailed || !strings.Contains(says, "would not run") || !strings.Contains(fmt.Sprint(o["problems"]), "model.layers.2.") {
		t.Errorf("a missing layer: status %d, problems %v, %s", status, o["problems"], says)
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(`{"model_type":"deepseek_v9"}`), 0o666); err != nil {
		t.Fatal(err)
	}
	status, out, _ = execute(t, "", "inspect", dir, "--json")
	o := jsonLines(t, out)[0]
	if status != exitFailed || o["architecture"] != "deepseek_v9" || len(o["problems"].([]any)) != 1 {
		t.Errorf("unknown model: %v, %v", o["architecture"], o["problems"])
	}
}

func TestConvertJSONAndBack(t *testing.T) {
	dir := testModel(t)
	file := filepath.Join(t.TempDir(), "m.gguf")
	o := jsonLines(t, works(t, "", "convert", dir, "--out", file, "--type", "f32", "--json"))[0]
	has(t, o, "out", "bytes", "types")
	want := works(t, "", "generate", dir, "--prompt", "바다", "--max-tokens", "9", "--temperature", "0", "--json")
	if got := works(t, "", "generate", file, "--prompt", "바다", "--max-tokens", "9", "--temperature", "0", "--json"); got != want {
		t.Errorf("from GGUF %s, from safetensors %s", got, want)
	}
	back := filepath.Join(t.TempDir(), "back")
	works(t, "", "convert", file, "--out", back, "--json")
	if got := works(t, "", "generate", back, "--prompt", "바다", "--max-tokens", "9", "--temperature", "0", "--json"); got != want {
		t.Errorf("there and back %s, before %s", got, want)
	}
	half, again := filepath.Join(t.TempDir(), "half.gguf"), filepath.Join(t.TempDir(), "again")
	works(t, "", "convert", dir, "--out", half, "--type", "bf16")
	o = jsonLines(t, works(t, "", "convert", half, "--out", again, "--json"))[0]
	if types := o["types"].(map[string]any); types["BF16"] == nil || types["F32"] != 1.0 { // the correction bias
		t.Errorf("a bf16 GGUF becomes safetensors of types %v", types)
	}
	if status, _, says := execute(t, "", "convert", file, "--out", back); status != exitFailed || !strings.Contains(says, "not empty") {
		t.Errorf("overwriting a directory: status %d, %s", status, says)
	}
}

func TestTokenizerCommands(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tok")
	o := jsonLines(t, works(t, "", "tokenizer", "train", "--vocab", "300", "--out", dir, testTextFile(t), "--json"))[0]
	has(t, o, "out", "vocab", "bytes", "seconds")
	text := "the sea\n바다 👩‍🚀\x00end"
	one := works(t, text, "tokenizer", "encode", dir, "--json")
	has(t, jsonLines(t, one)[0], "ids")
	if got := jsonLines(t, works(t, one, "tokenizer", "decode", dir, "--json"))[0]["text"]; got != text {
		t.Errorf("there and back: %q, want %q", got, text)
	}
	ids := works(t, text, "tokenizer", "encode", dir)
	if got := works(t, ids, "tokenizer", "decode", dir); got != text+"\n" {
		t.Errorf("plain: %q, want %q", got, text)
	}
	lines := works(t, "\"a b\"\n\n\"c\\nd\"\n\"\"\n", "tokenizer", "encode", dir, "--lines", "--json")
	if got := len(jsonLines(t, lines)); got != 3 {
		t.Errorf("%d lines of ids, want 3 (an empty line is none, an empty string is one)", got)
	}
	if got := works(t, lines, "tokenizer", "decode", dir, "--lines"); got != "\"a b\"\n\"c\\nd\"\n\"\"\n" {
		t.Errorf("lines: %q", got)
	}
	for _, bad := range []struct{ command, stdin, says string }{
		{"encode", "\"a\"\nnot json\n", "line 2"}, {"decode", "1,2,999999", "999999"}, {"decode", "[1,", "list"}, {"decode", "x", "not a token id"},
	} {
		status, _, says := execute(t, bad.stdin, "tokenizer", bad.command, dir, "--lines")
		if status != exitFailed || !strings.Contains(says, bad.says) {
			t.Errorf("%s %q: status %d, %s", bad.command, bad.stdin, status, says)
		}
	}
	status, _, says := execute(t, "", "tokenizer", "train", "--vocab", "90000", "--out", filepath.Join(t.TempDir(), "new"), testTextFile(t))
	if status != exitUsage || !strings.Contains(says, "at most") {
		t.Errorf("too large a vocabulary: status %d, %s", status, says)
	}
}

// tokenizer train gives the merges, ids and encodings of the reference: --vocab counts what is learned.
func TestTokenizerTrainGolden(t *testing.T) {
	const golden = "../../tokenizer/testdata/bpe_train"
	want := strings.Split(strings.TrimSuffix(string(unpacked(t, golden+"/merges.txt.zst")), "\n"), "\n")
	reference, err := tokenizer.Parse(unpacked(t, golden+"/tokenizer.json.zst"), nil)
	if err != nil {
		t.Fatal(err)
	}
	for special, shift := range map[string]int{"last": 0, "first": 7, "none": 0} {
		dir := filepath.Join(t.TempDir(), special)
		args := []string{"tokenizer", "train", "--vocab", "2048", "--out", dir, golden + "/corpus.jsonl.zst", "--json"}
		if special != "last" { // the default
			args = append(args, "--special", special)
		}
		total := map[string]int{"last": 2055, "first": 2055, "none": 2048}[special]
		if o := jsonLines(t, works(t, "", args...))[0]; o["vocab"] != float64(total) {
			t.Errorf("%s: vocabulary %v, want %d", special, o["vocab"], total)
		}
		tok, err := tokenizer.Load(dir)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(tok.Merges(), want) {
			t.Errorf("%s: merges differ", special)
		}
		for id, s := range reference.Vocab() {
			if got, ok := tok.TokenID(s); !ok || int(got) != id+shift {
				t.Fatalf("%s: token %q has id %d, want %d", special, s, got, id+shift)
			}
		}
		begin, ok := tok.BOS()
		if want := map[string]int32{"last": 2048, "first": 0, "none": -1}[special]; ok != (want >= 0) || ok && begin != want {
			t.Errorf("%s: begin token %d, %v", special, begin, ok)
		}
		if special != "last" {
			continue
		}
		var texts, ids strings.Builder
		for _, line := range strings.Split(strings.TrimSuffix(string(unpacked(t, golden+"/encodings.jsonl.zst")), "\n"), "\n") {
			var row struct {
				Text string
				IDs  []int32
			}
			if err := json.Unmarshal([]byte(line), &row); err != nil {
				t.Fatal(err)
			}
			text, err := json.Marshal(row.Text)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&texts, "%s\n", text)
			fmt.Fprintf(&ids, "%s\n", joinIDs(row.IDs))
		}
		if got := works(t, texts.String(), "tokenizer", "encode", dir, "--lines"); got != ids.String() {
			t.Error("encodings differ")
		}
	}
}

// unpacked reads a .zst file.
func unpacked(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	d, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	text, err := d.DecodeAll(b, nil)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestPretrainAndBPB(t *testing.T) {
	dir, text := testModel(t), testTextFile(t)
	out := filepath.Join(t.TempDir(), "run")
	args := []string{"pretrain", "--config", filepath.Join(dir, "config.json"), "--data", text, "--steps", "6", "--batch", "4", "--seq", "32",
		"--lr", "0.01", "--betas", "0.9,0.95", "--out", out, "--json"}
	events := map[string]int{}
	for _, o := range jsonLines(t, works(t, "", args...)) {
		events[o["event"].(string)]++
		switch o["event"] {
		case "step":
			has(t, o, "step", "tokens", "loss", "lr", "grad_norm", "tok_s", "load_max_over_mean")
		case "eval":
			has(t, o, "val_bpb")
		}
	}
	if events["plan"] != 1 || events["step"] != 6 || events["eval"] == 0 || events["checkpoint"] == 0 || events["done"] != 1 {
		t.Errorf("events %v", events)
	}
	before := jsonLines(t, works(t, "", "bpb", dir, text, "--json"))[0]
	after := jsonLines(t, works(t, "", "bpb", out, text, "--json"))[0]
	has(t, after, "bpb", "bytes", "tokens", "by_lang")
	if after["bpb"].(float64) >= before["bpb"].(float64) {
		t.Errorf("bits per byte %v before, %v after training", before["bpb"], after["bpb"])
	}
	if status, _, says := execute(t, "", args...); status != exitFailed || !strings.Contains(says, "not empty") {
		t.Errorf("into a used directory: status %d, %s", status, says)
	}
}

// recordBatches writes n batches of 2 rows of 8 tokens.
func recordBatches(t *testing.T, n int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "b.safetensors")
	ids := make([]byte, 0, n*2*9*8)
	for i := range n * 2 * 9 {
		ids = append(ids, byte(i%200), 0, 0, 0, 0, 0, 0, 0)
	}
	if err := safetensors.Write(path, []safetensors.Source{safetensors.Raw("tokens", safetensors.I64, []int{n, 2, 9}, ids)}, nil); err != nil {
		t.Fatal(err)
	}
	return path
}

// Recorded batches are a run to be repeated: a constant rate and no loss but cross-entropy, unless asked for.
func TestPretrainOnRecordedBatches(t *testing.T) {
	dir, batches := testModel(t), recordBatches(t, 3)
	args := []string{"pretrain", "--model", dir, "--batches", batches, "--dtype", "f32", "--json"}
	for _, c := range []struct {
		flags string
		rates []float64
		alpha float64
	}{
		{"", []float64{2e-3, 2e-3, 2e-3}, 0},
		{"--steps 2 --lr 1e-3", []float64{1e-3, 1e-3}, 0},
		{"--warmup 2 --balance-alpha 0.01", []float64{1e-3, 2e-3, 2e-3}, 0.01},
	} {
		var rates []float64
		for _, o := range jsonLines(t, works(t, "", append(slices.Clone(args), strings.Fields(c.flags)...)...)) {
			switch o["event"] {
			case "plan":
				options := o["options"].(map[string]any)
				if options["balance_alpha"] != c.alpha || options["mtp_lambda"] != 0.0 || options["bias_gamma"] != 0.001 {
					t.Errorf("%q: options %v", c.flags, options)
				}
			case "step":
				rates = append(rates, o["lr"].(float64))
			}
		}
		if !slices.Equal(rates, c.rates) {
			t.Errorf("%q: learning rates %v, want %v", c.flags, rates, c.rates)
		}
	}
	out := filepath.Join(t.TempDir(), "out")
	status, stdout, says := execute(t, "", append(args, "--steps", "4", "--out", out)...)
	if status != exitFailed || stdout != "" || !strings.Contains(says, "only 3 batches") {
		t.Errorf("4 steps of 3 batches: status %d, stdout %q, stderr %q", status, stdout, says)
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("the output directory was made for a run that cannot be")
	}
}

// What leaves the multi-token prediction layer out says so.
func TestLeftOutMTPLayerIsReported(t *testing.T) {
	e, err := kernel.New(1, "portable")
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	cfg := testConfig()
	cfg.NumNextnPredictLayers = 1
	m, err := model.New(&cfg, e, model.Options{MTP: true})
	if err != nil {
		t.Fatal(err)
	}
	m.Init(42)
	dir := t.TempDir()
	if err := m.Save(dir, kernel.F32); err != nil {
		t.Fatal(err)
	}
	pretrain := []string{"pretrain", "--model", dir, "--batches", recordBatches(t, 1), "--json"}
	for _, c := range []struct {
		args  []string
		warns bool
	}{
		{pretrain, true},
		{append(slices.Clone(pretrain), "--mtp-lambda", "0.3"), false},
	} {
		status, _, says := execute(t, "", c.args...)
		if status != exitDone || strings.Contains(says, "multi-token prediction layer is left out") != c.warns {
			t.Errorf("%v: status %d, stderr %q", c.args[0], status, says)
		}
	}
}

func TestCreateAndPlan(t *testing.T) {
	if testing.Short() {
		t.Skip("trains a model of preset nano")
	}
	text := testTextFile(t)
	plan := jsonLines(t, works(t, "", "plan", "--data", text, "--steps", "3", "--size", "nano", "--json"))[0]
	has(t, plan, "preset", "params", "active", "tok_s", "tokens", "peak_rss_mb", "seconds")
	out := filepath.Join(t.TempDir(), "made")
	stdout := works(t, "", "create", "--data", text, "--steps", "3", "--size", "nano", "--out", out)
	for _, want := range []string{"The plan:", "holds a model", "generate " + out} {
		if !strings.Contains(stdout, want) {
			t.Errorf("stdout lacks %q:\n%s", want, stdout)
		}
	}
	for _, name := range []string{"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "generation_config.json", "README.md", "log.jsonl", "report.html"} {
		if _, err := os.Stat(filepath.Join(out, name)); err != nil {
			t.Error(err)
		}
	}
	works(t, "", "generate", out, "--prompt", "the", "--max-tokens", "3")
}

func TestInterruptedRunExits130(t *testing.T) {
	dir := testModel(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var out, complaints bytes.Buffer
	status := run(ctx, []string{"generate", dir, "--tokens", "1"}, strings.NewReader(""), &out, &complaints)
	if status != exitInterrupted || !strings.Contains(complaints.String(), "interrupted") {
		t.Errorf("status %d, %s", status, complaints.String())
	}
}

func TestDoctorAndBenchJSON(t *testing.T) {
	if testing.Short() {
		t.Skip("measures this machine")
	}
	o := jsonLines(t, works(t, "", "doctor", "--json"))[0]
	has(t, o, "cpu", "tiers", "peaks", "memory", "fits")
	dir := testModel(t)
	for _, args := range [][]string{
		{"bench", "decode", dir, "--new", "4", "--runs", "2"}, {"bench", "prefill", dir, "--prompt", "8", "--runs", "2"},
		{"bench", "tokenizer", "--data", testTextFile(t), "--vocab", "300", "--runs", "1"},
		{"bench", "train", "--preset", "nano", "--batch", "1", "--seq", "32", "--steps", "4"},
	} {
		for _, o := range jsonLines(t, works(t, "", append(args, "--json")...)) {
			has(t, o, "name", "best", "median", "unit", "of_peak", "threads", "rss_mb")
			if o["best"].(float64) < o["median"].(float64) || o["median"].(float64) <= 0 {
				t.Errorf("%v", o)
			}
		}
	}
}
