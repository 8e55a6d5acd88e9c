package kernel

import (
	"fmt"

	"github.com/haenyeo/haenyeo/quant"
)

// Caches: the forms of their vectors, the blocks that these lie in, how they are written, and how attention reads
// a stretch of them. What takes fewer bits than float32 is decoded to scratch while the rest stays as it is.

// BlockRows is how many rows a block of Vectors has: the keys that attention works on at once, so that a block is
// read where it lies.
const BlockRows = keyChunk

// Form is how a vector of Width numbers is kept: the first Width-Tail numbers, filled up with zeros to whole
// blocks, as Type (F32, F16, BF16 or Q8_0) or in Codes, the last Tail as TailType (F16, BF16 or F32). The latents of
// MLA and the keys of V4 end with rotated channels, which take 8 bits badly.
type Form struct {
	Type        quant.Type
	Codes       Codes
	Width, Tail int
	TailType    quant.Type // of no meaning without Tail
}

// Codes are the forms that published inference code gives to numbers that it rounds: codes, then their scales, one
// byte (E8M0) each, filled up to whole words.
type Codes uint8

const (
	NoCodes  Codes = iota
	E4M3x64        // quant.EncodeFP8, a scale for 64 numbers
	E4M3x128       // likewise for 128
	E2M1x32        // quant.EncodeFP4, a scale for 32
)

// block is how many numbers the body of a vector is filled up to multiples of.
func (f *Form) block() int {
	switch f.Codes {
	case E4M3x64:
		return 64
	case E4M3x128:
		return 128
	case E2M1x32:
		return 32
	}
	return f.Type.Block()
}

// body is how many numbers stand before the tail, filled up to whole blocks.
func (f *Form) body() int { return divide(f.Width-f.Tail, f.block()) * f.block() }

// codeBytes is the size of the codes of the body.
func (f *Form) codeBytes() int {
	switch f.Codes {
	case E4M3x64, E4M3x128:
		return f.body()
	case E2M1x32:
		return f.body() / 2
	}
	return f.Type.Bytes(f.body())
}

// split is where the tail begins.
func (f *Form) split() int {
	if f.Codes == NoCodes {
		return f.codeBytes()
	}
	return f.codeBytes() + divide(f.body()/f.block(), 4)*4
}

// floats says whether vectors are kept as they are.
func (f *Form) floats() bool {
	return f.Codes == NoCodes && f.Type == quant.F32 && (f.Tail == 0 || f.TailType == quant.F32)
}

// VectorBytes is the size of a vector.
func (f *Form) VectorBytes() int {
	if f.floats() {
		return 4 * f.Width
	}
	n := f.split()
	if f.Tail > 0 {
		n += f.TailType.Bytes(f.Tail)
	}
	return n
}

// Stride is how many floats a decoded vector takes: blocks are decoded whole.
func (f *Form) Stride() int {
	if f.floats() {
		return f.Width
	}
	return max(f.Width, f.body())
}

// Vectors are rows of Heads vectors each, in blocks of BlockRows rows, of which the last may be shorter. Copies
// of a Vectors share blocks.
type Vectors struct {
	Form
	Heads  int
	Blocks []Block
}

// Block is some rows. The vectors of a head follow each other: that of row r and head h is number h·Rows + r.
type Block struct {
	Rows   int
	Floats []float32 // as they are
	Bytes  []byte    // in any other form
}

// NewBlock makes a block of rows rows with the content of old, which may be shorter.
func (v *Vectors) NewBlock(rows int, old Block) Block {
	b, size := Block{Rows: rows}, v.VectorBytes()
	n := min(rows, old.Rows)
	if v.floats() {
		b.Floats = make([]float32, rows*v.Heads*v.Width)
		for h := range v.Heads {
			copy(b.Floats[h*rows*v.Width:], old.Floats[h*old.Rows*v.Width:][:n*v.Width])
		}
		return b
	}
	b.Bytes = make([]byte, rows*v.Heads*size)
	for h := range v.Heads {
		copy(b.Bytes[h*rows*size:], old.Bytes[h*old.Rows*size:][:n*size])
	}
	return b
}

