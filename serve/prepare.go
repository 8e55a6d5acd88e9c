package serve

// From a request to what the engine is asked: the model is found, the prompt written, every value checked.

import (
	"cmp"
	"crypto/rand"
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/haenyeo/haenyeo/chat"
	"github.com/haenyeo/haenyeo/grammar"
	"github.com/haenyeo/haenyeo/infer"
	"github.com/haenyeo/haenyeo/tokenizer"
)

// Limits of what one request may ask for.
const (
	maxAnswers = 16
	maxStops   = 16
	maxStop    = 1 << 10 // bytes of one
	maxBias    = 1 << 10 // ids
	maxTop     = 20      // alternatives of a token
	maxTools   = 128
	maxSalt    = 256
)

// prepared is a request that the engine can be asked.
type prepared struct {
	*request
	model  *Model
	prompt []chat.Segment // of a conversation, nil of a text
	thinks bool           // reasoning is expected first
	within bool           // prompt ends within reasoning
	ask    infer.Request

	masker  *grammar.Masker // of the answer, nil: it is free
	demands bool            // the client asks for it
	key     *key            // of the client, nil without keys
}

// prepare finds what is wrong with a request before anybody waits for it.
func (x *exchange) prepare(q *request) (*prepared, error) {
	s := x.server
	m, err := x.use(q.model)
	if err != nil {
		return nil, err
	}
	if err := q.check(); err != nil {
		return nil, err
	}
	p := &prepared{request: q, model: m}
	ids, err := p.encode(s)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		if id < 0 || int(id) >= m.Vocab {
			return nil, fail(outOfRange, "prompt", "token %d: the model's ids go from 0 to %d", id, m.Vocab-1)
		}
	}
	if len(ids) == 0 {
		return nil, fail(outOfRange, "prompt", "the prompt is empty")
	}
	if most := s.options.MaxTokens; most > 0 && len(ids) > most {
		return nil, fail(tooLong, "messages", "the prompt has %d tokens, and this server takes at most %d: shorten it", len(ids), most)
	}
	if len(ids) >= m.Context {
		return nil, fail(tooLong, "messages", "the prompt has %d tokens, and the context of model %q holds %d: shorten it", len(ids), m.Name, m.Context)
	}
	p.ask = infer.Request{
		Tokens: ids, MaxTokens: m.Context - len(ids), Window: m.Context, End: m.End, TokenBytes: m.Tokenizer.TokenBytes,
		Logprobs: q.logprobs, TopLogprobs: q.top, Salt: q.salt,
	}
	if q.maxTokens > 0 {
		p.ask.MaxTokens = min(p.ask.MaxTokens, q.maxTokens)
	}
	if p.prompt != nil {
		p.ask.End = m.ends()
	}
	if p.ask.Sampling, err = q.sampling.over(m); err != nil {
		return nil, err
	}
	return p, p.constrain(s)
}

// find looks a model up. A client that names none gets the first.
func (s *Server) find(name string) (*Model, error) {
	if name == "" {
		return s.models[0], nil
	}
	for _, m := range s.models {
		if m.Name == name || slices.Contains(m.Aliases, name) {
			return m, nil
		}
	}
	names := make([]string, len(s.models))
	for i, m := range s.models {
		names[i] = m.Name
	}
	return nil, fail(noModel, "model", "there is no model %q here; there is %s", name, strings.Join(names, ", "))
}

// ends lists the ids that end an answer in a conversation.
func (m *Model) ends() []int32 {
	ends := slices.Clone(m.End)
	for _, text := range m.Format.Stops() {
		if id, ok := m.Tokenizer.TokenID(text); ok && !slices.Contains(ends, id) {
			ends = append(ends, id)
		}
	}
	return ends
}

// check finds values that no model could use.
func (q *request) check() error {
	switch {
	case q.n < 0 || q.n > maxAnswers:
		return fail(outOfRange, "n", "n is %d: must be 1 to %d", q.n, maxAnswers)
	case q.maxTokens < 0:
		return fail(outOfRange, "max_tokens", "the most tokens of an answer are %d: must be 1 or more", q.maxTokens)
	case q.top < 0 || q.top > maxTop:
		return fail(outOfRange, "top_logprobs", "%d alternatives are asked for: must be 0 to %d", q.top, maxTop)
	case len(q.stop) > maxStops:
		return fail(outOfRange, "stop", "%d stop texts: at most %d", len(q.stop), maxStops)
	case len(q.tools) > maxTools:
		return fail(outOfRange, "tools", "%d tools: at most %d", len(q.tools), maxTools)
	}
	for _, t := range q.stop {
		if t == "" || len(t) > maxStop || !utf8.ValidString(t) {
			return fail(outOfRange, "stop", "a stop text has %d bytes: must be 1 to %d", len(t), maxStop)
		}
	}
	return q.checkCalls()
}

// checkCalls refuses results of calls that nobody made.
func (q *request) checkCalls() error {
	made := map[string]bool{}
	for i, m := range q.messages {
		for _, c := range m.ToolCalls {
			made[c.ID] = true
		}
		if m.Role == chat.ToolRole && m.ToolCallID != "" && !made[m.ToolCallID] {
			return fail(malformed, "messages", "message %d is the result of call %q, which no message before it makes", i, m.ToolCallID)
		}
	}
	return nil
}

