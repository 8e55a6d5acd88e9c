package serve

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

// queue has a request wait at a gate, and says when it is in the queue.
func queue(t *testing.T, g *gate, client string, priority int, in func(err error)) {
	t.Helper()
	_, before := g.load()
	go func() { in(g.enter(context.Background(), client, priority)) }()
	eventually(t, "it waits", func() bool { _, now := g.load(); return now == before+1 })
}

// The next is one of the highest priority, of the client that has least, that came first.
func TestGateFairness(t *testing.T) {
	g := newGate(2, 10)
	for range 2 {
		if err := g.enter(t.Context(), "crowd", 0); err != nil {
			t.Fatal(err)
		}
	}
	went := make(chan string, 10)
	for _, r := range []struct {
		client   string
		priority int
	}{{"crowd", 0}, {"crowd", 0}, {"flex", -1}, {"one", 0}, {"two", 0}, {"chief", 5}} {
		queue(t, g, r.client, r.priority, func(error) { went <- r.client })
	}
	var order []string
	held := []string{"crowd", "crowd"}
	for range 6 {
		g.leave(held[0], time.Second)
		client := <-went
		order, held = append(order, client), append(held[1:], client)
	}
	if want := []string{"chief", "one", "two", "crowd", "crowd", "flex"}; !slices.Equal(order, want) {
		t.Errorf("%q, want %q", order, want)
	}
	g.leave(held[0], 0)
	g.leave(held[1], 0)
	if working, waiting := g.load(); working != 0 || waiting != 0 || len(g.working) != 0 {
		t.Errorf("%d %d %v", working, waiting, g.working)
	}
}

// A full queue has a place for who has nothing in it, at the cost of who has most.
func TestGateCrowdedOut(t *testing.T) {
	g := newGate(1, 3)
	if err := g.enter(t.Context(), "crowd", 0); err != nil {
		t.Fatal(err)
	}
	refused, went := make(chan error, 10), make(chan string, 10)
	in := func(client string) func(error) {
		return func(err error) {
			if err != nil {
				refused <- err
				return
			}
			went <- client
		}
	}
	for range 3 {
		queue(t, g, "crowd", 0, in("crowd"))
	}
	var f *failure
	if err := g.enter(t.Context(), "crowd", 0); !errors.As(err, &f) || f.kind != busy {
		t.Errorf("%v", err)
	}
	go func() { in("one")(g.enter(context.Background(), "one", 0)) }()
	if err := <-refused; !errors.As(err, &f) || f.kind != busy || f.retry <= 0 {
		t.Errorf("%v", err)
	}
	if err := g.enter(t.Context(), "flex", -1); !errors.As(err, &f) || f.kind != busy {
		t.Errorf("a lower priority crowds out: %v", err)
	}
	g.leave("crowd", 0)
	if client := <-went; client != "one" {
		t.Errorf("%s went first", client)
	}
}

func TestKeyLimits(t *testing.T) {
	keys, err := ParseKeys("hk-first-key name=alice priority=3 requests=2\nhk-second-key tokens=10\nhk-third-key\n")
	if err != nil {
		t.Fatal(err)
	}
	s := play(t, "v3", "ok", func(o *Options, _ *Model) { o.Keys = keys })
	ask := func(key string) (int, string) {
		status, h, _ := s.ask("POST", "/v1/chat/completions", hello+"}", "Authorization", "Bearer "+key)
		return status, h.Get("Retry-After")
	}
	for i, want := range []int{200, 200, 429} {
		if status, retry := ask("hk-first-key"); status != want || (want == 429) != (retry != "" && retry != "0") {
			t.Errorf("request %d: %d, retry after %q", i, status, retry)
		}
	}
	ask("hk-second-key") // uses more than it may, which is only known then
	if status, _ := ask("hk-second-key"); status != 429 {
		t.Errorf("tokens: %d", status)
	}
	for range 5 {
		if status, _ := ask("hk-third-key"); status != 200 {
			t.Errorf("without a limit: %d", status)
		}
	}
	if log := s.records(1); log[0].Key != "alice" {
		t.Errorf("%+v", log[0])
	}
	for _, bad := range []string{"hk-first-key name=", "hk-first-key priority=11", "hk-first-key requests=0", "hk-first-key tokens=x", "hk-first-key more", "hk-first-key name=" + strings.Repeat("n", 65)} {
		if _, err := ParseKeys(bad); err == nil {
			t.Errorf("%q is taken for a key", bad)
		}
	}
}

