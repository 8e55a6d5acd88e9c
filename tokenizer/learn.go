package tokenizer

// Learning merges from counted pieces: the second half of training.
//
// All distinct pieces lie one after the other in one array of symbols, with a gap between, the most frequent first, so
// that a position tells its count by a short list. A symbol of n bytes takes n places: its number stands in the first and
// in the last, which lets one step left and right without links.
//
// Pairs are counted and their positions listed only from a floor on: a pair below it cannot be chosen while one above is
// left, because the count of a pair never grows after the merge that made its newer symbol. When none is left the floor is
// lowered and everything is counted again, which happens a handful of times. (The exception, a joined string that is a
// symbol already, also counts everything again.)

import (
	"context"
	"errors"
	"math"
	"runtime"
	"slices"
)

// learned is what training finds.
type learned struct {
	symbols []string // bytes of each symbol
	merges  []learnedMerge
}

type learnedMerge struct{ left, right, result uint32 }

// learner merges. S holds a symbol in as few bytes as the vocabulary allows: the pieces are most of the memory.
type learner[S uint16 | uint32] struct {
	learned
	known     map[string]uint32
	length    []int32 // bytes, by symbol
	at        []S     // the pieces
	gap, dead S       // between pieces; the first place of a symbol that is now the right half of another
	counts    []countRun

	floor  int64
	sketch []uint32 // see recount
	pairs  pairTable
	queue  pairQueue
	lists  occurrences

	// What one merge makes, by the symbol beside it.
	before, after side
}

// countRun says that pieces from a position on have a count.
type countRun struct {
	from  int32
	count int64
}

// learn merges until there are size symbols or no pair occurs least times.
func learn(ctx context.Context, pieces *pieceTable, size int, least int64, progress func(done, total int64)) (*learned, error) {
	if size <= math.MaxUint16-2 {
		return learnWith(ctx, &learner[uint16]{gap: math.MaxUint16, dead: math.MaxUint16 - 1}, pieces, size, least, progress)
	}
	return learnWith(ctx, &learner[uint32]{gap: math.MaxUint32, dead: math.MaxUint32 - 1}, pieces, size, least, progress)
}

func learnWith[S uint16 | uint32](ctx context.Context, l *learner[S], pieces *pieceTable, size int, least int64, progress func(done, total int64)) (*learned, error) {
	l.known = make(map[string]uint32)
	place := [256]S{}
	for i, b := range bytesInOrder() {
		place[b] = S(i)
		l.addSymbol(string([]byte{b}))
	}
	if err := l.layOut(pieces, &place); err != nil {
		return nil, err
	}
	wanted := int64(size - len(l.symbols))
	l.floor = math.MaxInt64
	for len(l.symbols) < size {
		pair, ok := l.best()
		if !ok {
			if l.floor <= least {
				break
			}
			l.lower(least)
			continue
		}
		l.merge(pair)
		if len(l.merges)%64 == 0 {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			progress(int64(len(l.symbols)-256), wanted)
		}
	}
	progress(int64(len(l.symbols)-256), wanted)
	return &l.learned, nil
}

func (l *learner[S]) addSymbol(bytes string) uint32 {
	id := uint32(len(l.symbols))
	l.symbols = append(l.symbols, bytes)
	l.known[bytes] = id
	l.length = append(l.length, int32(len(bytes)))
	l.before.grow(len(l.symbols))
	l.after.grow(len(l.symbols))
	return id
}

// layOut writes the pieces into l.at and empties the table.
func (l *learner[S]) layOut(pieces *pieceTable, place *[256]S) error {
	type ref struct {
		count int64
		shard uint8
		entry uint32
	}
	n, total := 0, 1
	for i := range pieces.shards {
		s := &pieces.shards[i]
		s.slots = nil
		n += len(s.entries)
		total += len(s.text) + len(s.entries)
	}
	if total > math.MaxInt32 {
		return errors.New("tokenizer: more than 2 GB of distinct pieces: lower MaxMemory or MaxPieceRunes")
	}
	refs := make([]ref, 0, n)
	for i := range pieces.shards {
		for e, c := range pieces.shards[i].entries {
			refs = append(refs, ref{c.count, uint8(i), uint32(e)})
		}
	}
	slices.SortFunc(refs, func(a, b ref) int {
		if a.count != b.count {
			if a.count > b.count {
				return -1
			}
			return 1
		}
		return 0
	})
	l.at = make([]S, 0, total)
	l.at = append(l.at, l.gap)
	for _, r := range refs {
		if n := len(l.counts); n == 0 || l.counts[n-1].count != r.count {
			l.counts = append(l.counts, countRun{int32(len(l.at)), r.count})
		}
		for _, b := range pieces.shards[r.shard].of(int(r.entry)) {
			l.at = append(l.at, place[b])
		}
		l.at = append(l.at, l.gap)
	}
	l.counts = append(l.counts, countRun{math.MaxInt32, 0})
	*pieces = pieceTable{}
	runtime.GC() // what counting held is more than what follows needs
	return nil
}

// lower sets a floor that brings pairs in, and counts again.
func (l *learner[S]) lower(least int64) {
	if l.floor == math.MaxInt64 {
		l.floor = max(least, l.largest()/8)
	} else {
		l.floor = max(least, l.floor/8)
	}
	l.recount()
}

// best takes the pair to merge next; false when none at or above the floor is left. The queue holds the count that a pair
// had once; it can only have fallen.
func (l *learner[S]) best() (pair int32, ok bool) {
	for len(l.queue) > 0 {
		top := &l.queue[0]
		count := l.pairs.infos[top.pair].count
		if count == top.count {
			pair = top.pair
			l.queue.pop()
			return pair, true
		}
		if count < l.floor {
			l.queue.pop()
			continue
		}
		top.count = count
		l.queue.down(0)
	}
	return 0, false
}

