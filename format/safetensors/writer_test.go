package safetensors

import (
	"bytes"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestWriteReadsBack(t *testing.T) {
	values := make([]float32, 3*1111)
	for i := range values {
		values[i] = float32(i%509-254) / 128 // exact in bf16
	}
	sources := []Source{
		Raw("ids", I64, []int{2}, []byte{1, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255}),
		Floats("half", F16, []int{3, 1111}, values),
		Floats("brain", BF16, []int{3, 1111}, values),
		Floats("single", F32, []int{3, 1111}, values),
		Floats("double", F64, []int{1}, values[:1]),
		Floats("scalar", F32, nil, values[:1]),
		Floats("empty", F32, []int{0, 4}, nil),
		Raw("odd \"name\" <é>", U8, []int{3}, []byte("abc")),
	}
	metadata := map[string]string{"format": "pt", "a \"quote\"": "line\nbreak"}
	dir := t.TempDir()
	path := filepath.Join(dir, FileName)
	if err := Write(path, sources, metadata); err != nil {
		t.Fatal(err)
	}
	r, err := OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if len(r.Names()) != len(sources) || len(r.Metadata()) != 2 || r.Metadata()["a \"quote\""] != "line\nbreak" {
		t.Errorf("names %q, metadata %q", r.Names(), r.Metadata())
	}
	for _, s := range sources {
		x, ok := r.Tensor(s.Name)
		if !ok || x.DType != s.DType || len(x.Shape) != len(s.Shape) || !slices.Equal(x.Shape, append([]int{}, s.Shape...)) {
			t.Errorf("tensor %q came back as %v %v", s.Name, x.DType, x.Shape)
			continue
		}
		if off := bytes.Index(r.files[0].Bytes(), x.Data); len(x.Data) > 100 && off%x.DType.Size() != 0 {
			t.Errorf("tensor %q lies at byte %d", s.Name, off)
		}
		if got, err := x.Float32(nil); err == nil && !slices.Equal(got, values[:len(got)]) {
			t.Errorf("tensor %q has other values", s.Name)
		}
	}

	again := filepath.Join(dir, "again")
	slices.Reverse(sources)
	if err := Write(again, sources, metadata); err != nil {
		t.Fatal(err)
	}
	a, _ := os.ReadFile(path)
	if b, _ := os.ReadFile(again); !bytes.Equal(a, b) {
		t.Error("the same tensors in another order gave other bytes")
	}
}

func TestWriteFailsCleanly(t *testing.T) {
	cause := errors.New("cancelled")
	emit := func(n int, err error) func(io.Writer) error {
		return func(w io.Writer) error {
			if _, werr := w.Write(make([]byte, n)); werr != nil {
				return werr
			}
			return err
		}
	}
	for _, tc := range []struct {
		name    string
		sources []Source
		want    string
	}{
		{"source fails", []Source{{"a", U8, []int{4}, emit(4, cause)}}, "cancelled"},
		{"too few bytes", []Source{{"a", U8, []int{4}, emit(3, nil)}}, "gave 3 bytes"},
		{"too many bytes", []Source{{"a", U8, []int{4}, emit(5, nil)}}, "gave 5 bytes"},
		{"name twice", []Source{{"a", U8, []int{4}, emit(4, nil)}, {"a", U8, []int{4}, emit(4, nil)}}, "twice"},
		{"reserved name", []Source{{"__metadata__", U8, nil, emit(1, nil)}}, "cannot be used"},
		{"negative shape", []Source{{"a", U8, []int{-1}, emit(1, nil)}}, "impossible"},
		{"no type", []Source{{"a", 0, []int{1}, emit(1, nil)}}, "impossible"},
		{"overflow", []Source{{"a", F32, []int{math.MaxInt}, emit(1, nil)}}, "impossible"},
		{"floats as integers", []Source{Floats("a", I32, []int{1}, []float32{1})}, "cannot be written as I32"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			err := Write(filepath.Join(dir, "x"), tc.sources, nil)
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), `"a"`) && !strings.Contains(err.Error(), `"__`) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
			if left, _ := os.ReadDir(dir); len(left) != 0 {
				t.Errorf("left %v", left)
			}
		})
	}
}

// TestGolden opens every checkpoint of the golden set.
func TestGolden(t *testing.T) {
	root := os.Getenv("HAENYEO_GOLDEN")
	if root == "" {
		t.Skip("set HAENYEO_GOLDEN to the golden folder to open its checkpoints")
	}
	configs, _ := filepath.Glob(filepath.Join(root, "*", "config.json"))
	if len(configs) == 0 {
		t.Fatalf("no checkpoints under %q", root)
	}
	for _, c := range configs {
		r, err := OpenDir(filepath.Dir(c))
		if err != nil {
			t.Error(err)
			continue
		}
		for _, name := range r.Names() {
			x, _ := r.Tensor(name)
			_, ferr := x.Float32(nil)
			_, ierr := x.Int64s()
			if (ferr == nil) == (ierr == nil) {
				t.Errorf("%s: tensor %q of %v: %v, %v", c, name, x.DType, ferr, ierr)
			}
		}
		r.Close()
	}
	t.Logf("opened %d checkpoints", len(configs))
}
