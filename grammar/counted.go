package grammar

// Masks inside a counted repetition of characters.

import (
	"encoding/binary"
	"math"
	"slices"
)

// countedPart is what a place inside the body of such a loop permits, for every count. To need n characters is to end
// in the n-th or with it, the one that is being read at the place counted.
type countedPart struct {
	ids   []int32 // sorted by what they need
	until []int32 // by n: how many of ids need at most n
	masks [][]uint64
	exits [][]branch // by n: what comes in the tree right after n characters

	through map[*config]*through // by what follows the loop
}

// through is the tokens that end a loop and go on with what follows it.
type through struct {
	ids  [][]int32 // by the characters that the loop has of them
	mask []uint64  // of all, nil where not known
}

// maxThrough bounds the ids of one; beyond, they are found anew every time.
const maxThrough = 1 << 18

// cumulative is up to how many characters there are masks of their own.
const cumulative = 32

func (k *Masker) addCounted(out []uint64, g group) {
	l := &k.g.loops[g.parent.loop]
	p := k.countedPartOf(g.states, l)
	most := int32(len(p.until) - 1)
	if l.max >= 0 {
		most = min(most, l.max-g.parent.count)
	}
	k.permit(out, p, most)
	if len(p.exits) == 0 {
		return
	}
	first, last := max(1, l.min-g.parent.count), int32(math.MaxInt32)
	if l.max >= 0 {
		last = l.max - g.parent.count
	}
	if int(first) >= len(p.exits) {
		return
	}
	rest := k.m.behind(g.parent)
	t := k.throughOf(p, rest)
	if t == nil { // too many to be kept
		for n := first; n <= last && int(n) < len(p.exits); n++ {
			k.open(rest, p.exits[n], func(at int32) { k.addBelow(out, rest, at) })
		}
		return
	}
	longest := int32(len(t.ids) - 1)
	if first == 1 && last >= longest {
		if t.mask == nil {
			t.mask = make([]uint64, k.words())
			t.add(t.mask, first, longest)
			k.held += 8 * len(t.mask)
		}
		addMask(out, t.mask)
		return
	}
	t.add(out, first, min(last, longest))
}

// add adds the tokens with first to last characters.
func (t *through) add(out []uint64, first, last int32) {
	for n := first; n <= last; n++ {
		addIDs(out, t.ids[n])
	}
}

// throughOf finds the tokens that go through exits, nil where they are too many.
func (k *Masker) throughOf(p *countedPart, rest *config) *through {
	if t, known := p.through[rest]; known {
		return t
	}
	t, total := &through{ids: make([][]int32, len(p.exits))}, 0
	for n, branches := range p.exits {
		k.open(rest, branches, func(at int32) {
			if total <= maxThrough {
				k.walk(rest, at, k.v.end[at], func(id int32) { t.ids[n] = append(t.ids[n], id) }, nil)
			}
		})
		if total += len(t.ids[n]); k.m.err != nil || total > maxThrough {
			t = nil
			break
		}
	}
	if k.m.err == nil {
		p.through[rest] = t
		k.held += 4 * total
	}
	return t
}

// permit adds the tokens that need at most n characters.
func (k *Masker) permit(out []uint64, p *countedPart, n int32) {
	whole := min(n, cumulative)
	if n == int32(len(p.until)-1) {
		whole = n // everything
	}
	slot := min(whole, cumulative+1)
	if p.masks[slot] == nil {
		mask := make([]uint64, k.words())
		addIDs(mask, p.ids[:p.until[whole]])
		p.masks[slot] = mask
		k.held += 8 * len(mask)
	}
	addMask(out, p.masks[slot])
	addIDs(out, p.ids[p.until[whole]:p.until[n]])
}

// countedPartOf walks the whole tree from states of the body of a loop, and from its start again after each character.
func (k *Masker) countedPartOf(states []int32, l *loop) *countedPart {
	k.key = k.key[:0]
	for _, s := range append(states[:len(states):len(states)], l.start) {
		k.key = binary.LittleEndian.AppendUint32(k.key, uint32(s))
	}
	key := string(k.key)
	if p := k.counted[key]; p != nil {
		return p
	}
	first := k.m.alone(states)
	again := k.m.alone(k.readers(l.start))
	p := &countedPart{masks: make([][]uint64, cumulative+2), through: map[*config]*through{}}
	byNeed := make([][]int32, 1)
	var exits [][]int32 // by chars
	v, class := k.v, &k.g.class
	k.path[0], k.chars[0] = first, 0
	for at := int32(0); int(at) < len(v.byteAt); {
		d := v.depth[at]
		c, chars := k.path[d], k.chars[d]
		next := c.next[class[v.byteAt[at]]]
		if next == nil {
			next = k.m.step(c, v.byteAt[at])
		}
		if next == dead {
			at = v.end[at]
			continue
		}
		need := chars + 1
		if next.accept { // a character is complete: as none begins another, nothing else can go on
			next, chars = again, chars+1
			if !v.leaf(at) {
				for int(chars) >= len(exits) {
					exits = append(exits, nil)
				}
				exits[chars] = append(exits[chars], at)
			}
		}
		v.each(at, func(id int32) {
			for int(need) >= len(byNeed) {
				byNeed = append(byNeed, nil)
			}
			byNeed[need] = append(byNeed[need], id)
		})
		k.path[d+1], k.chars[d+1] = next, chars
		at++
	}
	for _, ids := range byNeed {
		p.ids = append(p.ids, ids...)
		p.until = append(p.until, int32(len(p.ids)))
	}
	for _, nodes := range exits {
		p.exits = append(p.exits, v.branchesOf(nodes))
		k.held += 16 * len(nodes)
	}
	if k.m.err == nil {
		k.counted[key] = p
		k.held += 4 * len(p.ids)
	}
	return p
}

// readers lists the states that read the first byte of a character.
func (k *Masker) readers(start int32) []int32 {
	k.m.begin()
	k.m.push(start, nil)
	c := k.m.finish()
	var states []int32
	for _, g := range c.groups {
		states = append(states, g.states...)
	}
	slices.Sort(states)
	return states
}