// merge replaces a pair everywhere.
func (l *learner[S]) merge(p int32) {
	pair := l.pairs.infos[p]
	a, b := pair.left, pair.right
	joined := l.symbols[a] + l.symbols[b]
	c, again := l.known[joined]
	if !again {
		c = l.addSymbol(joined)
	}
	l.merges = append(l.merges, learnedMerge{a, b, c})
	la, lb := l.length[a], l.length[b]
	at, run := l.at, 0
	l.lists.each(pair.list, func(i int32) {
		j := i + la
		if uint32(at[i]) != a || uint32(at[j]) != b {
			return
		}
		for l.counts[run+1].from <= i {
			run++
		}
		count, k := l.counts[run].count, j+lb
		x, y := at[i-1], at[k]
		at[j] = l.dead
		at[i], at[k-1] = S(c), S(c)
		if x != l.gap {
			if uint32(x) == c && !again {
				l.after.count[a] -= count // counted a moment ago
			} else {
				l.pairs.subtract(uint32(x), a, count)
			}
			l.before.add(uint32(x), i-l.length[x], count)
		}
		if y != l.gap {
			l.pairs.subtract(b, uint32(y), count)
			l.after.add(uint32(y), i, count)
		}
	})
	l.pairs.infos[p].count = 0
	l.lists.free(pair.list)
	if again {
		l.before.clear()
		l.after.clear()
		l.recount()
		return
	}
	l.track(&l.before, func(x uint32) (uint32, uint32) { return x, c })
	l.track(&l.after, func(y uint32) (uint32, uint32) { return c, y })
}

// track enters the pairs of one side that reach the floor, with their positions.
func (l *learner[S]) track(s *side, pairWith func(uint32) (left, right uint32)) {
	for _, x := range s.touched {
		s.pair[x] = -1
		if s.count[x] >= l.floor {
			left, right := pairWith(x)
			p := l.pairs.add(left, right)
			l.pairs.infos[p].count = s.count[x]
			l.queue.push(queued{s.count[x], left, right, p})
			s.pair[x] = p
		}
	}
	for _, o := range s.found {
		if p := s.pair[o.symbol]; p >= 0 {
			l.lists.append(&l.pairs.infos[p].list, o.at)
		}
	}
	s.clear()
}

// largest gives the largest count of a pair while all symbols are bytes.
func (l *learner[S]) largest() (most int64) {
	pairs := make([]int64, 256*256)
	l.eachPair(func(left, right uint32, _ int32, count int64) {
		n := &pairs[left<<8|right]
		*n += count
		most = max(most, *n)
	})
	return most
}

// recount counts and lists the pairs at or above the floor afresh. A small sketch of all counts, never below the truth,
// keeps most of the others from being entered even for a while.
func (l *learner[S]) recount() {
	const sketchBits = 20
	if l.sketch == nil {
		l.sketch = make([]uint32, 1<<sketchBits)
	}
	clear(l.sketch)
	slot := func(left, right uint32) *uint32 { return &l.sketch[pairHash(left, right)>>(64-sketchBits)] }
	l.eachPair(func(left, right uint32, _ int32, count int64) {
		s := slot(left, right)
		*s = uint32(min(int64(*s)+count, math.MaxUint32))
	})
	floor := uint32(min(l.floor, math.MaxUint32))
	l.pairs.clear()
	l.queue = l.queue[:0]
	l.lists.clear()
	l.eachPair(func(left, right uint32, at int32, count int64) {
		if *slot(left, right) < floor {
			return
		}
		info := &l.pairs.infos[l.pairs.add(left, right)]
		info.count += count
		l.lists.append(&info.list, at)
	})
	kept := l.pairs.infos[:0]
	for _, info := range l.pairs.infos {
		if info.count >= l.floor {
			l.queue.push(queued{info.count, info.left, info.right, int32(len(kept))})
			kept = append(kept, info)
		} else {
			l.lists.free(info.list)
		}
	}
	l.pairs.infos = kept
	l.pairs.rehash()
}

// eachPair calls visit for every pair of neighbours.
func (l *learner[S]) eachPair(visit func(left, right uint32, at int32, count int64)) {
	run := 0
	for i := int32(1); int(i) < len(l.at); i++ { // i: first symbol of a piece, then past its gap
		for l.counts[run+1].from <= i {
			run++
		}
		for {
			left := l.at[i]
			next := i + l.length[left]
			right := l.at[next]
			if right == l.gap {
				i = next
				break
			}
			visit(uint32(left), uint32(right), i, l.counts[run].count)
			i = next
		}
	}
}

// side gathers the pairs that the symbol of one merge makes with the symbols before or after it.
type side struct {
	count   []int64 // by symbol
	pair    []int32 // by symbol, for track
	touched []uint32
	found   []sideFound
}

type sideFound struct {
	symbol uint32
	at     int32
}

func (s *side) grow(symbols int) {
	for len(s.count) < symbols {
		s.count = append(s.count, 0)
		s.pair = append(s.pair, -2)
	}
}

// add finds a pair with symbol at a position; pair is -2 where symbol was not seen yet.
func (s *side) add(symbol uint32, at int32, count int64) {
	if s.pair[symbol] == -2 {
		s.pair[symbol] = -1
		s.touched = append(s.touched, symbol)
	}
	s.count[symbol] += count
	s.found = append(s.found, sideFound{symbol, at})
}

func (s *side) clear() {
	for _, x := range s.touched {
		s.count[x], s.pair[x] = 0, -2
	}
	s.touched, s.found = s.touched[:0], s.found[:0]
}
