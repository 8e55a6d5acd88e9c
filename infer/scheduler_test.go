package infer

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/haenyeo/haenyeo/forward"
	"github.com/haenyeo/haenyeo/kernel"
	"github.com/haenyeo/haenyeo/weights"
)

// predictorNets are models with a multi-token prediction layer.
var predictorNets = []string{"deepseek_v32", "deepseek_v4_mtp"}

func openPredictor(t testing.TB, name string, rounding forward.Rounding) *forward.Net {
	t.Helper()
	e, err := kernel.New(2, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	src, err := weights.Open(filepath.Join("..", "forward", "testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	net, err := forward.New(src, e, forward.Options{MTP: true, Rounding: rounding})
	if err != nil {
		t.Fatal(err)
	}
	return net
}

func newTestScheduler(t testing.TB, net *forward.Net, o SchedulerOptions) *Scheduler {
	t.Helper()
	s, err := NewScheduler(net, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeScheduler(t, s) })
	return s
}

// newSteadyScheduler makes a scheduler whose steps all seem to take the same time, so that guesses pay whenever there is
// room for them.
func newSteadyScheduler(t testing.TB, net *forward.Net, o SchedulerOptions) *Scheduler {
	t.Helper()
	var now time.Time
	s := newScheduler(net, SchedulerOptions{Sequences: orElse(o.Sequences, 16), Chunk: o.Chunk, Queue: 64, PrefixBytes: o.PrefixBytes}, func() time.Time {
		now = now.Add(time.Millisecond)
		return now
	})
	go s.loop()
	t.Cleanup(func() { closeScheduler(t, s) })
	return s
}

func closeScheduler(t testing.TB, s *Scheduler) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := s.Close(ctx); err != nil {
		t.Errorf("closing: %v", err)
	}
}

// mixed makes different requests: short and long prompts, some with the same beginning, greedy and drawn, with rules.
func mixed(t testing.TB, net *forward.Net, n int, speculation Speculation) []Request {
	common := prompt(net, 150, 3)
	var all []Request
	for i := range n {
		q := Request{Tokens: prompt(net, 1+i*23%170, i+4), MaxTokens: 1 + i*7%23, Logprobs: true, TopLogprobs: i % 3, Speculation: speculation}
		if i%3 == 1 {
			q.Tokens = append(append([]int32{}, common[:40+i*11%110]...), q.Tokens...)
		}
		switch i % 4 {
		case 0: // goes in circles
			q.Allowed = func([]int32) []uint64 { return []uint64{0b11110} }
		case 1:
			q.Sampling = Sampling{Temperature: 0.9, Seed: uint64(i)}
		case 2:
			q.Sampling = Sampling{Temperature: 1.2, TopP: 0.9, RepetitionPenalty: 1.1, Seed: uint64(i)}
		case 3:
			q.Sampling = Sampling{Temperature: 0.5, TopK: 12, MinP: 0.02, FrequencyPenalty: 0.3, Seed: uint64(i)}
		}
		all = append(all, q)
	}
	return all
}

// same says whether two answers are the same, to the bits of their log-probabilities.
func same(a, b Result) bool {
	a.Reused, b.Reused = 0, 0
	a.Guessed, a.Right, b.Guessed, b.Right = 0, 0, 0, 0
	return reflect.DeepEqual(a, b)
}

// alone answers requests one by one in fresh schedulers, without anything shared or guessed.
func alone(t testing.TB, net *forward.Net, chunk int, requests []Request) []Result {
	t.Helper()
	var all []Result
	for i, q := range requests {
		q.Speculation = Speculation{}
		s := newTestScheduler(t, net, SchedulerOptions{Chunk: chunk})
		r, err := s.Generate(context.Background(), q, 0, nil)
		if err != nil {
			t.Fatalf("request %d: %v", i, err)
		}
		closeScheduler(t, s)
		all = append(all, r)
	}
	return all
}

// An answer has the same bits alone and among sixteen, with shared beginnings and without, guessed ahead or not.
func TestSchedulerNeighbours(t *testing.T) {
	check := func(name string, net *forward.Net, speculation Speculation) {
		t.Run(name, func(t *testing.T) {
			const chunk = 32
			requests := mixed(t, net, 16, speculation)
			want := alone(t, net, chunk, requests)
			for _, prefixBytes := range []int64{0, 200 << 10, 64 << 20} {
				o := SchedulerOptions{Chunk: chunk, PrefixBytes: prefixBytes}
				if speculation.on() {
					o.Sequences = 5 // or there is no room for guesses
				}
				s := newSteadyScheduler(t, net, o)
				for round := range 2 {
					var streams []*Stream
					for _, q := range requests {
						stream, err := s.Submit(context.Background(), q, 0)
						if err != nil {
							t.Fatal(err)
						}
						streams = append(streams, stream)
					}
					reused := 0
					for i, stream := range streams {
						got, err := stream.Result()
						if err != nil || !same(got, want[i]) {
							t.Errorf("%d bytes, round %d, request %d: %v\n got %v\nwant %v", prefixBytes, round, i, err, got, want[i])
						}
						reused += got.Reused
					}
					if prefixBytes == 64<<20 && reused == 0 {
						t.Errorf("round %d: nothing was shared", round)
					}
				}
				closeScheduler(t, s)
				got := s.Stats()
				if got.PrefixBytes > prefixBytes || got.CacheBytes != 0 || (prefixBytes == 64<<20) != (got.PrefixBytes > 200<<10) || speculation.on() != (got.GuessedTokens > 0) {
					t.Errorf("%d bytes for prefixes: %+v", prefixBytes, got)
				}
			}
		})
	}
	for _, name := range goldenNets {
		check(name, openNet(t, name), Speculation{})
		check(name+" guessing", openNet(t, name), Speculation{NGram: true})
	}
	for _, name := range predictorNets {
		check(name+" MTP", openPredictor(t, name, forward.Publisher), Speculation{MTP: true, Most: 3})
		check(name+" both", openPredictor(t, name, forward.Publisher), Speculation{NGram: true, MTP: true})
	}
}

// Requests that come, go and are given up at any time get, as far as they come, the answers that they get alone.
func FuzzSchedule(f *testing.F) {
	net := openNet(f, "deepseek2-q8_0")
	const chunk = 16
	requests := mixed(f, net, 12, Speculation{NGram: true})
	want := alone(f, net, chunk, requests)
	f.Add(uint64(1), uint8(3), uint8(5))
	f.Add(uint64(2), uint8(16), uint8(0))
	f.Add(uint64(3), uint8(1), uint8(9))
	f.Fuzz(func(t *testing.T, seed uint64, places, megabytes uint8) {
		rng := rand.New(rand.NewPCG(seed, 5))
		s := newSteadyScheduler(t, net, SchedulerOptions{Sequences: 1 + int(places)%16, Chunk: chunk, PrefixBytes: int64(megabytes) << 18})
		var group sync.WaitGroup
		for range 30 {
			i, give, pause, priority := rng.IntN(len(requests)), rng.IntN(40), rng.IntN(3), rng.IntN(3)
			time.Sleep(time.Duration(rng.IntN(300)) * time.Microsecond)
			group.Go(func() {
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				stream, err := s.Submit(ctx, requests[i], priority)
				if err != nil {
					t.Error(err)
					return
				}
				seen := 0
				for {
					e, more := stream.Next()
					if !more {
						break
					}
					if seen += len(e.Tokens); seen > give && give < 12 {
						cancel()
					}
					time.Sleep(time.Duration(pause) * 100 * time.Microsecond)
				}
				got, err := stream.Result()
				switch {
				case err == nil && !same(got, want[i]):
					t.Errorf("request %d: got %v, want %v", i, got.Tokens, want[i].Tokens)
				case err != nil && !errors.Is(err, context.Canceled):
					t.Errorf("request %d: %v", i, err)
				case err != nil:
					for j, id := range got.Tokens {
						if id != want[i].Tokens[j] {
							t.Errorf("request %d, given up: got %v, want the beginning of %v", i, got.Tokens, want[i].Tokens)
							break
						}
					}
				}
			})
		}
		group.Wait()
		closeScheduler(t, s)
		if got := s.Stats(); got.Waiting+got.Reading+got.Answering != 0 || got.CacheBytes != 0 {
			t.Errorf("at the end: %+v", got)
		}
	})
}

// endless is a request that goes on for long.
func endless(net *forward.Net, n int) Request {
	return Request{Tokens: prompt(net, 5, 3), MaxTokens: n, Sampling: Sampling{Temperature: 1}}
}

// wait waits until cond holds of the stats.
func wait(t *testing.T, s *Scheduler, what string, cond func(Stats) bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !cond(s.Stats()); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never %s: %+v", what, s.Stats())
		}
	}
}

