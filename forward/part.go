// This file holds Part, what a cache gained by some of its tokens: rows in blocks that are shared, or bytes for those
// who keep parts longer than the process.

package forward

import (
	"bytes"
	"errors"
	"fmt"
)

// Part is what a cache gained by tokens [lo,hi): with the parts before it, it makes a cache of hi tokens.
// It does not change and may be used by many caches, which share its rows with it and with the cache it is of.
type Part struct {
	net    *Net
	lo, hi int
	rows   []sharedRows // of every rowCache, in the order in which layers save them
	bytes  int64        // of these rows
	rest   []byte       // what layers keep beside rows

	data []byte // all of it in one piece; then there are no rows, and nothing is shared
}

// Bytes is the memory that p takes when nobody else has its rows.
func (p *Part) Bytes() int64 { return p.bytes + int64(cap(p.rest)+cap(p.data)) }

// Part is what c gained by its tokens from position lo on. Rows are not copied: c may go on, go back and go another
// way.
func (c *Cache) Part(lo int) (*Part, error) {
	if lo < 0 || lo >= c.n {
		return nil, fmt.Errorf("forward: no tokens from position %d on in a cache that holds %d", lo, c.n)
	}
	var b bytes.Buffer
	p := &Part{net: c.net, lo: lo, hi: c.n}
	c.saveLayers(&stateWriter{w: &b, shared: p, part: true}, lo)
	p.rest = bytes.Clone(b.Bytes())
	return p, nil
}

// Append adds a part, which must begin where c ends, of the same Net and after the same tokens.
func (c *Cache) Append(p *Part) error {
	if p.net != c.net || p.lo != c.n {
		return fmt.Errorf("forward: tokens from position %d on, of a part, cannot follow the %d of a cache", p.lo, c.n)
	}
	if p.data != nil {
		if err := c.reserve(p.hi - p.lo); err != nil {
			return err
		}
		s := &stateReader{r: bytes.NewReader(p.data), buf: make([]byte, stateBuffer)}
		if err := errors.Join(c.loadLayers(s, p.lo, p.hi), s.err); err != nil {
			return err
		}
		c.n = p.hi
		return nil
	}
	if err := c.allows(p.hi - p.lo); err != nil {
		return err
	}
	if err := c.loadLayers(p.reader(), p.lo, p.hi); err != nil {
		return err
	}
	c.n, c.room = p.hi, p.hi // what stood behind has gone
	return nil
}

// reader gives what p holds, whose rows are taken from the front of a copy.
func (p *Part) reader() *stateReader {
	left := *p
	return &stateReader{r: bytes.NewReader(p.rest), buf: make([]byte, stateBuffer), shared: &left}
}

// Data is what p holds. It may be called beside everything else, and must not be changed.
func (p *Part) Data() []byte {
	if p.data != nil {
		return p.data
	}
	c := p.net.emptyCache(p.hi)
	if err := c.loadLayers(p.reader(), p.lo, p.hi); err != nil {
		panic("forward: a part cannot be read: " + err.Error()) // it was made a moment ago
	}
	c.n = p.hi
	b := bytes.NewBuffer(make([]byte, 0, p.Bytes()+stateBuffer))
	c.saveLayers(&stateWriter{w: b, buf: make([]byte, 0, stateBuffer), part: true}, p.lo)
	return b.Bytes()
}

// PartOf is the part of tokens [lo,hi) whose Data another Net of the same model gave, opened in the same way by the same
// program: nothing in the bytes says so. It keeps data. Bytes that make no sense are found by Append.
func (n *Net) PartOf(lo, hi int, data []byte) *Part { return &Part{net: n, lo: lo, hi: hi, data: data} }
