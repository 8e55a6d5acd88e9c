package par

import (
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// count notes how often each index was handled and whether two calls shared a worker.
type count struct {
	done []atomic.Int32
	busy []atomic.Bool
	t    *testing.T
}

func (c *count) Do(worker, i int) {
	if c.busy[worker].Swap(true) {
		c.t.Errorf("worker %d is in two places", worker)
	}
	c.done[i].Add(1)
	c.busy[worker].Store(false)
}

func TestRunHandlesEveryIndexOnce(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, procs := range []int{1, 2, 8} {
		for _, threads := range []int{0, 1, 2, 3, 8} {
			t.Run(fmt.Sprintf("GOMAXPROCS %d threads %d", procs, threads), func(t *testing.T) {
				runtime.GOMAXPROCS(procs)
				p := New(threads)
				defer p.Close()
				if threads == 0 && p.Threads() != procs {
					t.Errorf("Threads() = %d, want %d", p.Threads(), procs)
				}
				c := &count{busy: make([]atomic.Bool, p.Threads()), t: t}
				for trial := range 300 {
					n := trial % 40
					c.done = make([]atomic.Int32, n)
					p.Run(n, c)
					for i := range c.done {
						if got := c.done[i].Load(); got != 1 {
							t.Fatalf("n %d: index %d handled %d times", n, i, got)
						}
					}
					if trial%100 == 0 {
						time.Sleep(2 * lazySpin) // let helpers park
					}
				}
			})
		}
	}
}

// More threads than the state can count would never be waited for rightly.
func TestThreadsAreBounded(t *testing.T) {
	p := New(1<<16 + 2)
	defer p.Close()
	if p.Threads() != MaxThreads {
		t.Errorf("%d threads, want %d", p.Threads(), MaxThreads)
	}
	task := &failing{at: func(int) bool { return false }}
	if p.Run(2*MaxThreads, task); task.done.Load() != 2*MaxThreads {
		t.Errorf("%d of %d indices were handled", task.done.Load(), 2*MaxThreads)
	}
}

// TestWritesAreSeen relies on the race detector as well: what a task writes, Run's caller reads.
func TestWritesAreSeen(t *testing.T) {
	p := New(4)
	defer p.Close()
	x := make([]int, 1000)
	for round := range 50 {
		p.Run(len(x), Func(func(_, i int) { x[i] += i }))
		for i, v := range x {
			if v != (round+1)*i {
				t.Fatalf("round %d: x[%d] = %d", round, i, v)
			}
		}
	}
}

func TestRunDoesNotAllocate(t *testing.T) {
	p := New(2)
	defer p.Close()
	task := &sleeper{}
	if n := testing.AllocsPerRun(100, func() { p.Run(8, task) }); n != 0 {
		t.Errorf("%v allocations per region", n)
	}
}

func TestCloseStopsGoroutines(t *testing.T) {
	before := runtime.NumGoroutine()
	for _, idle := range []time.Duration{0, 2 * lazySpin} {
		p := New(5)
		p.Run(10, &sleeper{})
		time.Sleep(idle)
		p.Close()
		p.Close()
	}
	if after := runtime.NumGoroutine(); after > before {
		t.Errorf("%d goroutines before, %d after", before, after)
	}
}

type sleeper struct{ ns time.Duration }

func (s *sleeper) Do(_, _ int) {
	if s.ns > 0 {
		for began := time.Now(); time.Since(began) < s.ns; {
		}
	}
}

// BenchmarkRegion measures fork and join: empty regions, and regions of two times 5 µs, whose ideal
// is 5 µs on two processors.
func BenchmarkRegion(b *testing.B) {
	for _, work := range []time.Duration{0, 5 * time.Microsecond} {
		b.Run(work.String(), func(b *testing.B) {
			p := New(2)
			defer p.Close()
			task := &sleeper{work}
			for b.Loop() {
				p.Run(2, task)
			}
		})
	}
}

// failing panics at some indices.
type failing struct {
	at    func(i int) bool
	value any
	done  atomic.Int32
}

func (f *failing) Do(_, i int) {
	if f.at(i) {
		panic(f.value)
	}
	f.done.Add(1)
}

// A panic of any worker reaches the caller of Run, and the pool works on.
func TestPanicReachesTheCaller(t *testing.T) {
	for _, threads := range []int{1, 2, 4} {
		p := New(threads)
		for trial := range 200 {
			f := &failing{at: func(i int) bool { return i%(trial+2) == 1 }, value: "broken"}
			got := func() (v any) {
				defer func() { v = recover() }()
				p.Run(1000, f)
				return nil
			}()
			if s, ok := got.(string); !ok || !strings.HasPrefix(s, "broken") {
				t.Fatalf("%d threads: recovered %v", threads, got)
			}
			c := &failing{at: func(int) bool { return false }}
			p.Run(100, c)
			if n := c.done.Load(); n != 100 {
				t.Fatalf("%d threads: %d of 100 indices were handled after a panic", threads, n)
			}
		}
		p.Close()
	}
}

// fault looks like the runtime's error of a page that cannot be read.
type fault struct{}

func (fault) Error() string { return "fault" }
func (fault) Addr() uintptr { return 42 }

// A fault keeps its address on the way to the caller.
func TestFaultKeepsItsAddress(t *testing.T) {
	p := New(4)
	defer p.Close()
	defer func() {
		if f, ok := recover().(fault); !ok || f.Addr() != 42 {
			t.Errorf("recovered %v", f)
		}
	}()
	p.Run(1000, &failing{at: func(i int) bool { return i == 700 }, value: fault{}})
	t.Error("Run returned")
}