// The queue is bounded, and a request that was refused leaves nothing behind.
func TestSchedulerBusy(t *testing.T) {
	net := openNet(t, "llama-q8_0")
	s := newTestScheduler(t, net, SchedulerOptions{Sequences: 2, Queue: 3})
	ctx, cancel := context.WithCancel(context.Background())
	var streams []*Stream
	submit := func() error {
		stream, err := s.Submit(ctx, endless(net, 100000), 0)
		if err == nil {
			streams = append(streams, stream)
		}
		return err
	}
	for range 2 {
		if err := submit(); err != nil {
			t.Fatal(err)
		}
	}
	wait(t, s, "two at work", func(s Stats) bool { return s.Waiting == 0 && s.Answering == 2 })
	for range 3 {
		if err := submit(); err != nil {
			t.Fatal(err)
		}
	}
	if err := submit(); !errors.Is(err, ErrBusy) {
		t.Errorf("the sixth: %v", err)
	}
	cancel()
	for i, stream := range streams {
		if _, err := stream.Result(); !errors.Is(err, context.Canceled) {
			t.Errorf("request %d: %v", i, err)
		}
	}
	wait(t, s, "empty", func(s Stats) bool { return s.Waiting+s.Reading+s.Answering == 0 && s.CacheBytes == 0 })
}

