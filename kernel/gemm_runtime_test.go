package kernel

import (
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"
)

// What matrix products promise beyond their values: the same bits on any number of threads, no
// allocation once warm, and that the garbage collector is never kept waiting.

// work is a fixed set of products of every kind.
type work struct {
	x, y, dx []float32
	grads    []float32
	c, c2    []float32
	groups   []Group
	gather   []int32
	ps       []Product
}

const workN, workK = 200, 136

func newWork(e *Engine, dt DType) *work {
	rng := rand.New(rand.NewPCG(7, 7))
	bounds := []int{0, 300, 300, 301, 500, 900}
	rows := bounds[len(bounds)-1]
	w := &work{
		x: make([]float32, rows*workK), y: make([]float32, rows*workN), dx: make([]float32, rows*workK),
		grads: make([]float32, (len(bounds)-1)*workN*workK), c: make([]float32, workN*workN), c2: make([]float32, 300*300),
	}
	values(rng, w.x, false)
	var ws []*Weight
	var src [][]float32
	for g := range len(bounds) - 1 {
		m := make([]float32, workN*workK)
		values(rng, m, false)
		ws, src = append(ws, e.NewWeight(workN, workK, dt)), append(src, m)
		w.groups = append(w.groups, Group{W: ws[g], Lo: bounds[g], Hi: bounds[g+1], Grad: w.grads[g*workN*workK:][:workN*workK]})
	}
	for range rows {
		w.gather = append(w.gather, int32(rng.IntN(rows)))
	}
	e.Pack(ws, src)
	w.ps = []Product{
		{C: w.c, A: w.y, B: w.y, LDC: workN, LDA: workN, LDB: workN, M: workN, N: workN, K: 700, TransA: true, Alpha: 0.5},
		{C: w.dx, A: w.y, B: w.grads, LDC: workK, LDA: workN, LDB: workK, M: rows, N: workK, K: workN, Alpha: 1, Beta: 1},
		{C: w.c2, A: w.x, B: w.x, LDC: 300, LDA: workK, LDB: workK, M: 300, N: 300, K: workK, TransB: true, Alpha: 1, Symmetric: true},
	}
	return w
}

func (w *work) run(e *Engine, dt DType) {
	e.Linear(w.y, workN, w.x, workK, w.gather, w.groups, false)
	e.LinearInputGrad(w.dx, workK, w.y, workN, w.groups, true)
	e.LinearWeightGrad(w.y, workN, w.x, workK, w.gather, w.groups)
	e.Multiply(w.ps, dt)
	e.Linear(w.y, workN, w.x[workK:], workK, nil, []Group{{W: w.groups[1].W, Lo: 0, Hi: 1}}, true)
}

func (w *work) bits() []uint32 {
	var out []uint32
	for _, s := range [][]float32{w.y, w.dx, w.grads, w.c, w.c2} {
		for _, v := range s {
			out = append(out, math.Float32bits(v))
		}
	}
	return out
}

func TestSameBitsOnAnyNumberOfThreads(t *testing.T) {
	for _, tier := range Tiers() {
		for _, dt := range []DType{F32, BF16} {
			var want []uint32
			counts := []int{1, 2, 3, 8}
			if testing.Short() {
				counts = []int{1, 3}
			}
			for _, threads := range counts {
				e, err := New(threads, tier)
				if err != nil {
					t.Fatal(err)
				}
				w := newWork(e, dt)
				w.run(e, dt)
				if got := w.bits(); want == nil {
					want = got
				} else if !slices.Equal(got, want) {
					t.Errorf("%s %v: %d threads give other bits than 1", tier, dt, threads)
				}
				e.Close()
			}
		}
	}
}

// TestVectorWidthDoesNotChangeBits: float32 tiers that fuse multiplication and addition agree.
func TestVectorWidthDoesNotChangeBits(t *testing.T) {
	var want []uint32
	for _, tier := range []string{"avx2", "avx512"} {
		if !slices.Contains(Tiers(), tier) {
			t.Skipf("SKIPPED: this machine has no %s", tier)
		}
		e, err := New(2, tier)
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		w := newWork(e, F32)
		w.run(e, F32)
		if got := w.bits(); want == nil {
			want = got
		} else if !slices.Equal(got, want) {
			t.Errorf("%s gives other bits", tier)
		}
	}
}

func TestProductsDoNotAllocate(t *testing.T) {
	for _, tier := range Tiers()[1:] {
		e, err := New(2, tier)
		if err != nil {
			t.Fatal(err)
		}
		w := newWork(e, BF16)
		one := []Group{{W: w.groups[1].W, Lo: 0, Hi: 1}}
		n := allocations(func() {
			e.Linear(w.y, workN, w.x, workK, w.gather, w.groups, false)
			e.LinearInputGrad(w.dx, workK, w.y, workN, w.groups, true)
			e.LinearWeightGrad(w.y, workN, w.x, workK, w.gather, w.groups)
			e.Multiply(w.ps, BF16)
			e.Linear(w.y, workN, w.x, workK, nil, one, true)
		})
		if n != 0 {
			t.Errorf("%s: %v allocations", tier, n)
		}
		e.Close()
	}
}

// TestWorldStopsUnderLoad measures how long the runtime waits for goroutines that only multiply: an assembly loop
// cannot be interrupted, so each call must be short and made from a preemptible place. A busy machine makes everything
// slow, so a wait is compared with the products of the same seconds: a small part of one is usual, and several pass
// when the runtime finds no place to stop at.
func TestWorldStopsUnderLoad(t *testing.T) {
	e, err := New(0, "")
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	for _, dt := range []DType{F32, BF16} {
		if dt == BF16 && e.bf16 == e.f32 {
			continue
		}
		const n, rows, stops = 768, 2048, 60
		x, y, w := make([]float32, rows*n), make([]float32, rows*n), make([]float32, n*n)
		layer := e.NewWeight(n, n, dt)
		e.Pack([]*Weight{layer}, [][]float32{w})
		groups := []Group{{W: layer, Hi: rows, Grad: make([]float32, n*n)}}
		var products atomic.Int64
		stop, done := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(done)
			for {
				select {
				case <-stop:
					return
				default:
					e.Linear(y, n, x, n, nil, groups, false)
					e.LinearWeightGrad(y, n, x, n, nil, groups)
					products.Add(2)
				}
			}
		}()
		var waits []time.Duration
		first := time.Now()
		for len(waits) < stops || products.Load() == 0 {
			time.Sleep(time.Millisecond)
			began := time.Now()
			var m runtime.MemStats
			runtime.ReadMemStats(&m) // stops the world
			waits = append(waits, time.Since(began))
		}
		product := time.Since(first) / time.Duration(products.Load())
		close(stop)
		<-done
		slices.Sort(waits)
		median := waits[len(waits)/2]
		t.Logf("%v: median wait %v, worst %v; a product takes %v", dt, median, waits[len(waits)-1], product)
		if median > product {
			t.Errorf("%v: the world stops after %v in the median, when a whole product takes %v", dt, median, product)
		}
	}
}
