package grammar

// Grammars of grammars, for formats in which texts of a grammar stand among others: calls of tools, answers after
// thinking.

import (
	"errors"
	"fmt"
	"slices"
)

// finish compiles the rules of a front end, whose name stands in errors.
func finish(who string, r *rules) (*Grammar, error) {
	g, err := compile(r)
	if err != nil {
		return nil, fmt.Errorf("grammar: %s: %w", who, err)
	}
	return g, nil
}

// begin makes rules with a first one that is still to be set.
func begin() *rules {
	r := &rules{}
	r.add("root")
	return r
}

// must compiles what cannot be wrong.
func must(e *expr) *Grammar {
	r := begin()
	r.exprs[0] = e
	return mustRules(r)
}

func mustRules(r *rules) *Grammar {
	g, err := compile(r)
	if err != nil {
		panic("grammar: " + err.Error())
	}
	return g
}

// include takes the rules of a grammar over and returns a call of its first.
func (r *rules) include(g *Grammar) *expr {
	base := len(r.names)
	moved := map[*expr]*expr{}
	var move func(e *expr) *expr
	move = func(e *expr) *expr {
		if m := moved[e]; m != nil {
			return m
		}
		m := *e
		moved[e] = &m
		if e.op == call {
			m.rule += base
		}
		m.subs = slices.Clone(e.subs)
		for i, s := range m.subs {
			m.subs[i] = move(s)
		}
		return &m
	}
	r.names = append(r.names, g.rules.names...)
	for _, e := range g.rules.exprs {
		r.exprs = append(r.exprs, move(e))
	}
	return callOf(base)
}

// combine makes one grammar of several.
func combine(who string, parts []*Grammar, how func(parts []*expr) *expr) (*Grammar, error) {
	r := begin()
	exprs := make([]*expr, len(parts))
	for i, g := range parts {
		exprs[i] = r.include(g)
	}
	r.exprs[0] = how(exprs)
	return finish(who, r)
}

// Text is this text and no other.
func Text(text string) *Grammar { return must(lit(text)) }

// Control is the control token that is written so. [Grammar.For] fails for a vocabulary without it.
func Control(token string) *Grammar { return must(control(token)) }

// Mark is a text or the control token that is written so, whichever the model has.
func Mark(text string) *Grammar { return must(oneOf(lit(text), lit(spellControl(text)))) }

// Sequence is the parts one after the other.
func Sequence(parts ...*Grammar) (*Grammar, error) {
	return combine("sequence", parts, func(e []*expr) *expr { return seq(e...) })
}

// Either is any one of the parts.
func Either(parts ...*Grammar) (*Grammar, error) {
	return combine("either", parts, func(e []*expr) *expr { return oneOf(e...) })
}

// Repeat is a grammar min to max times; max -1: without end.
func Repeat(g *Grammar, min, max int) (*Grammar, error) {
	if min < 0 || max >= 0 && max < min || max < -1 || min > maxCount || max > maxCount {
		return nil, fmt.Errorf("grammar: repetition of %d to %d times: give 0 to %d, the larger last, or -1 for no end", min, max, maxCount)
	}
	return combine("repetition", []*Grammar{g}, func(e []*expr) *expr { return times(e[0], min, max) })
}

// Free is any text in which none of the marks stands, neither as text nor as a control token, nor any other control
// token. It may be empty. What follows begins with the marks: Sequence(Free("</think>"), Mark("</think>"), answer) is
// a grammar that begins after the thinking.
func Free(marks ...string) (*Grammar, error) {
	total := 0
	for _, m := range marks {
		if m == "" {
			return nil, errors.New("grammar: a mark that ends free text is empty")
		}
		total += len(m)
	}
	if total > maxMarks {
		return nil, fmt.Errorf("grammar: the marks that end free text have %d bytes: at most %d", total, maxMarks)
	}
	r := &rules{}
	free(r, marks)
	return finish("free text", r)
}

// maxMarks bounds the bytes of the marks of Free.
const maxMarks = 4096

// free defines free text as rules, one for every beginning of a mark that the text may end with (Aho and Corasick,
// Efficient string matching, 1975). The first rule is that of none.
func free(r *rules, marks []string) {
	type place struct {
		next [256]int32 // 0: back at the beginning, -1: a mark is complete
		text string
	}
	places := []*place{{}}
	at := map[string]int32{"": 0}
	for _, m := range marks {
		for n := 1; n < len(m); n++ {
			if _, known := at[m[:n]]; !known {
				at[m[:n]] = int32(len(places))
				places = append(places, &place{text: m[:n]})
			}
		}
	}
	ends := func(s string) bool {
		for _, m := range marks {
			if len(m) <= len(s) && s[len(s)-len(m):] == m {
				return true
			}
		}
		return false
	}
	for range places {
		r.add("free")
	}
	for i, p := range places {
		ways := []*expr{lit("")}
		for b := 0; b < 256; b++ {
			s := p.text + string([]byte{byte(b)})
			if ends(s) {
				p.next[b] = -1
				continue
			}
			for known := false; !known; s = s[1:] {
				if p.next[b], known = at[s]; known || s == "" {
					break
				}
			}
		}
		for lo := 0; lo < int(controlMark[0]); {
			hi := lo
			for hi+1 < int(controlMark[0]) && p.next[hi+1] == p.next[lo] {
				hi++
			}
			if p.next[lo] >= 0 {
				ways = append(ways, seq(byteSpan(byte(lo), byte(hi)), callOf(int(p.next[lo]))))
			}
			lo = hi + 1
		}
		r.exprs[i] = oneOf(ways...)
	}
}
