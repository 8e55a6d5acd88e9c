package corpus

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Skips says in a line how many files were left out and why, by kind; "" when none was.
func (r *Report) Skips() string {
	if r.SkipCount == 0 {
		return ""
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
	return text
}
