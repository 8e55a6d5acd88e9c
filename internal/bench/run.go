package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/haenyeo/haenyeo/forward"
	"github.com/haenyeo/haenyeo/internal/machine"
	"github.com/haenyeo/haenyeo/kernel"
	"github.com/haenyeo/haenyeo/model"
)

// Running says how a model is run. Lengths shrink to the model's window.
type Running struct {
	DType  kernel.DType
	Prompt int // tokens
	New    int // tokens
	Runs   int

	TokenBytes int64 // of weights that a token meets
}

func (r *Running) fit(c *model.Config) {
	if w := c.MaxPositionEmbeddings; w > 0 {
		r.Prompt = min(r.Prompt, max(1, w-r.New))
		r.New = min(r.New, w-r.Prompt)
	}
}

// Prefill measures tokens/s of reading a prompt, against the peak of products at two operations for
// each parameter that a token meets.
func Prefill(ctx context.Context, e *kernel.Engine, net *forward.Net, r Running) (Result, error) {
	r.New = 0
	r.fit(net.Config())
	peak := 1e9 * e.Peak(r.DType)
	prompt := randomTokens(r.Prompt, net.Config().VocabSize)
	rates, err := repeat(ctx, r.Runs, float64(r.Prompt), func() error {
		c, err := net.NewCache(r.Prompt)
		if err != nil {
			return err
		}
		return net.Run(ctx, []*forward.Step{{Cache: c, Tokens: prompt}})
	})
	if err != nil {
		return Result{}, err
	}
	_, active := net.Config().Sizes()
	return result(fmt.Sprintf("prefill %d %v", r.Prompt, r.DType), "tokens/s", rates, peak/(2*float64(active)), e.Pool().Threads()), nil
}

// Decode measures tokens/s of making one token after the other, against the bandwidth at which the
// weights that a token meets could be read.
func Decode(ctx context.Context, e *kernel.Engine, net *forward.Net, r Running) (Result, error) {
	r.fit(net.Config())
	if r.New < 1 {
		return Result{}, fmt.Errorf("bench: the model's window of %d leaves no token to make", net.Config().MaxPositionEmbeddings)
	}
	prompt := randomTokens(r.Prompt, net.Config().VocabSize)
	next := randomTokens(r.New, net.Config().VocabSize)
	c, err := net.NewCache(r.Prompt + r.New)
	if err != nil {
		return Result{}, err
	}
	if err := net.Run(ctx, []*forward.Step{{Cache: c, Tokens: prompt}}); err != nil {
		return Result{}, err
	}
	step := &forward.Step{Cache: c}
	steps := []*forward.Step{step}
	rates, err := repeat(ctx, r.Runs, float64(r.New), func() error {
		c.Truncate(r.Prompt)
		for i := range next {
			step.Tokens = next[i : i+1]
			if err := net.Run(ctx, steps); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return Result{}, err
	}
	res := result(fmt.Sprintf("decode %d after %d %v", r.New, r.Prompt, r.DType), "tokens/s", rates, 0, e.Pool().Threads())
	res.of(machine.ReadBandwidth(e, 150*time.Millisecond) / float64(r.TokenBytes)) // last: it takes more memory than the model
	return res, nil
}

func randomTokens(n, vocab int) []int32 {
	rng := rand.New(rand.NewPCG(2, 0))
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = int32(rng.IntN(vocab))
	}
	return ids
}
