// This file holds Mixture, which says how often an epoch gives the texts of each language and source.

package corpus

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// Mixture says how languages and sources share the training tokens. The zero value leaves them as the
// data has them.
type Mixture struct {
	// Temperature is the exponent of the languages' sizes: 1 (and 0, the zero value) leaves them
	// as the data has them, 0.5 lifts small ones, near 0 makes them equal.
	Temperature float64 `json:"temperature,omitempty"`
	// Weights multiply the share of a language ("ko") or a source ("react-docs"); 0 leaves it out.
	Weights map[string]float64 `json:"weights,omitempty"`
}

// MaxCopies bounds how often an epoch repeats a text to reach its share: beyond about four times a
// text teaches less than a new one (Muennighoff et al., arXiv 2305.16264).
const MaxCopies = 4

// maxWeight bounds the weights, so that their products are finite.
const maxWeight = 1e6

// Even says whether everything is left as the data has it.
func (m Mixture) Even() bool { return cmp.Or(m.Temperature, 1) == 1 && len(m.Weights) == 0 }

// Equal says whether two mixtures are the same.
func (m Mixture) Equal(o Mixture) bool {
	return cmp.Or(m.Temperature, 1) == cmp.Or(o.Temperature, 1) && maps.Equal(m.Weights, o.Weights)
}

// String lists what is not left as the data has it: "temperature 0.5, id 2, react-docs 0.1"; "" if all is.
func (m Mixture) String() string {
	var parts []string
	if cmp.Or(m.Temperature, 1) != 1 {
		parts = append(parts, fmt.Sprintf("temperature %g", m.Temperature))
	}
	for _, name := range slices.Sorted(maps.Keys(m.Weights)) {
		parts = append(parts, fmt.Sprintf("%s %g", name, m.Weights[name]))
	}
	return strings.Join(parts, ", ")
}

// Validate reports numbers that no data could be mixed by.
func (m Mixture) Validate() error {
	if alpha := cmp.Or(m.Temperature, 1); !(alpha > 0 && alpha <= 1) { // false for NaN
		return fmt.Errorf("corpus: mixture temperature %v: want more than 0, at most 1", m.Temperature)
	}
	for _, name := range slices.Sorted(maps.Keys(m.Weights)) {
		if w := m.Weights[name]; !(w >= 0 && w <= maxWeight) {
			return fmt.Errorf("corpus: mixture weight %v for %q: want 0 to %g", w, name, float64(maxWeight))
		}
	}
	return nil
}

// Suits refuses weights of what is not in the data. It costs nothing, long before Tokens.Copies can tell.
func (m Mixture) Suits(r *Report) error {
	known := map[string]bool{}
	for _, l := range r.Languages {
		known[l.Lang] = true
	}
	for _, s := range r.Sources {
		known[s.Name] = true
	}
	if known[others] {
		return nil // the report does not name all
	}
	return m.among(known)
}

func (m Mixture) among(known map[string]bool) error {
	const most = 20 // names
	for _, name := range slices.Sorted(maps.Keys(m.Weights)) {
		if known[name] {
			continue
		}
		names, more := slices.Sorted(maps.Keys(known)), ""
		if len(names) > most {
			names, more = names[:most], fmt.Sprintf(" and %d more", len(names)-most)
		}
		return fmt.Errorf("corpus: mixture weight for %q, which is neither a language nor a source of the data: it has %s%s", name, strings.Join(names, ", "), more)
	}
	return nil
}

// Copies turns a mixture into SamplerOptions.Copies, such that an epoch has about as many tokens
// as the data.
func (t *Tokens) Copies(m Mixture) ([]float64, error) {
	if err := m.Validate(); err != nil {
		return nil, err
	}
	if m.Even() {
		return nil, nil
	}
	known := map[string]bool{}
	size := map[string]float64{} // of languages
	for _, s := range t.strata {
		known[s.Lang], known[s.Source] = true, true
		size[s.Lang] += float64(s.Tokens)
	}
	if err := m.among(known); err != nil {
		return nil, err
	}
	weight := func(name string) float64 {
		if w, ok := m.Weights[name]; ok {
			return w
		}
		return 1
	}
	// A stratum with n tokens of a language with N gets a share n·N^(α−1) times its weights.
	alpha := cmp.Or(m.Temperature, 1)
	copies := make([]float64, len(t.strata))
	var have, want float64
	for i, s := range t.strata {
		copies[i] = math.Pow(size[s.Lang], alpha-1) * weight(s.Lang)
		if s.Source != s.Lang {
			copies[i] *= weight(s.Source)
		}
		have += float64(s.Tokens)
		want += copies[i] * float64(s.Tokens)
	}
	if want == 0 {
		return nil, fmt.Errorf("corpus: %w: the mixture weighs everything with 0", ErrTooLittle)
	}
	for i := range copies {
		copies[i] = min(copies[i]*have/want, MaxCopies)
	}
	return copies, nil
}
