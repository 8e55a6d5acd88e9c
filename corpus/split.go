// This file chooses the validation documents: of each language those with the smallest content
// hash, until about 1 % of its bytes are reached. The choice depends on nothing but the texts, so it
// is the same in whatever order or files they come, and more data changes little of it. Memory is
// bounded: a language keeps only as many candidates as its cap can need.

package corpus

import (
	"bytes"
	"cmp"
	"container/heap"
	"slices"
)

const (
	// validationFloor is how much validation text a language gets if 1 % is less, as far as
	// validationCeiling (a share of its bytes) allows: a bits-per-byte figure over less is noise.
	validationFloor   = 24 << 10
	validationCeiling = 0.2
)

type candidate struct {
	hash      [16]byte
	size      int32
	file, doc int32
	lang      string
}

func (a candidate) compare(b candidate) int { return bytes.Compare(a.hash[:], b.hash[:]) }

// candidates is a heap with the largest hash on top.
type candidates []candidate

func (h candidates) Len() int           { return len(h) }
func (h candidates) Less(i, j int) bool { return h[i].compare(h[j]) > 0 }
func (h candidates) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *candidates) Push(x any)        { *h = append(*h, x.(candidate)) }
func (h *candidates) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}

// pool is what a language offers.
type pool struct {
	bytes int64 // of all its documents
	kept  int64 // of the candidates
	heap  candidates
}

type split struct {
	opt   Options
	pools map[string]*pool
}

func newSplit(opt Options) *split { return &split{opt: opt, pools: map[string]*pool{}} }

func (s *split) offer(lang string, c candidate) {
	p := s.pools[lang]
	if p == nil {
		p = &pool{}
		s.pools[lang] = p
	}
	p.bytes += int64(c.size)
	if s.opt.ValidationShare < 0 {
		return
	}
	c.lang = lang
	// Documents too large for the ceiling may be passed over, so twice the cap is kept.
	limit := 2*s.opt.cap() + MaxDocument
	if p.kept > limit && c.compare(p.heap[0]) > 0 {
		return
	}
	heap.Push(&p.heap, c)
	p.kept += int64(c.size)
	for p.kept-int64(p.heap[0].size) > limit {
		p.kept -= int64(heap.Pop(&p.heap).(candidate).size)
	}
}

// choose returns the validation documents. If no language can spare any, it takes the one document
// with the smallest hash: the caller has at least two.
func (s *split) choose() []candidate {
	var chosen []candidate
	var least *candidate
	for _, p := range s.pools {
		slices.SortFunc(p.heap, candidate.compare)
		if len(p.heap) > 0 && (least == nil || p.heap[0].compare(*least) < 0) {
			least = &p.heap[0]
		}
		target := min(max(int64(s.opt.share()*float64(p.bytes)), validationFloor), s.opt.cap())
		ceiling := int64(max(validationCeiling, s.opt.share()) * float64(p.bytes))
		var sum int64
		for _, c := range p.heap {
			if sum >= target {
				break
			}
			if sum+int64(c.size) <= ceiling {
				chosen = append(chosen, c)
				sum += int64(c.size)
			}
		}
	}
	if len(chosen) == 0 && least != nil {
		chosen = append(chosen, *least)
	}
	slices.SortFunc(chosen, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.file, b.file), cmp.Compare(a.doc, b.doc))
	})
	return chosen
}