// Nobody waits for a reader that does not read; the sequence of that reader rests.
func TestSchedulerSlowReader(t *testing.T) {
	net := openNet(t, "llama-q8_0")
	s := newTestScheduler(t, net, SchedulerOptions{})
	q := endless(net, 3000)
	slow, err := s.Submit(context.Background(), q, 0)
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.Generate(context.Background(), q, 0, nil)
	if err != nil || len(r.Tokens) != 3000 {
		t.Fatalf("%d tokens, %v", len(r.Tokens), err)
	}
	if n := s.Stats().MadeTokens; n > 3000+2*unreadTokens {
		t.Errorf("%d tokens were made, %d of them for a reader that does not read", n, n-3000)
	}
	e, _ := slow.Next()
	if len(e.Tokens) < unreadTokens || len(e.Tokens) > unreadTokens+forward.Short {
		t.Errorf("%d tokens were waiting", len(e.Tokens))
	}
	got, err := slow.Result()
	if err != nil || !same(got, r) {
		t.Errorf("the slow reader got another answer: %v", err)
	}
	// one that gives up while it rests
	ctx, cancel := context.WithCancel(context.Background())
	if slow, err = s.Submit(ctx, q, 0); err != nil {
		t.Fatal(err)
	}
	wait(t, s, "resting", func(s Stats) bool { return s.MadeTokens >= 6000+unreadTokens })
	cancel()
	wait(t, s, "empty", func(s Stats) bool { return s.Answering == 0 })
	if _, err := slow.Result(); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// A deadline ends a request wherever it is, in a prompt of many chunks too.
func TestSchedulerDeadline(t *testing.T) {
	net := openNet(t, "llama-q8_0")
	s := newTestScheduler(t, net, SchedulerOptions{Chunk: 16, Sequences: 1})
	for _, q := range []Request{endless(net, 1<<20), {Tokens: prompt(net, 200000, 7), MaxTokens: 1}} {
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		begin := time.Now()
		first, err := s.Submit(ctx, q, 0)
		if err != nil {
			t.Fatal(err)
		}
		second, err := s.Submit(ctx, q, 0) // waits in the queue
		if err != nil {
			t.Fatal(err)
		}
		for _, stream := range []*Stream{first, second} {
			if _, err := stream.Result(); !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
		}
		if d := time.Since(begin); d > 5*time.Second {
			t.Errorf("ended after %v", d)
		}
	}
}

// Close waits for what is at work, or ends it when it may not wait any longer.
func TestSchedulerClose(t *testing.T) {
	net := openNet(t, "llama-q8_0")
	before := runtime.NumGoroutine()
	defer func() {
		for end := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
			}
		}
	}()
	s := newTestScheduler(t, net, SchedulerOptions{Sequences: 1})
	var streams []*Stream
	for range 3 {
		stream, err := s.Submit(context.Background(), endless(net, 200), 0)
		if err != nil {
			t.Fatal(err)
		}
		streams = append(streams, stream)
	}
	closeScheduler(t, s)
	for _, stream := range streams {
		if r, err := stream.Result(); err != nil || len(r.Tokens) != 200 {
			t.Errorf("%d tokens, %v", len(r.Tokens), err)
		}
	}
	if _, err := s.Submit(context.Background(), endless(net, 2), 0); !errors.Is(err, ErrClosed) {
		t.Errorf("after the end: %v", err)
	}

	s = newTestScheduler(t, net, SchedulerOptions{Sequences: 1})
	streams = nil
	for range 2 { // one at work, one in the queue
		stream, err := s.Submit(context.Background(), endless(net, 1<<20), 0)
		if err != nil {
			t.Fatal(err)
		}
		streams = append(streams, stream)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if err := s.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	for _, stream := range streams {
		if _, err := stream.Result(); !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
	}
}

