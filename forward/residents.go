// This file holds residents: which experts are in memory, when a model is larger than the memory that it may
// take (Options.RAM). Their files stay mapped; a unit of them is read in before it is multiplied, and given back
// when the room is wanted for another. In order: the units, what the layers ask for, the loaders, who goes.

package forward

import (
	"context"
	"fmt"
	"math"
	"runtime/debug"
	"slices"
	"sync"

	"github.com/haenyeo/haenyeo/internal/mmap"
)

// residents decides about the units of all experts of a Net: gate and up of an expert are one, down another.
//
// A unit is absent, asked for or guessed, loading, resident. Loaders run while something is asked for; between two calls
// of Run they only end the reads that are under way: nobody waits for those, the disk may have stalled. The coldest unit goes first; those that the layer at work has asked for stay.
type residents struct {
	budget

	mu            sync.Mutex
	changed       sync.Cond
	ctx           context.Context
	units         []unit
	asked, guess  []int32 // queues
	open          []int32 // loading, with parts that no loader has taken
	present       []int32 // loading or resident
	loaders       int
	guessing      int   // loaders that read on a guess
	stuck         bool  // nothing more fits, and nothing can go
	held, mapped  int64 // bytes of present units, and what of them was read
	clock, factor float64

	resting bool // between two calls of Run

	slots
	read func(w mmap.Window, to []byte) error // reads a part to its slot, or without one to where the file is mapped
	ExpertReads
}

// ExpertReads counts what layers asked for since a model was opened with Options.RAM; gate and up of an expert
// are one, down is another.
type ExpertReads struct {
	Hits    int   // in memory
	Guessed int   // of these, read before they were asked for, on a guess
	Late    int   // being read, or about to be
	Misses  int   // not even that
	Wasted  int   // read on a guess and given back unused
	Bytes   int64 // read, from the page cache or the disk

	WastedBytes int64 // of Wasted
}

// unit is what is read in and given back as one.
type unit struct {
	windows []mmap.Window
	parts   []part // the windows, cut for the loaders
	places  []place
	slot    *slot // nil without, or while it is not in memory
	size    int64 // of memory that it takes

	slotBytes int
	state     unitState
	next      int     // first part that no loader has taken
	left      int     // parts that are not read yet
	got       int64   // bytes that are read
	wanted    bool    // by the layer at work
	guessed   bool    // read on a guess, not used yet
	heat      float64 // log2 of how often it was used, of late more than before: see warm
	err       error
}

type unitState uint8

const (
	absent unitState = iota
	askedFor
	guessedAt
	loading
	resident
)

const (
	maxLoaders = 8       // reads under way at once
	maxGuesses = 2       // of these, on guesses
	partBytes  = 1 << 20 // of one read
	halfLife   = 32      // tokens after which a use counts half
)

// add makes a unit of matrices and returns its number.
func (r *residents) add(matrices []matrix) (int32, error) {
	u := unit{heat: math.Inf(-1)}
	for _, m := range matrices {
		ps, ok := m.places()
		r.fixed = r.fixed || !ok
		u.places = append(u.places, ps...)
		for _, b := range m.bytes {
			w, ok := r.regions.Window(b)
			if !ok {
				return 0, fmt.Errorf("forward: experts are not in a mapped file: a memory budget cannot be kept")
			}
			r.fixed = r.fixed || !w.CanRead()
			w.Sparse()
			if n := len(u.windows); n > 0 {
				if both, ok := u.windows[n-1].Join(w); ok { // codes and their scales, gate and up
					u.windows[n-1] = both
					continue
				}
			}
			u.windows = append(u.windows, w)
		}
	}
	for _, w := range u.windows {
		u.size += w.Size()
	}
	u.lay()
	r.units = append(r.units, u)
	return int32(len(r.units) - 1), nil
}

// begin is called when a layer has chosen its experts: what was guessed for it and is not read yet is forgotten.
func (r *residents) begin() {
	r.mu.Lock()
	r.clock++
	r.forget()
	r.mu.Unlock()
}

func (r *residents) forget() {
	for _, i := range r.guess {
		if u := &r.units[i]; u.state == guessedAt {
			u.state = absent
		}
	}
	r.guess = r.guess[:0]
}

