package export

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/haenyeo/haenyeo/format/gguf"
	"github.com/haenyeo/haenyeo/format/safetensors"
	"github.com/haenyeo/haenyeo/kernel"
	"github.com/haenyeo/haenyeo/model"
	"github.com/haenyeo/haenyeo/tokenizer"
	"github.com/haenyeo/haenyeo/weights"
)

// models are models of every generation and storage: those that this program trains, tiny files of the others.
func models(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for name, cfg := range shapes() {
		all[name] = writeModel(t, cfg)
	}
	files, err := filepath.Glob("../weights/testdata/*.gguf")
	if err != nil || len(files) == 0 {
		t.Fatal(err, len(files))
	}
	for _, f := range append(files, "../weights/testdata/deepseek_v4_fp4") {
		all[filepath.Base(f)] = f
	}
	golden := os.Getenv("HAENYEO_GOLDEN")
	if golden == "" {
		t.Log("SKIPPED: set HAENYEO_GOLDEN to the golden folder to convert its checkpoints too")
		return all
	}
	dirs, _ := filepath.Glob(filepath.Join(golden, "*", "generation_config.json"))
	files, _ = filepath.Glob(filepath.Join(golden, "gguf", "models", "*.gguf"))
	for _, d := range dirs {
		all["golden "+filepath.Base(filepath.Dir(d))] = filepath.Dir(d)
	}
	for _, f := range files {
		all[filepath.Base(f)] = f
	}
	if len(dirs) < 10 || len(files) < 10 {
		t.Errorf("%d checkpoints and %d files in %q", len(dirs), len(files), golden)
	}
	return all
}

// What went into a file comes out of it, bit by bit: to a GGUF of float32, from there to a directory, from
// there to a GGUF.
func TestThereAndBack(t *testing.T) {
	for name, path := range models(t) {
		t.Run(name, func(t *testing.T) {
			tmp := t.TempDir()
			file, dir, again := filepath.Join(tmp, "m.gguf"), filepath.Join(tmp, "dir"), filepath.Join(tmp, "again.gguf")
			if s, err := tryConvert(t, context.Background(), path, file, "f32", Options{}); err != nil {
				if !strings.Contains(err.Error(), "GGUF cannot express") {
					t.Fatal(err)
				}
				t.Log(err)
				convert(t, path, dir, "f32")
				same(t, "directory", open(t, dir).logits(t, random(8, 30)), open(t, path).logits(t, random(8, 30)))
				return
			} else if s.Types["F32"] == 0 || s.Bytes == 0 {
				t.Errorf("summary %+v", s)
			}
			convert(t, file, dir, "f32")
			convert(t, dir, again, "f32")
			want := numbers(t, path)
			if v4 := strings.Contains(name, "v4"); v4 { // whose MTP layer a GGUF does not have
				for n := range want {
					if strings.HasPrefix(n, "mtp.") {
						delete(want, n)
					}
				}
			}
			for n := range want {
				if strings.HasSuffix(n, "embed_tokens.weight") && strings.HasPrefix(n, "model.layers.") || strings.HasSuffix(n, "shared_head.head.weight") {
					delete(want, n) // copies
				}
			}
			for form, p := range map[string]string{"GGUF": file, "directory": dir, "GGUF again": again} {
				got := numbers(t, p)
				if len(got) != len(want) {
					t.Errorf("%s: %d tensors, want %d", form, len(got), len(want))
				}
				for n, x := range want {
					if !slices.Equal(got[n], x) {
						t.Errorf("%s: %s differs", form, n)
					}
				}
			}
			a := open(t, path)
			ids := random(8, 30)
			for i := range ids {
				ids[i] %= int32(a.src.Config().VocabSize)
			}
			logits := a.logits(t, ids)
			for form, p := range map[string]string{"GGUF": file, "directory": dir, "GGUF again": again} {
				b := open(t, p)
				same(t, form, b.logits(t, ids), logits)
				compareConfig(t, form, a.src.Config(), b.src.Config())
				if a.src.Config().ModelType == "deepseek_v3" && hasMTP(a.src) {
					x, err := a.net.MTPLogits(context.Background(), ids)
					if err != nil {
						t.Fatal(err)
					}
					y, err := b.net.MTPLogits(context.Background(), ids)
					if err != nil {
						t.Fatal(err)
					}
					same(t, form+", MTP", y, x)
				}
			}
			f, err := gguf.Open(file)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if err := f.CheckModel(); err != nil {
				t.Error(err)
			}
			if _, err := os.Stat(filepath.Join(path, "tokenizer.json")); err == nil {
				tok, err := Tokenizer(&f.Metadata)
				if err != nil {
					t.Fatal(err)
				}
				compareTokenizer(t, path, tok)
				if tok, err = tokenizer.Load(dir); err != nil {
					t.Fatal(err)
				}
				compareTokenizer(t, path, tok)
			}
		})
	}
}

func compareConfig(t *testing.T, form string, want, got *model.Config) {
	t.Helper()
	w, g := *want, *got
	for _, c := range []*model.Config{&w, &g} { // not in a GGUF, or about storage
		c.InitializerRange, c.TorchDType, c.Quantization = 0, "", model.Quantization{}
		if c.ModelType == "deepseek_v4" {
			c.NumNextnPredictLayers, c.CompressRatios = 0, c.CompressRatios[:c.NumHiddenLayers]
			c.IntermediateSize = 0
		}
		if c.NRoutedExperts > 0 && c.TopKGroup == c.NGroup {
			c.NGroup, c.TopKGroup = 1, 1 // groups that limit nothing
		}
	}
	if w.RopeScaling.Type == "llama3" && slices.Equal(weights.RopeDivisors(&w), weights.RopeDivisors(&g)) {
		w.RopeScaling = g.RopeScaling // the same frequencies in other words
	}
	if !reflect.DeepEqual(w, g) {
		t.Errorf("%s: configuration\n got %+v\nwant %+v", form, g, w)
	}
}

