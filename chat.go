package haenyeo

// Chat: a conversation with a model. What a conversation is made of and how generations write it is package chat.

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/haenyeo/haenyeo/chat"
	"github.com/haenyeo/haenyeo/infer"
)

// Chat is a conversation. What the model has read of it is kept: a turn reads only what is new. The exported fields
// may be changed between replies, Messages too: what still stands at its beginning is not read again.
type Chat struct {
	Messages  []chat.Message
	Options   chat.Options
	Sampling  infer.Sampling
	MaxTokens int // of a reply; 0: what the context has room for

	Speculation infer.Speculation // of tokens ahead; it changes no text

	// Progress, if not nil, is called while the prompt is read, with its tokens that were read and all.
	Progress func(done, total int)

	// Token, if not nil, is called after every token of an answer with how many there are. Its text may come later.
	Token func(n int)

	model   *Model
	format  *chat.Format
	session *infer.Session
	context int
}

// Reply is an answer of the model.
type Reply struct {
	Message      chat.Message // as it was appended to Messages
	FinishReason infer.FinishReason
	Prompt       int           // tokens of the conversation before the answer
	Reused       int           // of these, known from before
	Tokens       int           // of the answer
	Reading      time.Duration // until its first token
	Writing      time.Duration // from there to its last
	Guessed      int           // tokens that were guessed ahead
	Right        int           // of these, those that the model made too
}

// NewChat begins a conversation of at most size tokens (0: the model's window, or what of it fits into memory). format
// is one of chat.Names; "" takes the one that the model was trained with.
func (m *Model) NewChat(format string, size int) (*Chat, error) {
	if m.tok == nil {
		return nil, errors.New("haenyeo: the model has no tokenizer that this program knows (tokenizer.json, or byte-level BPE in a GGUF): a conversation needs one")
	}
	f, err := chat.Detect(m.tok, chat.Hints{ModelType: m.Config().ModelType, Name: m.name(), Format: format})
	if err != nil {
		return nil, err
	}
	c := &Chat{model: m, format: f, Sampling: m.sampling}
	if !m.recommended {
		c.Sampling = usual(f.Name())
	}
	if f.Thinking() == chat.MayThink {
		c.Options.Thinking = true
	}
	c.session, c.context, err = m.newSession(size)
	return c, err
}

// name is what the model's file or directory is called; the revision directory of a cache says nothing.
func (m *Model) name() string {
	abs, err := filepath.Abs(m.path)
	if err != nil {
		return m.path
	}
	return abs
}

// newSession makes a session of size tokens; for 0 of the window, halved until it fits into memory.
func (m *Model) newSession(size int) (*infer.Session, int, error) {
	if size != 0 {
		if window := m.Config().MaxPositionEmbeddings; window > 0 && size > window {
			m.log.Warn("the context is longer than the model's window: what is said beyond is not to be relied on", "context", size, "window", window)
		}
		s, err := infer.NewSession(m.net, size)
		return s, size, err
	}
	const unbounded, least = 1 << 16, 1 << 9
	size = m.Config().MaxPositionEmbeddings
	if size == 0 {
		size = unbounded
	}
	for {
		s, err := infer.NewSession(m.net, size)
		if err == nil || size <= least {
			return s, size, err
		}
		size /= 2
	}
}

// usual is how the publishers sample a format where the model brings no generation_config.json.
func usual(format string) infer.Sampling {
	switch format {
	case "r1", "r1-0528":
		return infer.Sampling{Temperature: 0.6, TopP: 0.95}
	case "v3.2", "v4.1":
		return infer.Sampling{Temperature: 1, TopP: 0.95}
	case "v4", "v4-0731":
		return infer.Sampling{Temperature: 1}
	}
	return infer.Sampling{Temperature: 0.7, TopP: 0.95}
}

// Format is how the conversation is written for the model.
func (c *Chat) Format() *chat.Format { return c.format }

// Context is how many tokens the conversation can hold.
func (c *Chat) Context() int { return c.context }

// ErrContextFull says that a conversation leaves no room for an answer.
var ErrContextFull = errors.New("shorten it, begin a new one, or ask for a longer context")

