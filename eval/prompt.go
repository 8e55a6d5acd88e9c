package eval

// The examples that go before a question: the same ones before every question of a set, drawn by a seed.

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// draw returns n+1 different items of from: the examples, and one that takes the place of an example that is itself
// asked about.
func draw(from []Item, n int, seed uint64) ([]Item, error) {
	if n == 0 {
		return nil, nil
	}
	if n < 0 || n+1 > len(from) {
		return nil, fmt.Errorf("eval: %d examples of %d items: give fewer, at least one item must be left", n, len(from))
	}
	r := rand.New(rand.NewPCG(seed, uint64(n)))
	picked := make([]Item, 0, n+1)
	for _, i := range r.Perm(len(from))[:n+1] {
		picked = append(picked, from[i])
	}
	return picked, nil
}

// example shows an item with its answer.
func (it *Item) example() string {
	if len(it.Choices) == 0 {
		return it.Contexts[0] + " " + it.Target
	}
	c := it.context(it.Gold)
	if c == "" {
		return it.Choices[it.Gold]
	}
	return c + " " + it.Choices[it.Gold]
}

// examples is the text before item it: all picked items but the last, which stands in for it.
func examples(picked []Item, it *Item) string {
	if len(picked) == 0 {
		return ""
	}
	var b strings.Builder
	spare := &picked[len(picked)-1]
	for i := range picked[:len(picked)-1] {
		shown := &picked[i]
		if shown.same(it) {
			shown = spare
		}
		b.WriteString(shown.example())
		b.WriteString("\n\n")
	}
	return b.String()
}

// same says that two items ask the same, be they of one file or of two.
func (it *Item) same(other *Item) bool {
	return it.Text == other.Text && it.context(it.Gold) == other.context(other.Gold)
}
