// This file holds rowCache: what attention keeps of every token, as float32 or in fewer bits (Options.KV).

package forward

import (
	"fmt"

	"github.com/haenyeo/haenyeo/kernel"
	"github.com/haenyeo/haenyeo/quant"
)

// kvTypes are the types of keys and values.
var kvTypes = []quant.Type{quant.F32, quant.F16, quant.BF16, quant.Q8_0}

// checkKV refuses types that a cache cannot have.
func checkKV(t quant.Type) error {
	for _, known := range kvTypes {
		if t == known {
			return nil
		}
	}
	return fmt.Errorf("forward: keys and values cannot be kept as %v, must be one of %v", t, kvTypes)
}

// rowCache holds a row of width floats for every token.
type rowCache struct {
	width int
	x     []float32 // [room,width]

	// In fewer bits a row is heads vectors, in which x has no part. Those of a head follow each other, so that
	// attention reads them in one stretch: vector h·room + t is that of head h and token t.
	heads, room int
	packed      kernel.Packed
}

// newRows makes an empty cache of rows of heads vectors [W] of type t. The last tail numbers of a vector are
// those that 8 bits would harm.
func newRows(t quant.Type, heads, w, tail int) rowCache {
	c := rowCache{width: heads * w}
	if t != quant.F32 {
		if t != quant.Q8_0 {
			tail = 0
		}
		c.heads, c.packed = heads, kernel.Packed{Type: t, Width: w, Tail: tail}
	}
	return c
}

// rowBytes is the size of a row.
func (c *rowCache) rowBytes() int {
	if c.heads == 0 {
		return 4 * c.width
	}
	return c.heads * c.packed.VectorBytes()
}

func (c *rowCache) reserve(tokens int) {
	if c.heads == 0 {
		c.x = rows(c.x, tokens, c.width)
		return
	}
	data, size := make([]byte, tokens*c.rowBytes()), c.packed.VectorBytes()
	for h := range c.heads {
		copy(data[h*tokens*size:], c.packed.Data[h*c.room*size:][:c.room*size])
	}
	c.packed.Data, c.room = data, tokens
}

func (c *rowCache) bytes(tokens int) int64 { return int64(tokens) * int64(c.rowBytes()) }

// put writes rows from token start on.
func (c *rowCache) put(p *pass, start int, rows []float32) {
	if c.heads == 0 {
		copy(c.x[start*c.width:], rows)
		return
	}
	if err := p.e.PackVectors(&c.packed, start, c.heads, c.room, rows, len(rows)/c.packed.Width); err != nil {
		p.fail(err)
	}
}

// view is the rows as vectors [W] of heads.
func (c *rowCache) view(w int) kernel.View {
	if c.heads == 0 {
		return kernel.View{Data: c.x, Row: c.width, Head: w}
	}
	return kernel.View{Packed: &c.packed, Row: 1, Head: c.room}
}

// entries is the rows as entries that all heads share; who sees which is left open.
func (c *rowCache) entries() kernel.Entries {
	if c.heads == 0 {
		return kernel.Entries{Data: c.x, Row: c.width}
	}
	return kernel.Entries{Packed: &c.packed}
}

// unpackedRows is how many rows are decoded at once where they are multiplied by matrices.
const unpackedRows = 4096

// some returns rows of one vector [lo,hi), up to unpackedRows of them, as float32 and their stride: where they lie, or decoded
// to the arena.
func (c *rowCache) some(p *pass, lo, hi int) (x []float32, ld int) {
	if c.heads == 0 {
		return c.x[lo*c.width:], c.width
	}
	ld = c.packed.Stride()
	x = p.floats((hi - lo) * ld)
	p.e.UnpackVectors(x, &c.packed, lo, hi-lo)
	return x, ld
}

// stretch is the bytes of head h of tokens [lo,n).
func (c *rowCache) stretch(h, lo, n int) []byte {
	size := c.packed.VectorBytes()
	return c.packed.Data[(h*c.room+lo)*size : (h*c.room+n)*size]
}

func (c *rowCache) save(w *stateWriter, lo, n int) {
	if c.heads == 0 {
		w.floats(c.x[lo*c.width : n*c.width])
		return
	}
	for h := range c.heads {
		w.bytes(c.stretch(h, lo, n))
	}
}

func (c *rowCache) load(r *stateReader, lo, n int) {
	if c.heads == 0 {
		r.floats(c.x[lo*c.width : n*c.width])
		return
	}
	for h := range c.heads {
		r.bytes(c.stretch(h, lo, n))
	}
}

// rows is x with room for n rows of width floats.
func rows(x []float32, n, width int) []float32 {
	y := make([]float32, n*width)
	copy(y, x)
	return y
}
