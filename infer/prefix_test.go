package infer

import (
	"testing"

	"github.com/haenyeo/haenyeo/forward"
)

// The chunks that were not used for longest go first, ends before beginnings, and none at which a sequence stands.
func TestPrefixes(t *testing.T) {
	part := &forward.Part{}
	tree := &prefixes{chunk: 2}
	one := tree.size(part)
	tree.limit = 3 * one
	a, b, c, d := []int32{1, 2}, []int32{3, 4}, []int32{5, 6}, []int32{7, 8}
	nodeA := tree.add(&tree.root, a, "", part)
	nodeB := tree.add(nodeA, b, "", part)
	nodeC := tree.add(&tree.root, c, "", part)
	if tree.bytes != 3*one || tree.find(nodeA, b, "") != nodeB || tree.find(&tree.root, b, "") != nil || tree.find(&tree.root, c, "") != nodeC {
		t.Fatalf("%d bytes of %d", tree.bytes, tree.limit)
	}
	tree.find(nodeA, b, "")           // b, and a with it, are used after c
	tree.add(&tree.root, d, "", part) // so c goes
	if tree.find(&tree.root, c, "") != nil || tree.find(&tree.root, a, "") != nodeA || tree.find(nodeA, b, "") != nodeB || tree.bytes != 3*one {
		t.Error("the chunk that was not used for longest is still there, or another went")
	}
	tree.find(&tree.root, d, "")
	nodeB.readers++ // d goes, although b was not used for longer
	if nodeC = tree.add(&tree.root, c, "", part); nodeC == nil || tree.find(nodeA, b, "") != nodeB || tree.find(&tree.root, d, "") != nil {
		t.Error("a chunk went at which a sequence stands")
	}
	nodeC.readers++
	if tree.add(nodeC, d, "", part) != nil || tree.bytes != 3*one {
		t.Error("a chunk was taken for which there is no room")
	}
	nodeB.readers, nodeC.readers = 0, 0
	if tree.limit = one - 1; tree.add(&tree.root, d, "", part) != nil || tree.bytes != 3*one {
		t.Error("others went for a chunk that is too large by itself")
	}
	if !tree.shrink(0) || tree.bytes != 0 || tree.used.Len() != 0 || len(tree.root.children) != 0 {
		t.Errorf("emptied: %d bytes, %d nodes", tree.bytes, tree.used.Len())
	}
}
