package main

// One answer on the screen: thinking, words and calls as they come, and keys meanwhile.

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/haenyeo/haenyeo"
	"github.com/haenyeo/haenyeo/chat"
	"github.com/haenyeo/haenyeo/cmd/haenyeo/terminal"
)

// step is what happened while an answer was made.
type step struct {
	event *chat.Event

	read, total int // of the prompt, while it is read
	tokens      int // of the answer, so far
}

// part is what an answer consists of.
type part int

const (
	nothing part = iota
	reading      // of the prompt
	thinking
	words
	calling
)

// turn is an answer while it comes.
type turn struct {
	t       *talk
	part    part
	w       terminal.Writer // of part; nil for a thought that is not shown
	thought strings.Builder
	hide    bool

	tokens    int // of the answer
	began     time.Time
	firstRead int // of the prompt, that was known
	read      int
	total     int
	since     time.Time // thinking began
	before    int       // tokens, when it began
	errors    []error
}

// show lets the model answer and shows it. Ctrl-C stops the answer.
func (t *talk) show() (haenyeo.Reply, error) {
	ctx, cancel := context.WithCancel(t.a.ctx)
	defer cancel()
	steps := make(chan step)
	type outcome struct {
		r   haenyeo.Reply
		err error
	}
	done := make(chan outcome, 1)
	t.chat.Progress = func(read, total int) { steps <- step{read: read, total: total} }
	t.chat.Token = func(n int) { steps <- step{tokens: n} }
	go func() {
		r, err := t.chat.Reply(ctx, func(e chat.Event) error {
			steps <- step{event: &e}
			return nil
		})
		done <- outcome{r, err}
	}()
	s := turn{t: t, hide: t.hide, began: time.Now(), firstRead: -1}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case st := <-steps:
			s.step(st)
		case <-tick.C:
			s.live()
		case k := <-t.con.Keys():
			switch k.Kind {
			case terminal.Gone:
				t.gone = true
				cancel()
			case terminal.Interrupt:
				t.con.Forget()
				cancel()
			case terminal.Unfold:
				s.fold()
			case terminal.Redraw: // nothing is drawn that could be drawn anew
			default:
				t.con.Hold(k)
			}
		case o := <-done:
			s.end()
			if len(s.errors) > 0 {
				t.con.Note("%v", errors.Join(s.errors...))
			}
			return o.r, o.err
		}
	}
}

// step shows one step.
func (s *turn) step(st step) {
	switch {
	case st.event != nil:
		s.event(*st.event)
	case st.tokens > 0:
		s.tokens = st.tokens
	default:
		if s.firstRead < 0 {
			s.firstRead = st.read
		}
		s.part, s.read, s.total = reading, st.read, st.total
	}
}

// event shows a part of the answer.
func (s *turn) event(e chat.Event) {
	switch e.Kind {
	case chat.ReasoningDelta:
		if s.part != thinking {
			e.Text = strings.TrimLeft(e.Text, "\n")
			if strings.TrimSpace(e.Text) == "" {
				return
			}
			s.begin(thinking)
		}
		s.thought.WriteString(e.Text)
		if s.w != nil {
			s.w.Push(e.Text)
		}
	case chat.ContentDelta, chat.Malformed:
		if s.part != words {
			e.Text = strings.TrimLeft(e.Text, "\n")
			if e.Text == "" {
				return
			}
			s.begin(words)
		}
		s.w.Push(e.Text)
	case chat.CallStart:
		s.begin(calling)
		s.w.Push("→ " + e.Text + " ")
	case chat.CallArguments:
		s.w.Push(e.Text)
	case chat.CallEnd:
		s.begin(nothing)
	}
	if e.Err != nil {
		s.errors = append(s.errors, e.Err)
	}
}

// begin ends the part that was shown and begins another.
func (s *turn) begin(p part) {
	con := s.t.con
	shown := s.part == thinking || s.part == words || s.part == calling
	if s.w != nil {
		s.w.Close()
		s.w = nil
	}
	if s.part == thinking {
		s.t.thought = strings.TrimSpace(s.thought.String())
		if s.hide {
			con.Note("thought for %s, %s (Ctrl-T or /show shows it)", plural(s.tokens-s.before, "token"), seconds(time.Since(s.since)))
		}
	}
	con.Clear()
	if shown && p != nothing {
		con.Gap()
	}
	switch s.part = p; p {
	case thinking:
		s.since, s.before = time.Now(), max(0, s.tokens-1)
		if !s.hide {
			con.Title("Thinking", terminal.Dim|terminal.Bold)
			s.w = con.Thought()
		}
	case words:
		s.w = con.Answer()
	case calling:
		s.w = con.Call()
	}
}

// end ends what is shown.
func (s *turn) end() { s.begin(nothing) }

// fold hides the thought that comes, or shows it with what came already.
func (s *turn) fold() {
	s.hide = !s.hide
	s.t.hide = s.hide
	if s.part != thinking {
		return
	}
	if s.hide {
		s.w.Close()
		s.w = nil
		return
	}
	s.t.con.Clear()
	s.t.con.Title("Thinking", terminal.Dim|terminal.Bold)
	s.w = s.t.con.Thought()
	s.w.Push(s.thought.String())
}

// slow is how long reading may take before it is worth a line.
const slow = 300 * time.Millisecond

// live shows what happens where nothing can be read yet.
func (s *turn) live() {
	con, now := s.t.con, time.Now()
	switch {
	case s.part == thinking && s.hide:
		con.Live("thinking… %s, %s", plural(s.tokens-s.before, "token"), seconds(now.Sub(s.since)))
	case s.part == reading && now.Sub(s.began) > slow && s.tokens == 0:
		text := "reading " + plural(s.total-s.firstRead, "token")
		if done := s.read - s.firstRead; done > 0 && s.read < s.total {
			rate := float64(done) / now.Sub(s.began).Seconds()
			left := time.Duration(float64(s.total-s.read) / rate * float64(time.Second))
			con.Live("%s: %d%%, %.0f tokens/s, %s left", text, 100*done/(s.total-s.firstRead), rate, seconds(left))
			return
		}
		con.Live("%s, %s", text, seconds(now.Sub(s.began)))
	}
}

// unfold shows the last thought.
func (t *talk) unfold() {
	if t.thought == "" {
		t.con.Note("there is no thought to show")
		return
	}
	t.con.Title("Thinking", terminal.Dim|terminal.Bold)
	w := t.con.Thought()
	w.Push(t.thought)
	w.Close()
}