// Used is how many tokens of the context the conversation takes as it stands; 0 where it cannot be written yet.
func (c *Chat) Used() int { return len(c.written()) }

// written is the conversation as it stands, none where it cannot be written yet.
func (c *Chat) written() []int32 {
	if len(c.Messages) == 0 {
		return nil
	}
	prompt, err := c.format.Render(c.Messages, c.Options)
	if err != nil {
		return nil
	}
	return chat.Encode(c.model.tok, prompt)
}

// Reply lets the model answer the conversation, or go on with its last message if that is a Prefix, and appends the
// answer to Messages. emit, if not nil, receives it as it comes; its error ends the reply. When ctx ends, what was
// said until then is kept as the answer, and returned with the context's error; Messages are as before where nothing
// was said. A call that cannot be read, or that the answer breaks off in, is text of the answer and no call.
func (c *Chat) Reply(ctx context.Context, emit func(chat.Event) error) (Reply, error) {
	prompt, err := c.format.Render(c.Messages, c.Options)
	if err != nil {
		return Reply{}, err
	}
	ids := chat.Encode(c.model.tok, prompt)
	if len(ids) >= c.context {
		return Reply{}, fmt.Errorf("haenyeo: the conversation has %d tokens, and the context holds %d: %w", len(ids), c.context, ErrContextFull)
	}
	parser := c.format.Parser(prompt)
	answer := chat.Message{Role: chat.Assistant}
	hand := func(events []chat.Event) error {
		for _, e := range events {
			answer.Add(e)
			if emit != nil {
				if err := emit(e); err != nil {
					return err
				}
			}
		}
		return nil
	}
	room := c.context - len(ids)
	if c.MaxTokens > 0 {
		room = min(room, c.MaxTokens)
	}
	began := time.Now()
	var first, last time.Time
	result, err := infer.Generate(ctx, c.session, infer.Request{
		Tokens: ids, MaxTokens: room, Sampling: c.Sampling, End: c.end(), Text: &counter{Decoder: c.model.tok.Stream(false), token: c.Token},
		TokenBytes: c.model.tok.TokenBytes, Progress: c.Progress, Speculation: c.Speculation,
	}, func(text string) error {
		if last = time.Now(); first.IsZero() {
			first = last
		}
		return hand(parser.Push(text))
	})
	if err == nil || ctx.Err() != nil {
		err = errors.Join(err, hand(parser.Close()))
	}
	r := Reply{Message: answer, FinishReason: result.FinishReason, Prompt: len(ids), Reused: result.Reused, Tokens: len(result.Tokens),
		Guessed: result.Guessed, Right: result.Right}
	if !first.IsZero() {
		r.Reading, r.Writing = first.Sub(began), last.Sub(first)
	} else if err == nil { // nothing but the end
		r.Reading = time.Since(began)
	}
	if err == nil || len(result.Tokens) > 0 { // an answer may be empty
		c.keep(answer)
	}
	return r, err
}

// counter tells of every token that goes into a text.
type counter struct {
	infer.Decoder
	token func(n int)
	n     int
}

func (c *counter) Push(id int32) string {
	c.n++
	if c.token != nil {
		c.token(c.n)
	}
	return c.Decoder.Push(id)
}

// keep appends an answer, or joins it to the prefix that it continues.
func (c *Chat) keep(answer chat.Message) {
	if n := len(c.Messages); n > 0 && c.Messages[n-1].Prefix {
		begun := c.Messages[n-1]
		answer.Reasoning, answer.Content = begun.Reasoning+answer.Reasoning, begun.Content+answer.Content
		c.Messages[n-1] = answer
		return
	}
	c.Messages = append(c.Messages, answer)
}

// end lists the ids that end a reply.
func (c *Chat) end() []int32 {
	end := slices.Clone(c.model.end)
	for _, s := range c.format.Stops() {
		if id, ok := c.model.tok.TokenID(s); ok && !slices.Contains(end, id) {
			end = append(end, id)
		}
	}
	return end
}
