package tokenizer

// The tokens by id and by bytes, in flat arrays: 130,000 tokens cost the garbage collector nothing.

import (
	"bytes"
	"fmt"
	"hash/maphash"
	"slices"
)

type tokenKind uint8

const (
	ordinaryKind tokenKind = iota
	plainKind              // an entry whose spelling is not of the byte alphabet: no text encodes to it
	addedKind
	specialKind
)

type vocabulary struct {
	kind  []tokenKind // by id
	ends  []uint32    // by id: end of its bytes in bytes
	bytes []byte
	seed  maphash.Seed
	table []int32 // open addressing by bytes: id+1, 0 where free
}

// of gives the bytes of a token.
func (v *vocabulary) of(id int32) []byte {
	from := uint32(0)
	if id > 0 {
		from = v.ends[id-1]
	}
	return v.bytes[from:v.ends[id]:v.ends[id]]
}

func (v *vocabulary) length(id uint32) int {
	if id == 0 {
		return int(v.ends[0])
	}
	return int(v.ends[id] - v.ends[id-1])
}

// index fills the table; two tokens of the same bytes are an error. An added token is found too: it may be the result of
// merges.
func (v *vocabulary) index() error {
	v.seed = maphash.MakeSeed()
	size := 16
	for size < 2*len(v.ends) {
		size *= 2
	}
	v.table = make([]int32, size)
	for id := range v.ends {
		if v.kind[id] == plainKind {
			continue
		}
		b := v.of(int32(id))
		slot := v.slot(b)
		if other := v.table[slot]; other != 0 {
			// An added token and an ordinary one may share bytes, spelled differently; the ordinary one is what merges mean.
			if v.kind[id] >= addedKind {
				continue
			}
			if v.kind[other-1] == ordinaryKind {
				return fmt.Errorf("ids %d and %d are the same token %q", other-1, id, b)
			}
		}
		v.table[slot] = int32(id) + 1
	}
	return nil
}

// slot gives where bytes are, or would go.
func (v *vocabulary) slot(b []byte) uint64 {
	mask := uint64(len(v.table) - 1)
	i := maphash.Bytes(v.seed, b) & mask
	for v.table[i] != 0 && !bytes.Equal(v.of(v.table[i]-1), b) {
		i = (i + 1) & mask
	}
	return i
}

func (v *vocabulary) find(b []byte) (id int32, ok bool) {
	id = v.table[v.slot(b)] - 1
	return id, id >= 0
}

// findOrdinary finds a token of the model's vocabulary that is no added token.
func (v *vocabulary) findOrdinary(s string) (id int32, ok bool) {
	mask := uint64(len(v.table) - 1)
	for i := maphash.String(v.seed, s) & mask; v.table[i] != 0; i = (i + 1) & mask {
		if id = v.table[i] - 1; string(v.of(id)) == s {
			return id, v.kind[id] == ordinaryKind
		}
	}
	return 0, false
}

// findPlain finds an entry that is spelled outside the byte alphabet. There are none or a handful.
func (v *vocabulary) findPlain(s string) (id int32, ok bool) {
	for id, k := range v.kind {
		if k == plainKind && string(v.of(int32(id))) == s {
			return int32(id), true
		}
	}
	return 0, false
}

func (v *vocabulary) appendSpelling(dst []byte, id int32) []byte {
	if v.kind[id] == ordinaryKind {
		return appendSymbols(dst, v.of(id))
	}
	return append(dst, v.of(id)...)
}

func sortByID(added []AddedToken) {
	slices.SortFunc(added, func(a, b AddedToken) int { return int(a.ID) - int(b.ID) })
}
