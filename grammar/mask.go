package grammar

// Which tokens may come next.
//
// A token is permitted if reading its bytes leaves a configuration that is not dead; since no state of the automaton
// is without a way to its end, the text can then be completed. The tokens are a tree, which is walked together with
// the automaton, and dead branches are cut. Inside a text of a JSON string almost nothing is cut, and the walk visits
// the whole vocabulary. So that it is not done again at every place, it is taken apart.
//
// Take a group of a configuration: states S over a stack p. Walk the tree from S over nothing. A token that is read
// without leaving S's rule is permitted whatever p is. Where the rule can end inside a token, at a node of the tree,
// what is below this node is for p to judge. Both lists depend on S alone and are kept (part); the second is short
// where it matters, as few tokens hold a quotation mark and more. The mask of a configuration is the first lists of its
// groups and the walks that go on from the second.
//
// In a counted repetition of characters p tells how many there were, and every count would be another walk. There a
// walk remembers how many characters each token needs, and the tokens are sorted by it (countedPart).

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
)

// Masker finds the tokens of a vocabulary that a grammar permits. It may be used by many goroutines; what one of them
// has found is found for all.
type Masker struct {
	g    *Grammar
	v    *Vocabulary
	ends []int32

	mu      sync.Mutex
	m       *machine
	parts   map[string]*part
	counted map[string]*countedPart
	held    int   // bytes of masks
	large   int32 // manyNodes
	path    []*config
	chars   []int32 // complete, by depth
	key     []byte
}

// maxHeld bounds the memory of masks that are remembered.
const maxHeld = 64 << 20

// For prepares a grammar for a vocabulary. ends are the tokens that end a text, permitted where the grammar may end.
func (g *Grammar) For(v *Vocabulary, ends []int32) (*Masker, error) {
	for _, name := range g.controls {
		if _, ok := v.controls[name]; !ok {
			return nil, fmt.Errorf("grammar: the model has no control token %q", quoted(name))
		}
	}
	for _, id := range ends {
		if id < 0 || int(id) >= v.size {
			return nil, fmt.Errorf("grammar: end token %d: the vocabulary has %d", id, v.size)
		}
	}
	k := &Masker{g: g, v: v, ends: ends, m: newMachine(g), large: manyNodes}
	if k.m.err != nil {
		return nil, fmt.Errorf("grammar: %w", k.m.err)
	}
	k.path = make([]*config, v.deep+1)
	k.chars = make([]int32, v.deep+1)
	k.forget()
	return k, nil
}

func (k *Masker) forget() {
	k.m.forget()
	k.parts, k.counted, k.held = map[string]*part{}, map[string]*countedPart{}, 0
}

// words is how many words a mask has.
func (k *Masker) words() int { return (k.v.size + 63) / 64 }

// addIDs adds tokens to a mask.
func addIDs(mask []uint64, ids []int32) {
	for _, id := range ids {
		mask[id/64] |= 1 << (id % 64)
	}
}

// addMask adds the tokens of another mask, nil for none.
func addMask(mask, other []uint64) {
	for i, w := range other {
		mask[i] |= w
	}
}

// maskOf gives the mask of a configuration. mu is held.
func (k *Masker) maskOf(c *config) ([]uint64, error) {
	if c.mask != nil {
		return c.mask, nil
	}
	k.m.work = 0
	out := make([]uint64, k.words())
	for _, g := range c.groups {
		if k.counts(g) {
			k.addCounted(out, g)
		} else {
			k.addPart(out, g, 0, int32(len(k.v.byteAt)))
		}
	}
	if c.accept {
		addIDs(out, k.ends)
	}
	if k.m.err != nil {
		err := k.m.err
		k.m.err = nil
		return nil, fmt.Errorf("grammar: %w", err)
	}
	c.mask = out
	k.held += 8 * len(out)
	return out, nil
}

// part is what a group permits for itself.
type part struct {
	mask  []uint64 // nil: ids instead
	ids   []int32
	exits []branch // what comes in the tree right after the places where the rule can end
}

// branch is nodes of the same byte.
type branch struct {
	b     byte
	nodes []int32
}

