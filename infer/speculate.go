package infer

// Speculation: guess the next few tokens cheaply, let the model read all of them in one step, and keep those that it
// would have made itself.
//
// A step of k+1 tokens costs little more than a step of one, because both read all weights once. It gives logits
// after the last certain token and after every guess. reply.take draws a token from the first of them, as ever. While
// the token drawn is the guess that was read there, the logits after that guess are those that a step of this token
// would have given, and the next token is drawn from them. At the first token that is not its guess the rest is
// forgotten.
//
// This is rejection sampling, exact in a stronger sense than usual. Let p be the model's distribution at a place, after
// rules, temperature and cuts, and x the token drawn from it with the answer's next random number u: x = F(p,u). The
// guess g was made before u is used and is accepted if g = x, that is with probability p(g) when g does not depend on
// u; else x stands in its place. In both cases the token that is kept is x, so that it is distributed as p, whatever the
// guess was and however it came about: nothing has to be known about how guesses are distributed. By induction over
// places the whole answer is the one that is made without guesses, token by token, because the logits are the same
// bits (forward.Short) and every place consumes the same random number. The usual scheme (Leviathan and others 2023;
// Chen and others 2023) accepts a guess drawn from q with probability min(1, p/q) and keeps the distribution only: its
// text depends on where guesses were made. Here guesses can be switched on and off by the clock without a trace.
//
// The MTP layer draws its guesses with the same u: x' = F(q,u). Where q is near p the two draws mostly agree, also at
// high temperatures, where the most probable token would often be wrong.

import (
	"context"
	"errors"

	"github.com/haenyeo/haenyeo/forward"
)

// Speculation says how tokens are guessed ahead. The text does not depend on it. The zero value does not guess.
type Speculation struct {
	NGram bool // what followed the last few tokens when they stood in the context before
	MTP   bool // by the model's multi-token prediction layer; forward.Options.MTP must be set
	Most  int  // most guesses read in one step; 0: as many as pay
}

func (s Speculation) on() bool { return s.NGram || s.MTP }

func (s Speculation) most() int {
	if s.Most > 0 {
		return min(s.Most, forward.Short-1)
	}
	return forward.Short - 1
}

// guesser guesses for one answer.
type guesser struct {
	Speculation
	net     *forward.Net
	pace    *pace
	ngrams  *ngrams   // nil: unused
	mtp     *mtpDraft // nil: unused
	history []int32
	tokens  []int32 // what was guessed
	from    *odds   // of those who guessed it

	byNGram, byMTP odds

	guessed, right int // so far
}

// newGuesser begins to guess for an answer to req, whose tokens are drawn by sample. It is nil when nothing is to be
// guessed.
func newGuesser(net *forward.Net, req *Request, sample *sampler, p *pace) (*guesser, error) {
	if !req.Speculation.on() {
		return nil, nil
	}
	g := &guesser{Speculation: req.Speculation, net: net, pace: p, byMTP: odds{costs: true}}
	if g.NGram {
		g.ngrams = newNGrams()
		g.made(req.Tokens...)
	}
	if g.MTP {
		var err error
		if g.mtp, err = newMTPDraft(net, len(req.Tokens)+req.limit()+forward.Short, sample); err != nil {
			return nil, err
		}
	}
	return g, nil
}

// made takes note of tokens of the prompt or the answer.
func (g *guesser) made(tokens ...int32) {
	if g != nil && g.ngrams != nil {
		g.history = append(g.history, tokens...)
		g.ngrams.add(g.history)
	}
}

// states is room for what forward.Step.States is to receive for n tokens, or nil.
func (g *guesser) states(n int) []float32 {
	if g == nil || g.mtp == nil {
		return nil
	}
	return g.mtp.room(n)
}

// read takes note that tokens were read, whose states are in the last room.
func (g *guesser) read(ctx context.Context, tokens []int32) error {
	if g == nil || g.mtp == nil {
		return nil
	}
	return g.mtp.read(ctx, tokens)
}