// What goes wrong in one sequence ends that one alone.
func TestSchedulerIsolatesErrors(t *testing.T) {
	net := openNet(t, "llama-q8_0")
	good := Request{Tokens: prompt(net, 40, 5), MaxTokens: 60}
	want := alone(t, net, 128, []Request{good})[0]
	s := newTestScheduler(t, net, SchedulerOptions{})
	bad := endless(net, 1000)
	bad.Allowed = func(made []int32) []uint64 {
		if len(made) < 20 {
			return []uint64{math.MaxUint64}
		}
		return []uint64{}
	}
	stream, err := s.Submit(context.Background(), bad, 0)
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Generate(context.Background(), good, 0, nil)
	if err != nil || !same(got, want) {
		t.Errorf("the neighbour: %v", err)
	}
	if r, err := stream.Result(); !errors.Is(err, ErrNothingAllowed) || len(r.Tokens) != 20 {
		t.Errorf("%d tokens, %v", len(r.Tokens), err)
	}
	boom := errors.New("broken pipe")
	good.Text = byteTokens(t).Stream(true)
	if r, err := s.Generate(context.Background(), good, 0, func(string) error { return boom }); !errors.Is(err, boom) || len(r.Tokens) == 0 {
		t.Errorf("%d tokens, %v", len(r.Tokens), err)
	}
}

