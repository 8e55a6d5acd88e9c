package serve

// The queue in front of a model.

import (
	"context"
	"sync"
	"time"
)

// gate lets so many requests in at a time, keeps some waiting in the order they came, and refuses the rest at once.
type gate struct {
	mu      sync.Mutex
	free    int
	room    int // places to wait
	waiting []chan struct{}
	took    time.Duration // of the last requests, smoothed
	places  int
}

func newGate(places, room int) *gate { return &gate{free: places, room: room, places: places} }

// enter waits for a place. The caller must leave when it is done.
func (g *gate) enter(ctx context.Context) error {
	g.mu.Lock()
	if g.free > 0 {
		g.free--
		g.mu.Unlock()
		return nil
	}
	if len(g.waiting) >= g.room {
		f := fail(busy, "", "the server is at work on other requests and its queue is full: try again later")
		f.retry = g.wait()
		g.mu.Unlock()
		return f
	}
	turn := make(chan struct{})
	g.waiting = append(g.waiting, turn)
	g.mu.Unlock()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
	}
	g.mu.Lock()
	for i, w := range g.waiting {
		if w == turn {
			g.waiting = append(g.waiting[:i], g.waiting[i+1:]...)
			g.mu.Unlock()
			return context.Cause(ctx)
		}
	}
	g.mu.Unlock()
	g.leave(0) // the turn came at the same moment: hand it on
	return context.Cause(ctx)
}

// leave gives the place to who waited longest. took is how long it was held, 0 if it was not used.
func (g *gate) leave(took time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if took > 0 {
		if g.took == 0 {
			g.took = took
		}
		g.took += (took - g.took) / 8
	}
	if len(g.waiting) > 0 {
		close(g.waiting[0])
		g.waiting = g.waiting[1:]
		return
	}
	g.free++
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
