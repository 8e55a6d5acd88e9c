package corpus

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Skips says in a line how many files were left out and why, by kind, and how many records their encoding
// alters; "" when there were none.
func (r *Report) Skips() string {
	if r.SkipCount == 0 {
		return r.altered()
	}
	kinds := map[string]int{}
	for _, s := range r.Skipped {
		kind, _, _ := strings.Cut(s.Reason, ":")
		kind, _, _ = strings.Cut(kind, " at byte ")
		kinds[kind]++
	}
	names := slices.SortedFunc(maps.Keys(kinds), func(a, b string) int {
		return cmp.Or(cmp.Compare(kinds[b], kinds[a]), cmp.Compare(a, b))
	})
	var parts []string
	for _, name := range names {
		parts = append(parts, fmt.Sprintf("%d %s", kinds[name], name))
	}
	if more := r.SkipCount - len(r.Skipped); more > 0 {
		parts = append(parts, fmt.Sprintf("%d more", more))
	}
	files := "files"
	if r.SkipCount == 1 {
		files = "file"
	}
	text := fmt.Sprintf("skipped %d %s: %s", r.SkipCount, files, strings.Join(parts, ", "))
	if len(r.Skipped) > 0 {
		text += fmt.Sprintf(" (%q, for one)", r.Skipped[0].Path)
	}
	if altered := r.altered(); altered != "" {
		text += "; " + altered
	}
	return text
}

// altered says how many records have text that cannot be had as it was written; "" when none has.
func (r *Report) altered() string {
	switch r.Altered {
	case 0:
		return ""
	case 1:
		return `skipped 1 record: its text escapes half a surrogate pair (such as \ud83d alone), which is no character`
	}
	return fmt.Sprintf(`skipped %d records: their text escapes half a surrogate pair (such as \ud83d alone), which is no character`, r.Altered)
}
