package terminal

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// keysOf decodes what a terminal sends.
func keysOf(t *testing.T, bytes string) []Key {
	t.Helper()
	d := decoder{rest: []byte(bytes)}
	var keys []Key
	for k, ok := d.next(true); ok; k, ok = d.next(true) {
		keys = append(keys, k)
	}
	if len(d.rest) > 0 {
		t.Fatalf("%q is left of %q", d.rest, bytes)
	}
	return keys
}

func TestKeys(t *testing.T) {
	for bytes, want := range map[string][]Key{
		"한글é":                        {{Text, "한글é"}},
		"a\r":                        {{Text, "a"}, {Kind: Enter}},
		"\n\x1b\r\x1b[13;2u":         {{Kind: NewLine}, {Kind: NewLine}, {Kind: NewLine}},
		"\x1b[A\x1bOB\x1b[1;5D\x1bf": {{Kind: Up}, {Kind: Down}, {Kind: WordLeft}, {Kind: WordRight}},
		"\x1b[200~one\r\ntwo\x1b[31m\rthree\x1b[201~x": {{Paste, "one\ntwo\ufffd[31m\nthree"}, {Text, "x"}},
		"\x03\x04\x14\x7f":       {{Kind: Interrupt}, {Kind: Leave}, {Kind: Unfold}, {Kind: Backspace}},
		"\x1b[99;99;99Z\x1b[Mab": {{}, {Kind: Enter}, {Text, "ab"}},
		"\x1b":                   {{}},
		"\xff":                   {{Text, "\ufffd"}},
		"\x1b\x1b[C":             {{}, {Kind: Right}},
	} {
		if got := keysOf(t, bytes); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%q: %v, want %v", bytes, got, want)
		}
	}
}

// Keys are the same wherever their bytes are cut.
func TestKeysInParts(t *testing.T) {
	const all = "ab한\x1b[1;5D\x1b[200~x\ny\x1b[201~\x1bb\r"
	want := fmt.Sprint(keysOf(t, all))
	for cut := range len(all) {
		var d decoder
		var keys []Key
		for _, part := range []string{all[:cut], all[cut:]} {
			d.rest = append(d.rest, part...)
			for k, ok := d.next(false); ok; k, ok = d.next(false) {
				if n := len(keys); n > 0 && k.Kind == Text && keys[n-1].Kind == Text {
					keys[n-1].Text += k.Text
				} else {
					keys = append(keys, k)
				}
			}
		}
		if fmt.Sprint(keys) != want {
			t.Errorf("cut at %d: %v, want %v", cut, keys, want)
		}
	}
}

func FuzzKeys(f *testing.F) {
	for _, s := range []string{"\x1b[200~a", "\x1b[", "\x1bO", "\xe3\x81", "\x1b\x1b\x1b[A", "\x1b[1;1;1;1;1;1;1;1;1;1;1;1;1;1;1;1;1;1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d := decoder{rest: []byte(s)}
		for {
			left := len(d.rest)
			_, ok := d.next(true)
			if !ok {
				break
			}
			if len(d.rest) >= left {
				t.Fatalf("a key took nothing off %q", d.rest)
			}
		}
		if len(d.rest) > 0 && !strings.HasPrefix(string(d.rest), pasteBegins) {
			t.Errorf("%q is left", d.rest)
		}
	})
}

// typing gives an editor keys and shows its text with the cursor as |.
func typing(t *testing.T, e *editor, bytes string) string {
	t.Helper()
	for _, k := range keysOf(t, bytes) {
		e.key(k)
	}
	return e.text[:e.at] + "|" + e.text[e.at:]
}

func TestEditing(t *testing.T) {
	const left, right, up, down = "\x1b[D", "\x1b[C", "\x1b[A", "\x1b[B"
	for bytes, want := range map[string]string{
		"바다\x7f":                            "바|",
		"ab" + left + "x" + right + "y":     "axby|",
		"ทะเลลึก" + left + left:             "ทะเลลึ|ก"[:len("ทะเล")] + "|ลึก", // a vowel sign goes with its letter
		"👩‍👩‍👧x" + left + left + "a":        "a|👩‍👩‍👧x",
		"🇰🇷🇹🇭\x7f":                          "🇰🇷|",
		"e\u0301\x7f":                       "|",
		"ab\ncde" + up + "X":                "abX|\ncde",
		"abcd\ne" + up + up + down + "\x01": "abcd\n|e",
		"one two three\x17\x17":             "one |",
		"one two\x01\x0b":                   "|",
		"one two\x01\x0b\x19\x19":           "one twoone two|",
		"one\ntwo\x15":                      "one\n|",
		"a b c" + "\x1bb\x1bb" + "\x1bd":    "a | c",
		"line\\\rnext":                      "line\nnext|",
		`"""` + "\ra\r":                     `"""` + "\na\n|",
		"\x1b[200~x\ny\x1b[201~":            "x\ny|",
		"x" + "\x04" + left + "\x04":        "|",
		"ab" + left + "\x1b[3~":             "a|",
	} {
		var e editor
		e.begin("", nil)
		if got := typing(t, &e, bytes); got != want {
			t.Errorf("%q: %q, want %q", bytes, got, want)
		}
	}
}

