package infer

// Scheduler steps several sequences together over one model.
//
// One goroutine owns the Net. Each of its rounds
//
//  1. lets waiting requests in while there is a place and memory for them (the one of the highest priority first, in
//     the order in which they came), and lets those go whose context has ended;
//  2. steps all sequences that are answering, a token each (or a few, guessed ahead) in passes of up to
//     forward.Short tokens, and draws their tokens in parallel;
//  3. reads one chunk of one prompt: of those of the highest priority the one that has waited longest. A long prompt
//     stalls the others for a chunk at most.
//
// A sequence's tokens do not depend on its neighbours. Steps of up to forward.Short tokens have the bits of single
// tokens, and chunks are cut at multiples of Chunk of the sequence's own prompt, whatever happens around it. The
// beginnings of prompts are shared through a tree of chunks (prefix.go): since every prompt is cut at the same places,
// a chunk that is found has the bits that would be computed. That holds for prompts that are read at the same time too:
// a chunk that one of them has read is found by the others.

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/haenyeo/haenyeo/forward"
)

// SchedulerOptions bound what a Scheduler takes. The zero value is usable.
type SchedulerOptions struct {
	Sequences   int   // stepped together at most; 0: 16
	Chunk       int   // tokens of a prompt read between two steps; 0: 128
	Queue       int   // requests waiting at most; 0: 64
	CacheBytes  int64 // memory of the caches of all sequences, each counted at its longest; 0: no limit but the machine's
	PrefixBytes int64 // memory of beginnings of prompts that are kept for later ones; 0: none is kept

	Prefixes *PrefixStore // where they are kept on disk; nil: nowhere
}

// ErrBusy says that the queue is full: try again later.
var ErrBusy = errors.New("infer: too many requests are waiting: try again later")

// ErrClosed says that the Scheduler was closed.
var ErrClosed = errors.New("infer: the scheduler is closed")

// Stats counts what a Scheduler does.
type Stats struct {
	Waiting, Reading, Answering int   // sequences now
	CacheBytes, PrefixBytes     int64 // memory now
	PromptTokens                int64 // of prompts whose reading ended
	ReusedTokens                int64 // of these, found among shared beginnings
	MadeTokens                  int64
	GuessedTokens, RightGuesses int64
}

// Scheduler owns a Net until it is closed. Its methods may be called by any goroutine.
type Scheduler struct {
	net  *forward.Net
	opt  SchedulerOptions
	news chan struct{} // has an element when the loop should look again
	idle chan struct{} // closed when the loop has ended
	pace pace

	mu      sync.Mutex
	waiting []*sequence
	running []*sequence // changed by the loop alone, which reads it without mu
	closed  bool
	stats   Stats

	// Of the loop alone.
	shared prefixes
	steps  []*forward.Step
	batch  []*sequence
	turn   int
}

// NewScheduler starts a scheduler over net, which nobody else may use until Close has returned.
func NewScheduler(net *forward.Net, o SchedulerOptions) (*Scheduler, error) {
	o.Sequences, o.Chunk, o.Queue = orElse(o.Sequences, 16), orElse(o.Chunk, 128), orElse(o.Queue, 64)
	switch {
	case o.Sequences < 1 || o.Chunk < 1 || o.Queue < 1:
		return nil, fmt.Errorf("infer: a scheduler of %d sequences, chunks of %d tokens and a queue of %d: all must be 1 or more", o.Sequences, o.Chunk, o.Queue)
	case o.CacheBytes < 0 || o.PrefixBytes < 0:
		return nil, fmt.Errorf("infer: a scheduler with %d bytes for caches and %d for prefixes: must be 0 or more", o.CacheBytes, o.PrefixBytes)
	}
	s := newScheduler(net, o, time.Now)
	go s.loop()
	return s, nil
}

func newScheduler(net *forward.Net, o SchedulerOptions, now func() time.Time) *Scheduler {
	return &Scheduler{net: net, opt: o, news: make(chan struct{}, 1), idle: make(chan struct{}),
		pace: pace{now: now}, shared: prefixes{chunk: o.Chunk, limit: o.PrefixBytes}}
}

func orElse(n, otherwise int) int {
	if n == 0 {
		return otherwise
	}
	return n
}

// Submit queues a request. Those of higher priority go first. The answer ends with the context's error within one step
// of its end. Progress and Token of the request are not called: events tell the same.
func (s *Scheduler) Submit(ctx context.Context, req Request, priority int) (*Stream, error) {
	if err := req.validate(); err != nil {
		return nil, err
	}
	if err := checkTokens(req.Tokens, s.net.Config().VocabSize); err != nil {
		return nil, err
	}
	q, err := newSequence(ctx, s, req, priority)
	if err != nil {
		return nil, err
	}
	if s.opt.CacheBytes > 0 && q.bytes > s.opt.CacheBytes {
		q.release()
		return nil, fmt.Errorf("infer: prompt and answer of %d tokens need %.1f MB of cache, but all sequences together may take %.1f MB: shorten the prompt or ask for fewer tokens",
			q.room, float64(q.bytes)/1e6, float64(s.opt.CacheBytes)/1e6)
	}
	s.mu.Lock()
	switch {
	case s.closed:
		err = ErrClosed
	case len(s.waiting) >= s.opt.Queue:
		err = ErrBusy
	default:
		s.waiting = append(s.waiting, q)
	}
	s.mu.Unlock()
	if err != nil {
		q.release()
		return nil, err
	}
	s.wake()
	return q.stream, nil
}