// PackVectors writes x [rows,Heads,Width] to rows from at on. It fails on a number that the form cannot hold.
func (e *Engine) PackVectors(v *Vectors, at int, x []float32, rows int) error {
	t := &e.ops.pack
	t.v, t.at, t.x, t.vectors = v, at, x, rows*v.Heads
	if t.workers == nil {
		t.workers = make([]vectorWorker, e.pool.Threads())
	}
	for i := range t.workers {
		t.workers[i].err = nil
	}
	e.run(t.vectors, packVectors, t)
	t.v, t.x = nil, nil
	for i := range t.workers {
		if err := t.workers[i].err; err != nil {
			return fmt.Errorf("kernel: a cache of type %v: %w", v.Type, err)
		}
	}
	return nil
}

const packVectors = 16 // of one task

// packVectorsTask writes vectors; see PackVectors.
type packVectorsTask struct {
	v       *Vectors
	at      int // first row
	vectors int
	x       []float32
	workers []vectorWorker
}

type vectorWorker struct {
	padded []float32
	err    error
	_      [64]byte // keeps workers on cache lines of their own
}

// Do writes some vectors.
func (t *packVectorsTask) Do(worker, i int) {
	w, v := &t.workers[worker], t.v
	for j := i * packVectors; j < min((i+1)*packVectors, t.vectors); j++ {
		row, x := t.at+j/v.Heads, t.x[j*v.Width:][:v.Width]
		b := &v.Blocks[row/BlockRows]
		at := j%v.Heads*b.Rows + row%BlockRows
		if v.floats() {
			copy(b.Floats[at*v.Width:], x)
		} else if err := v.put(&w.padded, b, at, x); err != nil {
			w.err = err
		}
	}
}

// put writes vector at of a block.
func (f *Form) put(padded *[]float32, to *Block, at int, x []float32) error {
	n, body := f.Width-f.Tail, f.body()
	size := f.VectorBytes()
	b, split := to.Bytes[at*size:][:size], f.split()
	head := x[:n]
	if n != body {
		head = room(padded, body)[:body]
		clear(head[copy(head, x[:n]):])
	}
	codes := f.codeBytes()
	switch f.Codes {
	case NoCodes:
		if err := quant.Encode(b[:split], head, f.Type); err != nil {
			return err
		}
	case E2M1x32:
		quant.EncodeFP4(b[:codes], b[codes:split], head)
	default:
		quant.EncodeFP8(b[:codes], b[codes:split], head, f.block())
	}
	if f.Tail == 0 {
		return nil
	}
	return quant.Encode(b[split:], x[n:], f.TailType)
}

// unpack writes n vectors of a block, from number at on, to dst [n,Stride].
func (e *Engine) unpack(dst []float32, f *Form, from *Block, at, n int) {
	size, body, head, ld := f.VectorBytes(), f.body(), f.Width-f.Tail, f.Stride()
	if f.floats() {
		copy(dst[:n*ld], from.Floats[at*ld:])
		return
	}
	if f.Tail == 0 && f.Codes == NoCodes {
		e.decodeRow(dst[:n*ld], from.Bytes[at*size:][:n*size], f.Type)
		return
	}
	split := f.split()
	for i := range n {
		b, y := from.Bytes[(at+i)*size:][:size], dst[i*ld:][:ld]
		if f.Codes == NoCodes {
			e.decodeRow(y[:body], b[:split], f.Type)
		} else {
			e.decodeCodes(y[:body], f, b[:split])
		}
		if f.Tail > 0 {
			e.decodeRow(y[head:f.Width], b[split:], f.TailType) // over what filled up the last block
		}
	}
}