func TestRecall(t *testing.T) {
	var e editor
	e.begin("", []string{"first", "second"})
	for _, c := range []struct{ keys, want string }{
		{"draft\x1b[A", "second|"}, {"\x1b[A", "first|"}, {"\x1b[A", "first|"}, {"\x1b[B", "second|"}, {"\x1b[B", "draft|"}, {"\x1b[B", "draft|"},
	} {
		if got := typing(t, &e, c.keys); got != c.want {
			t.Errorf("after %q: %q, want %q", c.keys, got, c.want)
		}
	}
}

func TestWholeMessages(t *testing.T) {
	for text, want := range map[string]struct {
		whole bool
		said  string
	}{
		"plain":                {true, "plain"},
		`ends\`:                {false, ""},
		`ends\\`:               {true, `ends\\`},
		`"""a`:                 {false, ""},
		`"""a"""`:              {true, "a"},
		"\"\"\"\na\nb\n\"\"\"": {true, "a\nb"},
		`"""`:                  {false, ""},
		`say """x"""`:          {true, `say """x"""`},
		`"""/usr/bin/env"""`:   {true, "//usr/bin/env"}, // no command
	} {
		_, whole := joinLines(text, beginsQuoted(text))
		if got := said(text, beginsQuoted(text)); whole != want.whole || whole && got != want.said {
			t.Errorf("%q: whole %v, says %q", text, whole, got)
		}
	}
}

// Quotes that were pasted, or stand in a message of the past, are text.
func TestQuotesOfPastes(t *testing.T) {
	paste := func(s string) string { return "\x1b[200~" + s + "\x1b[201~" }
	for keys, want := range map[string]string{
		paste(`"""Says hello."""` + "\ndef f(): pass"): `"""Says hello."""` + "\ndef f(): pass",
		paste(`"""never closed`):                       `"""never closed`,
		paste(`"""x"""`) + "\x7f\x7f\x7f\"\"\"":        `"""x"""`,
		`"""` + paste("a\n\"\"\"b") + `"""`:            "a\n\"\"\"b",
		`"""x"""` + "\x1b[A\x1b[B":                     "x", // up and down again
		"\x1b[A":                                       `"""past`,
	} {
		var e editor
		e.begin("", []string{`"""past`})
		typing(t, &e, keys)
		if out := e.key(Key{Kind: Enter}); out != isSent || e.said() != want {
			t.Errorf("%q: sent %v, says %q, want %q", keys, out == isSent, e.said(), want)
		}
	}
}

func TestWidths(t *testing.T) {
	for s, want := range map[string]int{
		"abc": 3, "한글": 4, "你好": 4, "ทะเลลึก": 6, "น้ำ": 2, "é": 1, "👩‍👩‍👧": 2, "🇰🇷": 2, "👍🏽": 2, "❤️": 2, "ｱ": 1, "한": 2, "": 0, "\u200b": 0,
	} {
		if got := Width(s); got != want {
			t.Errorf("%q takes %d cells, want %d", s, got, want)
		}
	}
}

// Whatever is typed, the screen shows the text, and the cursor where it belongs, at any width.
func TestDrawing(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	pieces := []string{"a", "bc ", "한", "ลึ", "👩‍👩‍👧", "\n", "e\u0301", "\x1b[D", "\x1b[A", "\x1b[B", "\x7f", "\x1b[C", "\x01", "word "}
	for range 200 {
		columns := 6 + rng.IntN(30)
		s := newScreen(columns, 100)
		s.Write([]byte("above\r\n"))
		var e editor
		var v view
		e.begin("", nil)
		for range rng.IntN(60) {
			typing(t, &e, pieces[rng.IntN(len(pieces))])
			s.Write([]byte(v.draw("> ", e.text, e.at, columns, 100)))
		}
		s.Write([]byte(v.draw("> ", e.text, e.at, columns, 100)))
		rows, cursor, before := layout("> ", e.text, e.at, columns)
		want := "above"
		shown := ""
		for _, r := range rows {
			want += "\n" + strings.TrimRight(r.text, " ")
			shown += r.text[len("> "):]
			if r.cells >= max(columns, 5) {
				t.Fatalf("row %q fills %d columns", r.text, columns)
			}
		}
		if s.text() != want || s.y != 1+cursor || s.x != Width(rows[cursor].text[:before]) {
			t.Fatalf("%d columns, text %q: the screen is\n%s\nwith the cursor at %d,%d; want\n%s", columns, e.text, s.text(), s.x, s.y, want)
		}
		if shown != strings.ReplaceAll(e.text, "\n", "") {
			t.Fatalf("rows show %q of %q", shown, e.text)
		}
	}
}

// A message that is longer than the screen shows the part around the cursor.
func TestDrawingMoreThanTheScreen(t *testing.T) {
	s := newScreen(20, 6)
	var v view
	text := strings.Repeat("line\n", 30) + "last"
	s.Write([]byte(v.draw("> ", text, len(text), 20, 6)))
	if !strings.HasSuffix(s.text(), "last") || len(s.rows) != 5 {
		t.Errorf("the end: %d rows\n%s", len(s.rows), s.text())
	}
	s.Write([]byte(v.draw("> ", text, 0, 20, 6)))
	if !strings.HasPrefix(s.text(), "> line") || len(s.rows) != 5 || s.y != 0 {
		t.Errorf("the beginning, cursor in row %d:\n%s", s.y, s.text())
	}
}
