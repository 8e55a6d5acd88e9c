package serve

// completions: the continuation of texts, and the filling in of what is between two (FIM), in the OpenAI and DeepSeek
// APIs. A prompt may spell special tokens: who continues texts writes the whole prompt.

import (
	"bytes"
	"encoding/json"
	"net/http"
	"unicode/utf8"
)

// textJSON is the body of completions.
type textJSON struct {
	samplingJSON
	Prompt   json.RawMessage `json:"prompt"`
	Suffix   *string         `json:"suffix"`
	Echo     bool            `json:"echo"`
	Logprobs *int            `json:"logprobs"`
	BestOf   *int            `json:"best_of"`
}

// usualTextTokens is how long a continuation is where the client does not say, in OpenAI's API.
const usualTextTokens = 16

type textChoice struct {
	Index    int      `json:"index"`
	Text     string   `json:"text"`
	Logprobs *textLog `json:"logprobs"`
	Finish   *finish  `json:"finish_reason"`
}

// textLog has an item for every token.
type textLog struct {
	Tokens  []string             `json:"tokens"`
	Logprob []float64            `json:"token_logprobs"`
	Top     []map[string]float64 `json:"top_logprobs"`
	Offset  []int                `json:"text_offset"` // in characters
}

// request translates the body, all but the prompt.
func (j *textJSON) request() (*request, error) {
	q := &request{}
	if err := j.fill(q); err != nil {
		return nil, err
	}
	q.maxTokens = usualTextTokens
	if err := limit(q, "max_tokens", j.MaxTokens); err != nil {
		return nil, err
	}
	if j.Logprobs != nil {
		q.logprobs, q.top = true, *j.Logprobs
	}
	if j.BestOf != nil && *j.BestOf != max(1, q.n) {
		return nil, fail(notImplemented, "best_of", "best_of is not supported: leave it out")
	}
	if j.Echo && q.logprobs {
		return nil, fail(notImplemented, "echo", "echo together with logprobs is not supported: log-probabilities of the prompt are not computed")
	}
	return q, nil
}

// prompts reads one text or list of ids, or several.
func (j *textJSON) prompts(q *request) (list []*request, shown []string, err error) {
	add := func(set func(*request), text string) {
		one := *q
		set(&one)
		list, shown = append(list, &one), append(shown, text)
	}
	texts, lists, err := textsOrIDs(j.Prompt, "prompt")
	if err != nil {
		return nil, nil, err
	}
	for _, t := range texts {
		add(func(r *request) {
			if r.text = &t; j.Suffix != nil && *j.Suffix != "" {
				r.text, r.middle = nil, &middle{t, *j.Suffix}
			}
		}, t)
	}
	for _, l := range lists {
		if j.Suffix != nil && *j.Suffix != "" || j.Echo {
			return nil, nil, fail(notImplemented, "prompt", "suffix and echo need a prompt of text, not of ids")
		}
		add(func(r *request) { r.ids = append([]int32{}, l...) }, "")
	}
	if len(list) == 0 || len(list) > maxAnswers {
		return nil, nil, fail(outOfRange, "prompt", "%d prompts: must be 1 to %d", len(list), maxAnswers)
	}
	return list, shown, nil
}

// textsOrIDs reads a text, several, a list of ids, or several.
func textsOrIDs(raw json.RawMessage, param string) (texts []string, ids [][]int32, err error) {
	var text string
	var list []int32
	switch {
	case !given(raw):
		return nil, nil, fail(malformed, param, "%s is missing", param)
	case json.Unmarshal(raw, &text) == nil:
		return []string{text}, nil, nil
	case json.Unmarshal(raw, &list) == nil && len(list) > 0:
		return nil, [][]int32{list}, nil
	case json.Unmarshal(raw, &texts) == nil:
		return texts, nil, nil
	case json.Unmarshal(raw, &ids) == nil:
		return nil, ids, nil
	}
	return nil, nil, fail(malformed, param, "%s is neither a text, nor a list of texts, nor of ids, nor of lists of ids", param)
}

