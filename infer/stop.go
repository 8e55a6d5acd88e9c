package infer

// Stop texts: found across token borders, and never shown.

import "strings"

// Stopper releases text once it is certain that no stop text begins in it.
type Stopper struct {
	Texts []string // none of them is empty
	By    string   // the stop text that was found first; "" until then
	held  string   // may be the beginning of a stop text
}

// Add takes more text and returns what is certain. After a stop text nothing comes any more.
func (s *Stopper) Add(text string) string {
	if s.By != "" {
		return ""
	}
	if len(s.Texts) == 0 {
		return text
	}
	s.held += text
	first := -1
	for _, stop := range s.Texts {
		if i := strings.Index(s.held, stop); i >= 0 && (first < 0 || i < first) {
			first, s.By = i, stop
		}
	}
	if first >= 0 {
		text, s.held = s.held[:first], ""
		return text
	}
	keep := 0
	for _, stop := range s.Texts {
		keep = max(keep, overlap(s.held, stop))
	}
	text, s.held = s.held[:len(s.held)-keep], s.held[len(s.held)-keep:]
	return text
}

// End returns what was held back: generation is over, so nothing can complete it.
func (s *Stopper) End() string {
	text := s.held
	s.held = ""
	return text
}

// overlap returns the length of the longest proper prefix of stop that text ends with.
func overlap(text, stop string) int {
	for n := min(len(text), len(stop)-1); n > 0; n-- {
		if strings.HasSuffix(text, stop[:n]) {
			return n
		}
	}
	return 0
}
