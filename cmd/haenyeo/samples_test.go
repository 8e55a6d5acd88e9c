package main

import (
	"slices"
	"strings"
	"testing"
)

func TestExcerpt(t *testing.T) {
	for _, c := range []struct {
		prompt, text string
		want         []string
	}{
		{"The sea", " is deep", []string{"[The sea] is deep"}},
		{"The sea", "", []string{"[The sea]"}},
		{"The sea", "\n\n\nis\t deep.\r\n", []string{"[The sea] is deep."}},
		{"The sea", " is deep and wide and cold", []string{"[The sea] is deep", "and wide and cold"}},
		{"The sea", strings.Repeat(" deep", 30), []string{"[The sea] deep deep", "deep deep deep deep", "deep deep deep deep…"}},
		{"바다", "는깊고넓고차다", []string{"[바다]는깊고넓고차다"}},           // two columns each
		{"바다", "는깊고넓고차다그리고", []string{"[바다]는깊고넓고차다", "그리고"}}, // without a space to cut at
		{"น้ำ", "\x1b[2J\x00\u202e", []string{"[น้ำ]\ufffd[2J\ufffd\ufffd"}},
	} {
		if got := excerpt(c.prompt, c.text, 20, 3); !slices.Equal(got, c.want) {
			t.Errorf("%q: %q, want %q", c.prompt+c.text, got, c.want)
		}
	}
	for columns := range 4 { // a terminal of no width at all
		excerpt("น้ำ바다", "a b 바다", columns, 3)
	}
}

func TestQuoted(t *testing.T) {
	for s, want := range map[string]string{
		"": "''", "my-model": "my-model", "The sea": "'The sea'", "it's": `'it'\''s'`, "$(x)": "'$(x)'", "바다": "바다",
	} {
		if got := quoted(s); got != want {
			t.Errorf("%q is quoted %s, want %s", s, got, want)
		}
	}
}
