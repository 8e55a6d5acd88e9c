// This file holds Write and the Source of a tensor's bytes, then a ready-made
// source for slices of float32.

package gguf

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"unicode/utf8"

	"github.com/haenyeo/haenyeo/internal/atomicfile"
	"github.com/haenyeo/haenyeo/quant"
)

// maxWrittenName is the longest tensor name that ggml reads.
const maxWrittenName = 63

// Source is a tensor to be written. Its size follows from Type and Shape
// (row-major, slowest index first); Emit is called once, when the tensor's
// turn comes, and must write exactly that many bytes. An error from Emit (a
// cancelled context, say) stops the whole file.
type Source struct {
	Name  string
	Type  quant.Type
	Shape []int
	Emit  func(w io.Writer) error
}

// Floats is a Source that packs values in small pieces while writing, as any
// type that quant.Encode knows. It keeps values, which must not change until Write
// returns.
func Floats(name string, t quant.Type, shape []int, values []float32) Source {
	return Source{name, t, shape, func(w io.Writer) error { return emitFloats(w, t, values) }}
}

// Write makes a file of version 3 at path, whole or not at all: metadata and
// tensors in the order given, tensors aligned to 32 bytes. Equal input gives
// equal bytes.
func Write(path string, m *Metadata, tensors []Source) error {
	header, sizes, err := makeHeader(m, tensors)
	if err != nil {
		return fmt.Errorf("gguf: writing %q: %w", path, err)
	}
	f, err := atomicfile.Create(path)
	if err != nil {
		return fmt.Errorf("gguf: %w", err)
	}
	defer f.Abort()
	if _, err := f.Write(header); err != nil {
		return fmt.Errorf("gguf: %w", err)
	}
	for i, t := range tensors {
		before := f.Size()
		if err := t.Emit(f); err != nil {
			return fmt.Errorf("gguf: writing %q: tensor %q: %w", path, t.Name, err)
		}
		if got := f.Size() - before; got != int64(sizes[i]) {
			return fmt.Errorf("gguf: writing %q: tensor %q: source gave %d bytes, but shape %v of %v takes %d", path, t.Name, got, t.Shape, t.Type, sizes[i])
		}
		// The last tensor is padded as well: some readers want it.
		if _, err := f.Write(zeros[:padded(sizes[i])-sizes[i]]); err != nil {
			return fmt.Errorf("gguf: %w", err)
		}
	}
	if err := f.Commit(); err != nil {
		return fmt.Errorf("gguf: %w", err)
	}
	return nil
}

var zeros [defaultAlignment]byte

func padded(n int) int { return (n + defaultAlignment - 1) &^ (defaultAlignment - 1) }

// makeHeader returns everything before the tensor data, padding included, and
// the size of each tensor.
func makeHeader(m *Metadata, tensors []Source) ([]byte, []int, error) {
	le := binary.LittleEndian
	b := le.AppendUint32(nil, magic)
	b = le.AppendUint32(b, version)
	b = le.AppendUint64(b, uint64(len(tensors)))
	b = le.AppendUint64(b, uint64(len(m.Keys())))
	for _, key := range m.Keys() {
		v, _ := m.Get(key)
		if key == "" || len(key) > maxName || !utf8.ValidString(key) {
			return nil, nil, fmt.Errorf("key %.100q cannot be used", key)
		}
		if key == alignmentKey && v != uint32(defaultAlignment) {
			return nil, nil, fmt.Errorf("%s must be the uint32 %d", alignmentKey, defaultAlignment)
		}
		t, ok := typeOf(v)
		if !ok {
			return nil, nil, fmt.Errorf("key %q: a %T cannot be stored", key, v)
		}
		b = appendString(b, key)
		b = le.AppendUint32(b, uint32(t))
		var err error
		if b, err = appendValue(b, v); err != nil {
			return nil, nil, fmt.Errorf("key %q: %w", key, err)
		}
	}
	seen := make(map[string]bool, len(tensors))
	sizes := make([]int, len(tensors))
	at := 0
	for i, t := range tensors {
		size, err := tensorBytes(t)
		switch {
		case err != nil:
			return nil, nil, fmt.Errorf("tensor %q: %w", t.Name, err)
		case t.Name == "" || len(t.Name) > maxWrittenName || !utf8.ValidString(t.Name):
			return nil, nil, fmt.Errorf("tensor %q: the name must be UTF-8 and have 1 to %d bytes", t.Name, maxWrittenName)
		case seen[t.Name]:
			return nil, nil, fmt.Errorf("tensor %q is given twice", t.Name)
		case padded(size) > math.MaxInt-at:
			return nil, nil, fmt.Errorf("tensor %q: the file would have more bytes than can be addressed", t.Name)
		}
		seen[t.Name] = true
		sizes[i] = size
		b = appendString(b, t.Name)
		b = le.AppendUint32(b, uint32(len(t.Shape)))
		for j := len(t.Shape) - 1; j >= 0; j-- {
			b = le.AppendUint64(b, uint64(t.Shape[j]))
		}
		b = le.AppendUint32(b, uint32(t.Type))
		b = le.AppendUint64(b, uint64(at))
		at += padded(size)
	}
	return append(b, zeros[:padded(len(b))-len(b)]...), sizes, nil
}

func tensorBytes(t Source) (int, error) {
	if err := t.Type.Check(); err != nil {
		return 0, err
	}
	if len(t.Shape) == 0 || len(t.Shape) > maxDims {
		return 0, fmt.Errorf("shape %v must have 1 to %d dimensions", t.Shape, maxDims)
	}
	n := 1
	for _, d := range t.Shape {
		if d <= 0 || n > math.MaxInt/16/d {
			return 0, fmt.Errorf("shape %v is impossible", t.Shape)
		}
		n *= d
	}
	if row := t.Shape[len(t.Shape)-1]; row%t.Type.Block() != 0 {
		return 0, fmt.Errorf("a row of %d numbers is no whole number of blocks of %v, which has %d a block: use another type for it", row, t.Type, t.Type.Block())
	}
	return t.Type.Bytes(n), nil
}

func appendString(b []byte, s string) []byte {
	b = binary.LittleEndian.AppendUint64(b, uint64(len(s)))
	return append(b, s...)
}

// emitFloats packs values and writes them. A piece is whole blocks.
func emitFloats(w io.Writer, t quant.Type, values []float32) error {
	const piece = 2048
	buf := make([]byte, 8*piece) // no number of any type has more than 8 bytes
	for start := 0; start < len(values); start += piece {
		src := values[start:min(start+piece, len(values))]
		dst := buf[:t.Bytes(len(src))]
		if err := quant.Encode(dst, src, t); err != nil {
			return fmt.Errorf("values from %d: %w", start, err)
		}
		if _, err := w.Write(dst); err != nil {
			return err
		}
	}
	return nil
}
