package gguf

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/haenyeo/haenyeo/quant"
)

func sample() (*Metadata, []Source) {
	m := &Metadata{}
	m.Set("general.architecture", "deepseek2")
	m.Set("u8", uint8(200))
	m.Set("i8", int8(-100))
	m.Set("u16", uint16(60000))
	m.Set("i16", int16(-30000))
	m.Set("u32", uint32(math.MaxUint32))
	m.Set("i32", int32(math.MinInt32))
	m.Set("u64", uint64(math.MaxUint64))
	m.Set("i64", int64(math.MinInt64))
	m.Set("f32", float32(1e-6))
	m.Set("f64", 1e-300)
	m.Set("yes", true)
	m.Set("no", false)
	m.Set("u8s", []uint8{1, 2})
	m.Set("i8s", []int8{-1, 2})
	m.Set("u16s", []uint16{1, 2})
	m.Set("i16s", []int16{-1, 2})
	m.Set("u32s", []uint32{1, 2})
	m.Set("i32s", []int32{-1, 2})
	m.Set("u64s", []uint64{1, 1 << 63})
	m.Set("i64s", []int64{-1, 2})
	m.Set("f32s", []float32{0.5, 2})
	m.Set("f64s", []float64{0.5, 2})
	m.Set("bools", []bool{true, false})
	m.Set("tokens", []string{"a", "", "한국어", "\xff"})
	m.Set("none", []string{})
	m.Set("nested", []any{[]int32{1}, []string{"x"}, []any{[]float32{2}}})
	m.Set("u8", uint8(201)) // keeps its place

	values := make([]float32, 5*96)
	for i := range values {
		values[i] = float32(i%255-127) / 64
	}
	return m, []Source{
		Floats("z.weight", quant.F32, []int{5, 96}, values),
		Floats("odd", quant.BF16, []int{5}, values[:5]),
		Floats("half", quant.F16, []int{5, 3, 32}, values),
		Floats("blk.0.attn_q.weight", quant.Q8_0, []int{5, 96}, values),
	}
}

func TestWriteReadsBack(t *testing.T) {
	m, sources := sample()
	path := filepath.Join(t.TempDir(), "model.gguf")
	if err := Write(path, m, sources); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if f.Version != 3 || !slices.Equal(f.Metadata.Keys(), m.Keys()) {
		t.Errorf("version %d, keys %q", f.Version, f.Metadata.Keys())
	}
	for _, key := range m.Keys() {
		want, _ := m.Get(key)
		if got, _ := f.Metadata.Get(key); !reflect.DeepEqual(got, want) {
			t.Errorf("key %q: %T %v, want %T %v", key, got, got, want, want)
		}
	}
	if len(f.Tensors()) != len(sources) {
		t.Fatalf("%d tensors", len(f.Tensors()))
	}
	whole := f.files[0].Bytes()
	for i, x := range f.Tensors() {
		s := sources[i]
		if x.Name != s.Name || x.Type != s.Type || !slices.Equal(x.Shape, s.Shape) {
			t.Errorf("tensor %q came back as %q %v %v", s.Name, x.Name, x.Type, x.Shape)
		}
		var want bytes.Buffer
		if err := s.Emit(&want); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(x.Data, want.Bytes()) {
			t.Errorf("tensor %q has other bytes", s.Name)
		}
		if at := bytes.Index(whole, x.Data); at%32 != 0 {
			t.Errorf("tensor %q lies at byte %d", s.Name, at)
		}
		if y, ok := f.Tensor(s.Name); !ok || y.Name != s.Name {
			t.Errorf("tensor %q is not found by its name", s.Name)
		}
		if _, err := x.Float32(nil); err != nil {
			t.Error(err)
		}
	}
	if len(whole)%32 != 0 || f.Bytes() != int64(len(whole)) {
		t.Errorf("the file has %d bytes", len(whole))
	}
	again := path + "2"
	if err := Write(again, &f.Metadata, sources); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(again); !bytes.Equal(b, whole) {
		t.Error("the same content gave other bytes")
	}
}

