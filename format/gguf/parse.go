// This file holds the parser: header, metadata, tensor table, and the checks
// that hold a table against the file's size. It trusts nothing it reads, and
// no number in the file sizes an allocation before the bytes that it promises
// are known to be there.
//
// Source: the format's description in the ggml repository, docs/gguf.md.

package gguf

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"unicode/utf8"

	"github.com/haenyeo/haenyeo/internal/regular"
	"github.com/haenyeo/haenyeo/quant"
)

// Limits far above every published file, which bound the memory that a hostile
// one can ask for. The largest real headers have 20 MB, the largest models
// 100,000 tensors.
const (
	maxHeader  = 128 << 20 // bytes before the tensor data
	maxKeys    = 1 << 20
	maxTensors = 1 << 20
	maxName    = 1<<16 - 1
	maxDims    = 4
	maxNesting = 4
)

const (
	magic            = 0x46554747 // "GGUF"
	version          = 3
	alignmentKey     = "general.alignment"
	defaultAlignment = 32
)

// parse reads a whole file. The tensors are views of it.
func parse(file []byte) (*File, error) {
	c := &cursor{b: file[:min(len(file), maxHeader)], more: len(file) > maxHeader}
	f := &File{}
	tensors, keys, err := c.preamble(f)
	if err != nil {
		return nil, err
	}
	for i := range keys {
		if err := c.keyValue(&f.Metadata); err != nil {
			return nil, fmt.Errorf("key %d of %d, byte %d: %w", i+1, keys, c.pos, err)
		}
	}
	alignment, err := readAlignment(&f.Metadata)
	if err != nil {
		return nil, err
	}
	table := make([]entry, 0, min(tensors, 1024))
	seen := map[string]struct{}{}
	for i := range tensors {
		e, err := c.tensor(alignment)
		if err == nil {
			if _, dup := seen[e.Name]; dup {
				err = fmt.Errorf("tensor %.100q stands there twice", e.Name)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("tensor %d of %d, byte %d: %w", i+1, tensors, c.pos, err)
		}
		seen[e.Name] = struct{}{}
		table = append(table, e)
	}
	start := (uint64(c.pos) + alignment - 1) &^ (alignment - 1)
	data := file[min(start, uint64(len(file))):]
	if err := place(table, data); err != nil {
		return nil, err
	}
	f.tensors = make([]Tensor, len(table))
	f.byName = make(map[string]int, len(table))
	for i, e := range table {
		f.tensors[i] = e.Tensor
		f.byName[e.Name] = i
	}
	return f, nil
}

// entry is a tensor with the place that the table claims for it, in bytes from
// the start of the tensor data.
type entry struct {
	Tensor
	offset, size uint64
}

// preamble reads what stands before the metadata.
func (c *cursor) preamble(f *File) (tensors, keys uint64, err error) {
	if len(c.b) < 4 || binary.LittleEndian.Uint32(c.b) != magic {
		if instead := regular.Instead(c.b); instead != "" {
			return 0, 0, errors.New(instead)
		}
		return 0, 0, fmt.Errorf("the file begins with %.40q, not with \"GGUF\": it is no GGUF file", c.b[:min(len(c.b), 16)])
	}
	c.pos = 4
	f.Version, err = c.u32()
	switch {
	case err != nil:
		return 0, 0, fmt.Errorf("byte %d: %w", c.pos, err)
	case f.Version&0xffff == 0 && f.Version != 0:
		return 0, 0, fmt.Errorf("this is a big-endian file (version reads %#x), which is not supported: convert it again for little-endian machines", f.Version)
	case f.Version == 1:
		return 0, 0, errors.New("version 1 of the format is not supported: convert the file again with current tools")
	case f.Version != 2 && f.Version != 3:
		return 0, 0, fmt.Errorf("version %d of the format is not known here, only 2 and 3", f.Version)
	}
	if tensors, err = c.u64(); err == nil {
		keys, err = c.u64()
	}
	switch left := uint64(len(c.b) - c.pos); {
	case err != nil:
		return 0, 0, fmt.Errorf("byte %d: %w", c.pos, err)
	case tensors > min(maxTensors, left/25): // name, dimension count, type, offset
		return 0, 0, fmt.Errorf("tensor count %d is more than %d bytes can hold, or over the limit of %d: the file is truncated or damaged", tensors, left, maxTensors)
	case keys > min(maxKeys, left/13): // key, type, value
		return 0, 0, fmt.Errorf("key count %d is more than %d bytes can hold, or over the limit of %d: the file is truncated or damaged", keys, left, maxKeys)
	}
	return tensors, keys, nil
}

func (c *cursor) keyValue(m *Metadata) error {
	key, err := c.name("key")
	if err != nil {
		return err
	}
	if _, dup := m.values[key]; dup {
		return fmt.Errorf("key %.100q stands there twice", key)
	}
	t, err := c.valueType()
	if err != nil {
		return fmt.Errorf("key %.100q: %w", key, err)
	}
	v, err := c.value(t, 0)
	if err != nil {
		return fmt.Errorf("key %.100q: %w", key, err)
	}
	m.Set(key, v)
	return nil
}

// readAlignment returns a power of two.
func readAlignment(m *Metadata) (uint64, error) {
	a, err := m.Uint(alignmentKey)
	switch {
	case errors.Is(err, ErrNoKey):
		return defaultAlignment, nil
	case err != nil:
		return 0, fmt.Errorf("%s is no whole number", alignmentKey)
	case bits.OnesCount64(a) != 1 || a > 1<<30:
		return 0, fmt.Errorf("%s is %d, not a power of two up to 2^30", alignmentKey, a)
	}
	return a, nil
}

// tensor reads an entry of the tensor table and checks it by itself.
func (c *cursor) tensor(alignment uint64) (e entry, err error) {
	if e.Name, err = c.name("tensor name"); err != nil {
		return e, err
	}
	fail := func(format string, args ...any) (entry, error) {
		return e, fmt.Errorf("tensor %.100q: %w", e.Name, fmt.Errorf(format, args...))
	}
	dims, err := c.u32()
	if err != nil {
		return fail("%w", err)
	}
	if dims > maxDims {
		return fail("it has %d dimensions, more than %d", dims, maxDims)
	}
	var ne [maxDims]uint64
	n, row := uint64(1), uint64(1)
	for i := range dims {
		if ne[i], err = c.u64(); err != nil {
			return fail("%w", err)
		}
		hi, lo := bits.Mul64(n, ne[i])
		if ne[i] == 0 || ne[i] > math.MaxInt64 || hi != 0 || lo > 1<<56 {
			return fail("dimensions %d are impossible", ne[:i+1])
		}
		n = lo
	}
	if dims > 0 {
		row = ne[0]
	}
	t, err := c.u32()
	if err != nil {
		return fail("%w", err)
	}
	e.Type = quant.Type(t)
	if err := e.Type.Check(); err != nil {
		return fail("%w", err)
	}
	if e.offset, err = c.u64(); err != nil {
		return fail("%w", err)
	}
	if block := uint64(e.Type.Block()); row%block != 0 {
		return fail("a row of %d numbers is no whole number of blocks of %v, which has %d a block", row, e.Type, block)
	}
	if e.offset%alignment != 0 {
		return fail("offset %d is no multiple of the alignment %d", e.offset, alignment)
	}
	e.size = n / uint64(e.Type.Block()) * uint64(e.Type.BlockBytes()) // n <= 2^56, a number has at most 8 bytes
	e.Shape = make([]int, dims)
	for i := range e.Shape {
		// On a 32-bit processor a larger number would not pass place.
		e.Shape[i] = int(min(ne[int(dims)-1-i], math.MaxInt))
	}
	return e, nil
}

// place cuts the tensors out of the data after checking that they are inside
// and do not overlap. Bytes that belong to no tensor are allowed.
func place(table []entry, data []byte) error {
	for i, e := range table {
		if left := uint64(len(data)); e.offset > left || e.size > left-e.offset {
			return fmt.Errorf("tensor %.100q: its %d bytes at offset %d go past the %d bytes of tensor data: the file is truncated, fetch it again", e.Name, e.size, e.offset, left)
		}
		table[i].Data = data[e.offset : e.offset+e.size : e.offset+e.size]
	}
	byOffset := make([]int, len(table))
	for i := range byOffset {
		byOffset[i] = i
	}
	slices.SortFunc(byOffset, func(a, b int) int {
		return cmp.Compare(table[a].offset, table[b].offset)
	})
	for i := 1; i < len(byOffset); i++ {
		a, b := &table[byOffset[i-1]], &table[byOffset[i]]
		if b.offset < a.offset+a.size {
			return fmt.Errorf("tensor %.100q at offset %d overlaps tensor %.100q (%d bytes at %d): the file is damaged", b.Name, b.offset, a.Name, a.size, a.offset)
		}
	}
	return nil
}

// cursor reads the header front to back. Its methods leave pos at the value
// that they could not read.
type cursor struct {
	b    []byte
	pos  int
	more bool // the file goes on after b, which ends at maxHeader
}

func (c *cursor) take(n uint64) ([]byte, error) {
	if left := uint64(len(c.b) - c.pos); n > left {
		if c.more {
			return nil, fmt.Errorf("%d bytes more take the header over the limit of %d", n, maxHeader)
		}
		return nil, fmt.Errorf("%d bytes must follow, the file has %d more: it is truncated or damaged", n, left)
	}
	b := c.b[c.pos : c.pos+int(n)]
	c.pos += int(n)
	return b, nil
}

func (c *cursor) u32() (uint32, error) {
	b, err := c.take(4)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint32(b), nil
}

func (c *cursor) u64() (uint64, error) {
	b, err := c.take(8)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint64(b), nil
}

// bytes reads a string's length and returns its bytes without a copy.
func (c *cursor) bytes() ([]byte, error) {
	start := c.pos
	n, err := c.u64()
	if err != nil {
		return nil, err
	}
	b, err := c.take(n)
	if err != nil {
		c.pos = start
		return nil, fmt.Errorf("string: %w", err)
	}
	return b, nil
}

// name reads a key or the name of a tensor.
func (c *cursor) name(what string) (string, error) {
	start := c.pos
	b, err := c.bytes()
	switch {
	case err != nil:
		return "", fmt.Errorf("%s: %w", what, err)
	case len(b) == 0:
		err = fmt.Errorf("a %s is empty", what)
	case len(b) > maxName:
		err = fmt.Errorf("a %s has %d bytes, over the limit of %d", what, len(b), maxName)
	case !utf8.Valid(b):
		err = fmt.Errorf("%s %.100q is not UTF-8", what, b)
	}
	if err != nil {
		c.pos = start
		return "", err
	}
	return string(b), nil
}
