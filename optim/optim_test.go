package optim

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/haenyeo/haenyeo/kernel"
)

func engine(t testing.TB, threads int) *kernel.Engine {
	e, err := kernel.New(threads, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

// network is a set of parameters of every kind: wide, tall, square and odd matrices, two experts of
// one shape, a norm, an embedding.
func network() []Param {
	var ps []Param
	rng := rand.New(rand.NewPCG(1, 2))
	for i, shape := range [][]int{{5, 13}, {13, 5}, {7, 7}, {33, 20}, {33, 20}, {1, 9}, {90, 70}, {11}, {24, 6}} {
		n := 1
		for _, d := range shape {
			n *= d
		}
		p := Param{Name: fmt.Sprint("p", i), Shape: shape, W: make([]float32, n), G: make([]float32, n), Hidden: i != 8}
		for j := range p.W {
			p.W[j] = float32(rng.NormFloat64()) * 0.1
		}
		ps = append(ps, p)
	}
	return ps
}

// gradients fills G as step t's; the second expert sees no token in step 0.
func gradients(ps []Param, t int) {
	rng := rand.New(rand.NewPCG(3, uint64(t)))
	for i, p := range ps {
		for j := range p.G {
			p.G[j] = float32(rng.NormFloat64()) * 0.3
			if i == 4 && t == 0 {
				p.G[j] = 0
			}
		}
	}
}

func run(t *testing.T, e *kernel.Engine, o *Optimizer, ps []Param, from, to int) {
	for s := from; s < to; s++ {
		gradients(ps, s)
		o.Step(0.01+0.001*float64(s), o.Norm())
	}
}

// reference repeats the formulas of the golden README in float64.
func reference(opt Options, steps int) [][]float64 {
	ps := network()
	var w, m, v [][]float64
	for _, p := range ps {
		w = append(w, wide(p.W))
		m = append(m, make([]float64, len(p.W)))
		v = append(v, make([]float64, len(p.W)))
	}
	for s := range steps {
		gradients(ps, s)
		lr := 0.01 + 0.001*float64(s)
		var sq float64
		for _, p := range ps {
			for _, g := range p.G {
				sq += float64(g) * float64(g)
			}
		}
		scale := min(1, opt.Clip/(math.Sqrt(sq)+1e-6))
		for i, p := range ps {
			decay := 0.0
			if len(p.Shape) == 2 {
				decay = opt.Decay
			}
			g := wide(p.G)
			for j := range g {
				g[j] *= scale
				w[i][j] *= 1 - lr*decay
			}
			if opt.Kind == Muon && p.Hidden && len(p.Shape) == 2 {
				for j := range g {
					m[i][j] = opt.Momentum*m[i][j] + g[j]
					g[j] += opt.Momentum * m[i][j]
				}
				rows, cols := p.Shape[0], p.Shape[1]
				x := newtonSchulz(g, rows, cols)
				for j := range x {
					w[i][j] -= lr * 0.18 * math.Sqrt(float64(max(rows, cols))) * x[j]
				}
				continue
			}
			for j := range g {
				m[i][j] = opt.Beta1*m[i][j] + (1-opt.Beta1)*g[j]
				v[i][j] = opt.Beta2*v[i][j] + (1-opt.Beta2)*g[j]*g[j]
				w[i][j] -= lr * (m[i][j] / (1 - math.Pow(opt.Beta1, float64(s+1)))) /
					(math.Sqrt(v[i][j]/(1-math.Pow(opt.Beta2, float64(s+1)))) + opt.Eps)
			}
		}
	}
	return w
}

func wide(x []float32) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}

func newtonSchulz(a []float64, n, m int) []float64 {
	norm := 0.0
	for _, v := range a {
		norm += v * v
	}
	x := slices.Clone(a)
	if norm == 0 {
		return x
	}
	for i := range x {
		x[i] /= math.Sqrt(norm)
	}
	mul := func(a, b []float64, n, k, m int) []float64 {
		c := make([]float64, n*m)
		for i := range n {
			for j := range m {
				for l := range k {
					c[i*m+j] += a[i*k+l] * b[l*m+j]
				}
			}
		}
		return c
	}
	for k := range 10 {
		co := [3]float64{3.4445, -4.7750, 2.0315}
		if k >= 8 {
			co = [3]float64{2, -1.5, 0.5}
		}
		xt := make([]float64, n*m)
		for i := range n {
			for j := range m {
				xt[j*n+i] = x[i*m+j]
			}
		}
		g := mul(x, xt, n, m, n)
		gx := mul(g, x, n, n, m)
		ggx := mul(g, gx, n, n, m)
		for i := range x {
			x[i] = co[0]*x[i] + co[1]*gx[i] + co[2]*ggx[i]
		}
	}
	return x
}

func TestAgainstFloat64(t *testing.T) {
	for _, c := range []struct {
		kind  Kind
		dtype kernel.DType
		limit float64 // of the error of all changes together, relative
	}{{AdamW, kernel.F32, 1e-4}, {Muon, kernel.F32, 1e-4}, {Muon, kernel.BF16, 0.3}} {
		t.Run(fmt.Sprint(c.kind, " ", c.dtype), func(t *testing.T) {
			opt := Defaults(c.kind)
			opt.Eps, opt.DType = 1e-8, c.dtype
			e := engine(t, 2)
			ps, start := network(), network()
			o, err := New(e, ps, opt)
			if err != nil {
				t.Fatal(err)
			}
			run(t, e, o, ps, 0, 4)
			for i, want := range reference(opt, 4) {
				var diff, change float64
				for j, w := range want {
					diff += math.Pow(float64(ps[i].W[j])-w, 2)
					change += math.Pow(float64(start[i].W[j])-w, 2)
				}
				if r := math.Sqrt(diff / change); !(r < c.limit) {
					t.Errorf("%s %v: change off by %.2g of its size, want < %g", ps[i].Name, ps[i].Shape, r, c.limit)
				}
			}
			for _, p := range ps {
				if slices.ContainsFunc(p.G, func(g float32) bool { return g != 0 }) {
					t.Errorf("%s: gradient not cleared", p.Name)
				}
			}
		})
	}
}

func TestSameBitsAtAnyThreadCountAndAfterRestore(t *testing.T) {
	for _, kind := range []Kind{AdamW, Muon} {
		opt := Defaults(kind)
		opt.EMA = 0.9
		e := engine(t, 1)
		ps := network()
		o, _ := New(e, ps, opt)
		run(t, e, o, ps, 0, 5)

		e2 := engine(t, 3)
		qs := network()
		half, _ := New(e2, qs, opt)
		run(t, e2, half, qs, 0, 2)
		rs := network()
		for i := range qs {
			copy(rs[i].W, qs[i].W)
		}
		rest, _ := New(e2, rs, opt)
		saved := half.State()
		for i, s := range rest.State() {
			if s.Name != saved[i].Name {
				t.Fatal(s.Name, saved[i].Name)
			}
			copy(s.Data, saved[i].Data)
		}
		rest.Restore(half.Steps())
		run(t, e2, rest, rs, 2, 5)
		for i := range ps {
			if !slices.Equal(ps[i].W, rs[i].W) {
				t.Errorf("%s: %s differs between 1 thread straight and 3 threads resumed", kind, ps[i].Name)
			}
		}
		a, b := o.State(), rest.State()
		for i := range a {
			if !slices.Equal(a[i].Data, b[i].Data) {
				t.Errorf("%s: state %s differs", kind, a[i].Name)
			}
		}
	}
}

func TestResetIsNew(t *testing.T) {
	e := engine(t, 1)
	opt := Defaults(Muon)
	opt.EMA = 0.9
	ps, qs := network(), network()
	o, _ := New(e, ps, opt)
	run(t, e, o, ps, 0, 2)
	for i := range ps {
		copy(ps[i].W, qs[i].W)
	}
	o.Reset()
	run(t, e, o, ps, 0, 2)
	fresh, _ := New(e, qs, opt)
	run(t, e, fresh, qs, 0, 2)
	for i := range ps {
		if !slices.Equal(ps[i].W, qs[i].W) {
			t.Errorf("%s differs after Reset", ps[i].Name)
		}
	}
}

func TestEMA(t *testing.T) {
	e := engine(t, 2)
	opt := Defaults(AdamW)
	opt.EMA = 0.15
	ps := network()
	o, _ := New(e, ps, opt)
	want := wide(ps[0].W)
	for s := range 3 {
		run(t, e, o, ps, s, s+1)
		d := min(0.15, float64(2+s)/float64(11+s))
		for i, w := range ps[0].W {
			want[i] = d*want[i] + (1-d)*float64(w)
		}
	}
	raw := slices.Clone(ps[0].W)
	if !o.SwapEMA() {
		t.Fatal("no average")
	}
	for i, w := range want {
		if math.Abs(w-float64(ps[0].W[i])) > 1e-6 {
			t.Fatalf("average %d is %g, want %g", i, ps[0].W[i], w)
		}
	}
	o.SwapEMA()
	if !slices.Equal(raw, ps[0].W) {
		t.Error("weights did not come back")
	}
}

func TestNormSeesNonFinite(t *testing.T) {
	ps := network()
	o, _ := New(engine(t, 1), ps, Defaults(AdamW))
	gradients(ps, 1)
	ps[3].G[100] = float32(math.Inf(-1))
	if n := o.Norm(); !math.IsInf(n, 1) {
		t.Errorf("norm is %g", n)
	}
	ps[6].G[7] = float32(math.NaN())
	if n := o.Norm(); !math.IsNaN(n) {
		t.Errorf("norm is %g", n)
	}
	o.ClearGrads()
	if n := o.Norm(); n != 0 {
		t.Errorf("norm is %g after clearing", n)
	}
}

func TestBadOptions(t *testing.T) {
	for name, change := range map[string]func(*Options){
		"optimizer": func(o *Options) { o.Kind = "sgd" },
		"betas":     func(o *Options) { o.Beta2 = 1 },
		"momentum":  func(o *Options) { o.Momentum = math.NaN() },
		"eps":       func(o *Options) { o.Eps = 1e-60 },
		"decay":     func(o *Options) { o.Decay = -1 },
		"clip":      func(o *Options) { o.Clip = math.Inf(1) },
		"EMA":       func(o *Options) { o.EMA = 1 },
	} {
		opt := Defaults(AdamW)
		change(&opt)
		if _, err := New(engine(t, 1), network(), opt); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got error %v", name, err)
		}
	}
	ps := network()
	ps[1].Name = "p0"
	if _, err := New(engine(t, 1), ps, Defaults(AdamW)); err == nil {
		t.Error("two parameters of one name were accepted")
	}
}

func TestNoAllocation(t *testing.T) {
	for _, kind := range []Kind{AdamW, Muon} {
		e := engine(t, 1)
		ps := network()
		opt := Defaults(kind)
		opt.EMA = 0.9
		o, _ := New(e, ps, opt)
		gradients(ps, 1)
		if n := testing.AllocsPerRun(5, func() { o.Step(0.01, o.Norm()) }); n > 8 {
			t.Errorf("%s: %g allocations per step", kind, n)
		}
	}
}
