package bench

// Running a model: what it takes to read a prompt, to make one token after the other, and to make them for several
// sequences together.

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"github.com/haenyeo/haenyeo/forward"
	"github.com/haenyeo/haenyeo/infer"
	"github.com/haenyeo/haenyeo/internal/machine"
	"github.com/haenyeo/haenyeo/kernel"
)

// Running is a model and how it is run. Lengths shrink to the model's window.
type Running struct {
	Engine    *kernel.Engine
	Net       *forward.Net
	DType     kernel.DType
	Prompt    int // tokens
	New       int // tokens
	Sequences int // together
	Runs      int
	Sampling  infer.Sampling // of Decode
	Ledger    *Ledger        // holds the last measurement afterwards; nil: one that is forgotten
}

// sized is r with lengths that fit the window.
func (r Running) sized(prompt, made int) Running {
	r.Prompt, r.New = prompt, made
	if w := r.Net.Config().MaxPositionEmbeddings; w > 0 {
		r.Prompt = min(r.Prompt, max(1, w-r.New))
		r.New = min(r.New, w-r.Prompt)
	}
	if r.Ledger == nil {
		r.Ledger = NewLedger(false)
	}
	return r
}

// Phase is what one way of running a model takes.
type Phase struct {
	Result
	Bytes int64         `json:"bytes"`       // of weights and caches, read for a token
	Took  time.Duration `json:"ns"`          // of the run that Parts belong to
	Made  int           `json:"tokens"`      // in this run
	Parts []Part        `json:"parts"`       // where its time went, the most first
	Cache int64         `json:"cache_bytes"` // memory of its caches

	arithmetic bool // OfPeak is of arithmetic; else of the bandwidth of reading
}

// Prefill measures tokens/s of reading a prompt, against the peak of products at two operations for each parameter that
// a token meets.
func Prefill(ctx context.Context, r Running) (*Phase, error) {
	r = r.sized(r.Prompt, 0)
	prompt := randomTokens(r.Prompt, r.Net.Config().VocabSize)
	c, err := r.Net.NewCache(r.Prompt)
	if err != nil {
		return nil, err
	}
	p, err := r.measure(ctx, fmt.Sprintf("prefill %d %v", r.Prompt, r.DType), r.Prompt, func() error {
		c.Truncate(0)
		return r.Net.Run(ctx, []*forward.Step{{Cache: c, Tokens: prompt}})
	})
	if err != nil {
		return nil, err
	}
	p.Cache, p.arithmetic = r.Net.CacheBytes(r.Prompt), true
	return p, nil
}

// Decode measures tokens/s of making one token after the other, sampling included.
func Decode(ctx context.Context, r Running) (*Phase, error) {
	r = r.sized(r.Prompt, r.New)
	if r.New < 1 {
		return nil, r.noRoom()
	}
	prompt := randomTokens(r.Prompt, r.Net.Config().VocabSize)
	s, err := infer.NewSession(r.Net, r.Prompt+r.New)
	if err != nil {
		return nil, err
	}
	if r.Prompt > 1 {
		if _, err := s.Step(ctx, prompt[:r.Prompt-1]); err != nil {
			return nil, err
		}
	}
	// The prompt is known but for its last token: every run is r.New steps.
	q := infer.Request{Tokens: prompt, MaxTokens: r.New, Sampling: r.Sampling}
	p, err := r.measure(ctx, fmt.Sprintf("decode %d after %d %v", r.New, r.Prompt, r.DType), r.New, func() error {
		_, err := infer.Generate(ctx, s, q, nil)
		return err
	})
	if err == nil {
		p.Cache = r.Net.CacheBytes(r.Prompt + r.New)
	}
	return p, err
}

