package serve

// Events on their way from a job to its client.

import (
	"context"
	"sync"
	"time"
)

// mailbox keeps events until they are taken: who puts them never waits.
type mailbox struct {
	mu     sync.Mutex
	events []event
	closed bool
	err    error
	wake   chan struct{} // capacity 1
}

func newMailbox() *mailbox { return &mailbox{wake: make(chan struct{}, 1)} }

func (b *mailbox) put(e event) {
	b.mu.Lock()
	b.events = append(b.events, e)
	b.mu.Unlock()
	b.ring()
}

// close says that no more events come: nil where the answer is complete.
func (b *mailbox) close(err error) {
	b.mu.Lock()
	b.closed, b.err = true, err
	b.mu.Unlock()
	b.ring()
}

func (b *mailbox) ring() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// take waits for events, at most as long as patience. It gives none where patience or ctx ended, more false when there
// will be none any more, with the reason.
func (b *mailbox) take(ctx context.Context, patience time.Duration) (events []event, more bool, err error) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		b.mu.Lock()
		events, b.events = b.events, nil
		closed, why := b.closed, b.err
		b.mu.Unlock()
		if len(events) > 0 {
			return events, true, nil
		}
		if closed {
			return nil, false, why
		}
		select {
		case <-b.wake:
		case <-timer.C:
			return nil, true, nil
		case <-ctx.Done():
			return nil, false, context.Cause(ctx)
		}
	}
}
