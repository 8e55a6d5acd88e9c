package export

// encoder: the path of one tensor. Its parts are cut into pieces of some rows; a batch of pieces is decoded,
// looked through and packed by all threads, then written; memory is that of one batch.

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/haenyeo/haenyeo/kernel"
	"github.com/haenyeo/haenyeo/quant"
)

const (
	pieceSize = 1 << 16 // numbers in a piece; a row or a part that must be read whole may have more
	batchSize = 1 << 22 // numbers in a batch, about
)

// encoder packs tensors.
type encoder struct {
	ctx      context.Context
	e        *kernel.Engine
	progress func(part float64)
	total    int64 // bytes of all tensors
	done     int64

	t       *tensor
	as      quant.Type
	weights []float32 // importance, nil: none
	pieces  []piece
	out     []byte
	scratch [][]float32 // of every worker
}

// piece is some rows of a part, on their way to out[at:].
type piece struct {
	part, lo, hi int
	at, size     int // bytes
	err          error
}

func newEncoder(ctx context.Context, e *kernel.Engine, total int64, progress func(float64)) *encoder {
	return &encoder{ctx: ctx, e: e, total: total, progress: progress, scratch: make([][]float32, e.Pool().Threads())}
}

// write packs t as type as, and writes it. importance says how much the inputs count, for all parts alike
// [k] or for each [parts,k]; nil: all the same.
func (c *encoder) write(w io.Writer, t *tensor, as quant.Type, importance []float32) error {
	if t.ints != nil {
		return c.writeInts(w, t)
	}
	c.t, c.as, c.weights = t, as, importance
	batch := 0
	for i := range t.parts {
		p := &t.parts[i]
		step := max(1, pieceSize/p.k)
		if p.whole {
			step = p.n
		}
		for lo := 0; lo < p.n; lo += step {
			hi := min(lo+step, p.n)
			c.pieces = append(c.pieces, piece{part: i, lo: lo, hi: hi, size: as.Bytes((hi - lo) * p.k)})
			if batch += (hi - lo) * p.k; batch >= batchSize {
				if err := c.flush(w); err != nil {
					return err
				}
				batch = 0
			}
		}
	}
	return c.flush(w)
}

// flush packs and writes the pieces that have come together.
func (c *encoder) flush(w io.Writer) error {
	size := 0
	for i := range c.pieces {
		c.pieces[i].at = size
		size += c.pieces[i].size
	}
	if cap(c.out) < size {
		c.out = make([]byte, size)
	}
	c.out = c.out[:size]
	c.e.Pool().Run(len(c.pieces), c)
	if err := c.ctx.Err(); err != nil {
		return err
	}
	for i := range c.pieces {
		if err := c.pieces[i].err; err != nil {
			return err
		}
	}
	c.pieces = c.pieces[:0]
	if _, err := w.Write(c.out); err != nil {
		return err
	}
	c.advance(size)
	return nil
}

func (c *encoder) advance(bytes int) {
	c.done += int64(bytes)
	if c.progress != nil && c.total > 0 {
		c.progress(float64(c.done) / float64(c.total))
	}
}

// Do packs piece i.
func (c *encoder) Do(worker, i int) {
	if c.ctx.Err() != nil {
		return
	}
	p := &c.pieces[i]
	r := &c.t.parts[p.part]
	n := (p.hi - p.lo) * r.k
	if cap(c.scratch[worker]) < n {
		c.scratch[worker] = make([]float32, n)
	}
	x := c.scratch[worker][:n]
	r.read(x, p.lo, p.hi)
	if p.err = c.t.fits(x, r, p.lo, c.as); p.err != nil {
		return
	}
	dst := c.out[p.at:][:p.size]
	if r.packed != nil && r.typ == c.as {
		copy(dst, r.packed[c.as.Bytes(p.lo*r.k):])
		return
	}
	var importance []float32
	if c.weights != nil {
		importance = c.weights[p.part*r.k%len(c.weights):][:r.k]
	}
	if err := quant.EncodeWeighted(dst, x, c.as, importance); err != nil {
		p.err = fmt.Errorf("export: tensor %q, from row %d: %w", r.name, p.lo, err)
	}
}

// fits refuses numbers in x, rows from lo of r, that type as cannot hold.
func (t *tensor) fits(x []float32, r *rows, lo int, as quant.Type) error {
	limit := largest(as)
	for i, v := range x {
		if v >= -limit && v <= limit {
			continue
		}
		where := fmt.Sprintf("export: tensor %q holds %v in row %d, column %d", r.name, v, lo+i/r.k, i%r.k)
		if v-v != 0 {
			return fmt.Errorf("%s: the weights are damaged, or come from a training run that diverged; fetch or make them again", where)
		}
		return fmt.Errorf("%s, more than %v can hold: use bf16 or f32", where, as)
	}
	return nil
}

func (c *encoder) writeInts(w io.Writer, t *tensor) error {
	b := make([]byte, 0, 4*len(t.ints))
	for _, x := range t.ints {
		b = binary.LittleEndian.AppendUint32(b, uint32(x))
	}
	if _, err := w.Write(b); err != nil {
		return err
	}
	c.advance(len(b))
	return nil
}
