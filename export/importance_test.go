package export

import (
	"bytes"
	"context"
	"encoding/binary"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/haenyeo/haenyeo/format/gguf"
	"github.com/haenyeo/haenyeo/quant"
)

// inputs are importances for the matrices of the GGUF at path: mean squares of inputs of which some are much
// larger than others. The third expert of every stack was never used.
func inputs(t testing.TB, path string) map[string][]float32 {
	t.Helper()
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rng := rand.New(rand.NewPCG(5, 6))
	all := map[string][]float32{}
	for _, x := range f.Tensors() {
		if len(x.Shape) < 2 || x.Name == "token_embd.weight" {
			continue
		}
		k := x.Shape[len(x.Shape)-1]
		n := k
		if len(x.Shape) == 3 {
			n *= x.Shape[0]
		}
		v := make([]float32, n)
		for i := range v {
			v[i] = float32(math.Exp(2 * rng.NormFloat64()))
			if n > k && i/k == 2 {
				v[i] = 1
			}
		}
		all[x.Name] = v
	}
	return all
}

// writeImportance makes the GGUF that llama.cpp's imatrix tool would.
func writeImportance(t testing.TB, path string, all map[string][]float32, tensors map[string]gguf.Tensor) {
	t.Helper()
	var m gguf.Metadata
	m.Set("general.type", "imatrix")
	m.Set("imatrix.datasets", []string{"text.txt"})
	m.Set("imatrix.chunk_count", uint32(4))
	m.Set("imatrix.chunk_size", uint32(512))
	var sources []gguf.Source
	for _, name := range slices.Sorted(maps.Keys(all)) {
		v := all[name]
		shape := tensors[name].Shape
		k := shape[len(shape)-1]
		n := len(v) / k
		sums, counts := slices.Clone(v), make([]float32, n)
		for i := range n {
			counts[i] = float32(uint(64) << (i % 3))
			if n > 1 && i == 2 {
				counts[i] = 0
			}
			for j := range sums[i*k:][:k] {
				sums[i*k+j] *= counts[i]
			}
		}
		sources = append(sources, gguf.Floats(name+sumsSuffix, quant.F32, []int{n, k}, sums), gguf.Floats(name+countsSuffix, quant.F32, []int{n, 1}, counts))
	}
	if err := gguf.Write(path, &m, sources); err != nil {
		t.Fatal(err)
	}
}

// oldImportance is the same in the older format.
func oldImportance(all map[string][]float32) []byte {
	le := binary.LittleEndian
	b := le.AppendUint32(nil, uint32(len(all)))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		b = append(le.AppendUint32(b, uint32(len(name))), name...)
		b = le.AppendUint32(b, 8) // calls
		b = le.AppendUint32(b, uint32(len(all[name])))
		for _, x := range all[name] {
			b = le.AppendUint32(b, math.Float32bits(8*x))
		}
	}
	return b
}

// weighted is the sum of importance times squared error of a tensor.
func weighted(t testing.TB, got, want gguf.Tensor, importance []float32) (sum float64) {
	t.Helper()
	x, err := got.Float32(nil)
	if err != nil {
		t.Fatal(err)
	}
	y, err := want.Float32(nil)
	if err != nil {
		t.Fatal(err)
	}
	k := want.Shape[len(want.Shape)-1]
	rows := len(x) / k
	for r := range rows {
		w := importance
		if len(w) > k {
			w = w[r/(rows/(len(w)/k))*k:]
		}
		for i := range k {
			d := float64(x[r*k+i] - y[r*k+i])
			sum += float64(w[i]) * d * d
		}
	}
	return sum
}

// importanceModel is a GGUF of float32, and importances of its matrices.
func importanceModel(t testing.TB) (string, map[string][]float32) {
	t.Helper()
	cfg := shapes()["v3"]
	cfg.HiddenSize, cfg.IntermediateSize, cfg.MoEIntermediateSize, cfg.KVLoraRank = 256, 256, 256, 256
	plain := filepath.Join(t.TempDir(), "f32.gguf")
	convert(t, writeModel(t, cfg), plain, "f32")
	return plain, inputs(t, plain)
}

