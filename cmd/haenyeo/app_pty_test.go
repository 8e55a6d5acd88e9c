//go:build linux

package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
)

// On a terminal, what commands print cannot command it; a pipe gets every byte.
func TestPrintingOnATerminal(t *testing.T) {
	const said = "a\x1b]0;pwn\x07b\r\nc"
	tty, s := newTerminal(t)
	a := newApp(context.Background(), globals{}, strings.NewReader(""), tty, tty)
	a.stdout.WriteString(said[:len(said)-2]) // an answer comes in pieces
	a.stdout.Flush()
	a.print("%s", said[len(said)-2:])
	a.say("\x1b[2Jnote")
	s.expect("a\ufffd]0;pwn\ufffdb\r\nc\r\n\ufffd[2Jnote")
	var pipe bytes.Buffer
	newApp(context.Background(), globals{}, strings.NewReader(""), &pipe, &pipe).print("%s", said)
	if pipe.String() != said+"\n" {
		t.Errorf("a pipe gets %q", pipe.String())
	}
}
