package grammar

import "errors"

// FromChoices is one of the texts. Among them may be the empty one.
func FromChoices(choices []string) (*Grammar, error) {
	if len(choices) == 0 {
		return nil, errors.New("grammar: choices: there are none: give at least one")
	}
	r := begin()
	r.exprs[0] = words(choices)
	return finish("choices", r)
}
