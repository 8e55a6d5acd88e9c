// Package terminal is a conversation's side of a terminal: lines come in, an answer goes out as it is written.
//
//	keys in   ── keys.go: bytes of the terminal into keys; a paste is one key
//	          ── editor.go: a message of several lines, its history (history.go), and where the cursor stands
//	          ── view.go: the editor drawn in place, whatever the width of what is typed (width.go)
//	text out  ── markdown.go: headings, lists, code and bold, as the text comes
//	          ── flow.go: lines of the terminal's width, broken between words
//
// console.go reads messages, show.go shows what is said. A terminal that can do nothing (TERM=dumb, or a pipe in its place) gets plain lines.
//
// # Caveats
//
// Terminals disagree about how wide some characters are. The place of the cursor does not depend on it: what stands
// before the cursor is written again up to there. Only where a row ends may then be a cell off.
package terminal
