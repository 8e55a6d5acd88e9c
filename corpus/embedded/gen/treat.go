// This file makes texts ready: prose without code, without tables, without pictograms.

package main

import (
	"strings"
	"unicode"
)

// changes is added to the kit's own account of what was done.
var changes = map[treatment]string{
	asIs:     "",
	prose:    "; then code blocks, tables, untranslated lines and lines without words left out",
	clean:    "; then code blocks, tables, pictograms, untranslated lines and lines without words left out",
	fewNames: "; then the records with the fewest personal titles taken",
}

// script is the script a language is written in, nil for Latin.
var script = map[string]*unicode.RangeTable{"ko": unicode.Hangul, "th": unicode.Thai, "ar": unicode.Arabic}

func treat(text string, p pick) string {
	if p.do != prose && p.do != clean {
		return text
	}
	var b strings.Builder
	fence := ""
	empty := true // at an empty line, or at the start
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, " \t\n")
		bare := strings.TrimLeft(line, " >\t")
		if mark := fenceOf(bare); mark != "" {
			switch {
			case fence == "":
				fence = mark
			case mark == fence:
				fence = ""
			}
			continue
		}
		if fence != "" || strings.HasPrefix(bare, "|") {
			continue
		}
		if p.do == clean {
			line = strings.Map(dropPictogram, line)
			line = strings.TrimRight(strings.ReplaceAll(line, "  ", " "), " ")
		}
		if line != "" && (!words(line, script[p.lang]) || p.lang != "en" && english(line)) {
			continue
		}
		if line == "" && empty {
			continue
		}
		empty = line == ""
		b.WriteString(line)
		b.WriteByte('\n')
	}
	return strings.TrimSpace(b.String())
}

func fenceOf(line string) string {
	for _, f := range []string{"```", "~~~"} {
		if strings.HasPrefix(line, f) {
			return f
		}
	}
	return ""
}

func dropPictogram(r rune) rune {
	if unicode.In(r, unicode.So, unicode.Sk) || r == 0xFE0F || r == 0x200D || r >= 0x1F000 {
		return -1
	}
	return r
}

// words says that a line holds words: of the script if there is one.
func words(line string, script *unicode.RangeTable) bool {
	letters, own := 0, 0
	for _, r := range line {
		if unicode.IsLetter(r) {
			letters++
			if script != nil && unicode.Is(script, r) {
				own++
			}
		}
	}
	return letters >= 2 && (script == nil || own*4 >= letters)
}

// functional are English words that the other languages here do not have.
var functional = map[string]bool{"the": true, "of": true, "and": true, "is": true, "are": true, "you": true, "your": true, "this": true, "that": true, "with": true, "for": true}

// english says that a line was left untranslated: one word in seven holds English together.
func english(line string) bool {
	all, hits := 0, 0
	for w := range strings.FieldsFuncSeq(strings.ToLower(line), func(r rune) bool { return !unicode.IsLetter(r) }) {
		all++
		if functional[w] {
			hits++
		}
	}
	return hits >= 2 && hits*7 >= all
}

// titles come before the names of persons in Thai official news.
var titles = []string{"นาย", "นาง", "พล.", "พล ", "ดร.", "ฯพณฯ", "พันเอก", "พันตำรวจ", "ร.ต.", "ร.อ.", "พ.ต.", "พ.อ.", "ม.ร.ว.", "ศ.", "H.E.", "Mr.", "Mrs.", "Ms."}

// names counts titles in a thousand bytes. The office "นายก..." is not a person.
func names(text string) float64 {
	n := 0
	for _, t := range titles {
		n += strings.Count(text, t)
	}
	n -= strings.Count(text, "นายก")
	return float64(n) * 1000 / float64(len(text))
}
