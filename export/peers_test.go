package export

// Other people's programs load what we write. These tests run when told where the peers are, and
// say so when they are not told:
//
//	HAENYEO_PYTHON=/path/to/python3    an interpreter with torch and transformers
//	HAENYEO_LLAMA=/path/to/bin         the folder with llama.cpp's llama-server
//
//	go test -v -run Peer ./export

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/haenyeo/haenyeo/format/gguf"
	"github.com/haenyeo/haenyeo/model"
	"github.com/haenyeo/haenyeo/tokenizer"
)

func peer(t *testing.T, variable, what string) string {
	t.Helper()
	path := os.Getenv(variable)
	if path == "" {
		t.Skipf("NOT TESTED: whether %s loads our files. Set %s (see peers_test.go)", what, variable)
	}
	return path
}

func TestPeerTransformersLogits(t *testing.T) {
	python := peer(t, "HAENYEO_PYTHON", "transformers")
	for name, path := range models(t) {
		t.Run(name, func(t *testing.T) {
			m := open(t, path)
			if m.src.Config().ModelType == "deepseek" {
				t.Skip("transformers has no such generation")
			}
			dir := filepath.Join(t.TempDir(), "dir")
			convert(t, path, dir, "f32")
			ids := random(3, 40)
			for i := range ids {
				ids[i] %= int32(m.src.Config().VocabSize)
			}
			var want []float32
			for _, row := range transformersLogits(t, python, dir, ids) {
				for _, x := range row {
					want = append(want, float32(x))
				}
			}
			worst, top := difference(t, m.logits(t, ids), want)
			t.Logf("largest logit %.3g, largest difference %.3g", top, worst)
			if !(worst <= 1e-4*max(1, top)) {
				t.Errorf("logits differ by %g (largest %g)", worst, top)
			}
		})
	}
}

func transformersLogits(t *testing.T, python, dir string, ids []int32) [][]float64 {
	t.Helper()
	input, err := json.Marshal(ids)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(python, "testdata/logits.py", dir)
	cmd.Stdin = bytes.NewReader(input)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, complaints.String())
	}
	var logits [][]float64
	if err := json.Unmarshal(out, &logits); err != nil {
		t.Fatal(err)
	}
	if len(logits) != len(ids) {
		t.Fatalf("transformers gave %d rows", len(logits))
	}
	return logits
}

func TestPeerLlamaGreedyAndTokens(t *testing.T) {
	bin := peer(t, "HAENYEO_LLAMA", "llama.cpp")
	const prompts, length = 3, 24
	for name, path := range models(t) {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "m.gguf")
			if _, err := tryConvert(t, context.Background(), path, file, "f32", Options{}); err != nil {
				t.Skip(err) // a GGUF cannot express it
			}
			file = withVocabulary(t, file)
			m := open(t, file)
			c := m.src.Config()
			if reason := llamaLimits(c); reason != "" {
				t.Skip("llama.cpp " + reason)
			}
			server := startLlama(t, bin, file)
			for i := range prompts {
				prompt := random(uint64(100+i), 5+3*i)
				for j := range prompt {
					prompt[j] %= int32(c.VocabSize)
				}
				want, margins := m.greedy(t, prompt, length)
				var answer struct {
					Tokens []int32 `json:"tokens"`
				}
				server.call(t, "/completion", map[string]any{
					"prompt": prompt, "n_predict": length, "temperature": 0, "return_tokens": true, "ignore_eos": true, "cache_prompt": false,
				}, &answer)
				for j, id := range want {
					if j < len(answer.Tokens) && id == answer.Tokens[j] {
						continue
					}
					if j < len(answer.Tokens) && margins[j] < 2e-3 {
						t.Logf("prompt %d: two ids as likely at %d (%.2g apart)", i, j, margins[j])
						break
					}
					t.Errorf("prompt %d: llama.cpp continues\n%v, we\n%v, from %d on, %.2g apart", i, answer.Tokens, want, j, margins[j])
					break
				}
			}
			if _, err := os.Stat(filepath.Join(path, "tokenizer.json")); err != nil && filepath.Ext(path) != ".gguf" {
				return // ids only
			}
			tok, err := Tokenizer(&m.src.GGUF().Metadata)
			if err != nil || tok == nil {
				t.Fatal(tok, err)
			}
			for _, s := range append(texts, "<｜User｜>안녕<｜Assistant｜></think>hi<｜end▁of▁sentence｜>") {
				want := tok.Encode(nil, s, tokenizer.EncodeOptions{AddSpecial: true})
				var answer struct {
					Tokens []int32 `json:"tokens"`
				}
				server.call(t, "/tokenize", map[string]any{"content": s, "add_special": true, "parse_special": true}, &answer)
				if !slices.Equal(answer.Tokens, want) {
					t.Errorf("%q: llama.cpp has ids\n%v, we\n%v", s, answer.Tokens, want)
				}
			}
		})
	}
}

