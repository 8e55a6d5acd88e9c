package export

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/haenyeo/haenyeo/format/safetensors"
	"github.com/haenyeo/haenyeo/kernel"
	"github.com/haenyeo/haenyeo/weights"
)

// Whatever goes wrong, the error says what, and nothing is left behind.
func TestNothingHalfWritten(t *testing.T) {
	good := shapes()["v3"]
	for name, c := range map[string]struct {
		typ    string
		damage func(t *testing.T, dir string)
		says   string
	}{
		"no tokenizer is fine": {"f32", func(t *testing.T, dir string) { os.Remove(filepath.Join(dir, "tokenizer.json")) }, ""},
		"no weights":           {"f32", func(t *testing.T, dir string) { os.Remove(filepath.Join(dir, "model.safetensors")) }, "model.safetensors"},
		"other configuration": {"f32", func(t *testing.T, dir string) {
			edit(t, dir, `"hidden_size": 64`, `"hidden_size": 32`)
		}, "shape"},
		"tokenizer too large": {"f32", func(t *testing.T, dir string) {
			edit(t, dir, `"vocab_size": 480`, `"vocab_size": 400`)
		}, ""},
		"NaN in a norm": {"q4_k_m", func(t *testing.T, dir string) { poison(t, dir, "model.norm.weight", float32(math.NaN())) }, `"model.norm.weight" holds NaN at element 5`},
		"NaN in an expert": {"q4_k_m", func(t *testing.T, dir string) {
			poison(t, dir, "model.layers.1.mlp.experts.3.up_proj.weight", float32(math.Inf(1)))
		}, `"model.layers.1.mlp.experts.3.up_proj.weight" holds +Inf in row 0, column 5`},
		"too large for f16": {"f16", func(t *testing.T, dir string) { poison(t, dir, "lm_head.weight", 1e5) }, `"lm_head.weight" holds 100000 in row 0, column 5, more than F16 can hold: use bf16 or f32`},
		"too large to pack": {"q4_0", func(t *testing.T, dir string) { poison(t, dir, "model.layers.0.mlp.up_proj.weight", 1e9) }, `"model.layers.0.mlp.up_proj.weight"`},
	} {
		for _, kind := range []string{"m.gguf", "directory"} {
			if kind == "directory" && strings.HasPrefix(c.typ, "q") {
				c.typ = "bf16"
				if name == "too large to pack" {
					continue
				}
			}
			t.Run(name+" to "+kind, func(t *testing.T) {
				dir := writeModel(t, good)
				c.damage(t, dir)
				outDir := t.TempDir()
				_, err := tryConvert(t, context.Background(), dir, filepath.Join(outDir, kind), c.typ, Options{})
				if name == "tokenizer too large" {
					if err == nil {
						t.Error("no error")
					}
				} else if c.says == "" {
					if err != nil {
						t.Fatal(err)
					}
					return
				} else if err == nil || !strings.Contains(err.Error(), c.says) {
					t.Errorf("error %v, want one about %q", err, c.says)
				}
				if left, _ := os.ReadDir(outDir); len(left) != 0 {
					t.Errorf("left behind: %v", left)
				}
			})
		}
	}
}

// poison puts x at element 5 of a tensor.
func poison(t *testing.T, dir, tensor string, x float32) {
	t.Helper()
	r, err := safetensors.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var sources []safetensors.Source
	for _, name := range r.Names() {
		stored, _ := r.Tensor(name)
		v, err := stored.Float32(nil)
		if err != nil {
			t.Fatal(err)
		}
		if name == tensor {
			v[5] = x
		}
		sources = append(sources, safetensors.Floats(name, safetensors.F32, stored.Shape, v))
	}
	r.Close()
	if err := safetensors.Write(filepath.Join(dir, "model.safetensors"), sources, nil); err != nil {
		t.Fatal(err)
	}
}

// A conversion that is interrupted in the middle leaves nothing.
func TestCancelledExportLeavesNothing(t *testing.T) {
	dir := writeModel(t, shapes()["llama"])
	for _, name := range []string{"m.gguf", "directory"} {
		out := t.TempDir()
		ctx, cancel := context.WithCancel(context.Background())
		calls := 0
		_, err := tryConvert(t, ctx, dir, filepath.Join(out, name), "f32", Options{Progress: func(part float64) {
			if calls++; calls == 3 {
				cancel()
			}
		}})
		if !errors.Is(err, context.Canceled) || calls != 3 {
			t.Errorf("%s: %v after %d calls", name, err, calls)
		}
		if left, _ := os.ReadDir(out); len(left) != 0 {
			t.Errorf("left behind: %v", left)
		}
	}
}

