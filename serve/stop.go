package serve

// Stop texts of the visible content. They are looked for behind the parser: the same words in the reasoning, or in the
// arguments of a call, end nothing.

import "strings"

// stopper hands on text once it is certain that no stop text begins in it.
type stopper struct {
	texts []string
	held  string
	by    string // the stop text that was found
}

// add gives what of the text is certain, and whether a stop text ended it.
func (s *stopper) add(text string) (certain string, ended bool) {
	if len(s.texts) == 0 {
		return text, false
	}
	s.held += text
	at := -1
	for _, t := range s.texts {
		if i := strings.Index(s.held, t); i >= 0 && (at < 0 || i < at) {
			at, s.by = i, t
		}
	}
	if at >= 0 {
		certain, s.held = s.held[:at], ""
		return certain, true
	}
	keep := 0
	for _, t := range s.texts {
		for n := min(len(s.held), len(t)-1); n > keep; n-- {
			if strings.HasSuffix(s.held, t[:n]) {
				keep = n
			}
		}
	}
	cut := len(s.held) - keep
	certain, s.held = s.held[:cut], s.held[cut:]
	return certain, false
}

// rest gives what was held back, when no more text comes.
func (s *stopper) rest() string {
	text := s.held
	s.held = ""
	return text
}
