package serve

// The queue in front of a model.

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"
)

// gate lets so many requests in at a time, keeps some waiting, and refuses the rest at once. Of those that wait the next
// is one of the highest priority; of these, one of the client that has fewest requests at work; of these, of the client
// whose turn was longest ago; of these, the first that came. So one client with a hundred requests leaves another, with one, the second turn.
type gate struct {
	mu      sync.Mutex
	free    int
	room    int // places to wait
	waiting []*ticket
	working map[string]int // by client
	last    map[string]int // turn of a client, of those that work or wait
	turns   int
	took    time.Duration // of the last requests, smoothed
	places  int
}

// ticket is a request at the gate.
type ticket struct {
	client   string
	priority int
	turn     chan struct{} // closed when it may go in, or is refused
	refused  bool
}

func newGate(places, room int) *gate {
	return &gate{free: places, room: room, places: places, working: map[string]int{}, last: map[string]int{}}
}

// admit notes that a request goes in. mu is held.
func (g *gate) admit(client string) {
	g.turns++
	g.working[client]++
	g.last[client] = g.turns
}

// enter waits for a place. The caller must leave when it is done.
func (g *gate) enter(ctx context.Context, client string, priority int) error {
	g.mu.Lock()
	if g.free > 0 {
		g.free--
		g.admit(client)
		g.mu.Unlock()
		return nil
	}
	if len(g.waiting) >= g.room && !g.crowdOut(client, priority) {
		f := g.full()
		g.mu.Unlock()
		return f
	}
	t := &ticket{client: client, priority: priority, turn: make(chan struct{})}
	g.waiting = append(g.waiting, t)
	g.mu.Unlock()
	select {
	case <-t.turn:
		if t.refused { // somebody with a better claim took the place in the queue
			g.mu.Lock()
			defer g.mu.Unlock()
			return g.full()
		}
		return nil
	case <-ctx.Done():
	}
	g.mu.Lock()
	if i := slices.Index(g.waiting, t); i >= 0 {
		g.waiting = slices.Delete(g.waiting, i, i+1)
		g.forget(client)
		g.mu.Unlock()
		return context.Cause(ctx)
	}
	g.mu.Unlock()
	if !t.refused {
		g.leave(client, 0) // the turn came at the same moment: hand it on
	}
	return context.Cause(ctx)
}

// full is the refusal of a request. mu is held.
func (g *gate) full() error {
	f := fail(busy, "", "the server is at work on other requests and its queue is full: try again later")
	f.retry = g.wait()
	return f
}

// crowdOut makes room in a full queue for a client that has nothing in it, at the cost of the last request of the client
// that has most there, more than one, and no higher priority. mu is held.
func (g *gate) crowdOut(client string, priority int) bool {
	count := map[string]int{}
	for _, t := range g.waiting {
		count[t.client]++
	}
	if count[client] > 0 {
		return false
	}
	victim := -1
	for i, t := range g.waiting {
		if t.priority <= priority && count[t.client] > 1 && (victim < 0 || count[t.client] >= count[g.waiting[victim].client]) {
			victim = i
		}
	}
	if victim < 0 {
		return false
	}
	t := g.waiting[victim]
	g.waiting = slices.Delete(g.waiting, victim, victim+1)
	t.refused = true
	close(t.turn)
	return true
}

// leave gives the place to who is next. took is how long it was held, 0 if it was not used.
func (g *gate) leave(client string, took time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.working[client]--
	g.forget(client)
	if took > 0 {
		if g.took == 0 {
			g.took = took
		}
		g.took += (took - g.took) / 8
	}
	if len(g.waiting) == 0 {
		g.free++
		return
	}
	next := 0
	for i, t := range g.waiting {
		if first := g.waiting[next]; cmp.Or(cmp.Compare(first.priority, t.priority), cmp.Compare(g.working[t.client], g.working[first.client]),
			cmp.Compare(g.last[t.client], g.last[first.client])) < 0 {
			next = i
		}
	}
	t := g.waiting[next]
	g.waiting = slices.Delete(g.waiting, next, next+1)
	g.admit(t.client)
	close(t.turn)
}

// forget drops what is known of a client that neither works nor waits. mu is held.
func (g *gate) forget(client string) {
	if g.working[client] > 0 {
		return
	}
	delete(g.working, client)
	if !slices.ContainsFunc(g.waiting, func(t *ticket) bool { return t.client == client }) {
		delete(g.last, client)
	}
}

// wait guesses when the queue has a place again: when every place was left once.
func (g *gate) wait() time.Duration {
	return min(max(g.took/time.Duration(g.places), time.Second), time.Minute)
}

// load says how many requests are worked on and how many wait.
func (g *gate) load() (working, waiting int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.places - g.free, len(g.waiting)
}
