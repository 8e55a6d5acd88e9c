package kernel

import (
	"fmt"

	"github.com/haenyeo/haenyeo/quant"
)

// Caches in fewer bits than float32: the form of their vectors, how they are written, and how attention reads
// a stretch of them. A stretch is decoded to scratch while the rest stays as it is.

// Packed is vectors of Width numbers that follow each other in Data: the first Width-Tail numbers are of Type
// (F16, BF16 or Q8_0, filled up with zeros to whole blocks), the last Tail are F16. The latents of MLA end
// with a rotated key, which takes 8 bits badly.
type Packed struct {
	Type        quant.Type
	Width, Tail int
	Data        []byte
}

// body is how many numbers are of Type, filled up to whole blocks.
func (p *Packed) body() int {
	block := p.Type.Block()
	return (p.Width - p.Tail + block - 1) / block * block
}

// VectorBytes is the size of a vector.
func (p *Packed) VectorBytes() int { return p.Type.Bytes(p.body()) + 2*p.Tail }

// PackVectors writes x [vectors/heads,heads,Width]: row r of head h becomes vector h·room + at + r of p, so that the
// vectors of a head follow each other. It fails on a number that p cannot hold.
func (e *Engine) PackVectors(p *Packed, at, heads, room int, x []float32, vectors int) error {
	t := &e.ops.pack
	t.p, t.at, t.heads, t.room, t.x, t.vectors = p, at, heads, room, x, vectors
	if t.workers == nil {
		t.workers = make([]vectorWorker, e.pool.Threads())
	}
	for i := range t.workers {
		t.workers[i].err = nil
	}
	e.run(vectors, packVectors, t)
	t.p, t.x = nil, nil
	for i := range t.workers {
		if err := t.workers[i].err; err != nil {
			return fmt.Errorf("kernel: a cache of type %v: %w", p.Type, err)
		}
	}
	return nil
}

const packVectors = 16 // of one task

// packVectorsTask writes vectors; see PackVectors.
type packVectorsTask struct {
	p         *Packed
	at, heads int
	room      int // vectors of a head
	vectors   int
	x         []float32
	workers   []vectorWorker
}

type vectorWorker struct {
	padded []float32
	err    error
	_      [64]byte // keeps workers on cache lines of their own
}

// Do writes some vectors.
func (t *packVectorsTask) Do(worker, i int) {
	w := &t.workers[worker]
	for v := i * packVectors; v < min((i+1)*packVectors, t.vectors); v++ {
		if err := t.p.put(&w.padded, v%t.heads*t.room+t.at+v/t.heads, t.x[v*t.p.Width:][:t.p.Width]); err != nil {
			w.err = err
		}
	}
}

// put writes vector at.
func (p *Packed) put(padded *[]float32, at int, x []float32) error {
	n, body := p.Width-p.Tail, p.body()
	size := p.VectorBytes()
	b, split := p.Data[at*size:][:size], p.Type.Bytes(body)
	head := x[:n]
	if n != body {
		head = room(padded, body)[:body]
		clear(head[copy(head, x[:n]):])
	}
	if err := quant.Encode(b[:split], head, p.Type); err != nil {
		return err
	}
	return quant.Encode(b[split:], x[n:], quant.F16)
}

// Stride is how many floats a decoded vector takes: blocks are decoded whole.
func (p *Packed) Stride() int { return max(p.Width, p.body()) }

// unpack writes n vectors, step apart from number at on, to dst [n,Stride].
func (e *Engine) unpack(dst []float32, p *Packed, at, step, n int) {
	size, body, head, ld := p.VectorBytes(), p.body(), p.Width-p.Tail, p.Stride()
	if step == 1 && p.Tail == 0 {
		e.decodeRow(dst[:n*ld], p.Data[at*size:][:n*size], p.Type)
		return
	}
	split := p.Type.Bytes(body)
	for i := range n {
		b, y := p.Data[(at+i*step)*size:][:size], dst[i*ld:][:ld]
		e.decodeRow(y[:body], b[:split], p.Type)
		e.decodeRow(y[head:p.Width], b[split:], quant.F16) // over what filled up the last block
	}
}

// decodeRow decodes whole blocks.
func (e *Engine) decodeRow(dst []float32, b []byte, t quant.Type) {
	if len(dst) == 0 {
		return
	}
	if int(t) < len(e.direct) {
		if d := &e.direct[t]; d.decode != nil && len(dst)%d.weights == 0 {
			d.decodeBlocks(dst, b, nil, len(dst)/d.weights)
			return
		}
	}
	if err := quant.Decode(dst, b, t); err != nil {
		panic("kernel: packed vectors: " + err.Error()) // only a programmer chooses type and lengths
	}
}

// UnpackVectors decodes n vectors of p from number at on to dst [n,p.Stride()].
func (e *Engine) UnpackVectors(dst []float32, p *Packed, at, n int) {
	t := &e.ops.unpack
	t.e, t.dst, t.p, t.at, t.n = e, dst, p, at, n
	e.run(n, packVectors, t)
	t.dst, t.p = nil, nil
}

// unpackTask reads vectors; see UnpackVectors.
type unpackTask struct {
	e     *Engine
	dst   []float32
	p     *Packed
	at, n int
}

// Do reads some vectors.
func (t *unpackTask) Do(_, i int) {
	lo := i * packVectors
	t.e.unpack(t.dst[lo*t.p.Stride():], t.p, t.at+lo, 1, min(packVectors, t.n-lo))
}

// rows returns n vectors of head h, from token t on, as float32 rows ld apart: where they lie, or decoded to
// scratch.
func (v *View) rows(e *Engine, scratch *[]float32, t, h, n int) (x []float32, ld int) {
	p := v.Packed
	if p == nil {
		return v.from(t, h), v.Row
	}
	ld = p.Stride()
	x = room(scratch, n*ld)
	e.unpack(x, p, t*v.Row+h*v.Head, v.Row, n)
	return x, ld
}
