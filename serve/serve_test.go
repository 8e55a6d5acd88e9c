package serve

// A server whose model says what a test wants it to. Everything else is real: tokenizer, prompts, sampling, parsers.

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/haenyeo/haenyeo/chat"
	"github.com/haenyeo/haenyeo/infer"
	"github.com/haenyeo/haenyeo/tokenizer"
)

// trained is a small tokenizer with the special tokens of DeepSeek-V3.
var trained = sync.OnceValues(func() (*tokenizer.Tokenizer, error) {
	text := strings.Repeat("The haenyeo of Jeju dive for abalone. 해녀는 숨을 참고 바다에 들어간다. {\"city\": \"Jeju\"} weather ", 20)
	return tokenizer.Train(context.Background(), func(yield func(string, error) bool) { yield(text, nil) },
		tokenizer.TrainOptions{VocabSize: 320})
})

// actor is an engine that says reply(prompt), a token a step.
type actor struct {
	tok   *tokenizer.Tokenizer
	reply func(prompt string) string
	step  func(ctx context.Context) error // before every token; nil: nothing

	mu     sync.Mutex
	asked  []infer.Request
	active int
	most   int // that were at work at a time
}

func (a *actor) Generate(ctx context.Context, q infer.Request, emit func(string) error) (infer.Result, error) {
	a.mu.Lock()
	a.asked = append(a.asked, q)
	a.active++
	a.most = max(a.most, a.active)
	a.mu.Unlock()
	defer func() {
		a.mu.Lock()
		a.active--
		a.mu.Unlock()
	}()
	eos, _ := a.tok.EOS()
	says := a.tok.Encode(nil, a.reply(a.tok.Decode(q.Tokens, false)), tokenizer.EncodeOptions{})
	return infer.Generate(ctx, &lines{actor: a, says: append(says, eos), logits: make([]float32, a.tok.VocabSize())}, q, emit)
}

// Embed says how many tokens there are.
func (a *actor) Embed(_ context.Context, tokens []int32) ([]float32, error) {
	return infer.Normalized([]float32{float32(len(tokens)), 3, 4}), nil
}

// lines is the Stepper of one answer.
type lines struct {
	*actor
	says   []int32
	at     int
	logits []float32
}

func (l *lines) Rewind(tokens []int32) int { return len(tokens) / 2 }

func (l *lines) Step(ctx context.Context, tokens []int32) ([]float32, error) {
	if l.step != nil {
		if err := l.step(ctx); err != nil {
			return nil, err
		}
	}
	clear(l.logits)
	if l.at < len(l.says) {
		l.logits[l.says[l.at]] = 50
		l.at++
	}
	return l.logits, nil
}

// stage is a running server with what it was asked.
type stage struct {
	*httptest.Server
	t      testing.TB
	actor  *actor
	served *Server
	mu     sync.Mutex
	log    []Access
}

// play serves a model of a format that answers every prompt with reply.
func play(t testing.TB, format, reply string, change ...func(*Options, *Model)) *stage {
	t.Helper()
	tok, err := trained()
	if err != nil {
		t.Fatal(err)
	}
	eos, _ := tok.EOS()
	a := &actor{tok: tok, reply: func(string) string { return reply }}
	m := &Model{
		Name: "actor", Aliases: []string{"understudy"}, Tokenizer: tok, Engine: a, Parallel: 4, Context: 2048, Vocab: tok.VocabSize(), End: []int32{eos},
		Published: time.Unix(1700000000, 0), Details: Details{Family: "llama", Format: "gguf", Parameters: 135_000_000, Bytes: 98_000_000, Stored: "Q4_1", Digest: strings.Repeat("ab", 32)},
	}
	if format != "" {
		if m.Format, err = chat.Detect(tok, chat.Hints{Format: format}); err != nil {
			t.Fatal(err)
		}
	}
	s := &stage{t: t, actor: a}
	o := Options{Access: func(a Access) { s.mu.Lock(); s.log = append(s.log, a); s.mu.Unlock() }, Log: slog.New(slog.DiscardHandler)}
	for _, c := range change {
		c(&o, m)
	}
	if s.served, err = New([]*Model{m}, o); err != nil {
		t.Fatal(err)
	}
	s.Server = httptest.NewServer(s.served)
	t.Cleanup(s.Close)
	return s
}

