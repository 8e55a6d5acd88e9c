package eval

// Multiple choice by the probability of the choices, and completion.
//
//	acc        the most probable choice is the right one
//	acc_norm   the same with log probabilities divided by the characters of the choices
//	acc_bytes  divided by their bytes in UTF-8
//
// Of equal choices the first counts. A completion is right when each of its tokens is the most probable one.

import (
	"context"
	"slices"
	"unicode/utf8"
)

// group are choices that follow the same context.
type group struct {
	context []int32
	nexts   [][]int32
	choice  []int
}

// groups are the choices of an item by context, in tokens.
func (m *Model) groups(it *Item, shots string) (gs []group, longest int, err error) {
	for i, choice := range it.Choices {
		before, next := shots+it.context(i), " "+choice
		p, err := m.encode(before, next)
		if err == nil {
			p, err = p.cut(m.window())
		}
		if err != nil {
			return nil, 0, err
		}
		longest = max(longest, len(p.context)+len(p.next))
		at := slices.IndexFunc(gs, func(g group) bool { return slices.Equal(g.context, p.context) })
		if at < 0 {
			gs, at = append(gs, group{context: p.context}), len(gs)
		}
		gs[at].nexts, gs[at].choice = append(gs[at].nexts, p.next), append(gs[at].choice, i)
	}
	return gs, longest, nil
}

// likelihoods scores the choices of one item.
func (s *scorer) likelihoods(ctx context.Context, gs []group, choices int) ([]Likelihood, error) {
	all := make([]Likelihood, choices)
	for _, g := range gs {
		ls, err := s.score(ctx, g.context, g.nexts)
		if err != nil {
			return nil, err
		}
		for k, l := range ls {
			all[g.choice[k]] = l
		}
	}
	return all, nil
}

// judge says which choice is taken, by each measure.
func judge(it *Item, ls []Likelihood) map[string]bool {
	if len(ls) == 1 {
		return map[string]bool{"acc": ls[0].Greedy}
	}
	return map[string]bool{
		"acc":       pick(it, ls, func(string) int { return 1 }) == it.Gold,
		"acc_norm":  pick(it, ls, utf8.RuneCountInString) == it.Gold,
		"acc_bytes": pick(it, ls, func(s string) int { return len(s) }) == it.Gold,
	}
}

func pick(it *Item, ls []Likelihood, length func(string) int) int {
	best, top := 0, 0.0
	for i, l := range ls {
		if v := l.Log / float64(length(it.Choices[i])); i == 0 || v > top {
			best, top = i, v
		}
	}
	return best
}
