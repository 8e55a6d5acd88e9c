package terminal

// Console: where a conversation is typed and shown.

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/signal"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
)

// ErrInterrupted says that Ctrl-C was pressed while a message was written.
var ErrInterrupted = errors.New("interrupted")

// Options say what a console can do.
type Options struct {
	Smart   bool      // draws, and reads keys; else lines in and text out
	Colour  bool      // beside bold and dim
	Asides  io.Writer // of a console that is not smart: all but what is said; nil: with it
	History *History  // nil: none
	// Complete is asked what Tab makes of a text.
	Complete func(text string) string
}

// Smart says whether a console on these files can draw.
func Smart(in, out *os.File) bool {
	return os.Getenv("TERM") != "dumb" && term.IsTerminal(int(in.Fd())) && term.IsTerminal(int(out.Fd())) && draws(out)
}

// Console reads messages and shows answers. One goroutine uses it. Close gives the terminal back.
type Console struct {
	o    Options
	out  io.Writer
	size func() (columns, lines int)

	mode    sync.Mutex
	restore func() // the terminal's mode, of a smart one
	closed  bool

	keys    chan Key
	lines   chan string // of one that is not smart
	resized chan os.Signal
	signals chan os.Signal
	done    chan struct{}
	ahead   []Key // typed while nobody asked

	edit editor
	view view
	live int // cells of the line that goes again, 0: none is shown
}

// longestAhead bounds what is typed ahead.
const longestAhead = 1 << 12

// Open takes the terminal. keys is read from in, which ends when the program does; a smart console needs the files
// themselves for their mode and size.
func Open(in io.Reader, inFile *os.File, out io.Writer, outFile *os.File, o Options) (*Console, error) {
	c := &Console{
		o: o, out: out, keys: make(chan Key), lines: make(chan string), done: make(chan struct{}),
		resized: make(chan os.Signal, 1), signals: make(chan os.Signal, 1),
		size: func() (int, int) { return 0, 0 }, restore: func() {},
	}
	if o.Asides == nil {
		c.o.Asides = out
	}
	if o.History == nil {
		c.o.History = &History{}
	}
	c.edit.complete = o.Complete
	if o.Smart {
		c.size = func() (int, int) {
			columns, lines, err := term.GetSize(int(outFile.Fd()))
			if err != nil || columns <= 0 || lines <= 0 {
				return 80, 24
			}
			return columns, lines
		}
		if err := c.take(inFile); err != nil {
			return nil, err
		}
		watchSize(c.resized)
		go c.readKeys(in, inFile)
	} else {
		go c.readLines(in)
	}
	// Ctrl-C stops an answer here, and no more the program.
	signal.Reset(os.Interrupt)
	signal.Notify(c.signals, os.Interrupt)
	go c.passSignals()
	return c, nil
}

// take sets the terminal to give keys, and pastes as such.
func (c *Console) take(in *os.File) error {
	c.mode.Lock()
	defer c.mode.Unlock()
	if c.closed {
		return os.ErrClosed
	}
	before, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return fmt.Errorf("the terminal: %w", err)
	}
	io.WriteString(c.out, "\x1b[?2004h")
	c.restore = func() {
		io.WriteString(c.out, "\x1b[?2004l")
		term.Restore(int(in.Fd()), before)
	}
	return nil
}

// Close gives the terminal back as it was.
func (c *Console) Close() {
	c.Clear()
	close(c.done)
	signal.Stop(c.signals)
	signal.Stop(c.resized)
	c.giveBack(true)
}

// giveBack sets the terminal as it was; at last for good.
func (c *Console) giveBack(last bool) {
	c.mode.Lock()
	defer c.mode.Unlock()
	c.restore()
	c.closed = c.closed || last
}

// passSignals turns Ctrl-C into a key where the terminal makes a signal of it.
func (c *Console) passSignals() {
	for {
		select {
		case <-c.signals:
			c.pass(Key{Kind: Interrupt})
		case <-c.done:
			return
		}
	}
}

// pass hands a key on; not ok when the console was closed.
func (c *Console) pass(k Key) bool {
	select {
	case c.keys <- k:
		return true
	case <-c.done:
		return false
	}
}

// escapeWait is how long the rest of a key may take to come.
const escapeWait = 50 * time.Millisecond

// readKeys turns what is typed into keys, until in ends.
func (c *Console) readKeys(in io.Reader, file *os.File) {
	defer c.pass(Key{Kind: Gone})
	parts := make(chan []byte)
	go func() {
		defer close(parts)
		b := make([]byte, 16<<10)
		for {
			n, err := in.Read(b)
			if n > 0 {
				select {
				case parts <- append([]byte(nil), b[:n]...):
				case <-c.done:
					return
				}
			}
			if err != nil {
				return
			}
		}
	}()
	var d decoder
	for final, open := false, true; ; {
		for k, ok := d.next(final); ok; k, ok = d.next(final) {
			if k.Kind == Suspend {
				c.giveBack(false)
				suspend()
				if c.take(file) != nil {
					return
				}
				k.Kind = Redraw
			}
			if k.Kind != Ignored && !c.pass(k) {
				return
			}
		}
		if !open {
			return
		}
		var late <-chan time.Time
		if len(d.rest) > 0 && !strings.HasPrefix(string(d.rest[:min(len(d.rest), len(pasteBegins))]), pasteBegins) {
			late = time.After(escapeWait)
		}
		final = false
		select {
		case part, ok := <-parts:
			if open = ok; !open {
				final = true
			}
			d.rest = append(d.rest, part...)
		case <-late:
			final = true
		case <-c.done:
			return
		}
	}
}