func TestGetters(t *testing.T) {
	m, _ := sample()
	for _, tc := range []struct {
		key  string
		get  func(string) (any, error)
		want string // the value, or part of the error
	}{
		{"general.architecture", wrap(m.String), "deepseek2"},
		{"u8", wrap(m.String), `holds the uint8 201 where a string must stand`},
		{"absent", wrap(m.String), `key is missing: "absent"`},
		{"yes", wrap(m.Bool), "true"},
		{"u8", wrap(m.Uint), "201"},
		{"u64", wrap(m.Uint), "18446744073709551615"},
		{"i8", wrap(m.Uint), "not negative"},
		{"u64", wrap(m.Int), "a whole number must stand"},
		{"i64", wrap(m.Int), "-9223372036854775808"},
		{"i16", wrap(m.Int), "-30000"},
		{"f32", wrap(m.Int), "whole number"},
		{"f64", wrap(m.Float), "1e-300"},
		{"i16", wrap(m.Float), "-30000"},
		{"yes", wrap(m.Float), "a number must stand"},
		{"u8s", wrap(m.Ints), "[1 2]"},
		{"i32s", wrap(m.Ints), "[-1 2]"},
		{"u64s", wrap(m.Ints), "more than a signed integer"},
		{"tokens", wrap(m.Ints), "holds an array ([]string)"},
		{"f32s", wrap(m.Floats), "[0.5 2]"},
		{"f64s", wrap(m.Floats), "[0.5 2]"},
		{"none", wrap(m.Strings), "[]"},
	} {
		v, err := tc.get(tc.key)
		got := fmt.Sprint(v)
		if err != nil {
			got = err.Error()
			if tc.key == "absent" && !errors.Is(err, ErrNoKey) {
				t.Error("a missing key is not ErrNoKey")
			}
		}
		if !strings.Contains(got, tc.want) {
			t.Errorf("%s: %q, want %q", tc.key, got, tc.want)
		}
	}
}

func wrap[T any](get func(string) (T, error)) func(string) (any, error) {
	return func(key string) (any, error) { return get(key) }
}

func TestWriteFailsCleanly(t *testing.T) {
	emit := func(n int, err error) func(io.Writer) error {
		return func(w io.Writer) error {
			if _, werr := w.Write(make([]byte, n)); werr != nil {
				return werr
			}
			return err
		}
	}
	with := func(key string, v any) *Metadata {
		m := &Metadata{}
		m.Set(key, v)
		return m
	}
	nan := []float32{32: float32(math.NaN()), 63: 0}
	for _, tc := range []struct {
		name    string
		m       *Metadata
		sources []Source
		want    string
	}{
		{"source fails", nil, []Source{{"a", quant.F32, []int{1}, emit(4, errors.New("cancelled"))}}, "cancelled"},
		{"too few bytes", nil, []Source{{"a", quant.F32, []int{1}, emit(3, nil)}}, "gave 3 bytes"},
		{"too many bytes", nil, []Source{{"a", quant.F32, []int{1}, emit(5, nil)}}, "gave 5 bytes"},
		{"name twice", nil, []Source{{"a", quant.F32, []int{1}, emit(4, nil)}, {"a", quant.F32, []int{1}, emit(4, nil)}}, "twice"},
		{"long name", nil, []Source{{strings.Repeat("a", 64), quant.F32, []int{1}, emit(4, nil)}}, "63 bytes"},
		{"no shape", nil, []Source{{"a", quant.F32, nil, emit(4, nil)}}, "1 to 4 dimensions"},
		{"five dimensions", nil, []Source{{"a", quant.F32, []int{1, 1, 1, 1, 1}, emit(4, nil)}}, "1 to 4 dimensions"},
		{"zero dimension", nil, []Source{{"a", quant.F32, []int{0}, emit(0, nil)}}, "impossible"},
		{"overflow", nil, []Source{{"a", quant.F32, []int{math.MaxInt / 4, 32}, emit(0, nil)}}, "impossible"},
		{"row of no whole blocks", nil, []Source{{"a", quant.Q8_0, []int{32, 33}, emit(0, nil)}}, "blocks of Q8_0"},
		{"withdrawn type", nil, []Source{{"a", 4, []int{32}, emit(0, nil)}}, "withdrawn"},
		{"NaN in Q8_0", nil, []Source{Floats("a", quant.Q8_0, []int{64}, nan)}, "element 32 is NaN"},
		{"no encoder", nil, []Source{Floats("a", quant.IQ1_S, []int{256}, make([]float32, 256))}, "IQ1_S cannot be encoded"},
		{"F64", nil, []Source{Floats("a", quant.F64, []int{2048}, make([]float32, 2048))}, "F64 cannot be encoded"},
		{"plain int", with("k", 1), nil, "a int cannot be stored"},
		{"scalar in a nested array", with("k", []any{uint8(1)}), nil, "nested array"},
		{"empty key", with("", true), nil, "cannot be used"},
		{"other alignment", with("general.alignment", uint32(64)), nil, "must be the uint32 32"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir, m := t.TempDir(), tc.m
			if m == nil {
				m = &Metadata{}
			}
			err := Write(filepath.Join(dir, "x"), m, tc.sources)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
			if left, _ := os.ReadDir(dir); len(left) != 0 {
				t.Errorf("left %v", left)
			}
		})
	}
}
