// This file holds Write and the Source of a tensor's bytes, then ready-made
// sources for slices.

package safetensors

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/haenyeo/haenyeo/internal/atomicfile"
	"github.com/haenyeo/haenyeo/quant"
)

// Source is a tensor to be written. Its size follows from DType and Shape;
// Emit is called once, when the tensor's turn comes, and must write exactly
// that many bytes, little-endian. An error from Emit (a cancelled context,
// say) stops the whole file.
type Source struct {
	Name  string
	DType DType
	Shape []int
	Emit  func(w io.Writer) error
}

// Floats is a Source that converts values to F32, BF16, F16 or F64 in small
// pieces while writing. It keeps values, which must not change until Write
// returns.
func Floats(name string, dtype DType, shape []int, values []float32) Source {
	return Source{name, dtype, shape, func(w io.Writer) error { return emitFloats(w, dtype, values) }}
}

// Raw is a Source of ready bytes, little-endian.
func Raw(name string, dtype DType, shape []int, data []byte) Source {
	return Source{name, dtype, shape, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	}}
}

// Write makes the file at path of the given tensors and metadata, whole or not
// at all. Equal input gives equal bytes whatever the order of tensors: like
// the format's own library it places wider types first, so that every tensor
// is aligned, and sorts by name among equals. Loaders of PyTorch models want
// metadata {"format": "pt"}.
func Write(path string, tensors []Source, metadata map[string]string) error {
	order := slices.Clone(tensors)
	slices.SortFunc(order, func(a, b Source) int {
		if a.DType.Size() != b.DType.Size() {
			return b.DType.Size() - a.DType.Size()
		}
		if a.DType != b.DType {
			return int(a.DType) - int(b.DType)
		}
		return strings.Compare(a.Name, b.Name)
	})
	header, sizes, err := makeHeader(order, metadata)
	if err != nil {
		return fmt.Errorf("safetensors: writing %q: %w", path, err)
	}
	f, err := atomicfile.Create(path)
	if err != nil {
		return fmt.Errorf("safetensors: %w", err)
	}
	defer f.Abort()
	if _, err := f.Write(header); err != nil {
		return fmt.Errorf("safetensors: %w", err)
	}
	for i, t := range order {
		before := f.Size()
		if err := t.Emit(f); err != nil {
			return fmt.Errorf("safetensors: writing %q: tensor %q: %w", path, t.Name, err)
		}
		if got := f.Size() - before; got != int64(sizes[i]) {
			return fmt.Errorf("safetensors: writing %q: tensor %q: source gave %d bytes, but shape %v of %v takes %d", path, t.Name, got, t.Shape, t.DType, sizes[i])
		}
	}
	if err := f.Commit(); err != nil {
		return fmt.Errorf("safetensors: %w", err)
	}
	return nil
}

// makeHeader returns length and header, padded to 8 bytes, and the size of
// each tensor.
func makeHeader(tensors []Source, metadata map[string]string) ([]byte, []int, error) {
	b := append(make([]byte, 8), '{')
	if len(metadata) > 0 {
		b = append(b, `"__metadata__":{`...)
		for i, k := range slices.Sorted(maps.Keys(metadata)) {
			if i > 0 {
				b = append(b, ',')
			}
			if !utf8.ValidString(k) || !utf8.ValidString(metadata[k]) {
				return nil, nil, fmt.Errorf("metadata key or value %q is not UTF-8", k)
			}
			b = append(appendString(b, k), ':')
			b = appendString(b, metadata[k])
		}
		b = append(b, `},`...)
	}
	seen := make(map[string]bool, len(tensors))
	sizes := make([]int, len(tensors))
	at := 0
	for i, t := range tensors {
		size, ok := byteSize(t.DType, t.Shape)
		switch {
		case t.Name == metadataKey || t.Name == "" || len(t.Name) > maxName || !utf8.ValidString(t.Name):
			return nil, nil, fmt.Errorf("tensor %q: the name cannot be used", t.Name)
		case seen[t.Name]:
			return nil, nil, fmt.Errorf("tensor %q is given twice", t.Name)
		case !ok || size > math.MaxInt-at:
			return nil, nil, fmt.Errorf("tensor %q: shape %v of %v is impossible", t.Name, t.Shape, t.DType)
		}
		seen[t.Name] = true
		sizes[i] = size
		b = append(appendString(b, t.Name), `:{"dtype":"`...)
		b = append(append(b, t.DType.String()...), `","shape":[`...)
		for j, dim := range t.Shape {
			if j > 0 {
				b = append(b, ',')
			}
			b = fmt.Append(b, dim)
		}
		b = fmt.Appendf(b, `],"data_offsets":[%d,%d]},`, at, at+size)
		at += size
	}
	if b[len(b)-1] == ',' {
		b = b[:len(b)-1]
	}
	b = append(b, '}')
	for len(b)%8 != 0 {
		b = append(b, ' ')
	}
	if len(b)-8 > maxHeader {
		return nil, nil, fmt.Errorf("the header of %d tensors has %d bytes, over the format's limit of %d", len(tensors), len(b)-8, maxHeader)
	}
	binary.LittleEndian.PutUint64(b, uint64(len(b)-8))
	return b, sizes, nil
}

func appendString(b []byte, s string) []byte {
	q, err := json.Marshal(s)
	if err != nil {
		panic("safetensors: a string does not marshal: " + err.Error())
	}
	return append(b, q...)
}

// emitFloats writes values as F32, BF16, F16 or F64.
func emitFloats(w io.Writer, dtype DType, values []float32) error {
	var buf [8 << 10]byte
	size := dtype.Size()
	for len(values) > 0 {
		n := min(len(values), len(buf)/8)
		switch dtype {
		case F32:
			for i, x := range values[:n] {
				binary.LittleEndian.PutUint32(buf[4*i:], math.Float32bits(x))
			}
		case BF16:
			for i, x := range values[:n] {
				binary.LittleEndian.PutUint16(buf[2*i:], quant.ToBF16(x))
			}
		case F16:
			for i, x := range values[:n] {
				binary.LittleEndian.PutUint16(buf[2*i:], quant.ToF16(x))
			}
		case F64:
			for i, x := range values[:n] {
				binary.LittleEndian.PutUint64(buf[8*i:], math.Float64bits(float64(x)))
			}
		default:
			return fmt.Errorf("floats cannot be written as %v", dtype)
		}
		if _, err := w.Write(buf[:n*size]); err != nil {
			return err
		}
		values = values[n:]
	}
	return nil
}
