package par

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// Task is a loop body. Do handles index i; worker is in [0, Threads()) and names scratch memory
// that no other call uses at the same time.
type Task interface{ Do(worker, i int) }

// Func adapts a function to Task. A closure costs an allocation; hot paths keep a Task struct.
type Func func(worker, i int)

// Do calls f.
func (f Func) Do(worker, i int) { f(worker, i) }

// Pool owns Threads()-1 goroutines; the caller of Run is the last worker.
type Pool struct {
	threads int
	start   []chan struct{}
	next    atomic.Int64
	n       int64
	task    Task
	wg      sync.WaitGroup
}

// New starts a pool. threads <= 0 means GOMAXPROCS.
func New(threads int) *Pool {
	if threads <= 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	p := &Pool{threads: threads}
	for w := 1; w < threads; w++ {
		c := make(chan struct{}, 1)
		p.start = append(p.start, c)
		go func() {
			for range c {
				p.work(w)
				p.wg.Done()
			}
		}()
	}
	return p
}

// Threads is the number of workers, the caller of Run included.
func (p *Pool) Threads() int { return p.threads }

// Run calls t.Do(worker, i) for every i in [0,n) and returns when all are done. It must not be
// called from inside a Task, nor by two goroutines at once.
func (p *Pool) Run(n int, t Task) {
	if n <= 0 {
		return
	}
	p.next.Store(0)
	p.n, p.task = int64(n), t
	helpers := min(len(p.start), n-1)
	p.wg.Add(helpers)
	for _, c := range p.start[:helpers] {
		c <- struct{}{}
	}
	p.work(0)
	p.wg.Wait()
	p.task = nil
}

func (p *Pool) work(worker int) {
	for {
		i := p.next.Add(1) - 1
		if i >= p.n {
			return
		}
		p.task.Do(worker, int(i))
	}
}

// Close stops the goroutines. The pool must be idle.
func (p *Pool) Close() {
	for _, c := range p.start {
		close(c)
	}
}
