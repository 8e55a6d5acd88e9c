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

	"github.com/haenyeo/haenyeo/kernel"
	"github.com/haenyeo/haenyeo/model"
	"github.com/haenyeo/haenyeo/quant"
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
	for name, cfg := range shapes() {
		t.Run(name, func(t *testing.T) {
			dir := writeModel(t, cfg)
			ids := random(3, 40)
			want := transformersLogits(t, python, dir, ids)
			e, err := kernel.New(1, "")
			if err != nil {
				t.Fatal(err)
			}
			defer e.Close()
			m, err := model.Open(dir, e, model.Options{})
			if err != nil {
				t.Fatal(err)
			}
			got, err := m.Logits(ids)
			if err != nil {
				t.Fatal(err)
			}
			var worst, top float64
			for i, row := range want {
				for j, w := range row {
					worst = max(worst, math.Abs(w-float64(got[i*testVocab+j])))
					top = max(top, math.Abs(w))
				}
			}
			t.Logf("largest logit %.3g, largest difference %.3g", top, worst)
			if worst > 1e-4*max(1, top) {
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
	if len(logits) != len(ids) || len(logits[0]) != testVocab {
		t.Fatalf("transformers gave %d rows", len(logits))
	}
	return logits
}

func TestPeerLlamaGreedyAndTokens(t *testing.T) {
	bin := peer(t, "HAENYEO_LLAMA", "llama.cpp")
	const prompts, length = 8, 64
	for name, cfg := range shapes() {
		t.Run(name, func(t *testing.T) {
			dir := writeModel(t, cfg)
			file := filepath.Join(t.TempDir(), "m.gguf")
			if _, err := WriteGGUF(context.Background(), dir, file, quant.F32, nil); err != nil {
				t.Fatal(err)
			}
			e, err := kernel.New(1, "")
			if err != nil {
				t.Fatal(err)
			}
			defer e.Close()
			m, err := model.Open(dir, e, model.Options{})
			if err != nil {
				t.Fatal(err)
			}
			server := startLlama(t, bin, file)
			for i := range prompts {
				prompt := random(uint64(100+i), 5+3*i)
				want := greedy(t, m, prompt, length)
				var answer struct {
					Tokens []int32 `json:"tokens"`
				}
				server.call(t, "/completion", map[string]any{
					"prompt": prompt, "n_predict": length, "temperature": 0, "return_tokens": true, "ignore_eos": true, "cache_prompt": false,
				}, &answer)
				if !slices.Equal(answer.Tokens, want) {
					t.Errorf("prompt %d: llama.cpp continues\n%v, we\n%v", i, answer.Tokens, want)
				}
			}
			tok, err := tokenizer.Load(dir)
			if err != nil {
				t.Fatal(err)
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

// Other types round the weights, and llama.cpp the activations too, so only loading and running is
// compared.
func TestPeerLlamaLoadsEveryType(t *testing.T) {
	bin := peer(t, "HAENYEO_LLAMA", "llama.cpp")
	for _, name := range []string{"v3", "v3 plain", "llama"} {
		dir := writeModel(t, shapes()[name])
		for _, typ := range []quant.Type{quant.F16, quant.BF16, quant.Q8_0} {
			t.Run(name+" "+typ.String(), func(t *testing.T) {
				file := filepath.Join(t.TempDir(), "m.gguf")
				if _, err := WriteGGUF(context.Background(), dir, file, typ, nil); err != nil {
					t.Fatal(err)
				}
				var answer struct {
					Tokens []int32 `json:"tokens"`
				}
				startLlama(t, bin, file).call(t, "/completion", map[string]any{
					"prompt": random(1, 9), "n_predict": 8, "temperature": 0, "return_tokens": true, "ignore_eos": true,
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