// FirstToken is how long a model that was just opened takes to make a token, behind a short prompt.
func FirstToken(ctx context.Context, r Running) (time.Duration, error) {
	r = r.sized(8, 1)
	began := time.Now()
	s, err := infer.NewSession(r.Net, r.Prompt+1)
	if err != nil {
		return 0, err
	}
	prompt := randomTokens(r.Prompt, r.Net.Config().VocabSize)
	_, err = infer.Generate(ctx, s, infer.Request{Tokens: prompt, MaxTokens: 1, Sampling: r.Sampling}, nil)
	return time.Since(began), err
}

// Together measures tokens/s of r.Sequences sequences that make a token each in a step. Nothing is drawn: the server
// draws for all of them at once.
func Together(ctx context.Context, r Running) (*Phase, error) {
	r = r.sized(r.Prompt, r.New)
	if r.New < 1 {
		return nil, r.noRoom()
	}
	prompt := randomTokens(r.Prompt, r.Net.Config().VocabSize)
	next := randomTokens(r.Sequences, r.Net.Config().VocabSize)
	var steps []*forward.Step
	for i := range r.Sequences {
		c, err := r.Net.NewCache(r.Prompt + r.New)
		if err != nil {
			return nil, err
		}
		if err := r.Net.Run(ctx, []*forward.Step{{Cache: c, Tokens: prompt}}); err != nil {
			return nil, err
		}
		steps = append(steps, &forward.Step{Cache: c, Tokens: next[i : i+1]})
	}
	p, err := r.measure(ctx, fmt.Sprintf("%d together %d after %d %v", r.Sequences, r.New, r.Prompt, r.DType), r.Sequences*r.New, func() error {
		for _, s := range steps {
			s.Cache.Truncate(r.Prompt)
		}
		for i := range r.New {
			for j, s := range steps {
				s.Tokens[0] = (next[j] + int32(i)) % int32(r.Net.Config().VocabSize)
			}
			if err := r.Net.Run(ctx, steps); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		p.Cache = int64(r.Sequences) * r.Net.CacheBytes(r.Prompt+r.New)
	}
	return p, err
}

func (r *Running) noRoom() error {
	return fmt.Errorf("bench: the model's window of %d leaves no token to make", r.Net.Config().MaxPositionEmbeddings)
}

// measure times runs of f, which reads or makes tokens, then one more that the ledger watches.
func (r *Running) measure(ctx context.Context, name string, tokens int, f func() error) (*Phase, error) {
	debug.FreeOSMemory() // what another phase left is not this one's
	rates, err := repeat(ctx, r.Runs, float64(tokens), f)
	if err != nil {
		return nil, err
	}
	r.Net.SetTracer(r.Ledger)
	defer r.Net.SetTracer(nil)
	r.Ledger.Start()
	err = f()
	r.Ledger.Stop()
	if err != nil {
		return nil, err
	}
	p := &Phase{Result: result(name, "tokens/s", rates, 0, r.Engine.Pool().Threads()), Made: tokens, Parts: r.Ledger.Parts()}
	for _, part := range p.Parts {
		p.Took += part.Time
	}
	p.Bytes = r.Ledger.Bytes() / int64(tokens)
	return p, nil
}

// Limits are what this machine can do, measured in the same minute.
type Limits struct {
	Ops  float64 `json:"ops"`   // a second, in products
	Read float64 `json:"bytes"` // a second, from memory
}

// Measure takes more memory than many models: it comes last. The phases are given their shares.
func Measure(r Running, phases ...*Phase) Limits {
	l := Limits{Ops: 1e9 * r.Engine.Peak(r.DType), Read: machine.ReadBandwidth(r.Engine, 150*time.Millisecond)}
	_, active := r.Net.Config().Sizes()
	for _, p := range phases {
		if p.arithmetic {
			p.of(l.Ops / (2 * float64(active)))
		} else if p.Bytes > 0 {
			p.of(l.Read / float64(p.Bytes))
		}
	}
	return l
}

func randomTokens(n, vocab int) []int32 {
	rng := rand.New(rand.NewPCG(2, 0))
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = int32(rng.IntN(vocab))
	}
	return ids
}
