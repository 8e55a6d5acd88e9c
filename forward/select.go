// This file holds the selection of the k largest scores of a row, in time proportional to its length
// whatever the scores are.

package forward

import "math"

// selector is the scratch of one selection at a time.
type selector struct {
	count [1 << selectBits]int32
}

// The order of scores is that of 32-bit keys, looked at from the top, some bits at a time.
const selectBits = 11

// orderKey maps scores to integers in the same order. NaN comes before everything else, and the two
// zeros are equal.
func orderKey(x float32) uint32 {
	if x != x {
		return 0
	}
	b := math.Float32bits(x)
	switch {
	case b == 1<<31:
		return 1 << 31
	case b>>31 != 0:
		return ^b
	}
	return b | 1<<31
}

// top writes the places of the len(idx) largest scores to idx, in ascending order; of equal scores the
// first are taken. There must be that many.
func (s *selector) top(idx []int32, scores []float32) {
	k := len(idx)
	if k == 0 {
		return
	}
	// Find the key of the k-th largest score: its leading bits are known to be prefix, and rank scores
	// remain to be taken among those that share them.
	prefix, rank := uint32(0), k
	for shift := 32; shift > 0; {
		width := min(selectBits, shift)
		known := shift
		shift -= width
		clear(s.count[:1<<width])
		for _, x := range scores {
			if key := orderKey(x); key>>known == prefix {
				s.count[key>>shift&(1<<width-1)]++
			}
		}
		digit := 1<<width - 1
		for ; rank > int(s.count[digit]); digit-- {
			rank -= int(s.count[digit])
		}
		prefix = prefix<<width | uint32(digit)
	}
	n := 0
	for i, x := range scores {
		key := orderKey(x)
		if key < prefix || key == prefix && rank == 0 {
			continue
		}
		if key == prefix {
			rank--
		}
		idx[n] = int32(i)
		n++
		if n == k {
			return
		}
	}
}
