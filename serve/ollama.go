package serve

// The answers of the Ollama API: lines of JSON.

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/haenyeo/haenyeo/chat"
)

// ollamaVersion is the version of Ollama whose API this is, which clients ask for before they use its newer parts.
const ollamaVersion = "0.12.6"

// lineJSON is a line of an answer, or all of it.
type lineJSON struct {
	Model     string             `json:"model"`
	CreatedAt time.Time          `json:"created_at"`
	Message   *ollamaMessageLine `json:"message,omitempty"`  // of /api/chat
	Response  *string            `json:"response,omitempty"` // of /api/generate
	Thinking  string             `json:"thinking,omitempty"` // of /api/generate
	Logprobs  []logged           `json:"logprobs,omitempty"`
	Done      bool               `json:"done"`
	Reason    string             `json:"done_reason,omitempty"`
	*timesJSON
}

type ollamaMessageLine struct {
	Role      string           `json:"role"`
	Content   string           `json:"content"`
	Thinking  string           `json:"thinking,omitempty"`
	ToolCalls []ollamaCallJSON `json:"tool_calls,omitempty"`
}

type ollamaCallJSON struct {
	Function struct {
		Index     int             `json:"index"`
		Name      string          `json:"name"`
		Arguments json.RawMessage `json:"arguments"`
	} `json:"function"`
}

// timesJSON ends an answer. Times are nanoseconds.
type timesJSON struct {
	Total        time.Duration `json:"total_duration"`
	Load         time.Duration `json:"load_duration"`
	PromptTokens int           `json:"prompt_eval_count"`
	PromptTime   time.Duration `json:"prompt_eval_duration"`
	AnswerTokens int           `json:"eval_count"`
	AnswerTime   time.Duration `json:"eval_duration"`
}

// ollamaFrames writes an answer line by line.
type ollamaFrames struct {
	*prepared
	text         bool // of /api/generate
	began, wrote time.Time
	name         string
	arguments    strings.Builder // of the call that is being made: it is sent whole
	finish       finish
}

// line makes a line with what came.
func (f *ollamaFrames) line(words, thought string) lineJSON {
	l := lineJSON{Model: f.model.Name, CreatedAt: time.Now().UTC()}
	if f.text {
		l.Response, l.Thinking = &words, thought
	} else {
		l.Message = &ollamaMessageLine{Role: "assistant", Content: words, Thinking: thought}
	}
	return l
}

func (f *ollamaFrames) media() string { return "application/x-ndjson" }

func (f *ollamaFrames) send(out *bytes.Buffer, v any) {
	out.Write(encode(v))
	out.WriteByte('\n')
}

func (f *ollamaFrames) event(out *bytes.Buffer, e *event) {
	if e.kind != started && f.wrote.IsZero() {
		f.wrote = time.Now()
	}
	switch e.kind {
	case reasoning, content:
		l := f.line(e.text, "")
		if e.kind == reasoning {
			l = f.line("", e.text)
		}
		l.Logprobs = logOf(f.model, e)
		f.send(out, l)
	case callStart:
		f.name = e.text
		f.arguments.Reset()
	case callArgs:
		f.arguments.WriteString(e.text)
	case callEnd:
		l := f.line("", "")
		addCall(&l, call{name: f.name, arguments: f.arguments.String(), unusable: e.unusable}, e.call)
		f.send(out, l)
	case finished:
		f.finish = e.finish
	}
}

// addCall puts a call into a line; one that is no call becomes words.
func addCall(l *lineJSON, c call, index int) {
	if c.unusable || l.Message == nil {
		words := c.name + " " + c.arguments
		if l.Message != nil {
			l.Message.Content += words
		} else {
			words = *l.Response + words
			l.Response = &words
		}
		return
	}
	var j ollamaCallJSON
	j.Function.Index, j.Function.Name, j.Function.Arguments = index, c.name, json.RawMessage(c.arguments)
	l.Message.ToolCalls = append(l.Message.ToolCalls, j)
}

func (f *ollamaFrames) idle(*bytes.Buffer) {} // clients read every line as JSON

func (f *ollamaFrames) end(out *bytes.Buffer, u usage) {
	l := f.line("", "")
	now := time.Now()
	if f.wrote.IsZero() {
		f.wrote = now
	}
	l.close(f.finish, u, f.wrote.Sub(f.began), now.Sub(f.wrote))
	f.send(out, l)
}

// close makes a line the last.
func (l *lineJSON) close(why finish, u usage, reading, writing time.Duration) {
	l.Done, l.Reason = true, "stop"
	if why == finishLength {
		l.Reason = "length"
	}
	l.timesJSON = &timesJSON{Total: reading + writing, PromptTokens: u.prompt, PromptTime: reading, AnswerTokens: u.answer, AnswerTime: writing}
}

func (f *ollamaFrames) fail(out *bytes.Buffer, why *failure) {
	f.send(out, ollamaErrorJSON{why.message})
}

// ollamaChat answers POST /api/chat.
func (s *Server) ollamaChat(x *exchange) error {
	var body ollamaChatJSON
	if err := x.read(&body); err != nil {
		return err
	}
	q, err := body.request(s)
	if err != nil {
		return err
	}
	return s.ollamaAnswer(x, q, body.Stream, false, len(body.Messages) == 0)
}

// ollamaGenerate answers POST /api/generate.
func (s *Server) ollamaGenerate(x *exchange) error {
	var body ollamaTextJSON
	if err := x.read(&body); err != nil {
		return err
	}
	q, err := body.request(x)
	if err != nil {
		return err
	}
	return s.ollamaAnswer(x, q, body.Stream, true, body.Prompt == "" && body.Suffix == "")
}

