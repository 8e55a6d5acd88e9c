// This file holds recent, the latest rows that a layer with a bounded memory keeps: the sliding window of
// V4 and the tokens that a compressor has not finished with.

package forward

import "fmt"

// recent holds rows [first,n) of a sequence, one per token. A layer whose sequence has n tokens needs
// the last need(n) of them to go on. Some more are kept, so that a few tokens can be taken back, and
// copies of what was needed at some earlier lengths, to which a sequence can return from anywhere.
type recent struct {
	width int             // floats of a row
	need  func(n int) int // rows that a sequence of n tokens needs
	most  int             // largest need

	first, n int
	rows     []float32 // [room, width], row of position first at 0
	saved    []snapshot
	spare    []float32 // memory of a snapshot that was dropped
}

// snapshot is what a sequence of at tokens needs.
type snapshot struct {
	at   int
	rows []float32
}

const (
	recentSlack   = 32  // tokens that can be taken back one by one
	snapshotEvery = 256 // tokens between snapshots while few tokens come at once
	snapshotAfter = 8   // tokens read together that are followed by a snapshot
	snapshots     = 6   // kept at most
)

// newRecent makes an empty recent. need must not exceed most.
func newRecent(width, most int, need func(n int) int) recent {
	return recent{width: width, most: most, need: need}
}

// bytes is about the memory that a sequence of so many tokens takes.
func (r *recent) bytes(tokens int) int64 {
	return 4 * int64(r.width) * int64(2*min(r.most+recentSlack, tokens)+snapshots*min(r.most, tokens))
}

// reserve makes room for a sequence of so many tokens, or for as many rows as are ever held while they
// come one by one.
func (r *recent) reserve(tokens int) {
	if n := min(tokens, 2*(r.most+recentSlack)); n*r.width > len(r.rows) {
		r.rows = rows(r.rows, n, r.width)
	}
}

// row is the row of position pos.
func (r *recent) row(pos int) []float32 { return r.rows[(pos-r.first)*r.width:][:r.width] }

// extend appends k rows, which are those of tokens read together. The rows needed before stay, so that
// all of the new tokens can look back.
func (r *recent) extend(x []float32, k int) {
	keep := r.most + recentSlack
	held := r.n - r.first
	if (held+k)*r.width > len(r.rows) {
		stay := min(held, keep)
		old := r.rows[(held-stay)*r.width : held*r.width]
		if (stay+k)*r.width > len(r.rows) {
			r.rows = make([]float32, (stay+k+min(stay+k, keep))*r.width)
		}
		copy(r.rows, old)
		r.first = r.n - stay
	}
	copy(r.rows[(r.n-r.first)*r.width:], x[:k*r.width])
	r.n += k
	if k >= snapshotAfter || r.n-r.lastSaved() >= snapshotEvery {
		r.snapshot()
	}
}

// add is extend where nobody looks back: of many rows only the last are taken.
func (r *recent) add(x []float32, k int) {
	keep := r.most + recentSlack
	if k > keep {
		r.n += k - keep
		r.first = r.n
		x, k = x[(k-keep)*r.width:], keep
	}
	r.extend(x, k)
}

func (r *recent) lastSaved() int {
	if len(r.saved) == 0 {
		return 0
	}
	return r.saved[len(r.saved)-1].at
}

// snapshot copies what r.n tokens need. When there are too many copies, the one goes whose neighbours
// are closest for its distance from the end, so that older ones stand further apart.
func (r *recent) snapshot() {
	if len(r.saved) == snapshots {
		drop, least, before := 0, 0.0, 0
		for i, s := range r.saved {
			after := r.n
			if i+1 < len(r.saved) {
				after = r.saved[i+1].at
			}
			if gap := float64(after-before) / float64(r.n-s.at+1); i == 0 || gap < least {
				drop, least = i, gap
			}
			before = s.at
		}
		r.spare = r.saved[drop].rows
		r.saved = append(r.saved[:drop], r.saved[drop+1:]...)
	}
	need := r.need(r.n)
	if cap(r.spare) < need*r.width {
		r.spare = make([]float32, 0, min(r.most, need+need/4)*r.width)
	}
	r.saved = append(r.saved, snapshot{r.n, append(r.spare[:0], r.rows[(r.n-need-r.first)*r.width:][:need*r.width]...)})
	r.spare = nil
}

// reach is the largest length up to n that r can return to.
func (r *recent) reach(n int) int {
	if n >= r.n {
		return r.n
	}
	if n-r.need(n) >= r.first {
		return n
	}
	for i := len(r.saved) - 1; i >= 0; i-- {
		if r.saved[i].at <= n {
			return r.saved[i].at
		}
	}
	return 0
}

// back returns to n tokens, which reach found to be possible.
func (r *recent) back(n int) {
	k := len(r.saved)
	for k > 0 && r.saved[k-1].at > n {
		k--
	}
	r.saved = r.saved[:k]
	switch {
	case n == r.n:
		return
	case n-r.need(n) >= r.first:
	case n == 0:
		r.first = 0
	default:
		s := r.saved[k-1]
		r.reserve(len(s.rows) / r.width)
		r.first = n - copy(r.rows, s.rows)/r.width
	}
	r.n = n
}

// save writes what r needs to go on and, but for a part of a cache, to return.
func (r *recent) save(w *stateWriter) {
	need := r.need(r.n)
	w.floats(r.rows[(r.n-need-r.first)*r.width:][:need*r.width])
	saved := r.saved
	if w.part {
		saved = nil
	}
	w.int(len(saved))
	for _, s := range saved {
		w.int(s.at)
		w.floats(s.rows)
	}
}

// load reads what save wrote for n tokens.
func (r *recent) load(s *stateReader, n int) error {
	need := r.need(n)
	r.reserve(need)
	s.floats(r.rows[:need*r.width])
	r.first, r.n, r.saved = n-need, n, nil
	for range s.int() {
		at := s.int()
		if s.err != nil {
			return nil // the reader tells
		}
		if at <= r.lastSaved() || at > n || len(r.saved) == snapshots {
			return fmt.Errorf("a state of %d tokens cannot stand after one of %d in a sequence of %d", at, r.lastSaved(), n)
		}
		rows := make([]float32, r.need(at)*r.width)
		s.floats(rows)
		r.saved = append(r.saved, snapshot{at, rows})
	}
	return nil
}