// Requests are refused at the door with a reason.
func TestSchedulerRefuses(t *testing.T) {
	net := openNet(t, "llama-q8_0")
	one := net.CacheBytes(100)
	s := newTestScheduler(t, net, SchedulerOptions{CacheBytes: one})
	for what, q := range map[string]Request{
		"empty":         {MaxTokens: 3},
		"vocabulary":    {Tokens: []int32{1 << 20}, MaxTokens: 3},
		"MB of cache":   {Tokens: prompt(net, 90, 2), MaxTokens: 20},
		"max tokens -1": {Tokens: []int32{1}, MaxTokens: -1},
	} {
		if _, err := s.Submit(context.Background(), q, 0); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if r, err := s.Generate(context.Background(), Request{Tokens: []int32{1}, MaxTokens: 0}, 0, nil); err != nil || r.FinishReason != FinishLength {
		t.Errorf("nothing to make: %+v, %v", r, err)
	}
	if _, err := s.Generate(context.Background(), Request{Tokens: []int32{1}, MaxTokens: 2, Speculation: Speculation{MTP: true}}, 0, nil); err == nil {
		t.Error("MTP of a model without it")
	}
	// those that fit one by one wait for each other
	var streams []*Stream
	for range 4 {
		stream, err := s.Submit(context.Background(), Request{Tokens: prompt(net, 60, 2), MaxTokens: 30}, 0)
		if err != nil {
			t.Fatal(err)
		}
		streams = append(streams, stream)
	}
	for _, stream := range streams {
		for more := true; more; {
			if got := s.Stats(); got.CacheBytes > one || got.Reading+got.Answering > 1 {
				t.Errorf("%+v", got)
			}
			_, more = stream.Next()
		}
		if r, err := stream.Result(); err != nil || len(r.Tokens) != 30 {
			t.Errorf("%d tokens, %v", len(r.Tokens), err)
		}
	}
	for _, o := range []SchedulerOptions{{Sequences: -1}, {Chunk: -1}, {Queue: -1}, {CacheBytes: -1}, {PrefixBytes: -1}} {
		if _, err := NewScheduler(net, o); err == nil {
			t.Errorf("%+v: accepted", o)
		}
	}
}

// A long prompt does not keep others waiting for more than a chunk, and the more urgent go first.
func TestSchedulerFairness(t *testing.T) {
	net := openNet(t, "llama-q8_0")
	s := newTestScheduler(t, net, SchedulerOptions{Chunk: 16})
	long, err := s.Submit(context.Background(), Request{Tokens: prompt(net, 16*200, 3), MaxTokens: 1}, 0)
	if err != nil {
		t.Fatal(err)
	}
	wait(t, s, "reading", func(s Stats) bool { return s.Reading == 1 })
	for _, priority := range []int{0, 1} {
		r, err := s.Generate(context.Background(), Request{Tokens: prompt(net, 40, 5), MaxTokens: 20}, priority, nil)
		if err != nil || len(r.Tokens) != 20 {
			t.Fatal(err)
		}
	}
	e, more := long.Next()
	if !more || e.Read >= 16*200 {
		t.Errorf("the long prompt was read first: %+v", e)
	}
	if _, err := long.Result(); err != nil {
		t.Error(err)
	}
}

// Events tell what Generate's callbacks tell.
func TestSchedulerCallbacks(t *testing.T) {
	net := openNet(t, "llama-q8_0")
	s := newTestScheduler(t, net, SchedulerOptions{Chunk: 16})
	var text strings.Builder
	var tokens []int32
	read := 0
	r, err := s.Generate(context.Background(), Request{Tokens: prompt(net, 60, 2), MaxTokens: 30, Text: byteTokens(t).Stream(true),
		Token: func(p TokenLogprob) { tokens = append(tokens, p.ID) }, Progress: func(done, total int) { read = done }},
		0, func(s string) error { text.WriteString(s); return nil })
	if err != nil || text.String() != r.Text || fmt.Sprint(tokens) != fmt.Sprint(r.Tokens) || read != 60 {
		t.Errorf("%q, %v, %d read; the result is %+v, %v", text.String(), tokens, read, r, err)
	}
}
