package infer

// Guesses from the context itself: what followed when the last few tokens stood there before.
// Source: Saxena, Prompt Lookup Decoding, 2023.

// ngrams knows where runs of tokens ended last.
type ngrams struct {
	ends  [len(ngramLengths)]map[[longestNGram]int32]int32 // by length: run to the index behind it
	known int                                              // tokens of the history that are in ends
}

const longestNGram = 4

// ngramLengths are tried in this order: a long run tells more.
var ngramLengths = [...]int{longestNGram, 2}

func newNGrams() *ngrams {
	n := &ngrams{}
	for i := range n.ends {
		n.ends[i] = map[[longestNGram]int32]int32{}
	}
	return n
}

// add takes note of the runs of history that end before its last token, so that looking for the last run finds an
// earlier one.
func (n *ngrams) add(history []int32) {
	for ; n.known < len(history); n.known++ {
		for i, length := range ngramLengths {
			if n.known >= length {
				n.ends[i][runOf(history[:n.known], length)] = int32(n.known)
			}
		}
	}
}

// runOf is the last length tokens of s.
func runOf(s []int32, length int) (key [longestNGram]int32) {
	copy(key[:], s[len(s)-length:])
	return key
}

// follow returns where in history stands what followed its last run before, or -1.
func (n *ngrams) follow(history []int32) int {
	for i, length := range ngramLengths {
		if len(history) > length {
			if at, ok := n.ends[i][runOf(history, length)]; ok {
				return int(at)
			}
		}
	}
	return -1
}
