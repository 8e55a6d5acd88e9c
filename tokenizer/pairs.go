package tokenizer

// The three structures that learning needs: pairs by their symbols, the queue of pairs by count, and lists of positions.
// All are flat, so that millions of entries cost the garbage collector nothing.

// pairTable finds pairs by their symbols.
type pairTable struct {
	slots []int32 // open addressing: index in infos + 1, 0 where free
	infos []pairInfo
}

type pairInfo struct {
	count       int64
	left, right uint32
	list        positions
}

func pairHash(left, right uint32) uint64 {
	x := (uint64(left)<<32 | uint64(right)) * 0x9E3779B97F4A7C15
	return (x ^ x>>29) * 0xBF58476D1CE4E5B9
}

// add gives the place of a pair, which is made when it is not there.
func (t *pairTable) add(left, right uint32) int32 {
	if 2*(len(t.infos)+1) > len(t.slots) {
		t.slots = make([]int32, max(1024, 2*len(t.slots)))
		t.rehash()
	}
	slot := t.slot(left, right)
	if t.slots[slot] == 0 {
		t.infos = append(t.infos, pairInfo{left: left, right: right, list: positions{-1, -1, 0}})
		t.slots[slot] = int32(len(t.infos))
	}
	return t.slots[slot] - 1
}

// subtract lowers the count of a pair, if it is there.
func (t *pairTable) subtract(left, right uint32, count int64) {
	if p := t.slots[t.slot(left, right)] - 1; p >= 0 {
		t.infos[p].count -= count
	}
}

func (t *pairTable) slot(left, right uint32) uint64 {
	mask := uint64(len(t.slots) - 1)
	for i := pairHash(left, right) & mask; ; i = (i + 1) & mask {
		p := t.slots[i] - 1
		if p < 0 || t.infos[p].left == left && t.infos[p].right == right {
			return i
		}
	}
}

// rehash fills the slots anew.
func (t *pairTable) rehash() {
	clear(t.slots)
	for p := range t.infos {
		t.slots[t.slot(t.infos[p].left, t.infos[p].right)] = int32(p + 1)
	}
}

func (t *pairTable) clear() {
	t.infos = t.infos[:0]
	clear(t.slots)
}

// pairQueue is a heap: the largest count first, then the smaller left symbol, then the smaller right.
type pairQueue []queued

type queued struct {
	count       int64
	left, right uint32
	pair        int32
}

func (q queued) before(o queued) bool {
	if q.count != o.count {
		return q.count > o.count
	}
	if q.left != o.left {
		return q.left < o.left
	}
	return q.right < o.right
}

func (q *pairQueue) push(x queued) {
	h := append(*q, x)
	*q = h
	i := len(h) - 1
	for i > 0 {
		up := (i - 1) / 2
		if !x.before(h[up]) {
			break
		}
		h[i] = h[up]
		i = up
	}
	h[i] = x
}

func (q *pairQueue) pop() {
	h := *q
	n := len(h) - 1
	h[0] = h[n]
	if *q = h[:n]; n > 0 {
		q.down(0)
	}
}

// down restores the order after the entry at i got a smaller count.
func (q *pairQueue) down(i int) {
	h := *q
	x := h[i]
	for {
		c := 2*i + 1
		if c >= len(h) {
			break
		}
		if c+1 < len(h) && h[c+1].before(h[c]) {
			c++
		}
		if !h[c].before(x) {
			break
		}
		h[i] = h[c]
		i = c
	}
	h[i] = x
}

// occurrences holds lists of positions in blocks of one cache line, taken from slabs and given back.
type occurrences struct {
	slabs     [][]positionBlock
	used      int32 // blocks taken from slabs so far
	firstFree int32 // block+1, 0 where none
}

type positionBlock struct {
	at   [15]int32
	next int32 // -1 at the end
}

// positions is a list: its first and last block, -1 when empty, and how many places of the last are taken.
type positions struct{ head, tail, fill int32 }

const slabBlocks = 1 << 12 // 256 KB

func (o *occurrences) block(i int32) *positionBlock { return &o.slabs[i/slabBlocks][i%slabBlocks] }

func (o *occurrences) append(list *positions, at int32) {
	if list.head < 0 || list.fill == int32(len(positionBlock{}.at)) {
		b := o.take()
		if list.head < 0 {
			list.head = b
		} else {
			o.block(list.tail).next = b
		}
		list.tail, list.fill = b, 0
	}
	o.block(list.tail).at[list.fill] = at
	list.fill++
}

func (o *occurrences) take() int32 {
	b := o.firstFree - 1
	if b >= 0 {
		o.firstFree = o.block(b).next + 1
	} else {
		if int(o.used) == len(o.slabs)*slabBlocks {
			o.slabs = append(o.slabs, make([]positionBlock, slabBlocks))
		}
		b = o.used
		o.used++
	}
	o.block(b).next = -1
	return b
}

// each visits the positions in the order they were appended.
func (o *occurrences) each(list positions, visit func(at int32)) {
	for b := list.head; b >= 0; {
		block := o.block(b)
		n := int32(len(block.at))
		if b == list.tail {
			n = list.fill
		}
		for _, at := range block.at[:n] {
			visit(at)
		}
		b = block.next
	}
}

// free gives the blocks of a list back.
func (o *occurrences) free(list positions) {
	if list.head >= 0 {
		o.block(list.tail).next = o.firstFree - 1
		o.firstFree = list.head + 1
	}
}

// clear gives all blocks back.
func (o *occurrences) clear() { o.used, o.firstFree = 0, 0 }