// withVocabulary is the GGUF with a vocabulary of made-up words where it has none: llama-server ends itself
// without.
func withVocabulary(t *testing.T, path string) string {
	t.Helper()
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m := f.Metadata
	if kind, _ := m.String("tokenizer.ggml.model"); kind != "none" {
		return path
	}
	table, _ := f.Tensor("token_embd.weight")
	words := make([]string, table.Shape[0])
	for i := range words {
		words[i] = fmt.Sprintf("word%d", i)
	}
	words[0], words[1], words[2], words[3], words[4], words[len(words)-1] = "<bos>", "<eos>", "t", "1", "t1", "Ċ"
	m.Set("tokenizer.ggml.model", "gpt2")
	m.Set("tokenizer.ggml.pre", "deepseek-v3")
	m.Set("tokenizer.ggml.tokens", words)
	m.Set("tokenizer.ggml.merges", []string{"t 1"})
	m.Set("tokenizer.ggml.add_bos_token", false)
	var tensors []gguf.Source
	for _, x := range f.Tensors() {
		tensors = append(tensors, gguf.Source{Name: x.Name, Type: x.Type, Shape: x.Shape, Emit: func(w io.Writer) error {
			_, err := w.Write(x.Data)
			return err
		}})
	}
	path = strings.TrimSuffix(path, ".gguf") + "-words.gguf"
	if err := gguf.Write(path, &m, tensors); err != nil {
		t.Fatal(err)
	}
	return path
}

// llamaLimits says what llama.cpp has no kernel for, "" if nothing.
func llamaLimits(c *model.Config) string {
	switch {
	case (c.ModelType == "deepseek_v32" || c.ModelType == "deepseek_v4") && c.IndexHeadDim%64 != 0:
		return "rotates index keys in blocks of 64"
	case c.TopKMethod == "group_limited_greedy":
		return "scores a group by its two best experts; V2 by the best"
	}
	return ""
}

// The same types for the same tensors as llama-quantize, and errors that are not larger: in a model as wide
// and deep as the rules of the mixtures need, and in one of experts and latents.
func TestPeerLlamaQuantize(t *testing.T) {
	bin := peer(t, "HAENYEO_LLAMA", "llama.cpp")
	deep := shapes()["llama"]
	deep.HiddenSize, deep.IntermediateSize, deep.NumHiddenLayers, deep.NumAttentionHeads, deep.NumKeyValueHeads = 256, 256, 17, 8, 2
	pairs := deep
	pairs.NumKeyValueHeads, pairs.TieWordEmbeddings, pairs.HiddenSize = 4, true, 288
	pairs.HeadDim = 64
	moe := shapes()["v3"]
	moe.HiddenSize, moe.IntermediateSize, moe.MoEIntermediateSize, moe.NumHiddenLayers = 256, 512, 96, 9
	moe.NRoutedExperts, moe.QKNopeHeadDim, moe.KVLoraRank, moe.QLoraRank, moe.VHeadDim = 12, 64, 256, 256, 64
	moe.NGroup, moe.TopKGroup = 4, 2
	for name, cfg := range map[string]model.Config{"deep": deep, "pairs": pairs, "experts": moe} {
		plain := filepath.Join(t.TempDir(), "f32.gguf")
		convert(t, writeModel(t, cfg), plain, "f32")
		want := tensorsOf(t, plain)
		for _, m := range mixtures() {
			t.Run(name+" "+m.name, func(t *testing.T) {
				if m.base.Block() == 1 {
					t.Skip("not packed")
				}
				theirs, ours := filepath.Join(t.TempDir(), "theirs.gguf"), filepath.Join(t.TempDir(), "ours.gguf")
				kind := m.name
				if kind == "mxfp4" {
					kind = "mxfp4_moe"
				}
				if out, err := exec.Command(filepath.Join(bin, "llama-quantize"), plain, theirs, kind).CombinedOutput(); err != nil {
					t.Fatalf("%v: %s", err, tail(string(out)))
				}
				convert(t, plain, ours, m.name)
				a, b := tensorsOf(t, ours), tensorsOf(t, theirs)
				for n, x := range b {
					y := a[n]
					if m.stack != 0 && (strings.Contains(n, "attn_k_b") || strings.Contains(n, "attn_v_b")) {
						continue // taken for experts there
					}
					if y.Type != x.Type {
						t.Errorf("%s is %v, theirs %v", n, y.Type, x.Type)
						continue
					}
					ex, ey := rms(t, x, want[n]), rms(t, y, want[n])
					if ey > 1.0001*ex+1e-9 {
						t.Errorf("%s as %v: error %.5g, theirs %.5g", n, y.Type, ey, ex)
					}
				}
			})
		}
	}
}

