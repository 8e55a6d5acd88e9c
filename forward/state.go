// This file holds the bytes of a Cache: Save and LoadCache, and the reader and writer that layers use. The format
// is little-endian: number of tokens, number of layers, forms of rows, then each layer's own.

package forward

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/haenyeo/haenyeo/kernel"
	"github.com/haenyeo/haenyeo/quant"
)

// Save writes what c holds.
func (c *Cache) Save(w io.Writer) error {
	s := &stateWriter{w: w, buf: make([]byte, 0, stateBuffer)}
	s.int(c.n)
	s.int(len(c.layers))
	s.int(c.net.rowKinds())
	c.saveLayers(s, 0)
	if s.err != nil {
		return fmt.Errorf("forward: saving a cache: %w", s.err)
	}
	return nil
}

// LoadCache reads what Save wrote into a new cache of at most max tokens. The bytes must come from a Net
// of the same model: nothing in them says so.
func (n *Net) LoadCache(r io.Reader, max int) (*Cache, error) {
	c, err := n.NewCache(max)
	if err != nil {
		return nil, err
	}
	s := &stateReader{r: r, buf: make([]byte, stateBuffer)}
	tokens, layers, kv := s.int(), s.int(), s.int()
	if s.err == nil && layers != len(c.layers) {
		return nil, fmt.Errorf("forward: the saved cache has %d layers, this model has %d", layers, len(c.layers))
	}
	if s.err == nil && kv != n.rowKinds() {
		const known = kvMask | publishedForms | unroundedForms | roundedSums
		switch {
		case kv&^known != 0 || checkKV(quant.Type(kv&kvMask)) != nil:
			return nil, errors.New("forward: the saved cache was written by another version of this program, or is damaged")
		case kv&^kvMask != n.rowKinds()&^kvMask:
			return nil, errors.New("forward: the saved cache was computed with another data type or other rounding: open the model with the same to go on")
		}
		kv &= kvMask
		return nil, fmt.Errorf("forward: the saved cache keeps keys and values as %v, this model was opened with %v: open it with %[1]v to go on", quant.Type(kv), n.opt.KV)
	}
	if s.err == nil && (tokens < 0 || tokens > max) {
		return nil, fmt.Errorf("forward: the saved cache holds %d tokens, but the context is %d", tokens, max)
	}
	if s.err == nil {
		err = c.reserve(tokens)
	}
	if err == nil && s.err == nil {
		err = c.loadLayers(s, 0, tokens)
	}
	if s.err != nil {
		if errors.Is(s.err, io.EOF) {
			s.err = io.ErrUnexpectedEOF
		}
		return nil, fmt.Errorf("forward: reading a saved cache: %w", s.err)
	}
	if err != nil {
		return nil, err
	}
	c.n = tokens
	return c, nil
}

// What Save tells of the forms of rows, beside the type of keys and values.
const (
	kvMask         = 1<<16 - 1
	publishedForms = 1 << 16 // of what the publisher's code rounds
	unroundedForms = 1 << 17 // of the same in Options.KV
	roundedSums    = 1 << 18 // of inputs of products in bfloat16
)

// rowKinds is the forms of rows as a number.
func (n *Net) rowKinds() int {
	kinds := int(n.opt.KV)
	switch t := n.cfg.ModelType; {
	case t != "deepseek_v32" && t != "deepseek_v4":
	case n.opt.Rounding == Publisher:
		kinds |= publishedForms
	default:
		kinds |= unroundedForms
	}
	if n.opt.DType == kernel.BF16 {
		kinds |= roundedSums
	}
	return kinds
}

func (c *Cache) saveLayers(s *stateWriter, lo int) {
	for _, l := range c.layers {
		l.save(s, lo, c.n)
	}
	s.flush()
}

func (c *Cache) loadLayers(s *stateReader, lo, n int) error {
	for i, l := range c.layers {
		if err := l.load(s, lo, n); err != nil {
			return fmt.Errorf("forward: the saved cache: layer %d: %w", i, err)
		}
		if s.err != nil {
			return nil // the reader tells
		}
	}
	return nil
}

const stateBuffer = 1 << 16

// stateWriter writes numbers and keeps the first error.
type stateWriter struct {
	w   io.Writer
	buf []byte
	err error

	part   bool  // of a cache, without what is only needed to go back
	shared *Part // receives rows, nil where they are written
}

func (s *stateWriter) flush() {
	if s.err == nil {
		_, s.err = s.w.Write(s.buf)
	}
	s.buf = s.buf[:0]
}

func (s *stateWriter) int(v int) {
	if len(s.buf)+8 > stateBuffer {
		s.flush()
	}
	s.buf = binary.LittleEndian.AppendUint64(s.buf, uint64(int64(v)))
}

func (s *stateWriter) floats(x []float32) {
	for _, v := range x {
		if len(s.buf)+4 > stateBuffer {
			s.flush()
		}
		s.buf = binary.LittleEndian.AppendUint32(s.buf, math.Float32bits(v))
	}
}

func (s *stateWriter) bytes(b []byte) {
	s.flush()
	if s.err == nil {
		_, s.err = s.w.Write(b)
	}
}

// stateReader reads what stateWriter wrote; after an error it gives zeros.
type stateReader struct {
	r   io.Reader
	buf []byte
	err error

	shared *Part // gives rows, nil where they are read
}

func (s *stateReader) take(n int) []byte {
	b := s.buf[:n]
	if s.err == nil {
		_, s.err = io.ReadFull(s.r, b)
	}
	if s.err != nil {
		clear(b)
	}
	return b
}

func (s *stateReader) int() int { return int(int64(binary.LittleEndian.Uint64(s.take(8)))) }

func (s *stateReader) bytes(b []byte) {
	if s.err == nil {
		_, s.err = io.ReadFull(s.r, b)
	}
}

func (s *stateReader) floats(x []float32) {
	for len(x) > 0 && s.err == nil {
		n := min(len(x), stateBuffer/4)
		b := s.take(4 * n)
		for i := range n {
			x[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
		}
		x = x[n:]
	}
}
