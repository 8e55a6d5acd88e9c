package serve

// The text of an answer as events, with the tokens that every piece of it came from.

import (
	"crypto/rand"
	"encoding/hex"
	"strings"
	"time"

	"github.com/haenyeo/haenyeo/chat"
	"github.com/haenyeo/haenyeo/infer"
)

// reader turns what an engine emits into the events of one choice.
type reader struct {
	*job
	choice  int
	parser  *chat.Parser  // nil for a text
	stop    infer.Stopper // of the content: the same words in the reasoning, or in the arguments of a call, end nothing
	told    bool          // that it started
	began   bool          // reasoning, or the content after it, has more than the newlines that templates leave
	after   bool          // there was reasoning
	pending []infer.TokenLogprob
	waiting int // tokens whose text was not seen yet
	calls   []string
	thought strings.Builder // for the calls it led to
	usage   usage
	first   time.Time // when the first token came
	last    time.Time
	billed  bool
}

// progress is called while the prompt is read. How much of it was known is certain at the end only.
func (r *reader) progress(int, int) {
	if !r.told && r.choice == 0 {
		r.box.put(event{kind: started, usage: r.usage})
	}
	r.told = true
}

// token is called for every token, before its text comes.
func (r *reader) token(t infer.TokenLogprob) {
	r.usage.answer++
	if r.last = time.Now(); r.first.IsZero() {
		r.first = r.last
	}
	r.waiting++
	if r.logprobs {
		r.pending = append(r.pending, t)
	}
}

// text takes the next piece.
func (r *reader) text(s string) error {
	if r.parser == nil {
		return r.content(s)
	}
	return r.read(r.parser.Push(s))
}

// close takes what the parser still holds.
func (r *reader) close() error {
	if r.parser != nil {
		if err := r.read(r.parser.Close()); err != nil {
			return err
		}
	}
	r.show(r.stop.End())
	return nil
}

func (r *reader) read(events []chat.Event) error {
	for _, e := range events {
		switch e.Kind {
		case chat.ReasoningDelta:
			r.usage.reasoning += r.waiting
			r.waiting = 0
			r.after = true
			if text := r.trim(e.Text); text != "" {
				r.thought.WriteString(text)
				r.put(event{kind: reasoning, text: text, logprobs: r.tokens(text)})
			}
			continue
		case chat.ContentDelta, chat.Malformed:
			if err := r.content(e.Text); err != nil {
				return err
			}
			continue
		}
		r.waiting, r.pending = 0, nil
		switch e.Kind {
		case chat.CallStart:
			r.show(r.stop.End())
			r.calls = append(r.calls, "call_"+random(12))
			r.put(event{kind: callStart, text: e.Text, call: e.Index, id: r.calls[e.Index]})
		case chat.CallArguments:
			r.put(event{kind: callArgs, text: e.Text, call: e.Index})
		case chat.CallEnd:
			r.put(event{kind: callEnd, call: e.Index, unusable: e.Err != nil})
			if r.oneCall && e.Err == nil {
				return errOneCall
			}
		}
	}
	return nil
}

// content shows text up to a stop text.
func (r *reader) content(text string) error {
	r.waiting = 0
	if r.after { // what follows the reasoning begins anew
		r.after, r.began = false, false
	}
	if len(r.calls) > 0 {
		r.began = true
	}
	r.show(r.stop.Add(text))
	if r.stop.By != "" {
		return errStopText
	}
	return nil
}

func (r *reader) show(text string) {
	if r.usage.reasoning > 0 || r.within {
		text = r.trim(text)
	}
	if text != "" {
		r.put(event{kind: content, text: text, logprobs: r.tokens(text)})
	}
}

// trim drops the newlines that stand between markers and words.
func (r *reader) trim(text string) string {
	if !r.began {
		text = strings.TrimLeft(text, "\n")
		r.began = text != ""
	}
	return text
}

// tokens gives the tokens that a text came from: the last ones that were seen, without those of markers before it.
func (r *reader) tokens(text string) []infer.TokenLogprob {
	n := len(text)
	from := len(r.pending)
	for from > 0 && n > 0 {
		from--
		n -= len(r.model.Tokenizer.TokenBytes(r.pending[from].ID))
	}
	tokens := r.pending[from:]
	r.pending = nil
	return tokens
}

func (r *reader) put(e event) {
	e.choice = r.choice
	r.box.put(e)
}

func (r *reader) finish(why finish) {
	if why == finishStop && len(r.calls) > 0 && r.stop.By == "" {
		why = finishCalls
	}
	r.server.remembered.add(r.calls, r.thought.String())
	r.bill()
	r.server.metrics.answered(r.model.Name, why, r.usage, r.job.began, r.first, r.last)
	r.put(event{kind: finished, finish: why, stopped: r.stop.By, usage: r.usage})
}

// bill puts the tokens on the account of the key, once.
func (r *reader) bill() {
	if r.key != nil && !r.billed {
		r.key.tokens.take(time.Now(), r.usage.prompt+r.usage.answer)
	}
	r.billed = true
}

// random gives n random bytes in hexadecimal.
func random(n int) string {
	b := make([]byte, n)
	rand.Read(b) // it never fails
	return hex.EncodeToString(b)
}
