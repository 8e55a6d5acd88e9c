package tokenizer

// Byte-pair merging of one piece: the pair with the lowest rank first, the leftmost of equals.
//
// In order: the pair table; short pieces, where scanning for the lowest rank beats any structure; long pieces, with a
// heap; endless pieces (a line of megabytes without a space), in windows that are proved to join exactly.

import "slices"

// Limits of the packed pair table: 21 bits of each id, 22 of the rank. No published vocabulary has a fifth of it.
const (
	idBits    = 21
	rankBits  = 22
	maxTokens = 1<<idBits - 2
	maxMerges = 1<<rankBits - 2
)

const (
	noRank    = 1<<rankBits - 1
	emptySlot = ^uint64(0)
)

// merger holds the merges of a vocabulary.
type merger struct {
	byteID [256]uint32
	slots  []uint64 // open addressing: left id, right id, rank, from the high bits down; emptySlot where free
	shift  uint     // 64 - log2(len(slots))
	result []uint32 // by rank
}

// newMerger builds the table; a pair that is listed twice keeps its later rank, as in `tokenizers`.
func newMerger(byteID [256]uint32, pairs [][2]uint32, result []uint32) *merger {
	m := &merger{byteID: byteID, result: result, shift: 64 - 4}
	for 1<<(64-m.shift) < 2*len(pairs) {
		m.shift--
	}
	m.slots = make([]uint64, 1<<(64-m.shift))
	for i := range m.slots {
		m.slots[i] = emptySlot
	}
	for rank, p := range pairs {
		key := uint64(p[0])<<idBits | uint64(p[1])
		i := hashPair(key, m.shift)
		for m.slots[i] != emptySlot && m.slots[i]>>rankBits != key {
			i = (i + 1) & uint64(len(m.slots)-1)
		}
		m.slots[i] = key<<rankBits | uint64(rank)
	}
	return m
}

func hashPair(key uint64, shift uint) uint64 { return key * 0x9E3779B97F4A7C15 >> shift }

// rank gives the rank of merging a and b, noRank when they do not merge.
func (m *merger) rank(a, b uint32) uint32 {
	key := uint64(a)<<idBits | uint64(b)
	slots := m.slots
	for i := hashPair(key, m.shift); ; i++ {
		s := slots[i&uint64(len(slots)-1)]
		if s>>rankBits == key {
			return uint32(s & noRank)
		}
		if s == emptySlot {
			return noRank
		}
	}
}

const (
	shortPiece  = 48   // bytes; up to here the scan is faster than the heap
	windowBytes = 2048 // longest piece that is merged at once
	windowTail  = 128  // what the end of a window may get wrong
)

// mergeScratch is what merging needs besides the tables; it grows to the largest window once.
type mergeScratch struct {
	ids, ranks []uint32
	next, prev []int32
	heap       []uint64 // rank<<32 | position
}

// merge appends the ids of piece to dst.
func (m *merger) merge(dst []int32, piece string, s *mergeScratch, length func(id uint32) int) []int32 {
	if len(piece) <= windowBytes {
		for _, id := range m.window(piece, s) {
			dst = append(dst, int32(id))
		}
		return dst
	}
	return m.mergeEndless(dst, piece, s, length, windowBytes, windowTail)
}

// window merges a piece of any length at once. The result is good until the next call.
func (m *merger) window(piece string, s *mergeScratch) []uint32 {
	s.ids = slices.Grow(s.ids[:0], len(piece))[:len(piece)]
	s.ranks = slices.Grow(s.ranks[:0], len(piece))[:len(piece)]
	for i := 0; i < len(piece); i++ {
		s.ids[i] = m.byteID[piece[i]]
	}
	if len(piece) <= shortPiece {
		return m.mergeShort(s.ids, s.ranks)
	}
	return m.mergeLong(s)
}

// mergeShort merges ids in place by scanning for the lowest rank; ranks[i] is that of ids[i] and ids[i+1].
func (m *merger) mergeShort(ids, ranks []uint32) []uint32 {
	n := len(ids)
	if n == 0 {
		return ids
	}
	ranks = ranks[:n]
	for i := 0; i+1 < n; i++ {
		ranks[i] = m.rank(ids[i], ids[i+1])
	}
	ranks[n-1] = noRank
	for {
		best, at := uint32(noRank), 0
		for i, r := range ranks {
			if r < best {
				best, at = r, i
			}
		}
		if best == noRank {
			return ids
		}
		ids[at] = m.result[best]
		copy(ids[at+1:], ids[at+2:])
		copy(ranks[at+1:], ranks[at+2:])
		n--
		ids, ranks = ids[:n], ranks[:n]
		if at+1 < n {
			ranks[at] = m.rank(ids[at], ids[at+1])
		} else {
			ranks[at] = noRank
		}
		if at > 0 {
			ranks[at-1] = m.rank(ids[at-1], ids[at])
		}
	}
}

