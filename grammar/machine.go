package grammar

// The automaton at work. What it knows of a text is a configuration: every way in which the text may have been read so
// far. A way is a state and, below it, the stack of what to go on with when the state's rule ends. Equal stacks are one
// node, equal configurations one pointer, and the step from a configuration by a byte is computed once: the machine is
// a deterministic automaton that is built as far as texts go.

import (
	"encoding/binary"
	"errors"
	"slices"
)

// node is the top of a stack.
type node struct {
	id     uint32
	to     int32 // state to go on with, where loop is -1
	loop   int32
	count  int32 // of the loop: times that its body is complete
	parent *node // nil: the end of the text, or of what is looked at

	after *config // see machine.after
	rest  *config // of a loop: what follows it, see machine.behind
}

// group is states over the same stack.
type group struct {
	states []int32 // that read bytes, in order
	parent *node
}

// config is a configuration.
type config struct {
	groups []group
	accept bool      // the text may end here
	next   []*config // by class, nil where not computed
	round  int       // of the machine when it was made

	mask []uint64 // see Masker.maskOf
}

// dead is the configuration of texts that are not in the grammar.
var dead = &config{}

// machine computes configurations of one grammar. It belongs to one goroutine at a time.
type machine struct {
	g       *Grammar
	start   *config
	round   int
	ids     uint32
	none    []*config // config.next until something is computed
	nodes   map[nodeKey]*node
	configs map[string]*config

	work  int // pieces of work since it was set to 0
	limit int
	err   error // errComplex

	pending []pair
	seen    map[pair]struct{}
	items   []pair
	accept  bool
	key     []byte
}

type nodeKey struct {
	to, loop, count int32
	parent          *node
}

type pair struct {
	state  int32
	parent *node
}

// maxConfigs and maxNodes bound what is remembered.
const (
	maxConfigs = 1 << 16
	maxNodes   = 1 << 17
	maxItems   = 1 << 13 // ways of one configuration
	maxWork    = 1 << 20 // pieces of work of one mask, of which a second has some millions
)

// errComplex says that a text can be read in too many ways.
var errComplex = errors.New("the text can be read in too many ways at a time: make the grammar less ambiguous")

func newMachine(g *Grammar) *machine {
	m := &machine{g: g, seen: map[pair]struct{}{}, limit: maxWork, none: make([]*config, g.classes)}
	m.forget()
	m.begin()
	m.push(g.starts[0], nil)
	m.start = m.finish()
	return m
}

// forget empties what is remembered. Configurations that are in use stay usable through adopt.
func (m *machine) forget() {
	m.round++
	m.ids = 0
	m.nodes, m.configs = map[nodeKey]*node{}, map[string]*config{}
	if m.start != nil {
		m.start = m.adopt(m.start)
	}
}

// adopt gives the configuration of this round that equals c.
func (m *machine) adopt(c *config) *config {
	if c.round == m.round || c == dead {
		return c
	}
	m.begin()
	m.accept = c.accept
	for _, g := range c.groups {
		for _, s := range g.states {
			m.items = append(m.items, pair{s, m.adoptNode(g.parent)})
		}
	}
	return m.finish()
}

// adoptNode gives the node of this round that equals n.
func (m *machine) adoptNode(n *node) *node {
	if n == nil {
		return nil
	}
	var path []*node
	for ; n != nil; n = n.parent {
		path = append(path, n)
	}
	var parent *node
	for _, n := range slices.Backward(path) {
		parent = m.node(nodeKey{n.to, n.loop, n.count, parent})
	}
	return parent
}

func (m *machine) node(k nodeKey) *node {
	n := m.nodes[k]
	if n == nil {
		m.ids++
		n = &node{id: m.ids, to: k.to, loop: k.loop, count: k.count, parent: k.parent}
		m.nodes[k] = n
	}
	return n
}

// step reads a byte.
func (m *machine) step(c *config, b byte) *config {
	class := m.g.class[b]
	if next := c.next[class]; next != nil {
		return next
	}
	b = m.g.byteOf[class]
	m.begin()
	for _, g := range c.groups {
		for _, s := range g.states {
			m.work++
			for _, e := range m.g.states[s].edges {
				if e.lo <= b && b <= e.hi {
					m.push(e.to, g.parent)
				}
			}
		}
	}
	next := m.finish()
	if m.err == nil {
		if &c.next[0] == &m.none[0] {
			c.next = make([]*config, m.g.classes)
		}
		c.next[class] = next
	}
	return next
}

func (m *machine) begin() {
	m.pending, m.items, m.accept = m.pending[:0], m.items[:0], false
	clear(m.seen)
}