// decodeRow decodes whole blocks.
func (e *Engine) decodeRow(dst []float32, b []byte, t quant.Type) {
	if len(dst) == 0 {
		return
	}
	if d := e.directFor(t); d != nil && len(dst)%d.weights == 0 {
		d.decodeBlocks(dst, b, nil, len(dst)/d.weights)
		return
	}
	if err := quant.Decode(dst, b, t); err != nil {
		panic("kernel: packed vectors: " + err.Error()) // only a programmer chooses type and lengths
	}
}

// unscaled is the scales of E4M3 codes whose own come later.
var unscaled = [4]byte{0, 0, 0x80, 0x3f} // 1 as float32

// decodeCodes decodes the codes and scales b of one vector.
func (e *Engine) decodeCodes(dst []float32, f *Form, b []byte) {
	codes, scales := b[:f.codeBytes()], b[f.codeBytes():]
	if f.Codes == E2M1x32 {
		if d := e.directFor(directE2M1); d != nil {
			d.decodeBlocks(dst, codes, scales, len(dst)/d.weights)
			return
		}
		quant.DecodeFP4(dst, codes, scales[:len(dst)/32])
		return
	}
	d := e.directFor(directE4M3)
	if d == nil {
		quant.DecodeFP8(dst, codes, scales, f.block())
		return
	}
	whole := len(dst) / d.weights * d.weights
	for i := 0; i < whole; i += d.weights {
		d.decodeBlocks(dst[i:], codes[i:], unscaled[:], 1)
	}
	// Powers of two: multiplied in a second step, the numbers are the same.
	for i := 0; i < whole; i += f.block() {
		y := dst[i:][:f.block()]
		e.vec.scale(y, y, quant.FromE8M0(scales[i/f.block()]))
	}
	quant.DecodeFP8(dst[whole:], codes[whole:], scales[whole/f.block():], f.block())
}

// UnpackVectors decodes n rows of v, which have one vector each, from row at on to dst [n,v.Stride()].
func (e *Engine) UnpackVectors(dst []float32, v *Vectors, at, n int) {
	t := &e.ops.unpack
	t.e, t.dst, t.v, t.at, t.n = e, dst, v, at, n
	e.run(n, packVectors, t)
	t.dst, t.v = nil, nil
}

// unpackTask reads vectors; see UnpackVectors.
type unpackTask struct {
	e     *Engine
	dst   []float32
	v     *Vectors
	at, n int
}

// Do reads some vectors.
func (t *unpackTask) Do(_, i int) {
	lo := i * packVectors
	t.v.decode(t.e, t.dst[lo*t.v.Stride():], t.at+lo, 0, min(packVectors, t.n-lo))
}

// decode writes n vectors of head h, from row t on, to dst [n,Stride].
func (v *Vectors) decode(e *Engine, dst []float32, t, h, n int) {
	for n > 0 {
		b, at := &v.Blocks[t/BlockRows], t%BlockRows
		some := min(n, BlockRows-at)
		e.unpack(dst, &v.Form, b, h*b.Rows+at, some)
		dst, t, n = dst[some*v.Stride():], t+some, n-some
	}
}

// rows returns n vectors of head h, from row t on, as float32 rows ld apart: where they lie, or decoded to
// scratch.
func (v *Vectors) rows(e *Engine, scratch *[]float32, t, h, n int) (x []float32, ld int) {
	ld = v.Stride()
	if at := t % BlockRows; v.floats() && at+n <= BlockRows {
		b := &v.Blocks[t/BlockRows]
		return b.Floats[(h*b.Rows+at)*ld:], ld
	}
	x = room(scratch, n*ld)
	v.decode(e, x, t, h, n)
	return x, ld
}

// rows is rows of the vectors of head h from token t on, wherever they lie.
func (v *View) rows(e *Engine, scratch *[]float32, t, h, n int) (x []float32, ld int) {
	if v.Vectors == nil {
		return v.from(t, h), v.Row
	}
	return v.Vectors.rows(e, scratch, t, h, n)
}