// serving runs a server that a test has made.
func serving(t testing.TB, served *Server) *stage {
	s := &stage{t: t, served: served, Server: httptest.NewServer(served)}
	t.Cleanup(s.Close)
	return s
}

// atWork counts the requests that models work on.
func (s *Server) atWork() (n int) {
	for _, m := range s.models {
		working, _ := m.gate.load()
		n += working
	}
	return n
}

// ask sends a request and returns status, header and body.
func (s *stage) ask(method, path, body string, header ...string) (int, http.Header, string) {
	s.t.Helper()
	r, err := http.NewRequest(method, s.URL+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
		}
		r.Header.Set(header[i], header[i+1])
	}
	answer, err := s.Client().Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer.StatusCode, answer.Header, string(text)
}

// post sends JSON that must be answered with 200, and gives the answer.
func (s *stage) post(path, body string) map[string]any {
	s.t.Helper()
	status, _, text := s.ask("POST", path, body)
	if status != http.StatusOK {
		s.t.Fatalf("%s: status %d: %s", path, status, text)
	}
	return object(s.t, text)
}

// refused sends JSON that must be answered with an error, and gives status and error.
func (s *stage) refused(path, body string) (int, map[string]any) {
	s.t.Helper()
	status, _, text := s.ask("POST", path, body)
	if status < 400 {
		s.t.Fatalf("%s: %s: status %d: %s", path, body, status, text)
	}
	return status, object(s.t, text)
}

func object(t testing.TB, text string) (o map[string]any) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	if err := d.Decode(&o); err != nil {
		t.Fatalf("no JSON object: %q: %v", text, err)
	}
	return o
}

// at walks into JSON: names of fields, and indices.
func at(t *testing.T, v any, path ...any) any {
	t.Helper()
	for i, step := range path {
		var ok bool
		switch step := step.(type) {
		case string:
			var o map[string]any
			if o, ok = v.(map[string]any); ok {
				v, ok = o[step]
			}
		case int:
			var l []any
			if l, ok = v.([]any); ok {
				if ok = step < len(l); ok {
					v = l[step]
				}
			}
		}
		if !ok {
			t.Fatalf("there is no %v in %v", path[:i+1], v)
		}
	}
	return v
}

// records waits until so many requests were logged, and gives them.
func (s *stage) records(n int) []Access {
	s.t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		s.mu.Lock()
		if log := s.log; len(log) >= n {
			s.mu.Unlock()
			return log
		}
		s.mu.Unlock()
	}
	s.t.Fatalf("%d requests were not logged", n)
	return nil
}

// events splits a stream of events.
func events(t *testing.T, stream string) []string {
	t.Helper()
	if !strings.HasSuffix(stream, "\n\n") {
		t.Fatalf("the stream ends in %q", stream[max(0, len(stream)-20):])
	}
	return strings.Split(strings.TrimSuffix(stream, "\n\n"), "\n\n")
}

// chunks gives the objects of a stream of the OpenAI API, which must end in [DONE].
func chunks(t *testing.T, stream string) (list []map[string]any) {
	t.Helper()
	all := events(t, stream)
	for i, e := range all {
		text, ok := strings.CutPrefix(e, "data: ")
		if !ok {
			t.Fatalf("event %q", e)
		}
		if i == len(all)-1 {
			if text != "[DONE]" {
				t.Fatalf("the stream ends in %q", text)
			}
			break
		}
		list = append(list, object(t, text))
	}
	return list
}

// open sends a request and gives its answer as it comes. Closing it is the client going away.
func (s *stage) open(ctx context.Context, path, body string) (*http.Response, *bufio.Reader) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(ctx, "POST", s.URL+path, bytes.NewReader([]byte(body)))
	if err != nil {
		s.t.Fatal(err)
	}
	answer, err := s.Client().Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer, bufio.NewReader(answer.Body)
}

// encodePlain is how the texts of tests are counted.
var encodePlain = tokenizer.EncodeOptions{}