// encode writes the prompt.
func (p *prepared) encode(s *Server) ([]int32, error) {
	m := p.model
	switch {
	case p.ids != nil:
		return p.ids, nil
	case p.text != nil:
		ids := m.Tokenizer.Encode(nil, *p.text, tokenizer.EncodeOptions{AddSpecial: true})
		if bos, ok := m.Tokenizer.BOS(); ok && len(ids) > 1 && ids[0] == bos && ids[1] == bos {
			ids = ids[1:] // the text brought its own
		}
		return ids, nil
	case p.middle != nil:
		prompt, err := chat.FillInMiddle(m.Tokenizer, p.middle.prefix, p.middle.suffix)
		if err != nil {
			return nil, fail(outOfRange, "suffix", "%v", err)
		}
		return chat.Encode(m.Tokenizer, prompt), nil
	}
	if m.Format == nil {
		return nil, fail(outOfRange, "messages", "model %q was not trained for conversations: ask it to continue a text", m.Name)
	}
	if len(p.tools) > 0 && !m.Format.CallsTools() {
		return nil, fail(outOfRange, "tools", "model %q knows no tools: leave them out", m.Name)
	}
	o := chat.Options{Tools: p.tools, Effort: p.effort}
	if strings.HasPrefix(m.Format.Name(), "v4") || m.Format.Name() == "v3.2" {
		o.ResponseFormat = p.shape.told()
	}
	switch how := m.Format.Thinking(); {
	case how == chat.AlwaysThinks && p.thinking != nil && !*p.thinking:
		return nil, fail(outOfRange, "thinking", "model %q always thinks before it answers: thinking cannot be disabled", m.Name)
	case how == chat.AlwaysThinks:
		o.Thinking = true
	case how == chat.MayThink:
		o.Thinking = p.thinking == nil || *p.thinking
	}
	p.thinks = o.Thinking && m.Format.Name() != "jinja" // a template does not tell
	messages := s.remembered.restore(p.messages)
	prompt, err := m.Format.Render(messages, o)
	if err != nil {
		return nil, fail(malformed, "messages", "%v", err)
	}
	p.prompt, p.within = prompt, m.Format.Thinks(prompt)
	return chat.Encode(m.Tokenizer, prompt), nil
}

// over puts what the client asks for over what the model recommends.
func (c *sampling) over(m *Model) (infer.Sampling, error) {
	s := m.Sampling
	set(&s.Temperature, c.temperature)
	set(&s.MinP, c.minP)
	set(&s.TypicalP, c.typicalP)
	set(&s.PresencePenalty, c.presence)
	set(&s.FrequencyPenalty, c.frequency)
	set(&s.RepetitionPenalty, c.repetition)
	set(&s.TopK, c.topK)
	set(&s.PenaltyWindow, c.penaltyWindow)
	if c.topP != nil {
		if s.TopP = *c.topP; s.TopP == 0 {
			s.TopP = math.SmallestNonzeroFloat32 // the most probable alone; 0 is all of them to package infer
		}
	}
	if c.seed != nil {
		s.Seed = uint64(*c.seed)
	} else {
		var b [8]byte
		rand.Read(b[:]) // it never fails
		s.Seed = binary.LittleEndian.Uint64(b[:])
	}
	if len(c.bias) > maxBias {
		return s, fail(outOfRange, "logit_bias", "%d ids: at most %d", len(c.bias), maxBias)
	}
	for id, b := range c.bias {
		if id < 0 || int(id) >= m.Vocab {
			return s, fail(outOfRange, "logit_bias", "id %d: the model's ids go from 0 to %d", id, m.Vocab-1)
		}
		if math.Abs(b) > 100 && !math.IsInf(b, -1) {
			return s, fail(outOfRange, "logit_bias", "%v for id %d: must be between -100 and 100", b, id)
		}
	}
	s.Bias = c.bias
	if err := s.Validate(); err != nil {
		return s, fail(outOfRange, cmp.Or(c.wrong(), "temperature"), "%s", strings.TrimPrefix(err.Error(), "infer: "))
	}
	return s, nil
}

// wrong guesses which field a refusal of package infer is about: the first that is out of its range.
func (c *sampling) wrong() string {
	bad := func(v *float64, low, high float64) bool { return v != nil && !(*v >= low && *v <= high) }
	switch {
	case bad(c.temperature, 0, math.MaxFloat32):
		return "temperature"
	case bad(c.topP, 0, 1):
		return "top_p"
	case bad(c.minP, 0, 1):
		return "min_p"
	case bad(c.typicalP, 0, 1):
		return "typical_p"
	case c.topK != nil && *c.topK < 0:
		return "top_k"
	case bad(c.repetition, 0.01, 100):
		return "repetition_penalty"
	case bad(c.presence, -1e6, 1e6):
		return "presence_penalty"
	case bad(c.frequency, -1e6, 1e6):
		return "frequency_penalty"
	}
	return ""
}

func set[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}
