package safetensors

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// pack makes a file of a JSON header and data.
func pack(header string, data []byte) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), data...)
}

func writeFile(t testing.TB, path string, data []byte) string {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestMalformed reads files with one fault each; see testdata/README.md.
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
	index["valid.safetensors"] = struct{ Fault, Must string }{"none", "accept"}
	for _, name := range slices.Sorted(maps.Keys(index)) {
		t.Run(name, func(t *testing.T) {
			tc := index[name]
			r, err := Open(filepath.Join(dir, name))
			if err == nil {
				defer r.Close()
			}
			t.Log(tc.Fault, "->", err)
			switch verdict, _, _ := strings.Cut(tc.Must, ":"); {
			case verdict == "accept" && err != nil:
				t.Error("must be accepted")
			case verdict == "reject" && err == nil:
				t.Error("must be rejected")
			case err != nil && (!strings.HasPrefix(err.Error(), "safetensors: ") || !strings.Contains(err.Error(), name)):
				t.Error("the error does not name package and file")
			}
		})
	}
}

// TestHeaderFaults has the faults for which a few words of JSON suffice.
func TestHeaderFaults(t *testing.T) {
	const ok = `"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}`
	for _, tc := range []struct{ name, header, want string }{
		{"minimal", `{` + ok + `}`, ""},
		{"white space", " \n{" + ok + "}", "'{' must stand"},
		{"inner white space", "{ " + ok + "\t}\r\n ", ""},
		{"escaped name", `{"\u0061\n":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, ""},
		{"escaped duplicate", `{` + ok + `,"\u0061":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}`, "twice"},
		{"broken escape", `{"\x":1}`, "broken escape"},
		{"escape at end", `{"\`, "does not end"},
		{"array", `[1]`, "'{' must stand"},
		{"leading zero", `{"a":{"dtype":"F32","shape":[01],"data_offsets":[0,4]}}`, "leading zeros"},
		{"empty number", `{"a":{"dtype":"F32","shape":[1,],"data_offsets":[0,4]}}`, "whole"},
		{"large number", `{"a":{"dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,4]}}`, "too large"},
		{"three offsets", `{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,4]}}`, "3 numbers"},
		{"unknown key", `{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1}}`, "unknown key"},
		{"shape twice", `{"a":{"dtype":"F32","shape":[1],"shape":[1],"data_offsets":[0,4]}}`, "twice"},
		{"zero hides overflow", `{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[4611686018427387904,4,0],"data_offsets":[4,4]}}`, ""},
		{"metadata twice", `{"__metadata__":{},"__metadata__":{}}`, "twice"},
		{"metadata key twice", `{"__metadata__":{"k":"v","k":"w"}}`, "twice"},
		{"no tensors, but data", `{}`, "4 bytes after"},
		{"control character", "{\"a\tb\":1}", "control character"},
		{"long name", `{"` + strings.Repeat("n", 5000) + `":1}`, "5000 bytes"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, _, err := parseHeader(pack(tc.header, make([]byte, 4)))
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

func TestConversions(t *testing.T) {
	raw := func(v any) []byte {
		b, err := binary.Append(nil, binary.LittleEndian, v)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for _, tc := range []struct {
		dtype  DType
		data   []byte
		floats []float32
		ints   []int64
	}{
		{F64, raw([]float64{1, -0.5, 1e300}), []float32{1, -0.5, float32(math.Inf(1))}, nil},
		{F32, raw([]float32{1, -0.5}), []float32{1, -0.5}, nil},
		{F16, []byte{0x00, 0x3c, 0x01, 0x80}, []float32{1, -0x1p-24}, nil},
		{BF16, []byte{0x80, 0x3f, 0x00, 0xc0}, []float32{1, -2}, nil},
		{F8_E4M3, []byte{0x38, 0xfe}, []float32{1, -448}, nil},
		{F8_E5M2, []byte{0x3c, 0xfb}, []float32{1, -57344}, nil},
		{F8_E8M0, []byte{127, 0}, []float32{1, 0x1p-127}, nil},
		{I64, raw([]int64{-7, math.MaxInt64}), nil, []int64{-7, math.MaxInt64}},
		{I32, raw([]int32{-7}), nil, []int64{-7}},
		{I16, raw([]int16{-7}), nil, []int64{-7}},
		{I8, raw([]int8{-7}), nil, []int64{-7}},
		{U64, raw([]uint64{7}), nil, []int64{7}},
		{U32, raw([]uint32{1 << 31}), nil, []int64{1 << 31}},
		{U16, raw([]uint16{65535}), nil, []int64{65535}},
		{U8, []byte{255}, nil, []int64{255}},
		{BOOL, []byte{0, 1}, nil, []int64{0, 1}},
	} {
		t.Run(tc.dtype.String(), func(t *testing.T) {
			if parseDType(tc.dtype.String()) != tc.dtype {
				t.Error("name does not lead back to the type")
			}
			x := Tensor{Name: "x", DType: tc.dtype, Data: tc.data}
			floats, err := x.Float32(nil)
			if (err == nil) != (tc.floats != nil) || !slices.Equal(floats, tc.floats) {
				t.Errorf("Float32 = %v, %v, want %v", floats, err, tc.floats)
			}
			ints, err := x.Int64s()
			if (err == nil) != (tc.ints != nil) || !slices.Equal(ints, tc.ints) {
				t.Errorf("Int64s = %v, %v, want %v", ints, err, tc.ints)
			}
		})
	}
	big := Tensor{Name: "x", DType: U64, Data: raw([]uint64{1 << 63})}
	if _, err := big.Int64s(); err == nil {
		t.Error("2^63 became a signed integer")
	}
	dst := make([]float32, 0, 8)
	got, _ := Tensor{DType: F32, Data: raw([]float32{3})}.Float32(dst)
	if len(got) != 1 || &got[0] != &dst[:1][0] {
		t.Error("Float32 did not use the given slice")
	}
}

func TestOpenDir(t *testing.T) {
	file := func(name string) []byte {
		return pack(fmt.Sprintf(`{"__metadata__":{"of":%q},%q:{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, name, name), []byte(name))
	}
	for _, tc := range []struct {
		name, index string
		shards      []string // file s.safetensors holds tensor s
		want        string
	}{
		{"two shards", `{"metadata":{"total_size":2},"weight_map":{"a":"a.safetensors","b":"b.safetensors"}}`, []string{"a", "b"}, ""},
		{"shard is absent", `{"weight_map":{"a":"a.safetensors","b":"b.safetensors"}}`, []string{"a"}, "b.safetensors"},
		{"tensor is elsewhere", `{"weight_map":{"a":"a.safetensors","c":"b.safetensors"}}`, []string{"a", "b"}, "does not hold it"},
		{"path leaves the directory", `{"weight_map":{"a":"../a.safetensors"}}`, nil, "plain file name"},
		{"no map", `{}`, nil, "weight_map"},
		{"no JSON", `{`, nil, IndexName},
		{"nothing", "", nil, "neither"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			if tc.index != "" {
				writeFile(t, filepath.Join(dir, IndexName), []byte(tc.index))
			}
			for _, s := range tc.shards {
				writeFile(t, filepath.Join(dir, s+".safetensors"), file(s))
			}
			r, err := OpenDir(dir)
			if tc.want != "" {
				if err == nil || !strings.Contains(err.Error(), tc.want) {
					t.Errorf("got %v, want %q", err, tc.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			if !slices.Equal(r.Names(), tc.shards) || r.Metadata()["of"] != "b" {
				t.Errorf("names %v, metadata %v", r.Names(), r.Metadata())
			}
			for _, s := range tc.shards {
				if x, ok := r.Tensor(s); !ok || string(x.Data) != s {
					t.Errorf("tensor %q is %q", s, x.Data)
				}
			}
		})
	}
	t.Run("tensor in two shards", func(t *testing.T) {
		dir := t.TempDir()
		writeFile(t, filepath.Join(dir, IndexName), []byte(`{"weight_map":{"a":"1","b":"2"}}`))
		writeFile(t, filepath.Join(dir, "1"), file("a"))
		writeFile(t, filepath.Join(dir, "2"), file("a"))
		if _, err := OpenDir(dir); err == nil || !strings.Contains(err.Error(), "another shard") {
			t.Error(err)
		}
	})
}

// FuzzParse checks that whatever is accepted is consistent.
func FuzzParse(f *testing.F) {
	paths, err := filepath.Glob(filepath.Join("testdata", "malformed", "*.safetensors"))
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
		tensors, _, err := parseHeader(file)
		if err != nil {
			return
		}
		total := 0
		for _, x := range tensors {
			n := 1
			for _, d := range x.Shape {
				n *= d
			}
			if n*x.DType.Size() != len(x.Data) || n != x.Len() {
				t.Fatalf("tensor %q: shape %v of %v with %d bytes", x.Name, x.Shape, x.DType, len(x.Data))
			}
			total += len(x.Data)
		}
		if total > len(file) {
			t.Fatalf("tensors have %d bytes, the file %d", total, len(file))
		}
	})
}