// want asks for units, which stay until done is called for them.
func (r *residents) want(units []int32) {
	r.mu.Lock()
	for _, i := range units {
		u := &r.units[i]
		u.wanted = true
		r.warm(u)
		switch u.state {
		case resident:
			r.Hits++
			if u.guessed {
				r.Guessed++
			}
		case loading, askedFor:
			r.Late++
		case absent, guessedAt:
			r.Misses++
			u.state, u.err = askedFor, nil
			r.asked = append(r.asked, i)
		}
		u.guessed = false
	}
	r.start()
	r.mu.Unlock()
}

// follow asks for units that are wanted soon, behind those that are wanted now.
func (r *residents) follow(units []int32) {
	r.mu.Lock()
	for _, i := range units {
		u := &r.units[i]
		switch u.state {
		case resident:
			u.heat = max(u.heat, r.clock*r.factor) // it is not the next to go
		case absent, guessedAt:
			u.state, u.err = askedFor, nil
			r.asked = append(r.asked, i)
		}
	}
	r.start()
	r.mu.Unlock()
}

// expect reads units if there is nothing more urgent.
func (r *residents) expect(units []int32) {
	r.mu.Lock()
	for _, i := range units {
		if u := &r.units[i]; u.state == absent {
			u.state, u.err = guessedAt, nil
			r.guess = append(r.guess, i)
		}
	}
	r.start()
	r.mu.Unlock()
}

// missing keeps those of units that nobody reads yet.
func (r *residents) missing(units []int32) []int32 {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, i := range units {
		if r.units[i].state == absent {
			units[n] = i
			n++
		}
	}
	return units[:n]
}

// ready waits until some of the units that were asked for are resident, and brings these to the front. They
// are valid until done.
func (r *residents) ready(units []int32) (n int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	collected := false
	for {
		for j, i := range units {
			u := &r.units[i]
			if u.err != nil {
				return 0, u.err
			}
			if u.state == resident {
				units[n], units[j] = i, units[n]
				n++
			}
		}
		switch {
		case n > 0:
			return n, nil
		case r.ctx.Err() != nil:
			return 0, r.ctx.Err()
		case r.resting:
			panic("forward: experts asked for outside of a walk")
		case r.stuck && r.loaders == 0 && collected:
			return 0, r.tooSmall(r.units[units[0]].size, r.mapped+r.idleBytes)
		case r.stuck && r.loaders == 0:
			debug.FreeOSMemory()
			collected = true
		}
		r.start()
		r.changed.Wait()
	}
}

// done says that units were used.
func (r *residents) done(units []int32) {
	r.mu.Lock()
	for _, i := range units {
		r.units[i].wanted = false
	}
	r.start()
	r.mu.Unlock()
}

// awake lets experts be read, if there is a memory budget, until the function that it returns is called.
func (n *Net) awake(ctx context.Context) (rest func()) {
	if n.residents == nil {
		return func() {}
	}
	return n.residents.wake(ctx)
}

// wake lets loaders run; the function that it returns ends that.
func (r *residents) wake(ctx context.Context) (rest func()) {
	r.mu.Lock()
	r.ctx, r.resting = ctx, false
	r.mu.Unlock()
	stop := context.AfterFunc(ctx, func() {
		r.mu.Lock()
		r.changed.Broadcast()
		r.mu.Unlock()
	})
	return func() {
		stop()
		r.mu.Lock()
		defer r.mu.Unlock()
		r.resting = true
		r.forget()
		for _, i := range r.asked {
			if u := &r.units[i]; u.state == askedFor {
				u.state = absent
			}
		}
		r.asked = r.asked[:0]
		for _, i := range r.present {
			r.units[i].wanted = false
		}
		if r.embed.Size() > 0 {
			r.embed.Release(false) // of what it holds, a token needs one row
		}
	}
}

// start lets loaders run if there may be work for them.
func (r *residents) start() {
	r.stuck = false
	for r.loaders < maxLoaders && r.loaders < len(r.asked)+len(r.guess)+2*len(r.open) {
		r.loaders++
		go r.load()
	}
}

// load reads parts until there are none to read.
func (r *residents) load() {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer r.changed.Broadcast()
	for {
		i, w, ok := r.part()
		if !ok {
			r.loaders--
			return
		}
		u := &r.units[i]
		var to []byte
		if u.slot != nil {
			to = u.slot.b[w.at:][:w.Pages()]
		}
		guess, read := u.guessed, r.read
		if guess {
			r.guessing++
		}
		r.mu.Unlock()
		err := read(w.Window, to)
		r.mu.Lock()
		if guess {
			r.guessing--
		}
		u.left--
		u.got += w.Size()
		r.mapped += w.Size()
		r.Bytes += w.Size()
		if err != nil && u.err == nil {
			if u.err = r.src.FaultError(w.Addr()); u.err == nil {
				u.err = err
			}
			u.err = fmt.Errorf("forward: reading experts: %w (%w)", u.err, err)
		}
		if u.left == 0 {
			u.state = resident
			if u.err != nil {
				r.drop(i)
			} else if u.slot != nil {
				u.bind()
			}
			r.changed.Broadcast()
		}
	}
}