func TestBucket(t *testing.T) {
	b := bucket{most: 60}
	now := time.Unix(1000, 0)
	b.take(now, 60)
	if wait := b.wait(now); wait != time.Second {
		t.Errorf("an empty bucket: %v", wait)
	}
	if wait := b.wait(now.Add(1100 * time.Millisecond)); wait != 0 {
		t.Errorf("a second later: %v", wait)
	}
	b.take(now, 600)
	if wait := b.wait(now.Add(time.Minute)); wait < 8*time.Minute || wait > 10*time.Minute {
		t.Errorf("after ten minutes' worth: %v", wait)
	}
	b.wait(now.Add(24 * time.Hour))
	if b.wait(now.Add(-24*time.Hour)) != 0 || b.level != 60 {
		t.Errorf("the clock went back: %v", b.level)
	}
}

// What Prometheus reads.
func TestMetrics(t *testing.T) {
	s := play(t, "v3", "Hello there", func(_ *Options, m *Model) { m.Name = "a\"b\\c" })
	s.post("/v1/chat/completions", hello+"}")
	s.refused("/v1/chat/completions", "{")
	s.ask("BREW", "/v1/chat/completions", "")
	_, h, text := s.ask("GET", "/metrics", "")
	if !strings.HasPrefix(h.Get("Content-Type"), "text/plain; version=0.0.4") {
		t.Errorf("%v", h)
	}
	for _, want := range []string{
		`vllm:num_requests_running{model_name="a\"b\\c"} 0`, `vllm:num_requests_waiting{model_name="a\"b\\c"} 0`, `vllm:kv_cache_usage_perc{model_name="a\"b\\c"} 0`,
		`haenyeo_http_requests_total{method="POST",route="/v1/chat/completions",status="200"} 1`, `haenyeo_http_requests_total{method="POST",route="/v1/chat/completions",status="400"} 1`,
		`haenyeo_http_requests_total{method="other",route="/v1/chat/completions",status="405"} 1`,
		`vllm:request_success_total{model_name="a\"b\\c",finished_reason="stop"} 1`, `vllm:time_to_first_token_seconds_count{model_name="a\"b\\c"} 1`,
		`vllm:time_to_first_token_seconds_bucket{model_name="a\"b\\c",le="+Inf"} 1`, "# TYPE vllm:generation_tokens_total counter", "haenyeo_draining 0",
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("%s is not in\n%s", want, text)
		}
	}
	named := map[string]bool{}
	for _, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		if strings.HasPrefix(line, "# TYPE ") {
			name := strings.Fields(line)[2]
			if named[name] {
				t.Errorf("%s stands twice", name)
			}
			named[name] = true
		}
	}
}

// A whole answer that takes long says that it is coming; what becomes of it then stands in its body.
func TestBlanks(t *testing.T) {
	turns := make(chan struct{})
	s := play(t, "v3", "ok", func(o *Options, _ *Model) { o.KeepAlive = 5 * time.Millisecond })
	s.actor.step = held(turns)
	answer, body := s.open(t.Context(), "/v1/chat/completions", hello+"}")
	defer answer.Body.Close()
	if b, err := body.ReadByte(); err != nil || b != '\n' || answer.Header.Get("Content-Type") != "application/json" {
		t.Fatalf("%q %v %v", b, err, answer.Header)
	}
	close(turns)
	text := new(strings.Builder)
	if _, err := body.WriteTo(text); err != nil {
		t.Fatal(err)
	}
	if a := object(t, text.String()); at(t, a, "choices", 0, "message", "content") != "ok" {
		t.Errorf("%v", a)
	}

	s.actor.step = func(ctx context.Context) error {
		time.Sleep(50 * time.Millisecond)
		return errors.New("the model is broken")
	}
	status, _, broken := s.ask("POST", "/v1/chat/completions", hello+"}")
	if status != 200 || at(t, object(t, broken), "error", "code") != "internal_error" {
		t.Errorf("%d %q", status, broken)
	}
}