// tensorsOf are the tensors of a GGUF by name.
func tensorsOf(t *testing.T, path string) map[string]gguf.Tensor {
	t.Helper()
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	all := map[string]gguf.Tensor{}
	for _, x := range f.Tensors() {
		all[x.Name] = x
	}
	return all
}

// rms is the root mean square difference of two tensors.
func rms(t *testing.T, a, b gguf.Tensor) float64 {
	t.Helper()
	x, err := a.Float32(nil)
	if err != nil {
		t.Fatal(err)
	}
	y, err := b.Float32(nil)
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for i := range x {
		sum += float64(x[i]-y[i]) * float64(x[i]-y[i])
	}
	return math.Sqrt(sum / float64(len(x)))
}

// Other types round the weights, and llama.cpp the activations too, so only loading and running is
// compared.
func TestPeerLlamaLoadsEveryType(t *testing.T) {
	bin := peer(t, "HAENYEO_LLAMA", "llama.cpp")
	wide := shapes()["v3 mtp"]
	wide.HiddenSize, wide.IntermediateSize, wide.MoEIntermediateSize = 256, 256, 256
	paths := map[string]string{"v3 mtp": writeModel(t, wide), "v4": "../weights/testdata/deepseek4-mxfp4.gguf", "llama": writeModel(t, shapes()["llama"])}
	for name, path := range paths {
		for _, m := range mixtures() {
			t.Run(name+" "+m.name, func(t *testing.T) {
				file := filepath.Join(t.TempDir(), "m.gguf")
				convert(t, path, file, m.name)
				var answer struct {
					Tokens []int32 `json:"tokens"`
				}
				prompt := random(1, 9)
				for i := range prompt {
					prompt[i] %= 320
				}
				startLlama(t, bin, file).call(t, "/completion", map[string]any{
					"prompt": prompt, "n_predict": 8, "temperature": 0, "return_tokens": true, "ignore_eos": true,
				}, &answer)
				if len(answer.Tokens) != 8 {
					t.Errorf("llama.cpp made %v", answer.Tokens)
				}
			})
		}
	}
}

// llamaServer is a running llama-server.
type llamaServer struct{ address string }

// startLlama serves the model in file on a free port of this machine until the test ends.
func startLlama(t *testing.T, bin, file string) llamaServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().(*net.TCPAddr)
	l.Close()
	cmd := exec.Command(filepath.Join(bin, "llama-server"), "--model", file, "--host", "127.0.0.1", "--port", fmt.Sprint(address.Port),
		"--ctx-size", "256", "--threads", "1", "--parallel", "1", "--no-webui", "--no-warmup", "--flash-attn", "off",
		"--cache-type-k", "f32", "--cache-type-v", "f32")
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-exited
	})
	s := llamaServer{fmt.Sprintf("http://%s", address)}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		select {
		case err := <-exited:
			exited <- err
			t.Fatalf("llama-server ended: %v\n%s", err, tail(log.String()))
		default:
		}
		if r, err := http.Get(s.address + "/health"); err == nil {
			r.Body.Close()
			if r.StatusCode == http.StatusOK {
				return s
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("llama-server does not answer\n%s", tail(log.String()))
		}
	}
}

func (s llamaServer) call(t *testing.T, path string, question, answer any) {
	t.Helper()
	body, err := json.Marshal(question)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.Post(s.address+path, "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	var text bytes.Buffer
	if _, err := text.ReadFrom(r.Body); err != nil {
		t.Fatal(err)
	}
	if r.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s: %s", path, r.Status, text.String())
	}
	if err := json.Unmarshal(text.Bytes(), answer); err != nil {
		t.Fatal(err)
	}
}

// tail is the end of a log.
func tail(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-25):], "\n")
}
