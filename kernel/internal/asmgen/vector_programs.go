package main

// The elementwise kernels of package kernel, each the inner loop over one row or one chunk.
// Names and argument orders are those of the fields of kernel.vector.

// Programs load before they store: a load behind a store whose address is equal modulo 4096 waits
// for it, and slices often begin at the same place of a page.

// vectorPrograms are built anew for every target.
func vectorPrograms(avx512 bool) []*vectorProgram {
	var ps []*vectorProgram
	def := func(name, doc string, unroll int, build func(p *vectorProgram)) {
		p := program(name, doc, unroll)
		p.avx512 = avx512
		build(p)
		p.liveness()
		ps = append(ps, p)
	}

	// Reductions and plain row arithmetic.
	def("sumSquares", "the sum of x²", 4, func(p *vectorProgram) {
		p.stream("x")
		x := p.load("x")
		p.sumProduct(x, x)
	})
	def("dot", "the sum of x·y", 4, func(p *vectorProgram) {
		p.stream("x", "y")
		p.sumProduct(p.load("x"), p.load("y"))
	})
	def("maximum", "the largest x", 4, func(p *vectorProgram) {
		p.stream("x")
		p.maximum(p.load("x"))
	})
	def("add", "y += x", 2, func(p *vectorProgram) {
		p.stream("y", "x")
		p.store("y", p.add(p.load("y"), p.load("x")))
	})
	def("scale", "y = a·x", 2, func(p *vectorProgram) {
		p.stream("y", "x")
		p.store("y", p.mul(p.scalar("a"), p.load("x")))
	})
	def("axpy", "y += a·x", 2, func(p *vectorProgram) {
		p.stream("y", "x")
		p.store("y", p.fma(p.scalar("a"), p.load("x"), p.load("y")))
	})
	def("scaleDot", "ds = w·dy, the sum of dy·s", 4, func(p *vectorProgram) {
		p.stream("ds", "dy", "s")
		dy := p.load("dy")
		p.sumProduct(dy, p.load("s"))
		p.store("ds", p.mul(p.scalar("w"), dy))
	})

	// Norms.
	def("normApply", "y = w·(x·rstd)", 2, func(p *vectorProgram) {
		p.stream("y", "x", "w")
		p.store("y", p.mul(p.load("w"), p.mul(p.load("x"), p.scalar("rstd"))))
	})
	def("normGradSum", "t = dy·(x·rstd): dw += t, the sum of w·t", 4, func(p *vectorProgram) {
		p.stream("dw", "dy", "x", "w")
		t := p.mul(p.load("dy"), p.mul(p.load("x"), p.scalar("rstd")))
		p.sumProduct(p.load("w"), t)
		p.store("dw", p.add(p.load("dw"), t))
	})
	for _, add := range []bool{false, true} {
		name, doc := "normGradApply", "dx = rstd·(w·dy − x·c)"
		if add {
			name, doc = "normGradAdd", "dx += rstd·(w·dy − x·c)"
		}
		def(name, doc, 2, func(p *vectorProgram) {
			p.stream("dx", "dy", "x", "w")
			rstd, c := p.scalar("rstd"), p.scalar("c")
			t := p.fnma(p.load("x"), c, p.mul(p.load("w"), p.load("dy")))
			if add {
				p.store("dx", p.fma(rstd, t, p.load("dx")))
			} else {
				p.store("dx", p.mul(rstd, t))
			}
		})
	}

	// Activations.
	def("sigmoid", "y = 1/(1+exp(−x))", 1, func(p *vectorProgram) {
		p.stream("y", "x")
		p.store("y", p.sigmoid(p.load("x")))
	})
	def("swiglu", "h = g·sigmoid(g)·u", 1, func(p *vectorProgram) {
		p.stream("h", "gate", "up")
		g := p.load("gate")
		p.store("h", p.mul(p.mul(g, p.sigmoid(g)), p.load("up")))
	})
	def("swigluGrad", "s = sigmoid(g): h = g·s·u, du = dh·g·s, dg = dh·u·s·(1 + g·(1−s))", 1, func(p *vectorProgram) {
		p.stream("dg", "du", "h", "dh", "gate", "up")
		g := p.load("gate")
		s := p.sigmoid(g)
		u, dh, silu := p.load("up"), p.load("dh"), p.mul(g, s)
		p.store("h", p.mul(silu, u))
		p.store("du", p.mul(dh, silu))
		// s·(1 + g·(1−s)) = s + silu·(1−s)
		slope := p.fma(silu, p.sub(p.constant(1), s), s)
		p.store("dg", p.mul(p.mul(dh, u), slope))
	})

	// Softmax.
	def("exp", "y = exp(x)", 1, func(p *vectorProgram) {
		p.stream("y", "x")
		p.store("y", p.exp(p.load("x")))
	})
	def("expSum", "y = exp(scale·x + shift), the sum of y", 2, func(p *vectorProgram) {
		p.stream("y", "x")
		y := p.exp(p.fma(p.scalar("scale"), p.load("x"), p.scalar("shift")))
		p.store("y", y)
		p.sum(y)
	})
	def("sumExp", "the sum of exp(x + shift)", 2, func(p *vectorProgram) {
		p.stream("x")
		p.sum(p.exp(p.add(p.load("x"), p.scalar("shift"))))
	})
	softmaxGrad := func(p *vectorProgram) (y, ds *value) {
		scale := p.scalar("scale")
		d := p.mul(scale, p.sub(p.load("d"), p.load("delta")))
		y = p.exp(p.sub(p.mul(scale, p.load("p")), p.load("lse")))
		return y, p.mul(y, d)
	}
	def("softmaxGrad", "p = exp(scale·p − lse), d = scale·p·(d − delta)", 1, func(p *vectorProgram) {
		p.stream("p", "d", "lse", "delta")
		y, ds := softmaxGrad(p)
		p.store("p", y)
		p.store("d", ds)
	})
	if avx512 { // straight into words of bfloat16: only where tiers multiply them
		def("expSumBF16", "y = exp(scale·x + shift) in bfloat16, the sum before rounding", 2, func(p *vectorProgram) {
			p.stream("y", "x")
			y := p.exp(p.fma(p.scalar("scale"), p.load("x"), p.scalar("shift")))
			p.storeBF16("y", y)
			p.sum(y)
		})
		def("softmaxGradBF16", "y = exp(scale·p − lse), d = scale·y·(d − delta), y and ds = d in bfloat16", 1, func(p *vectorProgram) {
			p.stream("y", "ds", "p", "d", "lse", "delta")
			y, ds := softmaxGrad(p)
			p.storeBF16("y", y)
			p.storeBF16("ds", ds)
			p.store("d", ds)
		})
	}

	// Rotations: (a,b) becomes (a·c − b·s', a·s' + b·c), s' = sign·s.
	rotate := func(p *vectorProgram, a, b *value) (*value, *value) {
		c, s := p.load("c"), p.mul(p.scalar("sign"), p.load("s"))
		return p.fnma(b, s, p.mul(a, c)), p.fma(a, s, p.mul(b, c))
	}
	def("ropeHalves", "rotates (a[i], b[i])", 1, func(p *vectorProgram) {
		p.stream("a", "b", "c", "s")
		a, b := rotate(p, p.load("a"), p.load("b"))
		p.store("a", a)
		p.store("b", b)
	})
	def("ropePairs", "rotates (x[2i], x[2i+1])", 1, func(p *vectorProgram) {
		p.stream("x", "c", "s")
		a, b := p.loadPair("x")
		a, b = rotate(p, a, b)
		p.storePair("x", a, b)
	})

	// AdamW with the scalars folded by the caller:
	//	g = gs·grad, m = b1·m + d1·g, v = b2·v + d2·g², w = keep·w − rate·m/(sqrt(v)·root + eps)
	for _, clear := range []bool{false, true} {
		name, doc := "adamw", "one AdamW step"
		if clear {
			name, doc = "adamwClear", "one AdamW step, then g = 0"
		}
		def(name, doc, 1, func(p *vectorProgram) {
			p.stream("w", "grad", "m", "v")
			gs, b1, d1, b2, d2 := p.scalar("gs"), p.scalar("b1"), p.scalar("d1"), p.scalar("b2"), p.scalar("d2")
			keep, rate, root, eps := p.scalar("keep"), p.scalar("rate"), p.scalar("root"), p.scalar("eps")
			g, w := p.mul(gs, p.load("grad")), p.mul(keep, p.load("w"))
			m := p.fma(b1, p.load("m"), p.mul(d1, g))
			v := p.fma(b2, p.load("v"), p.mul(p.mul(d2, g), g))
			p.store("m", m)
			p.store("v", v)
			step := p.div(p.mul(rate, m), p.fma(p.sqrt(v), root, eps))
			p.store("w", p.sub(w, step))
			if clear {
				p.store("grad", p.constant(0))
			}
		})
	}
	return ps
}