func TestImportance(t *testing.T) {
	plain, all := importanceModel(t)
	want := tensorsOf(t, plain)
	newer, older := filepath.Join(t.TempDir(), "imatrix.gguf"), filepath.Join(t.TempDir(), "imatrix.dat")
	writeImportance(t, newer, all, want)
	if err := os.WriteFile(older, oldImportance(all), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, typ := range []string{"q4_0", "q2_k", "q4_k_m", "q6_k", "iq4_xs", "mxfp4"} {
		without := filepath.Join(t.TempDir(), "without.gguf")
		convert(t, plain, without, typ)
		var files [2][]byte
		for i, path := range []string{newer, older} {
			m, err := ReadImportance(path)
			if err != nil {
				t.Fatal(err)
			}
			if len(m.inputs) != len(all) {
				t.Errorf("%d matrices, want %d", len(m.inputs), len(all))
			}
			with := filepath.Join(t.TempDir(), "with.gguf")
			if _, err := tryConvert(t, context.Background(), plain, with, typ, Options{Importance: m}); err != nil {
				t.Fatal(err)
			}
			if files[i], err = os.ReadFile(with); err != nil {
				t.Fatal(err)
			}
			if i == 1 {
				continue
			}
			a, b := tensorsOf(t, with), tensorsOf(t, without)
			better := 0
			for name, w := range all {
				x, y := weighted(t, a[name], want[name], w), weighted(t, b[name], want[name], w)
				if a[name].Type == b[name].Type && x > y {
					t.Errorf("%s, %s as %v: error %.4g with, %.4g without", typ, name, a[name].Type, x, y)
				}
				if x < 0.97*y {
					better++
				}
			}
			if better == 0 {
				t.Errorf("%s: no tensor is better", typ)
			}
		}
		if !bytes.Equal(files[0], files[1]) {
			t.Errorf("%s: the two formats give other files", typ)
		}
	}
}

func TestImportanceThatDoesNotFit(t *testing.T) {
	plain, all := importanceModel(t)
	write := func(b []byte) string {
		path := filepath.Join(t.TempDir(), "imatrix")
		if err := os.WriteFile(path, b, 0o666); err != nil {
			t.Fatal(err)
		}
		return path
	}
	bad := func(name string, v ...float32) []byte { return oldImportance(map[string][]float32{name: v}) }
	whole := oldImportance(all)
	damaged := filepath.Join(t.TempDir(), "damaged.gguf")
	var m gguf.Metadata
	if err := gguf.Write(damaged, &m, []gguf.Source{gguf.Floats("x.in_sum2", quant.F32, []int{1, 4}, make([]float32, 4))}); err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct{ path, says string }{
		"missing":      {filepath.Join(t.TempDir(), "no"), "no such file"},
		"empty":        {write(nil), "cut short"},
		"cut":          {write(whole[:len(whole)/2]), "cut short"},
		"text":         {write([]byte("what is this? not an importance matrix")), "cut short"},
		"no matrices":  {plain, "holds no matrices"},
		"no counts":    {damaged, `"x.counts" is missing`},
		"NaN":          {write(bad("output.weight", 1, float32(math.NaN()))), "input 1"},
		"negative":     {write(bad("output.weight", -1)), "at least 0"},
		"other widths": {write(bad("output.weight", 1, 2, 3)), "another model"},
	} {
		im, err := ReadImportance(c.path)
		if err == nil {
			_, err = tryConvert(t, context.Background(), plain, filepath.Join(t.TempDir(), "m.gguf"), "q4_k_m", Options{Importance: im})
		}
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: error %v, want one about %q", what, err, c.says)
		}
	}
}

// llama-quantize takes the same file for the same matrices, and its weighted errors are not smaller.
func TestPeerImportance(t *testing.T) {
	bin := peer(t, "HAENYEO_LLAMA", "llama.cpp")
	plain, all := importanceModel(t)
	want := tensorsOf(t, plain)
	file := filepath.Join(t.TempDir(), "imatrix.gguf")
	writeImportance(t, file, all, want)
	im, err := ReadImportance(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range mixtures() {
		if m.base.Block() == 1 || strings.HasPrefix(m.name, "tq") {
			continue
		}
		ours, theirs := filepath.Join(t.TempDir(), "ours.gguf"), filepath.Join(t.TempDir(), "theirs.gguf")
		if _, err := tryConvert(t, context.Background(), plain, ours, m.name, Options{Importance: im}); err != nil {
			t.Fatal(err)
		}
		kind := m.name
		if kind == "mxfp4" {
			kind = "mxfp4_moe"
		}
		if out, err := exec.Command(filepath.Join(bin, "llama-quantize"), "--imatrix", file, plain, theirs, kind).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, tail(string(out)))
		}
		a, b := tensorsOf(t, ours), tensorsOf(t, theirs)
		for name, w := range all {
			if m.stack != 0 && (strings.Contains(name, "attn_k_b") || strings.Contains(name, "attn_v_b")) {
				continue // taken for experts there
			}
			if a[name].Type != b[name].Type {
				t.Errorf("%s: %s is %v, theirs %v", m.name, name, a[name].Type, b[name].Type)
				continue
			}
			x, y := weighted(t, a[name], want[name], w), weighted(t, b[name], want[name], w)
			if x > 1.001*y {
				t.Errorf("%s: %s as %v: weighted error %.5g, theirs %.5g", m.name, name, a[name].Type, x, y)
			}
		}
	}
}

// Whatever is in a file, reading it ends with an error or importances.
func FuzzReadImportance(f *testing.F) {
	f.Add(oldImportance(map[string][]float32{"output.weight": {1, 2, 3}, "blk.0.attn_q.weight": {0.5}}))
	f.Add(oldImportance(map[string][]float32{"": {}}))
	path := filepath.Join(f.TempDir(), "imatrix.gguf")
	var m gguf.Metadata
	m.Set("general.type", "imatrix")
	if err := gguf.Write(path, &m, []gguf.Source{
		gguf.Floats("x.in_sum2", quant.F32, []int{2, 4}, make([]float32, 8)), gguf.Floats("x.counts", quant.F32, []int{2, 1}, []float32{1, 0}),
	}); err != nil {
		f.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, file []byte) {
		path := filepath.Join(t.TempDir(), "imatrix")
		if err := os.WriteFile(path, file, 0o666); err != nil {
			t.Fatal(err)
		}
		m, err := ReadImportance(path)
		if err == nil && len(m.inputs) == 0 {
			t.Error("neither importances nor an error")
		}
	})
}
