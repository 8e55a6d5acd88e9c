package export

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/haenyeo/haenyeo/format/safetensors"
	"github.com/haenyeo/haenyeo/weights"
)

// A directory of several files is found again, and never written over another.
func TestDirectory(t *testing.T) {
	for _, name := range []string{"v3 mtp", "llama3 rope"} {
		dir := writeModel(t, shapes()[name])
		if err := os.WriteFile(filepath.Join(dir, "generation_config.json"), []byte(`{"eos_token_id": [1, 2], "temperature": 0.5}`), 0o666); err != nil {
			t.Fatal(err)
		}
		src, err := weights.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer src.Close()
		out := filepath.Join(t.TempDir(), "out")
		if err := os.Mkdir(out, 0o777); err != nil { // empty: allowed
			t.Fatal(err)
		}
		typ, _ := ParseType("f32")
		s, err := writeDirectory(context.Background(), src, engine(t), out, typ, Options{}, 100_000)
		if err != nil {
			t.Fatal(err)
		}
		shards, _ := filepath.Glob(filepath.Join(out, "model-*-of-*.safetensors"))
		var index struct {
			Metadata struct {
				Total int64 `json:"total_size"`
			}
			Map map[string]string `json:"weight_map"`
		}
		text, err := os.ReadFile(filepath.Join(out, safetensors.IndexName))
		if err == nil {
			err = json.Unmarshal(text, &index)
		}
		if err != nil || len(shards) < 3 || index.Metadata.Total == 0 || index.Metadata.Total >= s.Bytes || len(index.Map) != s.Types["F32"] {
			t.Errorf("%v, %d files, index of %d bytes and %d tensors, %+v", err, len(shards), index.Metadata.Total, len(index.Map), s)
		}
		want, got := numbers(t, dir), numbers(t, out)
		for n, x := range want {
			if !slices.Equal(got[n], x) {
				t.Errorf("%s differs", n)
			}
		}
		if len(got) != len(want) {
			t.Errorf("%d tensors, want %d", len(got), len(want))
		}
		for _, file := range []string{"tokenizer.json", "tokenizer_config.json", "generation_config.json"} {
			a, errA := os.ReadFile(filepath.Join(dir, file))
			b, errB := os.ReadFile(filepath.Join(out, file))
			if errA != nil || errB != nil || !bytes.Equal(a, b) {
				t.Errorf("%s: %v, %v, equal %v", file, errA, errB, bytes.Equal(a, b))
			}
		}
		if _, err := writeDirectory(context.Background(), src, engine(t), out, typ, Options{}, 100_000); err == nil || !strings.Contains(err.Error(), "not empty") {
			t.Errorf("over another: %v", err)
		}
		packed, _ := ParseType("q4_0")
		if _, err := WriteDirectory(context.Background(), src, engine(t), out+"2", packed, Options{}); err == nil || !strings.Contains(err.Error(), "f32, f16 or bf16") {
			t.Errorf("q4_0: %v", err)
		}
		if _, err := WriteDirectory(context.Background(), src, engine(t), filepath.Join(out, "no", "where"), typ, Options{}); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("in no directory: %v", err)
		}
	}
}

// The type of a directory follows what is stored.
func TestDirectoryType(t *testing.T) {
	dir := writeModel(t, shapes()["v3"])
	for _, c := range []struct{ from, typ, want string }{
		{"f32", "", "F32"}, {"bf16", "", "BF16"}, {"f16", "", "F16"}, {"q8_0", "", "F32"}, {"q8_0", "f16", "F16"},
	} {
		file, out := filepath.Join(t.TempDir(), "m.gguf"), filepath.Join(t.TempDir(), "out")
		convert(t, dir, file, c.from)
		if s := convert(t, file, out, c.typ); s.Types[c.want] < 40 || c.want != "F32" && s.Types["F32"] != 2 { // the correction biases
			t.Errorf("%v: %v", c, s.Types)
		}
	}
	out := filepath.Join(t.TempDir(), "out")
	if s := convert(t, "../weights/testdata/deepseek_v4_fp4", out, ""); s.Types["BF16"] == 0 || s.Types["I32"] != 1 || s.Types["F32"] == 0 {
		t.Errorf("fp8 and fp4: %v", s.Types)
	}
	text, err := os.ReadFile(filepath.Join(out, "config.json"))
	if err != nil || bytes.Contains(text, []byte("quantization_config")) || bytes.Contains(text, []byte("expert_dtype")) || !bytes.Contains(text, []byte(`"torch_dtype": "bfloat16"`)) {
		t.Errorf("%v: %s", err, text)
	}
}
