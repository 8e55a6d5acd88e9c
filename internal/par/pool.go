package par

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// Task is a loop body. Do handles index i; worker is in [0, Threads()) and names scratch memory
// that no other call uses at the same time.
type Task interface{ Do(worker, i int) }

// Func adapts a function to Task. A closure costs an allocation; hot paths keep a Task struct.
type Func func(worker, i int)

// Do calls f.
func (f Func) Do(worker, i int) { f(worker, i) }

// Pool owns Threads()-1 goroutines; the caller of Run is the last worker.
//
// A region is one call of Run. state holds its number, whether it is open, and how many helpers are
// inside; a helper enters an open region it has not seen by adding one, and leaves by subtracting
// one. Run closes the region when no index is left and waits only for helpers that are inside: one
// that the operating system has not woken yet never holds up the others.
//
// Between regions helpers spin, because waking a sleeping thread takes as long as a small matrix
// product, and park when nothing comes for a while.
type Pool struct {
	threads int
	spin    bool
	helpers []*helper
	done    sync.WaitGroup
	closing atomic.Bool
	failed  atomic.Pointer[failure] // of the region, the first to be noticed

	_     [128]byte
	state atomic.Uint64
	_     [128]byte
	next  atomic.Int64 // first index nobody has taken
	_     [128]byte

	// Written by Run before it opens a region, read by helpers inside it.
	n    int64
	task Task
}

const (
	insideMask = 1<<16 - 1 // helpers inside the region
	openBit    = 1 << 16
	regionUnit = 1 << 17
)

// helper is a worker other than the caller of Run.
type helper struct {
	parked atomic.Bool
	wake   chan struct{}
}

// How long a helper looks for work before it parks: first without pause, then letting other
// goroutines run in between.
const (
	eagerSpin = 20 * time.Microsecond
	lazySpin  = 200 * time.Microsecond
)

// MaxThreads is the largest pool: more than any machine has processors, and few enough to be counted in
// the state.
const MaxThreads = 4096

// New starts a pool. threads <= 0 means GOMAXPROCS, which follows the processors that the process
// may use; more than MaxThreads are as many.
func New(threads int) *Pool {
	procs := runtime.GOMAXPROCS(0)
	if threads <= 0 {
		threads = procs
	}
	threads = min(threads, MaxThreads)
	// With fewer processors than threads, whoever spins keeps the others from running.
	p := &Pool{threads: threads, spin: threads <= procs && threads <= runtime.NumCPU()}
	for w := 1; w < threads; w++ {
		h := &helper{wake: make(chan struct{}, 1)}
		p.helpers = append(p.helpers, h)
		p.done.Add(1)
		go p.help(h, w)
	}
	return p
}

// Threads is the number of workers, the caller of Run included.
func (p *Pool) Threads() int { return p.threads }

// Run calls t.Do(worker, i) for every i in [0,n) and returns when all are done. It must not be
// called from inside a Task, nor by two goroutines at once. A panic of any worker ends the region and
// goes on in the caller of Run: the fault of a mapped page as it is, anything else with the stack of
// its worker. Faults become panics in helpers always, in the caller when it called
// debug.SetPanicOnFault.
func (p *Pool) Run(n int, t Task) {
	if n <= 1 || p.threads == 1 {
		for i := range n {
			t.Do(0, i)
		}
		return
	}
	p.n, p.task = int64(n), t
	p.next.Store(0)
	p.state.Store((p.state.Load()/regionUnit+1)*regionUnit | openBit)
	for _, h := range p.helpers[:min(len(p.helpers), n-1)] {
		if h.parked.Load() && h.parked.CompareAndSwap(true, false) {
			h.wake <- struct{}{}
		}
	}
	p.guardedWork(0)
	p.state.And(^uint64(openBit))
	for began := (time.Time{}); p.state.Load()&insideMask != 0; {
		if !p.spin || waitedLong(&began) {
			runtime.Gosched()
		} else {
			pause()
		}
	}
	p.task = nil
	if f := p.failed.Swap(nil); f != nil {
		panic(f.value)
	}
}

// failure is what a worker panicked with.
type failure struct{ value any }

// guardedWork is work that notes a panic instead of ending the program, and leaves no index to the
// other workers then.
func (p *Pool) guardedWork(worker int) {
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		if _, fault := v.(interface{ Addr() uintptr }); !fault {
			v = fmt.Sprintf("%v\n\nin worker %d:\n%s", v, worker, debug.Stack())
		}
		p.failed.CompareAndSwap(nil, &failure{v})
		p.next.Store(p.n)
	}()
	p.work(worker)
}

// waitedLong starts the clock at began on its first call and tells when eagerSpin has passed.
func waitedLong(began *time.Time) bool {
	if began.IsZero() {
		*began = time.Now()
		return false
	}
	return time.Since(*began) > eagerSpin
}

// work takes indices until none is left.
func (p *Pool) work(worker int) {
	t, n := p.task, p.n
	for {
		i := p.next.Add(1) - 1
		if i >= n {
			return
		}
		t.Do(worker, int(i))
	}
}

// help is the life of a helper.
func (p *Pool) help(h *helper, worker int) {
	defer p.done.Done()
	debug.SetPanicOnFault(true)
	var seen uint64
	for {
		s := p.await(h, seen)
		if s == 0 {
			return
		}
		for s&openBit != 0 && s/regionUnit != seen {
			if !p.state.CompareAndSwap(s, s+1) {
				s = p.state.Load()
				continue
			}
			seen = s / regionUnit
			p.guardedWork(worker)
			p.state.Add(^uint64(0))
			break
		}
	}
}

// await returns the state when it shows an open region other than seen, or 0 when the pool closes.
func (p *Pool) await(h *helper, seen uint64) uint64 {
	for {
		for began := (time.Time{}); p.spin; {
			for range 16 {
				if s := p.state.Load(); s&openBit != 0 && s/regionUnit != seen {
					return s
				}
				pause()
			}
			if began.IsZero() {
				began = time.Now()
			}
			idle := time.Since(began)
			if idle > lazySpin {
				break
			}
			if idle > eagerSpin {
				runtime.Gosched()
			}
		}
		// Say that a wake-up is wanted, then look again: a region opened before the flag was
		// raised would send none.
		h.parked.Store(true)
		s := p.state.Load()
		open := s&openBit != 0 && s/regionUnit != seen
		if !(open || p.closing.Load()) || !h.parked.CompareAndSwap(true, false) {
			<-h.wake
			s = p.state.Load()
			open = s&openBit != 0 && s/regionUnit != seen
		}
		if p.closing.Load() {
			return 0
		}
		if open {
			return s
		}
	}
}

// Close stops the goroutines and waits for them. The pool must be idle.
func (p *Pool) Close() {
	if p.closing.Swap(true) {
		return
	}
	for _, h := range p.helpers {
		if h.parked.CompareAndSwap(true, false) {
			h.wake <- struct{}{}
		}
	}
	p.done.Wait()
}
