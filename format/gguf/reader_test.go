package gguf

import (
	"encoding/binary"
	"encoding/json"
	"maps"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// TestMalformed reads files with one fault each; see testdata/README.md.
// Faults of the container are Open's to find, those named meta-* CheckModel's.
func TestMalformed(t *testing.T) {
	dir := filepath.Join("testdata", "malformed")
	text, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	var index map[string]struct{ Fault, Must string }
	if err := json.Unmarshal(text, &index); err != nil {
		t.Fatal(err)
	}
	index["valid.gguf"] = struct{ Fault, Must string }{"none", "accept"}
	for _, name := range slices.Sorted(maps.Keys(index)) {
		t.Run(name, func(t *testing.T) {
			tc := index[name]
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			f, err := Open(filepath.Join(dir, name))
			if err == nil {
				defer f.Close()
				if strings.HasPrefix(name, "meta-") || tc.Must != "reject" {
					err = f.CheckModel()
				}
			}
			runtime.ReadMemStats(&after)
			t.Log(tc.Fault, "->", err)
			switch verdict, _, _ := strings.Cut(tc.Must, ":"); {
			case verdict == "accept" && err != nil:
				t.Error("must be accepted")
			case verdict == "reject" && err == nil:
				t.Error("must be rejected")
			case err != nil && (!strings.HasPrefix(err.Error(), "gguf: ") || len(err.Error()) > 400):
				t.Error("the error does not name the package, or is very long")
			}
			if got := after.TotalAlloc - before.TotalAlloc; got > 1<<20 {
				t.Errorf("allocated %d bytes for a file of a few thousand", got)
			}
		})
	}
}

// header makes a file of version 3 from counts and what follows them.
func header(tensors, keys uint64, parts ...any) []byte {
	b, err := binary.Append(nil, binary.LittleEndian, []uint32{magic, version})
	if err != nil {
		panic(err)
	}
	for _, p := range append([]any{tensors, keys}, parts...) {
		if s, ok := p.(string); ok {
			b = appendString(b, s)
		} else if b, err = binary.Append(b, binary.LittleEndian, p); err != nil {
			panic(err)
		}
	}
	return b
}

// TestFaults has the faults for which a few bytes suffice.
func TestFaults(t *testing.T) {
	u32, u64 := func(v uint32) uint32 { return v }, func(v uint64) uint64 { return v }
	tensor := func(typ uint32, offset uint64, dims ...uint64) []byte {
		return append(header(1, 0, "t", uint32(len(dims)), dims, typ, offset), make([]byte, 256)...)
	}
	for _, tc := range []struct {
		name string
		file []byte
		want string
	}{
		{"nothing in it", header(0, 0), ""},
		{"scalar tensor", tensor(0, 0), ""},
		{"empty key", header(0, 1, "", u32(0), u64(0)), "key is empty"},
		{"key twice", header(0, 2, "k", u32(0), uint8(1), "k", u32(0), uint8(1), u64(0)), "twice"},
		{"fork's type", tensor(139, 0, 32), "fork"},
		{"newer type", tensor(96, 0, 32), "newer"},
		{"alignment not a power of two", header(0, 1, "general.alignment", u32(4), u32(48), u64(0)), "power of two"},
		{"alignment as u64", header(0, 1, "general.alignment", u32(10), u64(64)), ""},
		{"scalar of a block type", tensor(8, 0), "whole number of blocks"},
		{"product of all dimensions wraps", tensor(0, 0, 1<<20, 1<<20, 1<<20, 1<<4), "impossible"},
		{"size far past the end", tensor(0, 0, 1<<20, 1<<20, 1<<15), "go past"},
		{"offset wraps", tensor(0, math.MaxUint64-31, 64), "go past"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := parse(tc.file)
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

// A header that is as long as the whole file is bounded by maxHeader.
func TestHeaderLimit(t *testing.T) {
	if testing.Short() {
		t.Skip("needs 128 MB")
	}
	file := header(0, 1, "k", uint32(typeArray), uint32(typeUint8), uint64(maxHeader))
	_, err := parse(append(file, make([]byte, maxHeader+64)...))
	if err == nil || !strings.Contains(err.Error(), "array of 134217728 elements") {
		t.Error(err)
	}
	file = header(0, 1, "k", uint32(typeString), uint64(maxHeader))
	_, err = parse(append(file, make([]byte, maxHeader+64)...))
	if err == nil || !strings.Contains(err.Error(), "over the limit") {
		t.Error(err)
	}
}

// TestGolden opens and decodes every model of the golden set.
func TestGolden(t *testing.T) {
	root := os.Getenv("HAENYEO_GOLDEN")
	if root == "" {
		t.Skip("set HAENYEO_GOLDEN to the golden folder to open its GGUF models")
	}
	paths, _ := filepath.Glob(filepath.Join(root, "gguf", "models", "*.gguf"))
	if len(paths) == 0 {
		t.Fatalf("no models under %q", root)
	}
	for _, p := range paths {
		f, err := Open(p)
		if err != nil {
			t.Error(err)
			continue
		}
		if err := f.CheckModel(); err != nil {
			t.Errorf("%s: %v", p, err)
		}
		for _, x := range f.Tensors() {
			n := 1
			for _, d := range x.Shape {
				n *= d
			}
			if n != x.Len() {
				t.Errorf("%s: tensor %q of shape %v has %d numbers", p, x.Name, x.Shape, x.Len())
			}
			if _, err := x.Float32(nil); err != nil && !strings.Contains(err.Error(), "IQ") && !strings.Contains(err.Error(), "I32") {
				t.Error(err)
			}
		}
		f.Close()
	}
	t.Logf("opened %d models", len(paths))
}

// FuzzParse checks that whatever is accepted is consistent.
func FuzzParse(f *testing.F) {
	paths, err := filepath.Glob(filepath.Join("testdata", "malformed", "*.gguf"))
	if err != nil || len(paths) == 0 {
		f.Fatal("no seeds", err)
	}
	for _, p := range paths {
		b, err := os.ReadFile(p)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		g, err := parse(file)
		if err != nil {
			return
		}
		g.CheckModel() // must not panic
		total := 0
		for _, x := range g.Tensors() {
			n := 1
			for _, d := range x.Shape {
				n *= d
			}
			if n != x.Len() || x.Type.Bytes(n) != len(x.Data) {
				t.Fatalf("tensor %q: shape %v of %v with %d bytes", x.Name, x.Shape, x.Type, len(x.Data))
			}
			total += len(x.Data)
		}
		if total > len(file) {
			t.Fatalf("tensors have %d bytes, the file %d", total, len(file))
		}
	})
}
