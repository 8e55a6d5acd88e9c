package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/haenyeo/haenyeo/chat"
)

// library is a server of models that are opened when they are asked for.
type library struct {
	*stage
	open   atomic.Int64 // models now
	most   atomic.Int64
	opened atomic.Int64 // times
	broken atomic.Bool
	turns  chan struct{} // not nil: tokens wait for it
}

// lend serves n models, of which two have room at a time. Each answers with its name and how often a model was opened.
func lend(t *testing.T, n int, change ...func(*Options)) *library {
	t.Helper()
	tok, err := trained()
	if err != nil {
		t.Fatal(err)
	}
	format, err := chat.Detect(tok, chat.Hints{Format: "v3"})
	if err != nil {
		t.Fatal(err)
	}
	eos, _ := tok.EOS()
	l := &library{}
	var models []*Model
	for i := range n {
		name := fmt.Sprintf("m%d", i)
		models = append(models, &Model{Name: name, Parallel: 4, Memory: 100, Published: time.Unix(0, 0), Open: func(context.Context) (*Model, func(), error) {
			if l.broken.Load() {
				return nil, nil, errors.New("the disk is gone")
			}
			time.Sleep(time.Millisecond)
			edition := l.opened.Add(1)
			if now := l.open.Add(1); now > l.most.Load() {
				l.most.Store(now)
			}
			a := &actor{tok: tok, reply: func(string) string { return fmt.Sprintf("%s.%d", name, edition) }}
			if l.turns != nil {
				a.step = held(l.turns)
			}
			var closed atomic.Bool
			return &Model{Tokenizer: tok, Format: format, Engine: a, Context: 2048, Vocab: tok.VocabSize(), End: []int32{eos}, Memory: 100}, func() {
				if closed.Swap(true) {
					t.Error("closed twice")
				}
				if a.working() > 0 {
					t.Error("closed while it works")
				}
				l.open.Add(-1)
			}, nil
		}})
	}
	o := Options{Memory: 200, Log: slog.New(slog.DiscardHandler)}
	for _, c := range change {
		c(&o)
	}
	served, err := New(models, o)
	if err != nil {
		t.Fatal(err)
	}
	l.stage = serving(t, served)
	t.Cleanup(func() {
		served.Close()
		if n := l.open.Load(); n != 0 {
			t.Errorf("%d models are still open", n)
		}
	})
	return l
}

func (l *library) says(t *testing.T, model string) string {
	t.Helper()
	return at(t, l.post("/v1/chat/completions", hello+`,"model":"`+model+`"}`), "choices", 0, "message", "content").(string)
}

// Models are opened when they are asked for, and those that were not used for longest make room.
func TestShelf(t *testing.T) {
	l := lend(t, 3)
	if l.opened.Load() != 0 {
		t.Error("a model is open that nobody has asked for")
	}
	for i, want := range []string{"m0.1", "m0.1", "m1.2", "m0.1", "m2.3", "m0.1", "m1.4"} {
		if got := l.says(t, want[:2]); got != want {
			t.Errorf("%d: %q, want %q", i, got, want)
		}
	}
	if l.most.Load() != 2 {
		t.Errorf("%d were open at a time", l.most.Load())
	}
	_, _, text := l.ask("GET", "/api/ps", "")
	if strings.Contains(text, "m2") || !strings.Contains(text, "m1") {
		t.Errorf("%s", text)
	}
	l.broken.Store(true)
	if status, e := l.refused("/v1/chat/completions", hello+`,"model":"m2"}`); status != 500 || strings.Contains(fmt.Sprint(e), "disk") {
		t.Errorf("%d %v", status, e)
	}
	l.broken.Store(false)
	l.says(t, "m2")
}

func TestShelfLoadAndUnload(t *testing.T) {
	l := lend(t, 2)
	if a := l.post("/models/load", `{"model":"m1"}`); a["status"] != "loaded" || l.open.Load() != 1 {
		t.Errorf("%v", a)
	}
	if got := l.says(t, "m1"); got != "m1.1" {
		t.Errorf("%q", got)
	}
	l.post("/models/load", `{"model":"m1","fresh":true}`)
	if got := l.says(t, "m1"); got != "m1.2" || l.open.Load() != 1 {
		t.Errorf("%q, %d open", got, l.open.Load())
	}
	l.broken.Store(true)
	if status, _ := l.refused("/models/load", `{"model":"m1","fresh":true}`); status != 500 {
		t.Errorf("%d", status)
	}
	l.broken.Store(false)
	if got := l.says(t, "m1"); got != "m1.2" {
		t.Errorf("after a failed swap: %q", got)
	}
	if a := l.post("/models/unload", `{"model":"m1"}`); a["status"] != "unloaded" || l.open.Load() != 0 {
		t.Errorf("%v", a)
	}
	l.post("/models/unload", `{"model":"m1"}`)
	for body, want := range map[string]int{`{}`: 400, `{"model":"gone"}`: 404} {
		if status, _ := l.refused("/models/load", body); status != want {
			t.Errorf("%s: %d", body, status)
		}
	}
	if status, _ := play(t, "v3", "ok").refused("/models/unload", `{"model":"actor"}`); status != 400 {
		t.Errorf("a model that stays: %d", status)
	}
	keys, err := ParseKeys("hk-plain-key\nhk-admin-key scope=admin")
	if err != nil {
		t.Fatal(err)
	}
	l = lend(t, 1, func(o *Options) { o.Keys = keys })
	for key, want := range map[string]int{"hk-plain-key": 403, "hk-admin-key": 200} {
		if status, _, text := l.ask("POST", "/models/load", `{"model":"m0"}`, "X-Api-Key", key); status != want {
			t.Errorf("%s: %d %s", key, status, text)
		}
	}
}

// A model that is at work stays until it is done, whatever is asked for meanwhile.
func TestShelfAtWork(t *testing.T) {
	l := lend(t, 3)
	l.turns = make(chan struct{})
	answers := make(chan string, 3)
	for _, name := range []string{"m0", "m1"} {
		go func() { answers <- l.says(t, name) }()
	}
	eventually(t, "two are at work", func() bool { return l.open.Load() == 2 && l.served.atWork() == 2 })
	if status, h, _ := l.ask("POST", "/v1/chat/completions", hello+`,"model":"m2"}`); status != 429 || h.Get("Retry-After") == "" {
		t.Errorf("%d %v", status, h)
	}
	l.post("/models/unload", `{"model":"m0"}`)
	if l.open.Load() != 2 {
		t.Error("a model went while it was at work")
	}
	close(l.turns)
	<-answers
	<-answers
	eventually(t, "it goes afterwards", func() bool { return l.open.Load() == 1 })
	l.says(t, "m2")
}

// Many ask for many.
func TestShelfCrowd(t *testing.T) {
	l := lend(t, 4)
	var group sync.WaitGroup
	for c := range 8 {
		group.Go(func() {
			for i := range 20 {
				name := fmt.Sprintf("m%d", (c+i*i)%4)
				switch status, _, text := l.ask("POST", "/v1/chat/completions", hello+`,"model":"`+name+`"}`); {
				case status == 429:
				case status != 200 || !strings.Contains(text, `"content":"`+name+"."):
					t.Errorf("%s: %d %s", name, status, text)
				}
				if i%7 == 0 {
					l.post("/models/unload", `{"model":"`+name+`"}`)
				}
			}
		})
	}
	group.Wait()
	if l.most.Load() > 2 {
		t.Errorf("%d were open at a time", l.most.Load())
	}
}
