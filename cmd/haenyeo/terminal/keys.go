package terminal

// Bytes of a terminal into keys. Sources: ECMA-48 control sequences; xterm's "ctlseqs" for keys and bracketed paste.

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// Kind is what a key does.
type Kind int

// The kinds of keys.
const (
	Ignored Kind = iota
	Text         // Key.Text was typed
	Paste        // Key.Text was pasted
	Enter
	NewLine
	Backspace
	Delete
	Left
	Right
	Up
	Down
	Home
	End
	WordLeft
	WordRight
	KillToEnd
	KillToStart
	KillWord
	KillNextWord
	Yank
	Complete
	Interrupt // Ctrl-C
	Leave     // Ctrl-D
	Suspend   // Ctrl-Z
	Redraw    // Ctrl-L
	Unfold    // Ctrl-T
	Gone      // the terminal went away; no more keys come
)

// Key is one key, or one paste.
type Key struct {
	Kind Kind
	Text string
}

// controls are the keys below the space, as shells have them.
var controls = [32]Kind{
	1: Home, 2: Left, 3: Interrupt, 4: Leave, 5: End, 6: Right, 8: Backspace, 9: Complete, 10: NewLine, 11: KillToEnd,
	12: Redraw, 13: Enter, 14: Down, 16: Up, 20: Unfold, 21: KillToStart, 23: KillWord, 25: Yank, 26: Suspend,
}

// sequences are the keys that arrive as ESC [ or ESC O and this.
var sequences = map[string]Kind{
	"A": Up, "B": Down, "C": Right, "D": Left, "H": Home, "F": End,
	"1~": Home, "7~": Home, "4~": End, "8~": End, "3~": Delete,
	"1;5C": WordRight, "1;3C": WordRight, "1;5D": WordLeft, "1;3D": WordLeft, "3;5~": KillNextWord,
	"13;2u": NewLine, "13;3u": NewLine, "13;5u": NewLine, "27;2;13~": NewLine, "27;5;13~": NewLine, "M": Enter,
}

const (
	pasteBegins = "\x1b[200~"
	pasteEnds   = "\x1b[201~"
	// longestSequence bounds what is waited for: no key is longer.
	longestSequence = 32
	// longestPaste bounds a paste that does not end: more than any model reads.
	longestPaste = 16 << 20
)

// decoder takes keys off the bytes that a terminal sent.
type decoder struct{ rest []byte }

// next takes a key. It is not ok while bytes of a key are missing; final says that none will come, so that a lone ESC is
// one.
func (d *decoder) next(final bool) (k Key, ok bool) {
	b := d.rest
	if len(b) == 0 {
		return k, false
	}
	if bytes.HasPrefix(b, []byte(pasteBegins)) {
		end, after := bytes.Index(b, []byte(pasteEnds)), len(pasteEnds)
		if end < 0 {
			if len(b) < longestPaste {
				return k, false
			}
			end, after = len(b), 0
		}
		k = Key{Paste, Clean(strings.ToValidUTF8(string(b[len(pasteBegins):end]), "\ufffd"))}
		d.rest = b[end+after:]
		return k, true
	}
	var n int
	switch {
	case b[0] == 0x1b:
		k, n = escape(b, final)
	case b[0] < 0x20:
		k, n = Key{Kind: controls[b[0]]}, 1
	case b[0] == 0x7f:
		k, n = Key{Kind: Backspace}, 1
	default:
		k, n = typed(b, final)
	}
	d.rest = b[n:]
	return k, n > 0
}

// typed takes the text that stands before the next control.
func typed(b []byte, final bool) (Key, int) {
	n := 0
	for n < len(b) && b[n] >= 0x20 && b[n] != 0x7f {
		if !utf8.FullRune(b[n:]) && !final {
			break
		}
		_, size := utf8.DecodeRune(b[n:])
		n += size
	}
	if n == 0 {
		return Key{}, 0
	}
	return Key{Text, Clean(strings.ToValidUTF8(string(b[:n]), "\ufffd"))}, n
}

// escape reads a key that begins with ESC: a sequence, or a key with Alt.
func escape(b []byte, final bool) (Key, int) {
	if len(b) == 1 {
		if final {
			return Key{}, 1
		}
		return Key{}, 0
	}
	switch c := b[1]; c {
	case '[', 'O':
		for n := 2; n < len(b) && n < longestSequence; n++ {
			if b[n] >= 0x40 && b[n] <= 0x7e && !(n == 2 && b[n] == '[') {
				return Key{Kind: sequences[string(b[2:n+1])]}, n + 1
			}
			if b[n] < 0x20 {
				return Key{}, n // cut short by another key
			}
		}
		if final || len(b) >= longestSequence {
			return Key{}, min(len(b), longestSequence)
		}
		return Key{}, 0
	case '\r', '\n':
		return Key{Kind: NewLine}, 2
	case 'b':
		return Key{Kind: WordLeft}, 2
	case 'f':
		return Key{Kind: WordRight}, 2
	case 'd':
		return Key{Kind: KillNextWord}, 2
	case 0x7f, 8:
		return Key{Kind: KillWord}, 2
	case 0x1b:
		return Key{}, 1
	default:
		_, n := utf8.DecodeRune(b[1:])
		return Key{}, 1 + n
	}
}
