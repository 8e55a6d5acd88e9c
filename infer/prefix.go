package infer

// Beginnings of prompts that were read before. A tree whose edges are chunks of tokens: a node holds what the caches of
// a sequence gained by its chunk, once for all prompts that begin alike. Chunks begin at multiples of their size in
// every prompt, so that what is found has the bits of what would be computed. prefixstore.go keeps them on disk.

import (
	"container/list"
	"encoding/binary"

	"github.com/haenyeo/haenyeo/forward"
)

// prefixes is the tree, of at most limit bytes. The chunks that were not used for longest go first.
type prefixes struct {
	chunk int // tokens of every node
	limit int64
	bytes int64
	root  prefixNode
	used  list.List // of *prefixNode, last used first; a node stands before all that lie under it
	key   []byte
}

type prefixNode struct {
	parent   *prefixNode
	key      string
	part     *forward.Part
	children map[string]*prefixNode
	at       *list.Element
	readers  int // sequences that stand here: it must not go
}

// keyOf is the key of a chunk that follows n, valid until the next call. First chunks of different salts differ.
func (t *prefixes) keyOf(n *prefixNode, chunk []int32, salt string) []byte {
	if t.key = t.key[:0]; n == &t.root {
		t.key = append(t.key, salt...)
	}
	for _, id := range chunk {
		t.key = binary.LittleEndian.AppendUint32(t.key, uint32(id))
	}
	return t.key
}

// find returns the node of the chunk that follows n, or nil.
func (t *prefixes) find(n *prefixNode, chunk []int32, salt string) *prefixNode {
	next := n.children[string(t.keyOf(n, chunk, salt))]
	if next != nil {
		t.touch(next)
	}
	return next
}

// touch marks n, and all that it follows, as used last.
func (t *prefixes) touch(n *prefixNode) {
	for ; n != &t.root; n = n.parent {
		t.used.MoveToFront(n.at)
	}
}

// add puts the part of a chunk behind n and returns its node, or nil when there is no room for it.
func (t *prefixes) add(n *prefixNode, chunk []int32, salt string, part *forward.Part) *prefixNode {
	size := t.size(part)
	if size > t.limit {
		return nil
	}
	n.readers++
	fits := t.shrink(t.limit - size)
	n.readers--
	if !fits {
		return nil
	}
	next := &prefixNode{parent: n, key: string(t.keyOf(n, chunk, salt)), part: part}
	if n.children == nil {
		n.children = map[string]*prefixNode{}
	}
	n.children[next.key] = next
	next.at = t.used.PushFront(next)
	t.touch(next)
	t.bytes += size
	return next
}

// size is the memory of a node.
func (t *prefixes) size(p *forward.Part) int64 { return p.Bytes() + 8*int64(t.chunk) + 256 }

// shrink drops nodes until at most limit bytes are left, and says whether it could.
func (t *prefixes) shrink(limit int64) bool {
	for at := t.used.Back(); at != nil && t.bytes > limit; {
		n := at.Value.(*prefixNode)
		at = at.Prev() // a parent stands further in front
		if len(n.children) == 0 && n.readers == 0 {
			t.used.Remove(n.at)
			delete(n.parent.children, n.key)
			t.bytes -= t.size(n.part)
		}
	}
	return t.bytes <= limit
}
