package serve

// The server under bad luck and bad will: clients that leave, stall, crowd, lie and have no key; engines that fail.

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// eventually waits for what goroutines do.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if holds() {
			return
		}
	}
	t.Fatalf("it never came that %s", what)
}

func (a *actor) working() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.active
}

// held makes an engine wait before every token until the channel gives, or the request ends.
func held(turns <-chan struct{}) func(context.Context) error {
	return func(ctx context.Context) error {
		select {
		case <-turns:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func TestKeys(t *testing.T) {
	sum := sha256.Sum256([]byte("hk-another"))
	keys, err := ParseKeys("# mine\nhk-0123456789\n\nsha256:" + hex.EncodeToString(sum[:]) + "\n")
	if err != nil {
		t.Fatal(err)
	}
	s := play(t, "v3", "ok", func(o *Options, _ *Model) { o.Keys = keys })
	for _, c := range []struct {
		header []string
		status int
	}{
		{nil, 401}, {[]string{"Authorization", "Bearer wrong"}, 401}, {[]string{"Authorization", "hk-0123456789"}, 401},
		{[]string{"Authorization", "Bearer hk-0123456789"}, 200}, {[]string{"X-Api-Key", "hk-0123456789"}, 200},
		{[]string{"Authorization", "Bearer hk-another"}, 200},
	} {
		for _, path := range []string{"/v1/chat/completions", "/v1/messages", "/api/chat"} {
			body := map[string]string{"/v1/chat/completions": hello + "}", "/v1/messages": ask + "}", "/api/chat": told + "}"}[path]
			status, h, text := s.ask("POST", path, body, c.header...)
			if status != c.status || (status == 401) != (h.Get("WWW-Authenticate") != "") {
				t.Errorf("%s %q: %d %s", path, c.header, status, text)
			}
		}
	}
	if _, _, text := s.ask("POST", "/v1/messages", ask+"}"); at(t, object(t, text), "error", "type") != "authentication_error" {
		t.Errorf("%s", text)
	}
	if _, _, text := s.ask("POST", "/v1/chat/completions", hello+"}"); at(t, object(t, text), "error", "code") != "invalid_api_key" {
		t.Errorf("%s", text)
	}
	if status, _, _ := s.ask("GET", "/health", ""); status != 200 {
		t.Errorf("health: %d", status)
	}
	for _, bad := range []string{"", "# nothing", "short", "has a blank in it", "sha256:xyz", strings.Repeat("k", 600)} {
		if _, err := ParseKeys(bad); err == nil {
			t.Errorf("%q is taken for keys", bad)
		}
	}
}

func TestHostAndOrigin(t *testing.T) {
	s := play(t, "v3", "ok", func(o *Options, _ *Model) {
		o.Hosts, o.Origins = []string{"models.example"}, []string{"https://page.example"}
	})
	host := strings.TrimPrefix(s.URL, "http://")
	for _, c := range []struct {
		host, origin string
		status       int
	}{
		{host, "", 200}, {"localhost:80", "", 200}, {"[::1]:80", "", 200}, {"models.example", "", 200}, {"evil.example:8080", "", 403}, {"localhost.evil.example", "", 403},
		{host, "http://" + host, 200}, {host, "https://page.example", 200}, {host, "https://evil.example", 403}, {host, "null", 403},
	} {
		header := []string{"Host", c.host}
		if c.origin != "" {
			header = append(header, "Origin", c.origin)
		}
		status, h, text := s.ask("POST", "/v1/chat/completions", hello+"}", header...)
		if allowed := h.Get("Access-Control-Allow-Origin"); status != c.status || (allowed != "") != (c.origin == "https://page.example") || allowed == "*" {
			t.Errorf("%+v: %d %q %s", c, status, allowed, text)
		}
	}
	status, h, _ := s.ask("OPTIONS", "/v1/chat/completions", "", "Origin", "https://page.example")
	if status != 204 || h.Get("Access-Control-Allow-Methods") != "POST" || h.Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("preflight: %d %v", status, h)
	}
	if status, _, _ := s.ask("OPTIONS", "/v1/chat/completions", "", "Origin", "https://evil.example"); status != 403 {
		t.Errorf("preflight of a stranger: %d", status)
	}
}

func TestBodies(t *testing.T) {
	s := play(t, "v3", "ok")
	for header, want := range map[[2]string]int{
		{"Content-Type", "text/xml"}: 415, {"Content-Type", "multipart/form-data; boundary=x"}: 415, {"Content-Encoding", "gzip"}: 415,
		{"Content-Type", "application/json; charset=utf-8"}: 200, {"Content-Type", "application/x-www-form-urlencoded"}: 200,
	} {
		if status, _, text := s.ask("POST", "/v1/chat/completions", hello+"}", header[0], header[1]); status != want {
			t.Errorf("%v: %d %s", header, status, text)
		}
	}
}

func TestDepth(t *testing.T) {
	for text, want := range map[string]int{``: 0, `{}`: 1, `{"a":[[1],{"b":"[[[{{\\\"[["}]}`: 3, `}}}[`: 0, `"[`: 0} {
		if got := depth([]byte(text)); got != want {
			t.Errorf("%s: %d", text, got)
		}
	}
	s := play(t, "v3", "ok", func(o *Options, _ *Model) { o.MaxDepth = 10 })
	deep := hello + `,"metadata":` + strings.Repeat("[", 10) + strings.Repeat("]", 10) + `}`
	if status, e := s.refused("/v1/chat/completions", deep); status != 400 || !strings.Contains(at(t, e, "error", "message").(string), "deeper than 10") {
		t.Errorf("%d %v", status, e)
	}
	s.post("/v1/chat/completions", strings.Replace(deep, "[]", "", 1))
}

// A body that never comes is not waited for.
func TestSlowBody(t *testing.T) {
	s := play(t, "v3", "ok", func(o *Options, _ *Model) { o.BodyTime = 50 * time.Millisecond })
	c, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	answer, err := io.ReadAll(c)
	if !bytes.HasPrefix(answer, []byte("HTTP/1.1 400 ")) || err != nil {
		t.Errorf("%q, %v", answer, err)
	}
}

// The queue is bounded, answers at once when it is full, and keeps its order.
func TestQueue(t *testing.T) {
	turns := make(chan struct{})
	s := play(t, "v3", "ok", func(o *Options, m *Model) { o.Queue, m.Parallel = 2, 1 })
	s.actor.step = held(turns)
	var wg sync.WaitGroup
	var statuses [3]int
	for i := range statuses {
		wg.Add(1)
		go func() {
			defer wg.Done()
			statuses[i], _, _ = s.ask("POST", "/v1/chat/completions", hello+"}")
		}()
		eventually(t, "the request has its place", func() bool {
			working, waiting := s.served.models[0].gate.load()
			return working+waiting == i+1
		})
	}
	for path, body := range map[string]string{"/v1/chat/completions": hello + `,"stream":true}`, "/v1/messages": ask + "}", "/api/chat": told + "}"} {
		status, h, text := s.ask("POST", path, body)
		if status != http.StatusTooManyRequests || h.Get("Retry-After") != "1" || h.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %v %s", path, status, h, text)
		}
	}
	if _, _, text := s.ask("GET", "/health", ""); text != `{"status":"ok","working":1,"waiting":2}`+"\n" {
		t.Errorf("health %s", text)
	}
	close(turns)
	wg.Wait()
	if statuses != [3]int{200, 200, 200} || s.actor.most != 1 {
		t.Errorf("%v, %d at a time", statuses, s.actor.most)
	}
}

// A client that goes away, at whatever point, stops the engine within a step, and the next one is served.
func TestClientsGoAway(t *testing.T) {
	for _, phase := range []string{"before the first token", "in the middle", "in the queue", "not streaming"} {
		t.Run(phase, func(t *testing.T) {
			turns := make(chan struct{})
			s := play(t, "v3", "Hello there, this is an answer.", func(o *Options, m *Model) { m.Parallel = 1 })
			s.actor.step = held(turns)
			if phase == "in the queue" {
				first, stop := context.WithCancel(context.Background())
				go func() {
					r, _ := http.NewRequestWithContext(first, "POST", s.URL+"/v1/chat/completions", strings.NewReader(hello+"}"))
					if a, err := s.Client().Do(r); err == nil {
						a.Body.Close()
					}
				}()
				eventually(t, "the first one works", func() bool { return s.actor.working() == 1 })
				defer func() {
					stop()
					eventually(t, "the first one ends", func() bool { return s.actor.working() == 0 })
				}()
			}
			ctx, leave := context.WithCancel(context.Background())
			body := hello + `,"stream":true}`
			if phase == "not streaming" || phase == "in the queue" {
				body = hello + "}"
				go func() {
					r, _ := http.NewRequestWithContext(ctx, "POST", s.URL+"/v1/chat/completions", strings.NewReader(body))
					if a, err := s.Client().Do(r); err == nil {
						a.Body.Close()
					}
				}()
			} else {
				answer, lines := s.open(ctx, "/v1/chat/completions", body)
				defer answer.Body.Close()
				if phase == "in the middle" {
					turns <- struct{}{}
					turns <- struct{}{}
				}
				if _, err := lines.ReadString('\n'); err != nil {
					t.Fatal(err)
				}
			}
			gate := s.served.models[0].gate
			if phase == "in the queue" {
				eventually(t, "it waits", func() bool { _, waiting := gate.load(); return waiting == 1 })
				leave()
				eventually(t, "it waits no longer", func() bool { _, waiting := gate.load(); return waiting == 0 })
			} else {
				eventually(t, "it works", func() bool { return s.actor.working() == 1 })
				leave()
				eventually(t, "the engine stops", func() bool { working, _ := gate.load(); return s.actor.working() == 0 && working == 0 })
			}
			if a := s.records(1)[0]; a.Status != 499 && !(a.Stream && a.Status == 200) {
				t.Errorf("logged as %+v", a)
			}
		})
	}
}

// An engine does not wait for a client that reads nothing, and such a client is given up.
func TestReaderThatStalls(t *testing.T) {
	s := play(t, "v3", strings.Repeat("Hello ", 250), func(o *Options, _ *Model) { o.Stall = 100 * time.Millisecond })
	answer, _ := s.open(context.Background(), "/v1/chat/completions", hello+`,"stream":true,"n":16,"logprobs":true,"top_logprobs":20}`)
	defer answer.Body.Close()
	eventually(t, "the engine is done", func() bool {
		s.actor.mu.Lock()
		defer s.actor.mu.Unlock()
		return len(s.actor.asked) > 0 && s.actor.active == 0
	})
	if a := s.records(1)[0]; a.Bytes > 40<<20 || a.Duration > 10 {
		t.Errorf("%+v", a)
	}
	if a := s.post("/v1/chat/completions", hello+`,"max_tokens":1}`); at(t, a, "choices", 0, "message", "content") != "H" {
		t.Errorf("%v", a)
	}
}

func TestKeepAlive(t *testing.T) {
	turns := make(chan struct{}, 100)
	s := play(t, "v3", "ok", func(o *Options, _ *Model) { o.KeepAlive = 5 * time.Millisecond })
	s.actor.step = held(turns)
	for path, c := range map[string][2]string{
		"/v1/chat/completions": {hello + `,"stream":true}`, ": keep-alive\n"}, "/v1/messages": {ask + `,"stream":true}`, "event: ping\n"},
	} {
		answer, lines := s.open(context.Background(), path, c[0])
		for line := ""; line != c[1]; {
			var err error
			if line, err = lines.ReadString('\n'); err != nil {
				t.Fatalf("%s: no keep-alive: %v", path, err)
			}
		}
		for range 5 {
			turns <- struct{}{}
		}
		if rest, err := io.ReadAll(lines); err != nil || !bytes.Contains(rest, []byte(`"stop`)) {
			t.Errorf("%s: %v %s", path, err, rest)
		}
		answer.Body.Close()
	}
}

func TestDeadline(t *testing.T) {
	s := play(t, "v3", "ok", func(o *Options, _ *Model) { o.Deadline = 30 * time.Millisecond })
	s.actor.step = held(nil)
	for path, body := range map[string]string{"/v1/chat/completions": hello + "}", "/v1/messages": ask + "}", "/api/chat": told + "}"} {
		if status, _, text := s.ask("POST", path, body); status != 504 || !strings.Contains(text, "the answer took longer") {
			t.Errorf("%s: %d %s", path, status, text)
		}
	}
	_, _, stream := s.ask("POST", "/v1/chat/completions", hello+`,"stream":true}`)
	all := events(t, stream)
	if last := all[len(all)-1]; !strings.HasPrefix(last, `data: {"error":{"message":"the answer took longer`) || strings.Contains(stream, "DONE") {
		t.Errorf("%s", stream)
	}
	_, _, stream = s.ask("POST", "/v1/messages", ask+`,"stream":true}`)
	all = events(t, stream)
	if last := all[len(all)-1]; !strings.HasPrefix(last, "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\"") {
		t.Errorf("%s", stream)
	}
}

// What goes wrong inside is not told, and ends one request alone.
func TestEngineFails(t *testing.T) {
	s := play(t, "v3", "ok")
	for _, fault := range []func(context.Context) error{
		func(context.Context) error { return errors.New("/secret/path: address 0xc000123") },
		func(context.Context) error { panic("0xc000123") },
	} {
		s.actor.step = fault
		status, e := s.refused("/v1/chat/completions", hello+"}")
		if text := fmt.Sprint(e); status != 500 || strings.Contains(text, "0xc000") || at(t, e, "error", "code") != "internal_error" {
			t.Errorf("%d %v", status, e)
		}
		s.actor.step = nil
		s.post("/v1/chat/completions", hello+"}")
	}
}

// When the server ends, answers under way go on; those that take too long are told so.
func TestDrain(t *testing.T) {
	for _, patient := range []bool{true, false} {
		t.Run(fmt.Sprint(patient), func(t *testing.T) {
			turns := make(chan struct{}, 100)
			s := play(t, "v3", "ok", func(o *Options, _ *Model) {
				if o.Drain = 10 * time.Second; !patient {
					o.Drain = 20 * time.Millisecond
				}
			})
			s.actor.step = held(turns)
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			ctx, end := context.WithCancel(context.Background())
			ended := make(chan error, 1)
			go func() { ended <- s.served.Serve(ctx, l) }()
			s.URL = "http://" + l.Addr().String()
			turns <- struct{}{}
			answer, lines := s.open(context.Background(), "/v1/chat/completions", hello+`,"stream":true}`)
			defer answer.Body.Close()
			if _, err := lines.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
			end()
			eventually(t, "it takes no more requests", func() bool {
				c, err := net.Dial("tcp", l.Addr().String())
				if err == nil {
					c.Close()
				}
				return err != nil
			})
			if patient {
				for range 5 {
					turns <- struct{}{}
				}
			}
			rest, err := io.ReadAll(lines)
			if err != nil || bytes.HasSuffix(rest, []byte("data: [DONE]\n\n")) != patient || !patient && !bytes.Contains(rest, []byte("the server ended")) {
				t.Errorf("%v %q", err, rest)
			}
			if err := <-ended; err != nil {
				t.Error(err)
			}
			if status, e := s.draining(); status != 503 || at(t, e, "error", "code") != "service_unavailable" {
				t.Errorf("%d %v", status, e)
			}
		})
	}
}

// draining asks through a connection that the end does not close.
func (s *stage) draining() (int, map[string]any) {
	s.URL = s.Listener.Addr().Network() + "://" + s.Listener.Addr().String()
	s.URL = strings.Replace(s.URL, "tcp", "http", 1)
	return s.refused("/v1/chat/completions", hello+"}")
}

// Many clients of all kinds at once, a quarter of whom leave: every answer is right and nothing is left behind.
func TestCrowd(t *testing.T) {
	s := play(t, "v3.1", "So</think>Hi there", func(o *Options, m *Model) { o.Queue, m.Parallel = 1000, 8 })
	var wg sync.WaitGroup
	for i := range 48 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for n := range 6 {
				switch (i + n) % 4 {
				case 0:
					if a := s.post("/v1/chat/completions", hello+"}"); at(t, a, "choices", 0, "message", "content") != "Hi there" {
						t.Errorf("%v", a)
					}
				case 1:
					_, _, stream := s.ask("POST", "/v1/messages", ask+`,"stream":true,"thinking":{"type":"enabled"}}`)
					if !strings.HasSuffix(stream, "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n") {
						t.Errorf("%s", stream)
					}
				case 2:
					_, _, stream := s.ask("POST", "/api/chat", told+`}`)
					jsonLines(t, stream)
				case 3:
					ctx, leave := context.WithCancel(context.Background())
					answer, lines := s.open(ctx, "/v1/chat/completions", hello+`,"stream":true}`)
					lines.ReadString('\n')
					leave()
					answer.Body.Close()
				}
			}
		}()
	}
	wg.Wait()
	s.records(48 * 6)
	working, waiting := s.served.models[0].gate.load()
	if s.actor.working() != 0 || working != 0 || waiting != 0 || s.actor.most > 8 {
		t.Errorf("%d at work, %d and %d in the gate, %d at most", s.actor.working(), working, waiting, s.actor.most)
	}
}

// The log says what happened, and nothing of what was said.
func TestAccessLog(t *testing.T) {
	s := play(t, "v3", "an answer")
	s.ask("POST", "/v1/chat/completions", `{"messages":[{"role":"user","content":"a secret"}]}`)
	s.ask("POST", "/v1/chat/completions?key=secret", hello+`,"stream":true}`)
	s.refused("/v1/chat/completions", `{}`)
	log := s.records(3)
	for i, want := range []int{200, 200, 400} {
		a := log[i]
		if a.Status != want || a.Method != "POST" || a.Path != "/v1/chat/completions" || a.Duration <= 0 || a.Bytes == 0 || a.Stream != (i == 1) ||
			(a.Model == "actor") != (want == 200) || (a.Answer > 0) != (want == 200) || (a.Error != "") != (want == 400) || !strings.HasPrefix(a.ID, "req_") {
			t.Errorf("%d: %+v", i, a)
		}
		if strings.Contains(string(encode(a)), "secret") {
			t.Errorf("the log tells: %s", encode(a))
		}
	}
}