// completions answers POST completions.
func (s *Server) completions(x *exchange) error {
	var body textJSON
	if err := x.read(&body); err != nil {
		return err
	}
	q, err := body.request()
	if err != nil {
		return err
	}
	asked, shown, err := body.prompts(q)
	if err != nil {
		return err
	}
	var list []*prepared
	for _, q := range asked {
		p, err := x.prepare(q)
		if err != nil {
			return err
		}
		list = append(list, p)
	}
	a := completion[textChoice](x, "cmpl-", "text_completion", list[0].model)
	if !body.Echo {
		shown = make([]string, len(list))
	}
	if body.Stream {
		if len(list) > 1 {
			return fail(notImplemented, "prompt", "a stream continues one prompt: send %d requests", len(list))
		}
		f := &textFrames{prepared: list[0], chunk: a, echo: shown[0], usage: body.StreamOptions != nil && body.StreamOptions.IncludeUsage}
		return x.writeStream(list[0], f)
	}
	var total usage
	for i, p := range list {
		c, err := x.collect(p)
		if err != nil {
			return err
		}
		for _, c := range c.choices {
			j := textChoice{Index: len(a.Choices), Text: shown[i] + c.content, Finish: &c.finish}
			if p.logprobs {
				j.Logprobs = new(textLog)
				j.Logprobs.add(c.tokens, new(int))
			}
			a.Choices = append(a.Choices, j)
		}
		prompt, reused := total.prompt+c.usage.prompt, total.reused+c.usage.reused
		total.add(c.usage)
		total.prompt, total.reused = prompt, reused // those of several prompts add up
	}
	x.count(a.Model, total)
	a.Usage = usageOf(total)
	return x.reply(http.StatusOK, a)
}

// add appends tokens that begin at the offset, and moves it on.
func (l *textLog) add(tokens []logged, offset *int) {
	if l.Tokens == nil {
		*l = textLog{Tokens: []string{}, Logprob: []float64{}, Top: []map[string]float64{}, Offset: []int{}}
	}
	for _, t := range tokens {
		top := map[string]float64{}
		for _, a := range t.Top {
			top[a.Token] = a.Logprob
		}
		l.Tokens = append(l.Tokens, t.Token)
		l.Logprob = append(l.Logprob, t.Logprob)
		l.Top = append(l.Top, top)
		l.Offset = append(l.Offset, *offset)
		*offset += utf8.RuneCountInString(t.Token)
	}
}

// textFrames writes a stream of texts.
type textFrames struct {
	*prepared
	chunk  completionJSON[textChoice]
	echo   string
	usage  bool
	offset [maxAnswers]int
}

func (f *textFrames) media() string { return "text/event-stream" }

func (f *textFrames) event(out *bytes.Buffer, e *event) {
	c := textChoice{Index: e.choice, Text: e.text}
	switch e.kind {
	case started:
		for i := range max(1, f.n) {
			if f.echo != "" {
				f.chunk.Choices = []textChoice{{Index: i, Text: f.echo}}
				data(out, f.chunk)
			}
		}
		return
	case content:
		if f.logprobs {
			c.Logprobs = new(textLog)
			c.Logprobs.add(logOf(f.model, e), &f.offset[e.choice])
		}
	case finished:
		c.Finish = &e.finish
	}
	f.chunk.Choices = []textChoice{c}
	data(out, f.chunk)
}

func (f *textFrames) idle(out *bytes.Buffer) { out.WriteString(": keep-alive\n\n") }

func (f *textFrames) end(out *bytes.Buffer, u usage) {
	if f.usage {
		f.chunk.Choices, f.chunk.Usage = []textChoice{}, usageOf(u)
		data(out, f.chunk)
	}
	out.WriteString("data: [DONE]\n\n")
}

func (f *textFrames) fail(out *bytes.Buffer, why *failure) {
	_, body := openAI.error(why, "")
	data(out, body)
}