// mergeLong does the same over a linked list with a heap of (rank, position). An entry is stale, and ignored, when the
// rank at its position has changed since.
func (m *merger) mergeLong(s *mergeScratch) []uint32 {
	n := len(s.ids)
	s.next = slices.Grow(s.next[:0], n)[:n]
	s.prev = slices.Grow(s.prev[:0], n)[:n]
	ids, ranks, next, prev, h := s.ids, s.ranks[:n], s.next, s.prev, s.heap[:0]
	for i := range ids {
		next[i], prev[i] = int32(i+1), int32(i-1)
		ranks[i] = noRank
		if i+1 < n {
			if ranks[i] = m.rank(ids[i], ids[i+1]); ranks[i] != noRank {
				h = append(h, uint64(ranks[i])<<32|uint64(i))
			}
		}
	}
	for i := len(h)/2 - 1; i >= 0; i-- {
		siftDown(h, i)
	}
	for len(h) > 0 {
		top := h[0]
		rank, i := uint32(top>>32), int32(uint32(top))
		if ranks[i] != rank {
			h[0] = h[len(h)-1]
			if h = h[:len(h)-1]; len(h) > 0 {
				siftDown(h, 0)
			}
			continue
		}
		j := next[i]
		ids[i] = m.result[rank]
		ranks[j] = noRank
		k := next[j]
		next[i] = k
		replaced := false
		ranks[i] = noRank
		if int(k) < n {
			prev[k] = i
			if r := m.rank(ids[i], ids[k]); r != noRank {
				ranks[i] = r
				h[0] = uint64(r)<<32 | uint64(i)
				siftDown(h, 0)
				replaced = true
			}
		}
		if p := prev[i]; p >= 0 {
			r := m.rank(ids[p], ids[i])
			ranks[p] = r
			if r != noRank {
				e := uint64(r)<<32 | uint64(p)
				if replaced {
					h = append(h, e)
					siftUp(h, len(h)-1)
				} else {
					h[0] = e
					siftDown(h, 0)
					replaced = true
				}
			}
		}
		if !replaced {
			h[0] = h[len(h)-1]
			if h = h[:len(h)-1]; len(h) > 0 {
				siftDown(h, 0)
			}
		}
	}
	s.heap = h[:0]
	w := 0
	for i := int32(0); int(i) < n; i = next[i] {
		ids[w] = ids[i]
		w++
	}
	return ids[:w]
}

func siftDown(h []uint64, i int) {
	v := h[i]
	for {
		c := 2*i + 1
		if c >= len(h) {
			break
		}
		if c+1 < len(h) && h[c+1] < h[c] {
			c++
		}
		if h[c] >= v {
			break
		}
		h[i] = h[c]
		i = c
	}
	h[i] = v
}

func siftUp(h []uint64, i int) {
	v := h[i]
	for i > 0 {
		p := (i - 1) / 2
		if h[p] <= v {
			break
		}
		h[i] = h[p]
		i = p
	}
	h[i] = v
}

// mergeEndless merges a piece longer than a window in bounded memory, with the same ids as at once.
//
// A sequence of tokens is the merging of its bytes exactly when every two neighbours are the merging of theirs: the first
// merge across a border that the whole would make, the two tokens beside that border would make alone, because until then
// everything inside tokens happens as it does alone. So: merge a window; keep its tokens but those near its end; start the
// next window at the border of the last one kept; accept when the pair across that border stands the test. If it does not,
// keep one less, a few times; then go back ever further and take ever larger windows, at worst the whole piece.
func (m *merger) mergeEndless(dst []int32, piece string, s *mergeScratch, length func(id uint32) int, window, tail int) []int32 {
	const retries = 8
	var (
		probe  mergeScratch
		start  = len(dst) // tokens from here on belong to this piece
		at     = 0        // byte where the next window begins
		size   = window
		failed = 0 // the last border that did not stand
		tries  = 0 // since a border beyond failed stood
	)
	for at < len(piece) {
		end := min(at+size, len(piece))
		ids := m.window(piece[at:end], s)
		if len(dst) > start && !m.neighbours(piece[:at+length(ids[0])], uint32(dst[len(dst)-1]), ids[0], &probe, length) {
			failed = max(failed, at)
			back := 1
			if tries++; tries > retries {
				size *= 2
				back = size
			}
			for to := at - back; at > to && len(dst) > start; dst = dst[:len(dst)-1] {
				at -= length(uint32(dst[len(dst)-1]))
			}
			continue
		}
		keep := len(ids)
		if end < len(piece) {
			for left := 0; keep > 1 && left < tail; {
				keep--
				left += length(ids[keep])
			}
		}
		for _, id := range ids[:keep] {
			at += length(id)
			dst = append(dst, int32(id))
		}
		if at > failed {
			size, tries = window, 0
		}
	}
	return dst
}

// neighbours tells whether the tokens a and b, the last bytes of text, are what their bytes merge to.
func (m *merger) neighbours(text string, a, b uint32, s *mergeScratch, length func(id uint32) int) bool {
	ids := m.window(text[len(text)-length(a)-length(b):], s)
	return len(ids) == 2 && ids[0] == a && ids[1] == b
}
