// This file holds Cache: what is kept of the tokens that were already read, per layer. MLA keeps the
// normalised latent and the rotated shared key (R+P floats per token), GQA keys and values.

package model

import "fmt"

// Cache is the memory of one sequence. It grows with the sequence. It belongs to the model that made
// it and is used by one goroutine at a time.
type Cache struct {
	n, max, room int
	layers       []layerCache
	work         cacheWork
}

// layerCache holds rows for c.room tokens.
type layerCache struct {
	latent []float32 // MLA [S,R+P]
	k, v   []float32 // GQA [S,G,W]
}

// NewCache makes a cache for sequences of at most maxT tokens.
func (m *Model) NewCache(maxT int) *Cache {
	return &Cache{max: maxT, layers: make([]layerCache, len(m.blocks))}
}

// Len is the number of tokens held.
func (c *Cache) Len() int { return c.n }

// Truncate forgets all tokens from position n on.
func (c *Cache) Truncate(n int) { c.n = max(0, min(n, c.n)) }

// firstRoom is how many tokens a cache has room for at first.
const firstRoom = 64

// reserve makes room for n more tokens.
func (c *Cache) reserve(m *Model, n int) error {
	need := c.n + n
	if need > c.max {
		return fmt.Errorf("model: %d tokens do not fit a cache of %d that holds %d", n, c.max, c.n)
	}
	if need <= c.room {
		return nil
	}
	room := min(max(need, 2*c.room, firstRoom), c.max)
	grow := func(x []float32, width int) []float32 {
		y := make([]float32, room*width)
		copy(y, x[:min(len(x), c.n*width)])
		return y
	}
	for i, b := range m.blocks {
		l := &c.layers[i]
		switch a := b.attention.(type) {
		case *mla:
			l.latent = grow(l.latent, a.r+a.pe)
		case *gqa:
			l.k, l.v = grow(l.k, a.groups*a.w), grow(l.v, a.groups*a.w)
		}
	}
	c.room = room
	return nil
}
