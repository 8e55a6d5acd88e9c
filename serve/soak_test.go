package serve

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/haenyeo/haenyeo/forward"
	"github.com/haenyeo/haenyeo/infer"
	"github.com/haenyeo/haenyeo/kernel"
	"github.com/haenyeo/haenyeo/weights"
)

var soak = flag.Duration("soak", 2*time.Second, "how long TestSoak asks")

// asker is a client of TestSoak: one request and how much of the answer it waits for.
type asker struct {
	path, body string
	want       string // the whole answer, without what differs from time to time
}

// Many clients of all APIs, a quarter of which go away in the middle, over a real model whose prompts share beginnings in
// memory and on disk. Afterwards every answer was right, nothing runs, and memory is what it was.
func TestSoak(t *testing.T) {
	goroutines := runtime.NumGoroutine()
	s, done := realStage(t)
	var list []asker
	for i := range 12 {
		text := strings.Repeat("The haenyeo of Jeju dive. ", 1+i%5) + fmt.Sprint(i%7)
		list = append(list,
			asker{path: "/v1/completions", body: fmt.Sprintf(`{"prompt":%q,"max_tokens":%d,"seed":3`, text, 3+i)},
			asker{path: "/api/generate", body: fmt.Sprintf(`{"model":"tiny","raw":true,"prompt":%q,"options":{"num_predict":%d,"seed":3}`, text, 3+i)},
			asker{path: "/v1/completions", body: fmt.Sprintf(`{"prompt":%q,"max_tokens":%d,"seed":3,"guided_regex":"[a-z]{3}( [a-z]{3})*"`, text, 3+i)},
		)
	}
	for i := range list {
		list[i].want = s.told(t, list[i], false)
	}
	end := time.Now().Add(*soak)
	var answers, left, busy atomic.Int64
	half := int64(0)
	var group sync.WaitGroup
	for c := range 12 {
		rng := rand.New(rand.NewPCG(1, uint64(c)))
		group.Go(func() {
			for time.Now().Before(end) {
				a := list[rng.IntN(len(list))]
				switch got, status := s.try(t, a, rng.IntN(2) == 0, rng.IntN(4) == 0, rng); {
				case status == http.StatusTooManyRequests:
					busy.Add(1)
				case got == "":
					left.Add(1)
				case got != a.want:
					t.Errorf("%s %s: %q, want %q", a.path, a.body, got, a.want)
				default:
					answers.Add(1)
				}
			}
		})
	}
	for time.Now().Before(end.Add(-*soak / 2)) {
		time.Sleep(10 * time.Millisecond)
	}
	half = heap()
	group.Wait()
	if answers.Load() == 0 || left.Load() == 0 {
		t.Errorf("%d answers, %d left", answers.Load(), left.Load())
	}
	eventually(t, "nothing is at work", func() bool {
		working, waiting := s.served.models[0].gate.load()
		return working == 0 && waiting == 0
	})
	full := heap()
	if grown := full - half; grown > 16<<20+half/2 {
		t.Errorf("the heap has %d bytes, %d at half time", full, half)
	}
	t.Logf("%d answers, %d clients left, %d were told to wait; heap %d KB, %d KB at half time", answers.Load(), left.Load(), busy.Load(), full>>10, half>>10)
	s.Client().CloseIdleConnections()
	s.Close()
	done()
	eventually(t, "all goroutines have ended", func() bool { return runtime.NumGoroutine() <= goroutines+2 }) // the runtime's own
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// realStage serves a tiny model with random weights; done ends what it needs.
func realStage(t *testing.T) (s *stage, done func()) {
	t.Helper()
	tok, err := trained()
	if err != nil {
		t.Fatal(err)
	}
	e, err := kernel.New(2, "")
	if err != nil {
		t.Fatal(err)
	}
	src, err := weights.Open(filepath.Join("..", "infer", "testdata", "llama-q8_0.gguf"))
	if err != nil {
		t.Fatal(err)
	}
	net, err := forward.New(src, e, forward.Options{})
	if err != nil {
		t.Fatal(err)
	}
	store, err := infer.OpenPrefixStore(t.TempDir(), 8<<20, infer.Identity{}, "soak", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	scheduler, err := infer.NewScheduler(net, infer.SchedulerOptions{Sequences: 4, Queue: 100, Chunk: 32, PrefixBytes: 1 << 20, Prefixes: store})
	if err != nil {
		t.Fatal(err)
	}
	vocab := net.Config().VocabSize
	s = play(t, "", "", func(o *Options, m *Model) {
		o.Queue, o.Access = 6, nil // the test's own log would be the leak
		m.Name, m.Aliases = "tiny", nil
		m.Engine, m.Vocab = Batch{scheduler}, min(vocab, tok.VocabSize())
	})
	return s, func() {
		if err := scheduler.Close(context.Background()); err != nil {
			t.Error(err)
		}
		store.Close()
		src.Close()
		e.Close()
	}
}

// told asks until it is answered, and gives the text of the answer.
func (s *stage) told(t *testing.T, a asker, stream bool) string {
	for {
		if got, status := s.try(t, a, stream, false, nil); status != http.StatusTooManyRequests {
			return got
		}
	}
}

// try asks once. leaves: the client goes away at some point, and has got nothing.
func (s *stage) try(t *testing.T, a asker, stream, leaves bool, rng *rand.Rand) (text string, status int) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if leaves {
		time.AfterFunc(time.Duration(rng.IntN(20_000))*time.Microsecond, cancel)
	}
	r, err := http.NewRequestWithContext(ctx, "POST", s.URL+a.path, strings.NewReader(fmt.Sprintf(`%s,"stream":%v}`, a.body, stream)))
	if err != nil {
		t.Error(err)
		return "", 0
	}
	answer, err := s.Client().Do(r)
	if err != nil {
		if ctx.Err() == nil {
			t.Error(err)
		}
		return "", 0
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	switch {
	case err != nil && ctx.Err() != nil, answer.StatusCode == http.StatusTooManyRequests:
		return "", answer.StatusCode
	case err != nil || answer.StatusCode != http.StatusOK:
		t.Errorf("%s: %d %s %v", a.path, answer.StatusCode, body, err)
		return "", answer.StatusCode
	}
	lines := bufio.NewScanner(strings.NewReader(string(body)))
	for lines.Scan() {
		line := strings.TrimPrefix(lines.Text(), "data: ")
		if line == "" || line == "[DONE]" || line[0] == ':' {
			continue
		}
		o := map[string]any{}
		if err := decode([]byte(line), &o); err != nil {
			t.Errorf("%q: %v", line, err)
			return "", 0
		}
		if choices, ok := o["choices"].([]any); ok && len(choices) > 0 {
			text += choices[0].(map[string]any)["text"].(string)
		}
		if response, ok := o["response"].(string); ok {
			text += response
		}
	}
	return "answer: " + text, answer.StatusCode
}