func (s *Server) ollamaAnswer(x *exchange, q *request, stream *bool, text, empty bool) error {
	m, err := x.use(q.model)
	if err != nil {
		return err
	}
	if empty { // asks for the model to be loaded, which it is
		f := ollamaFrames{prepared: &prepared{model: m}, text: text}
		l := f.line("", "")
		l.Done, l.Reason = true, "load"
		return x.reply(http.StatusOK, l)
	}
	if q.thinking != nil && *q.thinking && (m.Format == nil || m.Format.Thinking() == chat.NeverThinks) {
		return fail(outOfRange, "think", "%q does not support thinking", m.Name)
	}
	p, err := x.prepare(q)
	if err != nil {
		return err
	}
	f := &ollamaFrames{prepared: p, text: text, began: time.Now()}
	if stream == nil || *stream {
		return x.writeStream(p, f)
	}
	c, err := x.collect(p)
	if err != nil {
		return err
	}
	said := &c.choices[0]
	l := f.line(said.content, said.reasoning)
	l.Logprobs = append(said.thoughts, said.tokens...)
	for i, call := range said.calls {
		addCall(&l, call, i)
	}
	l.close(said.finish, c.usage, c.reading, c.writing)
	return x.reply(http.StatusOK, l)
}

// ollamaModelJSON describes a model in lists.
type ollamaModelJSON struct {
	Name       string            `json:"name"`
	Model      string            `json:"model"`
	ModifiedAt time.Time         `json:"modified_at"`
	Size       int64             `json:"size"`
	Digest     string            `json:"digest"`
	Details    ollamaDetailsJSON `json:"details"`
}

type ollamaDetailsJSON struct {
	Parent     string   `json:"parent_model"`
	Format     string   `json:"format"`
	Family     string   `json:"family"`
	Families   []string `json:"families"`
	Parameters string   `json:"parameter_size"`
	Stored     string   `json:"quantization_level"`
}

func ollamaDetails(m *Model) ollamaDetailsJSON {
	d := m.Details
	size := fmt.Sprintf("%.1fM", float64(d.Parameters)/1e6)
	if d.Parameters >= 1e9 {
		size = fmt.Sprintf("%.1fB", float64(d.Parameters)/1e9)
	}
	return ollamaDetailsJSON{Format: d.Format, Family: d.Family, Families: []string{d.Family}, Parameters: size, Stored: d.Stored}
}

// ollamaTags answers GET /api/tags.
func (s *Server) ollamaTags(x *exchange) error {
	list := struct {
		Models []ollamaModelJSON `json:"models"`
	}{}
	for _, m := range s.models {
		list.Models = append(list.Models, ollamaModelJSON{m.Name, m.Name, m.Published.UTC(), m.Details.Bytes, m.Details.Digest, ollamaDetails(m)})
	}
	return x.reply(http.StatusOK, list)
}

// ollamaRunning answers GET /api/ps: the models that are open.
func (s *Server) ollamaRunning(x *exchange) error {
	type entry struct {
		ollamaModelJSON
		ExpiresAt time.Time `json:"expires_at"`
		SizeVRAM  int64     `json:"size_vram"`
		Context   int       `json:"context_length"`
	}
	list := struct {
		Models []entry `json:"models"`
	}{}
	for _, m := range s.models {
		if !s.shelf.isOpen(m) {
			continue
		}
		list.Models = append(list.Models, entry{
			ollamaModelJSON{m.Name, m.Name, m.Published.UTC(), m.Details.Bytes, m.Details.Digest, ollamaDetails(m)},
			time.Now().UTC().AddDate(100, 0, 0), 0, m.Context,
		})
	}
	return x.reply(http.StatusOK, list)
}

// ollamaShow answers POST /api/show.
func (s *Server) ollamaShow(x *exchange) error {
	var body struct{ Model, Name string }
	if err := x.read(&body); err != nil {
		return err
	}
	if body.Model == "" {
		body.Model = body.Name
	}
	if body.Model == "" {
		return fail(malformed, "model", "model is required")
	}
	m, err := x.use(s.untagged(body.Model))
	if err != nil {
		return err
	}
	capabilities := []string{"completion"}
	if m.Format != nil && m.Format.CallsTools() {
		capabilities = append(capabilities, "tools")
	}
	if m.Format != nil && m.Format.Thinking() != chat.NeverThinks && m.Format.Name() != "jinja" {
		capabilities = append(capabilities, "thinking")
	}
	if _, err := chat.FillInMiddle(m.Tokenizer, "", ""); err == nil {
		capabilities = append(capabilities, "insert")
	}
	return x.reply(http.StatusOK, struct {
		Template     string            `json:"template"`
		Details      ollamaDetailsJSON `json:"details"`
		Info         map[string]any    `json:"model_info"`
		Capabilities []string          `json:"capabilities"`
		ModifiedAt   time.Time         `json:"modified_at"`
	}{
		m.Tokenizer.Config().ChatTemplate, ollamaDetails(m), map[string]any{
			"general.architecture": m.Details.Family, "general.parameter_count": m.Details.Parameters,
			m.Details.Family + ".context_length": m.Context, m.Details.Family + ".vocab_size": m.Vocab,
		}, capabilities, m.Published.UTC(),
	})
}

// ollamaVersionOf answers GET /api/version.
func (s *Server) ollamaVersionOf(x *exchange) error {
	return x.reply(http.StatusOK, struct {
		Version string `json:"version"`
	}{ollamaVersion})
}