// part takes the next part to read, and makes room for its unit: of what was asked for first, then of guesses.
// Few of these are read at once, because what is asked for meanwhile waits for them.
func (r *residents) part() (i int32, w part, ok bool) {
	if r.resting {
		return 0, w, false // a unit that is half read stays open: it is read on when Run is called again
	}
	if at := slices.IndexFunc(r.open, func(i int32) bool { return !r.units[i].guessed }); at >= 0 {
		return r.take(at)
	}
	if r.openNext(&r.asked, askedFor) {
		return r.take(len(r.open) - 1)
	}
	if len(r.asked) > 0 || r.guessing >= maxGuesses {
		return 0, w, false
	}
	if len(r.open) > 0 {
		return r.take(0)
	}
	if r.openNext(&r.guess, guessedAt) {
		return r.take(len(r.open) - 1)
	}
	return 0, w, false
}

// take takes the next part of the open unit at.
func (r *residents) take(at int) (i int32, w part, ok bool) {
	i = r.open[at]
	u := &r.units[i]
	w = u.parts[u.next]
	if u.next++; u.next == len(u.parts) {
		r.open = slices.Delete(r.open, at, at+1)
	}
	return i, w, true
}

// openNext makes room for the first unit of a queue that is still in state, and opens it; false if there is none,
// or no room.
func (r *residents) openNext(queue *[]int32, state unitState) bool {
	for len(*queue) > 0 {
		i := (*queue)[0]
		u := &r.units[i]
		if u.state == state && !r.makeRoom(u.size) {
			r.stuck = true
			return false
		}
		*queue = slices.Delete(*queue, 0, 1)
		if u.state != state {
			continue
		}
		if r.direct {
			if u.slot, u.err = r.newSlot(u.slotBytes); u.err != nil {
				u.state = absent
				continue
			}
		}
		u.state, u.next, u.left = loading, 0, len(u.parts)
		u.guessed = state == guessedAt
		if u.guessed {
			r.warm(u)
		}
		r.held += u.size
		r.present = append(r.present, i)
		r.open = append(r.open, i)
		return true
	}
	return false
}

// warm counts a use of u: its heat is log2 of the sum of 2^(t/halfLife) over all uses, t in tokens.
func (r *residents) warm(u *unit) {
	now := r.clock * r.factor
	high, low := max(u.heat, now), min(u.heat, now)
	u.heat = high + math.Log2(1+math.Exp2(low-high))
}

// makeRoom gives back cold units until need more bytes fit; false if that is not possible now.
func (r *residents) makeRoom(need int64) bool {
	for r.held+need > r.room() {
		coldest := -1
		for j, i := range r.present {
			if u := &r.units[i]; u.state == resident && !u.wanted && (coldest < 0 || u.heat < r.units[r.present[coldest]].heat) {
				coldest = j
			}
		}
		if coldest < 0 {
			return false
		}
		r.drop(r.present[coldest])
	}
	return true
}

// room is how much units may take, those in memory included.
func (r *residents) room() int64 { return r.roomFor(r.mapped + r.idleBytes) }

// drop gives a unit back that no loader is at work on.
func (r *residents) drop(i int32) {
	u := &r.units[i]
	if u.slot != nil {
		u.unbind()
		r.put(u.slot)
		u.slot = nil
	} else {
		for _, w := range u.windows {
			w.Release(r.scarce) // fails for addresses that are no mapping, which these are not
		}
	}
	if u.guessed {
		r.Wasted++
		r.WastedBytes += u.got
	}
	r.held -= u.size
	r.mapped -= u.got
	u.state, u.got = absent, 0
	at := slices.Index(r.present, i)
	r.present = append(r.present[:at], r.present[at+1:]...)
}

// claim makes room for need bytes that the program is about to take for itself.
func (r *residents) claim(need int64) error {
	need = max(need, 0)
	r.mu.Lock()
	defer r.mu.Unlock()
	for range 2 {
		if r.makeRoom(need) {
			r.trim(need)
			return nil
		}
		debug.FreeOSMemory()
	}
	return r.tooSmall(need, r.mapped+r.idleBytes)
}