// push adds a way.
func (m *machine) push(s int32, p *node) {
	w := pair{s, p}
	if _, ok := m.seen[w]; !ok {
		m.seen[w] = struct{}{}
		m.pending = append(m.pending, w)
	}
}

// finish follows all ways up to their next byte and returns the configuration.
func (m *machine) finish() *config {
	for len(m.pending) > 0 {
		w := m.pending[len(m.pending)-1]
		m.pending = m.pending[:len(m.pending)-1]
		m.follow(w.state, w.parent)
		if m.work++; len(m.seen) > maxItems || m.work > m.limit {
			m.err = errComplex
			return dead
		}
	}
	if len(m.items) == 0 && !m.accept {
		return dead
	}
	return m.intern()
}

// follow takes a way on by what needs no byte.
func (m *machine) follow(s int32, p *node) {
	st := &m.g.states[s]
	if st.accept {
		m.leave(p)
	}
	for _, t := range st.skips {
		m.push(t, p)
	}
	for _, e := range st.calls {
		below := p
		if !m.g.last[e.to] {
			below = m.node(nodeKey{to: e.to, loop: -1, parent: p})
		}
		m.push(m.g.starts[e.rule], below)
	}
	for _, l := range st.loops {
		m.iterate(l, 0, p)
	}
	if len(st.edges) > 0 {
		m.items = append(m.items, pair{s, p})
	}
}

// leave ends a rule, or the body of a loop.
func (m *machine) leave(p *node) {
	switch {
	case p == nil:
		m.accept = true
	case p.loop < 0:
		m.push(p.to, p.parent)
	default:
		m.iterate(p.loop, p.count+1, p.parent)
	}
}

// iterate goes on with a loop whose body is complete count times.
func (m *machine) iterate(l, count int32, p *node) {
	lp := &m.g.loops[l]
	if lp.max < 0 {
		count = min(count, lp.min)
	}
	if count >= lp.min {
		m.push(lp.to, p)
	}
	if lp.max < 0 || count < lp.max {
		m.push(lp.start, m.node(nodeKey{loop: l, count: count, parent: p}))
	}
}

// intern gives the configuration of the items.
func (m *machine) intern() *config {
	slices.SortFunc(m.items, func(a, b pair) int {
		if d := int(a.parent.number()) - int(b.parent.number()); d != 0 {
			return d
		}
		return int(a.state - b.state)
	})
	m.key = m.key[:0]
	if m.accept {
		m.key = append(m.key, 1)
	}
	for _, w := range m.items {
		m.key = binary.LittleEndian.AppendUint32(m.key, w.parent.number())
		m.key = binary.LittleEndian.AppendUint32(m.key, uint32(w.state))
	}
	if c := m.configs[string(m.key)]; c != nil {
		return c
	}
	c := &config{accept: m.accept, next: m.none, round: m.round}
	states := make([]int32, len(m.items))
	for i, w := range m.items {
		states[i] = w.state
	}
	for i := 0; i < len(states); {
		j := i + 1
		for j < len(states) && m.items[j].parent == m.items[i].parent {
			j++
		}
		c.groups = append(c.groups, group{states[i:j:j], m.items[i].parent})
		i = j
	}
	m.configs[string(m.key)] = c
	return c
}

func (n *node) number() uint32 {
	if n == nil {
		return 0
	}
	return n.id
}

// after is what follows when the rule over n ends: the configuration of the stack n alone.
func (m *machine) after(n *node) *config {
	if n.after == nil {
		m.begin()
		m.leave(n)
		after := m.finish()
		if m.err != nil {
			return after
		}
		n.after = after
	}
	return n.after
}

// behind is what follows a loop, n being any of its nodes.
func (m *machine) behind(n *node) *config {
	if n.rest == nil {
		m.begin()
		m.push(m.g.loops[n.loop].to, n.parent)
		rest := m.finish()
		if m.err != nil {
			return rest
		}
		n.rest = rest
	}
	return n.rest
}

// alone is the configuration of states over the end.
func (m *machine) alone(states []int32) *config {
	m.begin()
	for _, s := range states {
		m.items = append(m.items, pair{s, nil})
	}
	return m.finish()
}

// full says whether it is time to forget.
func (m *machine) full() bool { return len(m.configs) > maxConfigs || len(m.nodes) > maxNodes }

// match says whether a text is in the grammar, and whether it is the beginning of one.
func (m *machine) match(text []byte) (whole, beginning bool) {
	c := m.start
	for _, b := range text {
		if c = m.step(c, b); c == dead {
			return false, false
		}
	}
	return c.accept, true
}
