package eval

// Questions of package task: held-out ones, scored by the task's own verifier.
//
//	correct          the answer is right and in the strict format
//	correct_lenient  it is right wherever it stands

import (
	"context"
	"fmt"

	"github.com/haenyeo/haenyeo/task"
)

// FromTask makes a set of n different held-out questions.
func FromTask(t task.Task, seed uint64, n int) (*Set, error) {
	items, err := task.HeldOutSet(t, seed, n)
	if err != nil {
		return nil, fmt.Errorf("eval: %w", err)
	}
	s := &Set{Name: t.Name(), Shape: "task", Kind: Answer}
	for _, q := range items {
		shown, err := t.Demonstrate(q)
		if err != nil {
			return nil, fmt.Errorf("eval: task %q: %w", t.Name(), err)
		}
		it := Item{ID: q.ID, Lang: q.Lang, Text: q.Prompt, Contexts: []string{q.Prompt}, Target: shown, Answer: q.Answer}
		it.verify = func(ctx context.Context, text string) (bool, bool) {
			v := t.Verify(ctx, q, text)
			return v.Correct, v.Lenient
		}
		s.Items = append(s.Items, it)
	}
	return s, nil
}
