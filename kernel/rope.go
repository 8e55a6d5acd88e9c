package kernel

// Rope rotates, in place, heads heads of width channels of rows tokens by the angles of position
// pos[r]: cos and sin are tables [positions, width/2]. Interleaved layout pairs (2i, 2i+1);
// otherwise (i, i+width/2). inverse rotates by the negative angle, which is also the gradient.
//
// Source: Su et al. 2021 (RoFormer); DeepSeek checkpoints use the interleaved layout, Llama's the other.
func (e *Engine) Rope(x View, rows, heads, width int, pos []int32, cos, sin []float32, interleaved, inverse bool) {
	t := &e.ops.rope
	*t = ropeTask{&e.vec, x, rows, heads, width, rowsPerTask(heads * width), pos, cos, sin, interleaved, 1}
	if inverse {
		t.sign = -1
	}
	e.run(rows, t.per, t)
	*t = ropeTask{}
}

type ropeTask struct {
	vec                     *vector
	x                       View
	rows, heads, width, per int
	pos                     []int32
	cos, sin                []float32
	interleaved             bool
	sign                    float32
}

func (t *ropeTask) Do(_, i int) {
	half := t.width / 2
	for r := i * t.per; r < min((i+1)*t.per, t.rows); r++ {
		p := int(t.pos[r]) * half
		c, s := t.cos[p:][:half], t.sin[p:][:half]
		for h := range t.heads {
			v := t.x.at(r, h, t.width)
			if t.interleaved {
				t.vec.ropePairs(v, c, s, t.sign)
			} else {
				t.vec.ropeHalves(v[:half], v[half:], c, s, t.sign)
			}
		}
	}
}

func ropeHalvesPortable(a, b, c, s []float32, sign float32) {
	for i := range a {
		si := sign * s[i]
		a[i], b[i] = a[i]*c[i]-b[i]*si, a[i]*si+b[i]*c[i]
	}
}

func ropePairsPortable(x, c, s []float32, sign float32) {
	for i := range c {
		si := sign * s[i]
		a, b := x[2*i], x[2*i+1]
		x[2*i], x[2*i+1] = a*c[i]-b*si, a*si+b*c[i]
	}
}
