package grammar

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// randomExpr makes an expression over few letters, with calls of n rules where something was read before.
func randomExpr(rng *rand.Rand, n, depth int, guarded bool) *expr {
	letter := func() *expr { return lit(string(rune('a' + rng.IntN(3)))) }
	if depth == 0 {
		return letter()
	}
	sub := func(g bool) *expr { return randomExpr(rng, n, depth-1, g) }
	switch rng.IntN(10) {
	case 0:
		return lit([]string{"", "ab", "é", "a\"", "bca"}[rng.IntN(5)])
	case 1:
		return set(normalSet([]rune{'a', rune('a' + rng.IntN(3)), 'é', rune('é' + rng.IntN(300)), '😀', '😀'}))
	case 2, 3:
		return seq(letter(), sub(true), sub(true))
	case 4:
		return oneOf(sub(guarded), sub(guarded), letter())
	case 5:
		return star(seq(letter(), sub(true)))
	case 6: // counted, too long to be written out
		lo := rng.IntN(3)
		return times(set(normalSet([]rune{'a', 'b', 'é', 'é', 'ʰ', '😀'})), lo, lo+30+rng.IntN(3))
	case 7:
		return times(seq(letter(), sub(true)), rng.IntN(3), 40)
	case 8:
		return seq(times(jsonChar(), rng.IntN(4), 35), lit(`"`))
	}
	if guarded {
		return callOf(rng.IntN(n))
	}
	return seq(letter(), callOf(rng.IntN(n)))
}

func randomGrammar(rng *rand.Rand) *Grammar {
	for {
		r := &rules{}
		n := 1 + rng.IntN(4)
		for i := range n {
			r.add(fmt.Sprint("r", i))
		}
		for i := range n {
			r.exprs[i] = randomExpr(rng, n, 4, false)
		}
		if g, err := compile(r); err == nil {
			return g
		}
	}
}

// randomVocabulary makes tokens of a few bytes, some of them torn out of characters, and one control token.
func randomVocabulary(rng *rand.Rand) (v *Vocabulary, tokens [][]byte) {
	alphabet := []string{"a", "b", "c", "\"", "é", "ʰ", "😀", "\\", "n", "u0", "0", "\xc3", "\xa9", "\x98\x80", "\xf0\x9f"}
	tokens = [][]byte{nil, []byte("<end>"), []byte("abc"), []byte("abc"), []byte("\xff")}
	for _, a := range alphabet {
		tokens = append(tokens, []byte(a))
	}
	for len(tokens) < 150 {
		var t []byte
		for range 1 + rng.IntN(6) {
			t = append(t, alphabet[rng.IntN(len(alphabet))]...)
		}
		if rng.IntN(10) == 0 {
			for range 40 {
				t = append(t, 'a')
			}
		}
		tokens = append(tokens, t)
	}
	return NewVocabulary(len(tokens), func(id int32) []byte { return tokens[id] }, func(id int32) bool { return id == 1 }), tokens
}

// Every token is permitted if and only if the text with it is the beginning of one in the grammar.
func TestMaskIsBruteForce(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 7))
	for round := range 150 {
		g := randomGrammar(rng)
		v, tokens := randomVocabulary(rng)
		k, err := g.For(v, []int32{1})
		if err != nil {
			t.Fatal(err)
		}
		if rng.IntN(2) == 0 {
			k.large = 1
		}
		slow := newMachine(g)
	rounds:
		for range 3 {
			m := k.Matcher()
			text := []byte{}
			for step := 0; step < 25; step++ {
				mask, err := m.Mask()
				if errors.Is(err, errComplex) {
					break rounds
				}
				if err != nil {
					t.Fatalf("round %d after %q: %v", round, text, err)
				}
				var may []int32
				for id, b := range tokens {
					_, beginning := slow.match(append(slices.Clone(text), b...))
					if slow.err != nil {
						break rounds // too ambiguous, by chance
					}
					want := beginning && len(b) > 0 && b[0] != 0xff
					if id == 1 {
						want, _ = slow.match(text)
					}
					if got := mask[id/64]>>(id%64)&1 == 1; got != want {
						t.Fatalf("round %d after %q: token %d %q is permitted %v, want %v", round, text, id, b, got, want)
					}
					if want && id != 1 {
						may = append(may, int32(id))
					}
				}
				if len(may) == 0 {
					break
				}
				id := may[rng.IntN(len(may))]
				if err := m.Accept(id); err != nil {
					if errors.Is(err, errComplex) {
						break rounds
					}
					t.Fatal(err)
				}
				text = append(text, tokens[id]...)
				if rng.IntN(20) == 0 {
					k.forget() // what is remembered must not matter
				}
			}
		}
	}
}

// The machine against a matcher that knows nothing of stacks: all texts of a grammar that a walk over its expressions
// writes are in the grammar.
func TestWrittenTextsMatch(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	for range 300 {
		g := randomGrammar(rng)
		m := newMachine(g)
		for range 10 {
			text, ok := write(rng, g.rules, g.rules.exprs[0], 200)
			if !ok {
				continue
			}
			if whole, _ := m.match([]byte(text)); !whole {
				t.Fatalf("%q is refused", text)
			}
			for i := range len(text) {
				if _, beginning := m.match([]byte(text[:i])); !beginning {
					t.Fatalf("%q is refused, the beginning of %q", text[:i], text)
				}
			}
		}
	}
}

// write makes a text of an expression; ok is false where fuel ends first.
func write(rng *rand.Rand, r *rules, e *expr, fuel int) (text string, ok bool) {
	if fuel <= 0 {
		return "", false
	}
	switch e.op {
	case literal:
		return e.text, true
	case span:
		return string([]byte{byte(e.set[0])}), true
	case runes:
		i := 2 * rng.IntN(len(e.set)/2)
		return string(e.set[i] + rune(rng.IntN(int(e.set[i+1]-e.set[i])+1))), true
	case sequence:
		for _, s := range e.subs {
			part, ok := write(rng, r, s, fuel-1-len(text))
			if !ok {
				return "", false
			}
			text += part
		}
		return text, true
	case either, unit:
		if len(e.subs) == 0 {
			return "", false
		}
		return write(rng, r, e.subs[rng.IntN(len(e.subs))], fuel-1)
	case repeat:
		most := e.max
		if most < 0 || most > e.min+3 && rng.IntN(3) > 0 {
			most = e.min + 3
		}
		return write(rng, r, seq(slices.Repeat(e.subs, e.min+rng.IntN(most-e.min+1))...), fuel-1)
	}
	return write(rng, r, r.exprs[e.rule], fuel-1)
}