// A file that is cut while it is read is an error that names it.
func TestSourceCutShort(t *testing.T) {
	dir := writeModel(t, shapes()["llama"])
	path := filepath.Join(dir, "model.safetensors")
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"m.gguf", "directory"} {
		src, err := weights.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		typ, _ := ParseType("f32")
		out, cut := t.TempDir(), false
		opt := Options{Progress: func(float64) {
			if !cut {
				cut = true
				if err := os.Truncate(path, info.Size()/8); err != nil {
					t.Error(err)
				}
			}
		}}
		if name == "m.gguf" {
			_, err = WriteGGUF(context.Background(), src, engine(t), filepath.Join(out, name), typ, opt)
		} else {
			_, err = WriteDirectory(context.Background(), src, engine(t), filepath.Join(out, name), typ, opt)
		}
		if err == nil || !strings.Contains(err.Error(), "model.safetensors") || !strings.Contains(err.Error(), "cut short") {
			t.Errorf("%s: %v", name, err)
		}
		if left, _ := os.ReadDir(out); len(left) != 0 {
			t.Errorf("left behind: %v", left)
		}
		src.Close()
		if err := os.WriteFile(path, whole, 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

// What cannot be on the disk is refused at once.
func TestNoRoom(t *testing.T) {
	if err := room(filepath.Join(t.TempDir(), "m.gguf"), 1<<61); err == nil || !strings.Contains(err.Error(), "make room") {
		t.Errorf("error %v", err)
	}
	if err := room(filepath.Join(t.TempDir(), "m.gguf"), 1); err != nil {
		t.Error(err)
	}
}

// What is left out is told.
func TestLeftOutIsTold(t *testing.T) {
	dir := writeModel(t, shapes()["v3 mtp"])
	os.Remove(filepath.Join(dir, "tokenizer.json"))
	var log bytes.Buffer
	opt := Options{Log: slog.New(slog.NewTextHandler(&log, nil))}
	if _, err := tryConvert(t, context.Background(), dir, filepath.Join(t.TempDir(), "m.gguf"), "f32", opt); err != nil {
		t.Fatal(err)
	}
	if s := log.String(); !strings.Contains(s, "tokenizer.json") || strings.Contains(s, "multi-token") {
		t.Errorf("log: %s", s)
	}
}

// edit replaces text in config.json.
func edit(t *testing.T, dir, old, new string) {
	t.Helper()
	path := filepath.Join(dir, "config.json")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s := strings.Replace(string(b), old, new, 1)
	if s == string(b) {
		t.Fatalf("%q does not hold %q", path, old)
	}
	if err := os.WriteFile(path, []byte(s), 0o666); err != nil {
		t.Fatal(err)
	}
}

// Whatever is wrong with a file, converting it ends with an error or a file.
func FuzzConvert(f *testing.F) {
	e, err := kernel.New(1, "portable")
	if err != nil {
		f.Fatal(err)
	}
	defer e.Close()
	for _, name := range []string{"v3 mtp", "llama"} {
		cfg := shapes()[name]
		cfg.HiddenSize, cfg.IntermediateSize, cfg.MoEIntermediateSize = 8, 8, 8
		out := filepath.Join(f.TempDir(), "m.gguf")
		convert(f, writeModel(f, cfg), out, "f16")
		b, err := os.ReadFile(out)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, uint32(200), byte(1))
	}
	packed, err := ParseType("q4_k_m")
	if err != nil {
		f.Fatal(err)
	}
	opt := Options{Log: slog.New(slog.DiscardHandler)}
	f.Fuzz(func(t *testing.T, file []byte, at uint32, x byte) {
		if len(file) > 0 {
			file = append([]byte{}, file...)
			file[int(at)%len(file)] ^= x // most mutations hit the weights; this one is steered by hand
		}
		dir := t.TempDir()
		path := filepath.Join(dir, "m.gguf")
		if err := os.WriteFile(path, file, 0o666); err != nil {
			t.Fatal(err)
		}
		src, err := weights.Open(path)
		if err != nil {
			return
		}
		defer src.Close()
		for i, out := range []string{filepath.Join(dir, "out.gguf"), filepath.Join(dir, "out")} {
			write, typ := WriteGGUF, packed
			if i == 1 {
				write, typ = WriteDirectory, Type{}
			}
			_, err := write(context.Background(), src, e, out, typ, opt)
			if _, missing := os.Lstat(out); (err == nil) == (missing != nil) {
				t.Errorf("%s: error %v, file %v", out, err, missing)
			}
		}
	})
}