// Generate is Submit for a caller that waits: emit, and Progress and Token of the request, are called by its own
// goroutine. Only this sequence rests while they take their time. The error of emit ends the answer.
func (s *Scheduler) Generate(ctx context.Context, req Request, priority int, emit func(text string) error) (Result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := s.Submit(ctx, req, priority)
	if err != nil {
		return Result{Tokens: []int32{}}, err
	}
	read := -1
	for {
		e, more := stream.Next()
		if !more {
			return stream.Result()
		}
		if req.Progress != nil && e.Read != read {
			read = e.Read
			req.Progress(read, len(req.Tokens))
		}
		if req.Token != nil {
			for _, t := range e.Tokens {
				req.Token(t)
			}
		}
		if emit != nil && e.Text != "" {
			if err := emit(e.Text); err != nil {
				cancel()
				r, _ := stream.Result()
				return r, err
			}
		}
	}
}

// Stats returns the counts of now.
func (s *Scheduler) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Waiting = len(s.waiting)
	return s.stats
}

// Close takes no more requests and waits until all that were taken are answered. When ctx ends first, they are ended
// with ErrClosed, and Close returns the context's error. The Net is free afterwards.
func (s *Scheduler) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.wake()
	select {
	case <-s.idle:
		return nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	all := slices.Concat(s.waiting, s.running)
	s.mu.Unlock()
	for _, q := range all {
		q.cancel(ErrClosed)
	}
	s.wake()
	<-s.idle
	return ctx.Err()
}

func (s *Scheduler) wake() {
	select {
	case s.news <- struct{}{}:
	default:
	}
}

// loop runs rounds until the scheduler is closed and empty.
func (s *Scheduler) loop() {
	defer close(s.idle)
	for {
		s.admit()
		stepped := s.step()
		read := s.read()
		if s.count() {
			return
		}
		if !stepped && !read {
			<-s.news
		}
	}
}

// each calls f for every sequence of the batch, in parallel.
func (s *Scheduler) each(f func(q *sequence)) {
	workers := min(len(s.batch), runtime.GOMAXPROCS(0))
	if workers < 2 {
		for _, q := range s.batch {
			f(q)
		}
		return
	}
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() {
			for i := w; i < len(s.batch); i += workers {
				f(s.batch[i])
			}
		})
	}
	group.Wait()
}

// step steps the sequences that are answering and can go on. It says whether there were any.
func (s *Scheduler) step() bool {
	s.batch = s.batch[:0]
	for _, q := range s.running {
		if q.answering() && !q.stream.full() && q.live() {
			s.batch = append(s.batch, q)
		}
	}
	if len(s.batch) == 0 {
		return false
	}
	s.guess()
	if len(s.batch) == 0 {
		return true
	}
	begin := s.pace.now()
	rows := s.run()
	s.pace.stepped(rows, s.pace.now().Sub(begin))
	s.each((*sequence).draw)
	for _, q := range s.batch {
		q.settle()
	}
	return true
}

// guess prepares the steps of the batch, with guesses as far as they pay.
func (s *Scheduler) guess() {
	var who []*odds
	most := forward.Short
	for _, q := range s.batch {
		if q.guess == nil {
			continue
		}
		if o := q.guess.can(); o != nil {
			who = append(who, o)
			most = min(most, q.guess.most())
		}
	}
	k := s.pace.best(who, len(s.batch)-len(who), most)
	for _, q := range s.batch {
		q.prepare(k)
	}
	s.dropEnded()
}

// dropEnded takes sequences that have ended out of the batch.
func (s *Scheduler) dropEnded() {
	s.batch = slices.DeleteFunc(s.batch, func(q *sequence) bool { return q.ended })
}

// run runs the steps of the batch together, and returns how many tokens they have. When that fails, each is tried by
// itself, so that it fails for those alone whose fault it is.
func (s *Scheduler) run() (rows int) {
	s.steps = s.steps[:0]
	for _, q := range s.batch {
		s.steps = append(s.steps, &q.step)
		rows += len(q.step.Tokens)
	}
	err := s.net.Run(context.Background(), s.steps)
	if err == nil {
		return rows
	}
	var failed []*sequence
	for _, q := range s.batch {
		if q.cache.Len() == q.before()+len(q.step.Tokens) {
			q.step.Logits = slices.Clone(q.step.Logits) // the Net's, until its next run
		} else {
			failed = append(failed, q)
		}
	}
	for _, q := range failed {
		q.again(err)
	}
	s.dropEnded()
	return rows
}

// read reads a chunk of the prompt whose turn it is. It says whether there was one.
func (s *Scheduler) read() bool {
	var q *sequence
	for _, c := range s.running {
		if c.answering() || !c.live() {
			continue
		}
		if q == nil || c.priority > q.priority || c.priority == q.priority && c.turn < q.turn {
			q = c
		}
	}
	if q == nil {
		return false
	}
	s.turn++
	q.turn = s.turn
	q.readChunk(&s.shared)
	return true
}