func compareTokenizer(t *testing.T, dir string, got *tokenizer.Tokenizer) {
	t.Helper()
	want, err := tokenizer.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got == nil {
		t.Fatal("no tokenizer came back")
	}
	if got.Config() != want.Config() {
		t.Errorf("tokenizer configuration %+v, want %+v", got.Config(), want.Config())
	}
	for _, s := range append(texts, "<｜User｜>hi<｜Assistant｜>") {
		opt := tokenizer.EncodeOptions{AddSpecial: true}
		if g, w := got.Encode(nil, s, opt), want.Encode(nil, s, opt); !slices.Equal(g, w) {
			t.Errorf("%q: ids %v, want %v", s, g, w)
		}
	}
}

// The same bytes whatever the number of threads.
func TestSameModelSameFile(t *testing.T) {
	dir := writeModel(t, shapes()["v3"])
	typ, err := ParseType("q4_k_m")
	if err != nil {
		t.Fatal(err)
	}
	var files [2][]byte
	for i := range files {
		e, err := kernel.New(1+3*i, "")
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		src, err := weights.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer src.Close()
		out := filepath.Join(t.TempDir(), "m.gguf")
		if _, err := WriteGGUF(context.Background(), src, e, out, typ, Options{}); err != nil {
			t.Fatal(err)
		}
		if files[i], err = os.ReadFile(out); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(files[0], files[1]) {
		t.Error("two exports of one model differ")
	}
}

// withMTP makes a V4 checkpoint with a multi-token prediction layer: the second layer once more.
func withMTP(t *testing.T) string {
	t.Helper()
	const small = "../weights/testdata/deepseek_v4_fp4"
	dir := t.TempDir()
	text, err := os.ReadFile(filepath.Join(small, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.Replace(text, []byte(`"num_nextn_predict_layers": 0`), []byte(`"num_nextn_predict_layers": 1`), 1)
	if err := os.WriteFile(filepath.Join(dir, "config.json"), text, 0o666); err != nil {
		t.Fatal(err)
	}
	src, err := weights.Open(small)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	c, err := model.ReadConfig(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := numbers(t, small)
	var sources []safetensors.Source
	add := func(w weights.Tensor, from string) {
		if w.Ints {
			ids := []byte{}
			for _, x := range all[from] {
				ids = append(ids, byte(x), 0, 0, 0)
			}
			sources = append(sources, safetensors.Raw(w.Name, safetensors.I32, w.Shape, ids))
			return
		}
		v := all[from]
		if v == nil { // of the MTP layer alone
			n := w.Shape[0] * w.Shape[len(w.Shape)-1]
			if len(w.Shape) == 1 {
				n = w.Shape[0]
			}
			v = make([]float32, n)
			for i := range v {
				v[i] = 0.01 * float32(i%7)
			}
		}
		sources = append(sources, safetensors.Floats(w.Name, safetensors.F32, w.Shape, v))
	}
	for w := range weights.Expected(src.Config()) {
		add(w, w.Name)
	}
	for w := range weights.ExpectedMTP(c) {
		add(w, strings.Replace(w.Name, "mtp.0.", "layers.1.", 1))
	}
	if err := safetensors.Write(filepath.Join(dir, "model.safetensors"), sources, nil); err != nil {
		t.Fatal(err)
	}
	return dir
}

// The MTP layer of V4 stays in a directory; a GGUF is without, and says so.
func TestPredictionLayerOfV4(t *testing.T) {
	dir := withMTP(t)
	if !hasMTP(open(t, dir).src) {
		t.Fatal("no MTP layer was made")
	}
	out, file := filepath.Join(t.TempDir(), "out"), filepath.Join(t.TempDir(), "m.gguf")
	convert(t, dir, out, "f32")
	want, got := numbers(t, dir), numbers(t, out)
	for n, x := range want {
		if !slices.Equal(got[n], x) {
			t.Errorf("%s differs", n)
		}
	}
	var log bytes.Buffer
	if _, err := tryConvert(t, context.Background(), dir, file, "f32", Options{Log: slog.New(slog.NewTextHandler(&log, nil))}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "multi-token prediction layer is left out") {
		t.Errorf("log: %s", log.String())
	}
	ids := random(4, 20)
	for i := range ids {
		ids[i] %= 120
	}
	same(t, "GGUF", open(t, file).logits(t, ids), open(t, dir).logits(t, ids))
}

// Progress grows from nothing to the whole.
func TestProgress(t *testing.T) {
	dir := writeModel(t, shapes()["v3"])
	for _, name := range []string{"m.gguf", "directory"} {
		last := 0.0
		if _, err := tryConvert(t, context.Background(), dir, filepath.Join(t.TempDir(), name), "bf16", Options{Progress: func(part float64) {
			if part <= last || part > 1 {
				t.Errorf("%s: %v after %v", name, part, last)
			}
			last = part
		}}); err != nil || last != 1 {
			t.Errorf("%s: ends with %v, %v", name, last, err)
		}
	}
}
