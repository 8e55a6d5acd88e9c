package grammar

// Masks inside a counted repetition of characters.

import "slices"

// countedPart is what a place inside the body of such a loop permits, for every count. To need n characters is to end
// in the n-th or with it, the one that is being read at the place counted.
type countedPart struct {
	ids   []int32 // sorted by what they need
	until []int32 // by n: how many of ids need at most n
	masks [][]uint64
	exits []countedExit
}

// countedExit is a node, not a leaf, that ends with so many characters.
type countedExit struct{ at, chars int32 }

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
	var rest *config
	for _, e := range p.exits {
		total := g.parent.count + e.chars
		if total < l.min || l.max >= 0 && total > l.max {
			continue
		}
		if rest == nil {
			rest = k.m.behind(g.parent)
		}
		k.walk(rest, e.at+1, k.v.end[e.at], func(id int32) { out[id/64] |= 1 << (id % 64) }, nil)
	}
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
		for _, id := range p.ids[:p.until[whole]] {
			mask[id/64] |= 1 << (id % 64)
		}
		p.masks[slot] = mask
		k.held += 8 * len(mask)
	}
	for i, w := range p.masks[slot] {
		out[i] |= w
	}
	for _, id := range p.ids[p.until[whole]:p.until[n]] {
		out[id/64] |= 1 << (id % 64)
	}
}

// countedPartOf walks the whole tree from states of the body of a loop, and from its start again after each character.
func (k *Masker) countedPartOf(states []int32, l *loop) *countedPart {
	k.key = k.key[:0]
	for _, s := range append(states[:len(states):len(states)], l.start) {
		k.key = append(k.key, byte(s), byte(s>>8), byte(s>>16), byte(s>>24))
	}
	key := string(k.key)
	if p := k.counted[key]; p != nil {
		return p
	}
	first := k.m.alone(states)
	again := k.m.alone(k.readers(l.start))
	p := &countedPart{masks: make([][]uint64, cumulative+2)}
	byNeed := make([][]int32, 1)
	v, class := k.v, &k.g.class
	k.path[0], k.counts[0] = first, 0
	for at := int32(0); int(at) < len(v.byteAt); {
		d := v.depth[at]
		c, chars := k.path[d], k.counts[d]
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
				p.exits = append(p.exits, countedExit{at, chars})
			}
		}
		v.each(at, func(id int32) {
			for int(need) >= len(byNeed) {
				byNeed = append(byNeed, nil)
			}
			byNeed[need] = append(byNeed[need], id)
		})
		k.path[d+1], k.counts[d+1] = next, chars
		at++
	}
	for _, ids := range byNeed {
		p.ids = append(p.ids, ids...)
		p.until = append(p.until, int32(len(p.ids)))
	}
	if k.m.err == nil {
		k.counted[key] = p
		k.held += 4*len(p.ids) + 8*len(p.exits)
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
