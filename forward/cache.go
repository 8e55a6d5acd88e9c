// This file holds Cache: what is kept of the tokens that were read, layer by layer.

package forward

import (
	"fmt"

	"github.com/haenyeo/haenyeo/internal/machine"
)

// Cache is the memory of one sequence. It grows with the sequence. It belongs to the Net that made it.
type Cache struct {
	net    *Net
	n      int // tokens held
	max    int
	room   int // tokens that every layer has memory for
	layers []layerCache
}

// layerCache is what one layer keeps of a sequence.
type layerCache interface {
	reserve(tokens int)     // makes room for so many tokens, keeping what is held
	bytes(tokens int) int64 // memory that room for so many tokens takes
	truncate(n int) int     // forgets tokens from position n on, or from an earlier one: returns how many are kept
	// save writes what is held of n tokens, less what a cache of lo tokens has already; load reads it.
	save(w *stateWriter, lo, n int)
	load(r *stateReader, lo, n int) error
}

// maxContext bounds positions, which are 32-bit numbers, and with them what sizes are computed from.
const maxContext = 1 << 30

// NewCache makes a cache for a sequence of at most max tokens. It takes memory as the sequence grows,
// but is refused at once when max tokens would not fit into the memory that is available.
func (n *Net) NewCache(max int) (*Cache, error) {
	if max < 1 || max > maxContext {
		return nil, fmt.Errorf("forward: a context of %d tokens is impossible, must be between 1 and %d", max, maxContext)
	}
	c := n.emptyCache(max)
	if err := c.fits(max); err != nil {
		return nil, err
	}
	return c, nil
}

func (n *Net) emptyCache(max int) *Cache {
	c := &Cache{net: n, max: max}
	for _, l := range n.layers {
		c.layers = append(c.layers, l.newCache())
	}
	return c
}

// Len is the number of tokens held.
func (c *Cache) Len() int { return c.n }

// Max is the number of tokens that the cache may hold.
func (c *Cache) Max() int { return c.max }

// Truncate forgets tokens from position n on and returns how many are kept: n, or fewer where layers
// keep a state that cannot be taken back token by token. The caller reads the missing ones again.
func (c *Cache) Truncate(n int) int {
	n = max(0, min(n, c.n))
	for kept := n; ; n = kept {
		for _, l := range c.layers {
			kept = min(kept, l.truncate(n))
		}
		if kept == n {
			c.n = n
			return n
		}
	}
}

// CacheBytes is the memory that a cache takes which was made for tokens tokens and holds as many.
func (n *Net) CacheBytes(tokens int) int64 { return n.emptyCache(tokens).bytes(tokens) }

// bytes is the memory that all layers take for so many tokens.
func (c *Cache) bytes(tokens int) (sum int64) {
	for _, l := range c.layers {
		sum += l.bytes(tokens)
	}
	return sum
}

// fits says that room for tokens tokens fits into memory, or what would.
func (c *Cache) fits(tokens int) error {
	_, available := machine.Memory()
	need := c.bytes(tokens) - c.bytes(c.room)
	if available <= 0 || need <= available {
		return nil
	}
	lo, hi := c.room, tokens // lo fits
	for hi-lo > 1 {
		if mid := lo + (hi-lo)/2; c.bytes(mid)-c.bytes(c.room) <= available {
			lo = mid
		} else {
			hi = mid
		}
	}
	return fmt.Errorf("forward: a context of %d tokens needs %.1f GB for its cache, but %.1f GB of memory are available: about %d tokens would fit",
		tokens, float64(c.bytes(tokens))/1e9, float64(available+c.bytes(c.room))/1e9, lo/64*64)
}

// firstRoom is how many tokens a cache has room for at first.
const firstRoom = 64

// allows says whether n more tokens may come.
func (c *Cache) allows(n int) error {
	if c.n+n > c.max {
		return fmt.Errorf("forward: %d tokens do not fit a context of %d that holds %d: shorten the text or ask for a longer context", n, c.max, c.n)
	}
	return nil
}

// reserve makes room for n more tokens.
func (c *Cache) reserve(n int) error {
	if err := c.allows(n); err != nil {
		return err
	}
	need := c.n + n
	if need <= c.room {
		return nil
	}
	room := firstRoom
	if need > firstRoom { // whole blocks
		room = (need + blockRows - 1) / blockRows * blockRows
	}
	room = min(room, c.max)
	if err := c.fits(room); err != nil {
		if room = need; c.fits(room) != nil {
			return err
		}
	}
	if r := c.net.residents; r != nil {
		// A block that grows, or is copied because others read it, is garbage until it is collected.
		if err := r.claim(c.bytes(room) - c.bytes(c.room) + c.bytes(min(c.room, blockRows))); err != nil {
			return err
		}
	}
	for _, l := range c.layers {
		l.reserve(room)
	}
	c.room = room
	return nil
}
