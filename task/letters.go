package task

// Rungs 0 to 2: words and letters.

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// letters draws n of the first kinds letters.
func letters(r *rand.Rand, n, kinds int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = 'a' + byte(r.IntN(kinds))
	}
	return string(b)
}

// drawFormat asks for a word that the prompt says: all that is learned is where to put it and where to stop.
func drawFormat(r *rand.Rand) question {
	var word strings.Builder
	for range 2 + r.IntN(2) {
		word.WriteByte("bdfgklmnprst"[r.IntN(12)])
		word.WriteByte("aeiou"[r.IntN(5)])
	}
	w := word.String()
	return question{key: w, prompt: "say " + w, answer: w}
}

func drawCopy(r *rand.Rand) question {
	w := letters(r, 3+r.IntN(6), 26)
	return question{key: w, prompt: "copy: " + spaced(w), answer: spaced(w)}
}

func drawReverse(r *rand.Rand) question {
	w := letters(r, 3+r.IntN(6), 26)
	b := []byte(w)
	slices.Reverse(b)
	return question{key: w, prompt: "reverse: " + spaced(w), answer: spaced(string(b))}
}

func drawSort(r *rand.Rand) question {
	w := letters(r, 3+r.IntN(6), 26)
	b := []byte(w)
	slices.Sort(b)
	// Two orders of the same letters have one answer; they stand on the same side.
	return question{key: string(b), prompt: "sort: " + spaced(w), answer: spaced(string(b))}
}

// drawCount asks how often a letter occurs. The scratch work counts along the word.
func drawCount(r *rand.Rand) question {
	w := letters(r, 3+r.IntN(10), 6)
	c := w[r.IntN(len(w))]
	if r.IntN(5) == 0 {
		c = 'a' + byte(r.IntN(6))
	}
	var work strings.Builder
	n := 0
	for i := range len(w) {
		if w[i] == c {
			n++
		}
		fmt.Fprintf(&work, "%c %d ", w[i], n)
	}
	return question{
		key:    fmt.Sprintf("%s/%c", w, c),
		prompt: fmt.Sprintf("how many %c in: %s", c, spaced(w)),
		work:   strings.TrimSpace(work.String()),
		answer: fmt.Sprint(n),
	}
}