// longestLine bounds a line of a console that is not smart.
const longestLine = 16 << 20

func (c *Console) readLines(in io.Reader) {
	defer close(c.lines)
	s := bufio.NewScanner(in)
	s.Buffer(nil, longestLine)
	for s.Scan() {
		select {
		case c.lines <- strings.ToValidUTF8(strings.TrimSuffix(s.Text(), "\r"), "\ufffd"):
		case <-c.done:
			return
		}
	}
}

// Draws says whether keys are read one by one, and what is typed is seen before it is sent.
func (c *Console) Draws() bool { return c.o.Smart }

// Keys gives the keys that are pressed while no message is read: Interrupt alone where the console is not smart.
func (c *Console) Keys() <-chan Key { return c.keys }

// Hold keeps a key for the next message.
func (c *Console) Hold(k Key) {
	if len(c.ahead) < longestAhead {
		c.ahead = append(c.ahead, k)
	}
}

// Forget drops what was typed ahead.
func (c *Console) Forget() { c.ahead = nil }

// Read lets a message be written, beginning with text. Its errors are io.EOF when nobody writes any more,
// ErrInterrupted, and the context's. unfold is what Ctrl-T does; what it prints stands above the message.
func (c *Console) Read(ctx context.Context, prompt, text string, unfold func()) (string, error) {
	c.Clear()
	if !c.o.Smart {
		return c.readMessage(ctx, prompt)
	}
	c.edit.begin(text, c.o.History.entries)
	for {
		if len(c.ahead) == 0 {
			c.draw(prompt)
		}
		k, err := c.nextKey(ctx)
		if err != nil {
			c.leave(prompt)
			return c.edit.text, err
		}
		switch k.Kind {
		case Redraw:
			io.WriteString(c.out, "\x1b[H\x1b[2J")
			c.view.rows = nil
			continue
		case Unfold:
			c.wipe()
			unfold()
			continue
		}
		switch c.edit.key(k) {
		case isSent:
			c.leave(prompt)
			return c.edit.said(), nil
		case isInterrupted:
			c.leave(prompt)
			return c.edit.text, ErrInterrupted
		case isLeft:
			c.leave(prompt)
			return "", io.EOF
		}
	}
}

// Remember puts a message into the history.
func (c *Console) Remember(text string) error { return c.o.History.Add(text) }

// nextKey waits for a key. The editor is drawn anew when the terminal changes its size.
func (c *Console) nextKey(ctx context.Context) (Key, error) {
	if len(c.ahead) > 0 {
		k := c.ahead[0]
		c.ahead = c.ahead[1:]
		return k, nil
	}
	select {
	case k := <-c.keys:
		if k.Kind == Gone {
			return k, io.EOF
		}
		return k, nil
	case <-c.resized:
		return Key{}, nil
	case <-ctx.Done():
		return Key{}, ctx.Err()
	}
}

func (c *Console) draw(prompt string) {
	columns, lines := c.size()
	io.WriteString(c.out, c.view.draw(prompt, c.edit.text, c.edit.at, columns, lines))
}

// leave ends the drawing of the editor: its text stays, what follows goes below.
func (c *Console) leave(prompt string) {
	c.edit.at = len(c.edit.text)
	columns, _ := c.size()
	io.WriteString(c.out, c.view.draw(prompt, c.edit.text, c.edit.at, columns, math.MaxInt)) // all of it, for scrolling back
	c.view.rows = nil
	io.WriteString(c.out, "\r\n")
}

func (c *Console) wipe() {
	columns, _ := c.size()
	io.WriteString(c.out, c.view.erase(columns))
}

// readMessage reads lines until a message is whole.
func (c *Console) readMessage(ctx context.Context, prompt string) (string, error) {
	for text, quoted := "", false; ; prompt = strings.Repeat(".", max(1, len(prompt)-1)) + " " {
		io.WriteString(c.o.Asides, prompt)
		select {
		case line, ok := <-c.lines:
			if !ok {
				io.WriteString(c.o.Asides, "\n")
				if text != "" {
					return said(text, quoted), nil
				}
				return "", io.EOF
			}
			// Quotes stand alone on their line here: whether they are typed or pasted cannot be told.
			quoted = quoted || text == "" && strings.TrimSpace(line) == quotes
			more, whole := joinLines(text+line, quoted)
			if whole {
				return said(more, quoted), nil
			}
			text = more
		case <-c.keys:
			io.WriteString(c.o.Asides, "\n")
			return text, ErrInterrupted
		case <-ctx.Done():
			return text, ctx.Err()
		}
	}
}
