package task

// The ladder: rungs 0 to 9, each a generator, scratch work and an exact verifier, easiest first.
//
// Letters and digits are written apart ("1 2 3", "a b c"), so that each is a token of its own under any tokenizer;
// answers are compared with that spacing removed.

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
)

// Rung is a task of the ladder.
type Rung struct {
	name  string
	Level int
	About string

	draw  func(r *rand.Rand) question
	right func(it Item, answer string) (bool, string)
}

// question is what a generator draws.
type question struct {
	key    string // what is asked: decides the split
	prompt string
	work   string
	answer string
	lang   string
	data   any
}

// Ladder returns the rungs, easiest first.
func Ladder() []*Rung {
	return []*Rung{
		{"format", 0, "say a word inside the tags", drawFormat, sameSymbols},
		{"copy", 1, "copy 3 to 8 letters", drawCopy, sameSymbols},
		{"reverse", 1, "reverse 3 to 8 letters", drawReverse, sameSymbols},
		{"sort", 1, "sort 3 to 8 letters", drawSort, sameSymbols},
		{"count", 2, "count a letter in a word of up to 12", drawCount, sameNumber},
		{"add", 3, "add numbers of 1 to 3 digits, the sum written backwards", drawAdd, sameSymbols},
		{"scratchpad-add", 4, "add and subtract numbers of 4 to 6 digits, with scratch work", drawLongAdd, sameNumber},
		{"multiply", 5, "multiply 2 digits by 1 or 2, with scratch work", drawMultiply, sameNumber},
		{"modular", 6, "remainders", drawModular, sameNumber},
		{"brackets", 6, "is a row of brackets balanced", drawBrackets, sameWord},
		{"calendar", 6, "the weekday some days later or earlier", drawCalendar, sameWord},
		{"base", 6, "write a number in base 2 to 9", drawBase, sameSymbols},
		{"story", 7, "questions about a short story, in English, Korean, Indonesian and Spanish", drawStory, sameName},
		{"countdown", 8, "reach a number from 2 or 3 others", drawCountdown, reachesTarget},
		{"stack", 9, "write a program for a stack machine", drawStack, programPasses},
	}
}

// Named returns a rung of the ladder.
func Named(name string) (*Rung, error) {
	var names []string
	for _, r := range Ladder() {
		if r.name == name {
			return r, nil
		}
		names = append(names, r.name)
	}
	return nil, fmt.Errorf("task %q: no such rung of the ladder: there are %s", name, strings.Join(names, ", "))
}

// Name is the name of the rung.
func (g *Rung) Name() string { return g.name }

// Item draws until a question of the split comes: one in heldOutShare is held out.
func (g *Rung) Item(split Split, seed, n uint64) (Item, error) {
	r := Random(g.name, seed, n)
	for range Draws {
		q := g.draw(r)
		if SplitOf(g.name, q.key) != split {
			continue
		}
		it := Item{ID: ItemID(g.name, q.key), Prompt: q.prompt, Answer: q.answer, Work: q.work, Lang: q.lang}
		if q.data != nil {
			data, err := json.Marshal(q.data)
			if err != nil {
				return Item{}, fmt.Errorf("task %q: %w", g.name, err)
			}
			it.Data = data
		}
		return it, nil
	}
	return Item{}, fmt.Errorf("task %q: none of %d questions is of the %s split", g.name, Draws, split)
}

// Demonstrate returns the scratch work and the answer of the generator.
func (g *Rung) Demonstrate(it Item) (string, error) { return Compose(it.Work, it.Answer), nil }

// Verify scores a text.
func (g *Rung) Verify(_ context.Context, it Item, text string) Verdict {
	return Judge(text, func(answer string) (bool, string) { return g.right(it, answer) })
}

// spaced writes the letters of a word apart.
func spaced(s string) string { return strings.Join(strings.Split(s, ""), " ") }

// compare says whether an answer is what was wanted, and if not, both.
func compare(want, got string) (bool, string) {
	if want == got {
		return true, ""
	}
	if len(got) > 64 {
		got = strings.ToValidUTF8(got[:64], "") + "…"
	}
	return false, fmt.Sprintf("the answer is %q, not %q", want, got)
}

// join removes the spaces between letters that stand alone: "a b c" is "abc", but "ab c" stays two words.
func join(s string) string {
	fields := strings.Fields(s)
	for _, f := range fields {
		if len([]rune(f)) > 1 {
			return strings.Join(fields, " ")
		}
	}
	return strings.Join(fields, "")
}

// sameSymbols compares letters or digits in their order, so that "0 1" is not "1".
func sameSymbols(it Item, answer string) (bool, string) {
	return compare(join(it.Answer), join(answer))
}

func sameWord(it Item, answer string) (bool, string) {
	return compare(it.Answer, strings.ToLower(strings.TrimSuffix(answer, ".")))
}

func sameNumber(it Item, answer string) (bool, string) {
	got := join(answer)
	if sign, rest, ok := strings.Cut(got, " "); ok && sign == "-" {
		got = sign + join(rest)
	}
	want, err := ParseNumber(join(it.Answer))
	if err != nil {
		return false, err.Error()
	}
	x, err := ParseNumber(got)
	if err != nil {
		return false, err.Error()
	}
	if want.Cmp(x) != 0 {
		return compare(join(it.Answer), got)
	}
	return true, ""
}
