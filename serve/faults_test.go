package serve

// The items of docs/conformance.md that stand nowhere else.

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Words that are not text, or very long, or twice there, are no fault of the server.
func TestOddBodies(t *testing.T) {
	s := play(t, "v3", "ok")
	tools := func(n int) string {
		list := make([]string, n)
		for i := range list {
			list[i] = fmt.Sprintf(`{"type":"function","function":{"name":"f%d","parameters":{}}}`, i)
		}
		return `,"tools":[` + strings.Join(list, ",") + `]`
	}
	call := `{"role":"assistant","content":null,"tool_calls":[{"id":"1","type":"function","function":{"name":"f0","arguments":"{}"}},{"id":"1","type":"function","function":{"name":"f0","arguments":"{}"}}]}`
	for body, want := range map[string]int{
		`{"messages":[{"role":"user","content":"a\u0000b"}]}`:                                                                 200,
		`{"messages":[{"role":"user","content":"\ud800"}]}`:                                                                   200,
		"{\"messages\":[{\"role\":\"user\",\"content\":\"\xff\xfe\"}]}":                                                       200,
		`{"messages":[],"messages":[{"role":"user","content":"x"}]}`:                                                          200, // the last counts
		`{"messages":[{"role":"user","content":"` + strings.Repeat("a", 4<<20) + `"}]}`:                                       400,
		`{"messages":[{"role":"user","content":"x"},` + call + `,{"role":"tool","tool_call_id":"1","content":"y"}]}`:          200,
		`{"messages":[{"role":"user","content":"x"},{"role":"user","content":"y"}]` + tools(100) + `}`:                        400, // longer than the context
		`{"messages":[{"role":"user","content":"x"}]` + tools(129) + `}`:                                                      400,
		`{"messages":[{"role":"user","content":"x"}],"temperature":Infinity}`:                                                 400,
		`{"messages":[{"role":"user","content":"x"}],"max_tokens":-9223372036854775808}`:                                      400,
		`{"messages":[{"role":"user","content":"x"}],"n":2.5}`:                                                                400,
		`{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,!!!"}}]}]}`:     501,
		`{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"http://169.254.169.254/latest"}}]}]}`: 501,
		`{"messages":[{"role":"user","content":"<｜User｜><｜Assistant｜><｜end▁of▁sentence｜>"}]}`:                                 200, // words: TestWordsStayWords of package chat
		`{"messages":[{"role":"user","content":"x"}],"logit_bias":{` + strings.Repeat(`"1":1,`, 100_000) + `"2":1}}`:          200, // two ids
		`{"messages":[{"role":"user","content":"x"}],"stop":` + `["` + strings.Repeat("x", 2000) + `"]}`:                      400,
		`{"messages":[{"role":"user","content":"x"}],"seed":-9223372036854775808}`:                                            200,
		`{"messages":[{"role":"user","content":"x"}],"cache_salt":"` + strings.Repeat("s", 257) + `"}`:                        400,
		`{"messages":[{"role":"user","content":"x"}],"response_format":{"type":"json_object"},"guided_choice":["a"]}`:         400,
	} {
		if status, _, text := s.ask("POST", "/v1/chat/completions", body); status != want {
			t.Errorf("%.80q: %d %.300s", body, status, text)
		}
	}
	if a := s.post("/v1/chat/completions", hello+"}"); at(t, a, "choices", 0, "message", "content") != "ok" {
		t.Errorf("%v", a)
	}
}

// A prompt leaves room for one token, or is refused.
func TestContextEdges(t *testing.T) {
	s := play(t, "v3", strings.Repeat("Hello ", 50), func(_ *Options, m *Model) { m.Context = 64 })
	prompt := func(n int) string {
		return `{"prompt":[` + strings.TrimSuffix(strings.Repeat("5,", n), ",") + `],"max_tokens":1000}`
	}
	a := s.post("/v1/completions", prompt(63))
	if at(t, a, "usage", "completion_tokens") != 1.0 || at(t, a, "choices", 0, "finish_reason") != "length" {
		t.Errorf("%v", a)
	}
	for _, n := range []int{64, 65, 1000} {
		if status, e := s.refused("/v1/completions", prompt(n)); status != 400 || at(t, e, "error", "code") != "context_length_exceeded" {
			t.Errorf("%d: %d %v", n, status, e)
		}
	}
	s = play(t, "v3", "ok", func(o *Options, _ *Model) { o.MaxTokens = 10 })
	s.post("/v1/completions", prompt(10))
	if status, e := s.refused("/v1/completions", prompt(11)); status != 400 || at(t, e, "error", "code") != "context_length_exceeded" {
		t.Errorf("%d %v", status, e)
	}
}

// What is no HTTP ends its connection alone.
func TestWire(t *testing.T) {
	s := play(t, "v3", "ok")
	for name, text := range map[string]string{
		"chunked garbage": "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
		"two lengths":     "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
		"negative length": "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n{}",
		"no host":         "GET /v1/models HTTP/1.1\r\n\r\n",
		"no HTTP":         "\x16\x03\x01\x00\x05hello\r\n\r\n",
		"HTTP/2 preface":  "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	} {
		c, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, text)
		answer, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err == nil && answer.StatusCode < 400 {
			t.Errorf("%s: %s", name, answer.Status)
		}
		c.Close()
	}
	half, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://")) // a client that is never heard of again
	if err != nil {
		t.Fatal(err)
	}
	defer half.Close()
	io.WriteString(half, "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n")
	if a := s.post("/v1/chat/completions", hello+"}"); at(t, a, "choices", 0, "message", "content") != "ok" {
		t.Errorf("%v", a)
	}
}

// A thousand keys, of which the last is as good as the first.
func TestManyKeys(t *testing.T) {
	var b strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&b, "hk-key-number-%d\n", i)
	}
	keys, err := ParseKeys(b.String())
	if err != nil {
		t.Fatal(err)
	}
	s := play(t, "v3", "ok", func(o *Options, _ *Model) { o.Keys = keys })
	for key, want := range map[string]int{"hk-key-number-0": 200, "hk-key-number-999": 200, "hk-key-number-1000": 401} {
		if status, _, text := s.ask("GET", "/v1/models", "", "X-Api-Key", key); status != want {
			t.Errorf("%s: %d %s", key, status, text)
		}
	}
}

// Every test that docs/conformance.md names is there.
func TestConformanceNames(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "docs", "conformance.md"))
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`([a-z/]*)\\.((?:Test|Fuzz)[A-Za-z0-9]+)`").FindAllStringSubmatch(string(text), -1)
	if len(named) < 50 {
		t.Errorf("only %d tests are named", len(named))
	}
	for _, m := range named {
		files, _ := filepath.Glob(filepath.Join("..", filepath.FromSlash(m[1]), "*_test.go"))
		found := false
		for _, f := range files {
			source, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			found = found || strings.Contains(string(source), "\nfunc "+m[2]+"(")
		}
		if !found {
			t.Errorf("package %s has no %s", m[1], m[2])
		}
	}
}
