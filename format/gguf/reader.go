// This file holds File, an open GGUF file, and its Tensors. OpenModel, for split models, is in split.go.

package gguf

import (
	"errors"
	"fmt"

	"github.com/haenyeo/haenyeo/internal/mmap"
	"github.com/haenyeo/haenyeo/quant"
)

// File is an open file. It is read-only and safe for concurrent use. Close it
// when no Tensor of it is in use any more.
type File struct {
	Version  uint32 // 2 or 3
	Metadata Metadata

	tensors []Tensor
	byName  map[string]int
	files   []mapped
	merged  bool // all files of a split model
}

// mapped is a file with its path.
type mapped struct {
	path string
	*mmap.Map
}

// Tensor is one named array of a file. Shape is row-major, slowest index first
// (the file's dimensions reversed). Rows of Shape[last] numbers are packed as
// Type says. Data is a view of the mapped file, read-only, valid until Close.
type Tensor struct {
	Name  string
	Type  quant.Type
	Shape []int
	Data  []byte
}

// Open maps the file at path and checks header, metadata and tensor table
// completely. It does not ask whether they describe a model: see CheckModel.
func Open(path string) (*File, error) {
	m, err := mmap.Open(path)
	if err != nil {
		return nil, fmt.Errorf("gguf: %w", err)
	}
	f, err := parse(m.Bytes())
	if err != nil {
		m.Close()
		return nil, fmt.Errorf("gguf: %q: %w", path, err)
	}
	f.files = []mapped{{path, m}}
	return f, nil
}

// Tensors returns the tensors in the order of the file's table. The slice is
// the File's own: do not change it.
func (f *File) Tensors() []Tensor { return f.tensors }

// Tensor returns the tensor called name.
func (f *File) Tensor(name string) (Tensor, bool) {
	i, ok := f.byName[name]
	if !ok {
		return Tensor{}, false
	}
	return f.tensors[i], true
}

// Bytes returns the size of all files together.
func (f *File) Bytes() int64 {
	n := int64(0)
	for _, m := range f.files {
		n += int64(len(m.Bytes()))
	}
	return n
}

// Locate returns which byte of which file stands at the address addr; ok is false if none does.
func (f *File) Locate(addr uintptr) (path string, offset int64, ok bool) {
	for _, m := range f.files {
		if offset, ok := m.Offset(addr); ok {
			return m.path, offset, true
		}
	}
	return "", 0, false
}

// Close unmaps the file. No Data of any Tensor may be used afterwards.
func (f *File) Close() error {
	var errs []error
	for _, m := range f.files {
		errs = append(errs, m.Close())
	}
	f.tensors, f.byName, f.files = nil, nil, nil
	return errors.Join(errs...)
}

// Len returns the number of elements.
func (t Tensor) Len() int { return len(t.Data) / t.Type.BlockBytes() * t.Type.Block() }

// Float32 decodes the tensor, growing dst if its capacity is too small, and
// returns the slice of Len numbers.
func (t Tensor) Float32(dst []float32) ([]float32, error) {
	n := t.Len()
	if cap(dst) < n {
		dst = make([]float32, n)
	}
	dst = dst[:n]
	if err := quant.Decode(dst, t.Data, t.Type); err != nil {
		return nil, fmt.Errorf("gguf: tensor %q: %w", t.Name, err)
	}
	return dst, nil
}
