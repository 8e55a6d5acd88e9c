// This file holds the rotary embedding. The frequencies with their scalings are model's; here stand the
// cosines and sines of the rows of a pass, computed anew for each.
// Source: Su et al. 2021 (RoFormer).

package forward

import (
	"math"

	"github.com/haenyeo/haenyeo/kernel"
)

// rope rotates the first width channels of a head by the angles of a position. Pairs are (2i,2i+1) when
// interleaved, (i,i+width/2) otherwise.
type rope struct {
	width       int
	interleaved bool
	frequency   []float64 // [width/2] angle per position
	factor      float64   // cos and sin are multiplied by it
	cos, sin    []float32 // [n,width/2] of the rows of the pass
}

// rope makes a rope whose tables every pass fills.
func (b *builder) rope(width int, frequency []float64, factor float64, interleaved bool) *rope {
	r := &rope{width: width, interleaved: interleaved, frequency: frequency, factor: factor}
	b.net.ropes = append(b.net.ropes, r)
	return r
}

// prepare computes the tables for the rows of p.
func (r *rope) prepare(p *pass) {
	r.cos, r.sin = p.floats(p.n*r.width/2), p.floats(p.n*r.width/2)
	r.angles(p, r.cos, r.sin, p.pos)
}

// angles computes cos and sin [len(pos),width/2]. Angles are computed in float64: far positions lose
// nothing before they are rounded.
func (r *rope) angles(p *pass, cos, sin []float32, pos []int32) {
	p.rope = ropeTask{r, cos, sin, pos}
	p.e.Pool().Run(len(pos), &p.rope)
	p.rope = ropeTask{}
}

type ropeTask struct {
	r        *rope
	cos, sin []float32
	pos      []int32
}

// Do handles row i.
func (t *ropeTask) Do(_, i int) {
	half := t.r.width / 2
	cos, sin := t.cos[i*half:][:half], t.sin[i*half:][:half]
	for j, f := range t.r.frequency {
		s, c := math.Sincos(float64(t.pos[i]) * f)
		cos[j], sin[j] = float32(c*t.r.factor), float32(s*t.r.factor)
	}
}

// rotate turns, in place, heads heads of the rows of p; inverse turns back.
//
//	x [n,heads,width] read and written
func (r *rope) rotate(p *pass, x kernel.View, heads int, inverse bool) {
	was := p.enter(Small)
	p.e.Rope(x, p.n, heads, r.width, p.row[:p.n], r.cos, r.sin, r.interleaved, inverse)
	p.enter(was)
}

// rotateAt is rotate for rows that stand at positions pos instead of those of p.
func (r *rope) rotateAt(p *pass, x kernel.View, heads int, pos []int32) {
	mark := p.mark()
	cos, sin := p.floats(len(pos)*r.width/2), p.floats(len(pos)*r.width/2)
	r.angles(p, cos, sin, pos)
	row := p.ints(len(pos))
	for i := range row {
		row[i] = int32(i)
	}
	p.e.Rope(x, len(pos), heads, r.width, row, cos, sin, r.interleaved, false)
	p.rewind(mark)
}