// branchesOf sorts the children of nodes by their bytes.
func (v *Vocabulary) branchesOf(nodes []int32) (list []branch) {
	var count [256]int
	total := 0
	children := func(f func(at int32)) {
		for _, n := range nodes {
			for at := n + 1; at < v.end[n]; at = v.end[at] {
				f(at)
			}
		}
	}
	children(func(at int32) { count[v.byteAt[at]]++; total++ })
	all := make([]int32, total)
	var to [256][]int32
	for b, n := range count {
		if n > 0 {
			to[b], all = all[:0:n], all[n:]
		}
	}
	children(func(at int32) { to[v.byteAt[at]] = append(to[v.byteAt[at]], at) })
	for b, nodes := range to {
		if len(nodes) > 0 {
			list = append(list, branch{byte(b), nodes})
		}
	}
	return list
}

// manyNodes is from how many nodes on what is below an exit is taken apart like the whole tree: behind a space there is
// half of a vocabulary.
const manyNodes = 512

// addPart adds what a group permits of the nodes lo to hi, siblings and what is below them.
func (k *Masker) addPart(out []uint64, g group, lo, hi int32) {
	p := k.partOf(g.states, lo, hi)
	addMask(out, p.mask)
	addIDs(out, p.ids)
	if g.parent == nil || len(p.exits) == 0 {
		return
	}
	after := k.m.after(g.parent)
	k.open(after, p.exits, func(at int32) { k.addBelow(out, after, at) })
}

// open calls f with the nodes of branches whose byte a configuration can read.
func (k *Masker) open(c *config, branches []branch, f func(at int32)) {
	if c == dead {
		return
	}
	for _, b := range branches {
		if k.m.step(c, b.b) == dead {
			continue
		}
		for _, at := range b.nodes {
			f(at)
		}
	}
}

// addBelow adds what a configuration permits at a node and below it.
func (k *Masker) addBelow(out []uint64, c *config, at int32) {
	lo, hi := at, k.v.end[at]
	if hi-lo < k.large || slices.ContainsFunc(c.groups, k.counts) {
		k.walk(c, lo, hi, func(id int32) { out[id/64] |= 1 << (id % 64) }, nil)
		return
	}
	for _, g := range c.groups {
		k.addPart(out, g, lo, hi)
	}
}

// counts says whether a group stands in a counted repetition of characters.
func (k *Masker) counts(g group) bool {
	return g.parent != nil && g.parent.loop >= 0 && k.g.loops[g.parent.loop].charwise
}

// partOf walks a part of the tree from states over nothing.
func (k *Masker) partOf(states []int32, lo, hi int32) *part {
	k.key = binary.LittleEndian.AppendUint32(k.key[:0], uint32(lo))
	for _, s := range states {
		k.key = binary.LittleEndian.AppendUint32(k.key, uint32(s))
	}
	key := string(k.key)
	if p := k.parts[key]; p != nil {
		return p
	}
	p := &part{}
	var exits []int32
	dense := k.v.size / 32 // ids take as much as a mask
	k.walk(k.m.alone(states), lo, hi, func(id int32) {
		if p.mask == nil {
			if p.ids = append(p.ids, id); len(p.ids) < dense {
				return
			}
			p.mask = make([]uint64, k.words())
			addIDs(p.mask, p.ids)
			p.ids = nil
		}
		p.mask[id/64] |= 1 << (id % 64)
	}, func(at int32) {
		if !k.v.leaf(at) {
			exits = append(exits, at)
		}
	})
	p.exits = k.v.branchesOf(exits)
	if k.m.err == nil {
		k.parts[key] = p
		k.held += 8*len(p.mask) + 4*len(p.ids) + 16*len(exits)
	}
	return p
}

// walk reads the tree from node lo to hi, siblings and what is below them. token is called with every token that can
// be read, exit, if not nil, with every node after which a text of from may end.
func (k *Masker) walk(from *config, lo, hi int32, token func(id int32), exit func(at int32)) {
	if from == dead || lo >= hi {
		return
	}
	v, class := k.v, &k.g.class
	base := v.depth[lo]
	k.path[0] = from
	for at := lo; at < hi; {
		d := v.depth[at] - base
		c := k.path[d]
		next := c.next[class[v.byteAt[at]]]
		if next == nil {
			if next = k.m.step(c, v.byteAt[at]); k.m.err != nil {
				return
			}
		}
		if next == dead {
			at = v.end[at]
			continue
		}
		if v.token[at] >= 0 {
			v.each(at, token)
		}
		if next.accept && exit != nil {
			exit(at)
		}
		k.path[d+1] = next
		at++
	}
}