// gap takes note that the context grew by tokens whose states are not known.
func (g *guesser) gap() {
	if g != nil && g.mtp != nil {
		g.mtp.rows, g.mtp.next = 0, g.mtp.next[:0]
	}
}

// can says who could guess now: its odds, nil for nobody.
func (g *guesser) can() *odds {
	g.from = nil
	switch {
	case g.ngrams != nil && g.ngrams.follow(g.history) >= 0:
		g.from = &g.byNGram
	case g.mtp != nil:
		g.from = &g.byMTP
	}
	return g.from
}

// guess guesses up to k tokens after last, the token that was drawn and is not read yet. can came before.
func (g *guesser) guess(ctx context.Context, last int32, k int) ([]int32, error) {
	g.tokens = g.tokens[:0]
	switch {
	case g.from == nil || k < 1:
	case g.from == &g.byNGram:
		at := g.ngrams.follow(g.history)
		g.tokens = append(g.tokens, g.history[at:min(at+k, len(g.history))]...)
	default:
		begin := g.pace.now()
		var err error
		if g.tokens, err = g.mtp.guess(ctx, g.tokens, last, k); err != nil {
			return nil, err
		}
		g.pace.guessed(k, g.pace.now().Sub(begin))
	}
	return g.tokens, nil
}

// judged takes note that right of the guesses were what the model made.
func (g *guesser) judged(right int) {
	switch {
	case g == nil:
	case len(g.tokens) > 0:
		g.from.judge(len(g.tokens), right)
		g.guessed += len(g.tokens)
		g.right += right
	case g.from != nil:
		g.from.forget()
	}
}

// verifier is a Stepper that can read guesses.
type verifier interface {
	Stepper
	// speculate begins to guess for an answer to req, or, as req asks, does not: then it returns nil.
	speculate(req *Request, sample *sampler) (*guesser, error)
	// stepEvery is Step with the logits [T,V] after every token.
	stepEvery(ctx context.Context, tokens []int32) ([]float32, error)
	// keep forgets the tokens of the last stepEvery but the first n.
	keep(ctx context.Context, n int) error
}

// decodeAhead is decode with guesses.
func decodeAhead(ctx context.Context, step verifier, a *reply, g *guesser, logits []float32) error {
	id, err := a.take(logits)
	g.made(a.r.Tokens...)
	for tokens := make([]int32, 0, forward.Short); err == nil && !a.done; {
		if err := ctx.Err(); err != nil {
			return err
		}
		k := 0
		if who := g.can(); who != nil {
			k = g.pace.best([]*odds{who}, 0, a.mostGuesses(g))
		}
		guesses, err := g.guess(ctx, id, k)
		if err != nil {
			return err
		}
		tokens = append(append(tokens[:0], id), guesses...)
		begin := g.pace.now()
		if logits, err = step.stepEvery(ctx, tokens); err != nil {
			return err
		}
		g.pace.stepped(len(tokens), g.pace.now().Sub(begin))
		before := len(a.r.Tokens)
		var drawn int
		drawn, id, err = a.judge(logits, guesses)
		g.judged(drawn - 1)
		a.r.Guessed, a.r.Right = g.guessed, g.right
		g.made(a.r.Tokens[before:]...)
		if err = errors.Join(err, step.keep(ctx, drawn)); err != nil {
			return err
		}
	}
	return err
}

// mostGuesses is how many guesses can be of use: one token is drawn in any case.
func (a *reply) mostGuesses(g *guesser) int { return min(g.most(), a.limit-len(a.r.Tokens)-1) }

// judge draws tokens for a from logits [len(guesses)+1,V] until one is not its guess or the answer is done. It returns
// how many were drawn, and the last.
func (a *reply) judge(logits []float32, guesses []int32) (drawn int, last int32, err error) {
	v := len(logits) / (len(guesses) + 1)
	for {
		last, err = a.take(logits[drawn*v:][:v])
		if drawn++; err != nil || a.done || drawn > len(guesses) || last != guesses[drawn-1] {
			return drawn, last, err
		}
	}
}
