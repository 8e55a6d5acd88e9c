package infer

// One sequence of a Scheduler: its prompt chunk by chunk, then token by token.

import (
	"context"
	"fmt"
	"slices"

	"github.com/haenyeo/haenyeo/forward"
)

// sequence belongs to the loop of its scheduler once it was submitted.
type sequence struct {
	net      *forward.Net
	ctx      context.Context
	cancel   context.CancelCauseFunc
	forget   func() bool // stops waking the scheduler at the end of ctx
	priority int
	turn     int   // when it was served last
	room     int   // tokens of prompt and answer
	bytes    int64 // of the caches for as many

	req    Request
	reply  *reply
	stream *Stream
	cache  *forward.Cache
	guess  *guesser
	pace   *pace
	chunk  int

	store *PrefixStore // nil: there is none
	link  link         // of the chunks that were read
	chain []link       // of each of them

	at      int         // tokens of the prompt that were read
	node    *prefixNode // of the shared beginning that was read, nil when it is not followed
	last    int32       // the token that was drawn last and is not read yet
	step    forward.Step
	one     [1]*forward.Step
	tokens  []int32 // of step
	guesses []int32 // the end of tokens
	drawn   int     // tokens drawn after step
	err     error   // of the last draw
	ended   bool

	counted struct{ made, guessed, right int } // in the stats
	read    bool                               // the prompt is in the stats
}

func newSequence(ctx context.Context, s *Scheduler, req Request, priority int) (*sequence, error) {
	q := &sequence{net: s.net, priority: priority, pace: &s.pace, chunk: s.opt.Chunk, stream: newStream(s.wake)}
	q.req = req
	q.req.Token, q.req.Progress = q.stream.addToken, nil
	if q.store = s.opt.Prefixes; q.req.pool != nil {
		q.store = nil // what is pooled is read
	} else if q.store != nil {
		q.link = q.store.root(q.chunk, req.Salt)
	}
	q.room = len(req.Tokens) + req.limit()
	q.bytes = s.net.CacheBytes(q.room)
	if req.Speculation.MTP {
		q.bytes += s.net.DraftBytes(q.room)
	}
	var err error
	if q.reply, err = newReply(&q.req, q.stream.addText); err != nil {
		return nil, err
	}
	q.ctx, q.cancel = context.WithCancelCause(ctx)
	q.forget = context.AfterFunc(q.ctx, s.wake)
	q.one[0] = &q.step
	return q, nil
}

// release frees what a sequence holds that will never run.
func (q *sequence) release() {
	q.forget()
	q.cancel(nil)
}

// enter gives the sequence its caches. shared is the tree of beginnings.
func (q *sequence) enter(shared *prefixes) {
	if q.reply.done {
		q.end(nil)
		return
	}
	var err error
	if q.cache, err = q.net.NewCache(q.room); err != nil {
		q.end(err)
		return
	}
	if q.guess, err = newGuesser(q.net, &q.req, q.reply.sample, q.pace); err != nil {
		q.end(err)
		return
	}
	if shared.limit > 0 && q.req.pool == nil {
		q.stand(&shared.root)
	}
}

// stand moves the sequence to a node of the tree, or out of it.
func (q *sequence) stand(n *prefixNode) {
	if q.node != nil {
		q.node.readers--
	}
	if q.node = n; n != nil {
		n.readers++
	}
}

// answering says whether the prompt is read.
func (q *sequence) answering() bool { return q.at == len(q.req.Tokens) }

// live says whether the sequence goes on; it ends when its context has.
func (q *sequence) live() bool {
	if !q.ended && q.ctx.Err() != nil {
		q.end(context.Cause(q.ctx))
	}
	return !q.ended
}

// end ends the sequence.
func (q *sequence) end(err error) {
	if err != nil && q.ctx.Err() != nil {
		err = context.Cause(q.ctx) // that is why it failed
	}
	q.ended = true
	q.stand(nil)
	q.release()
	q.cache, q.step = nil, forward.Step{}
	q.stream.end(q.reply.result(), err)
}

// readChunk reads the next chunk of the prompt, behind those that are shared already.
func (q *sequence) readChunk(shared *prefixes) {
	if err := q.nextChunk(shared); err != nil {
		q.end(err)
	}
}

func (q *sequence) nextChunk(shared *prefixes) error {
	prompt := q.req.Tokens
	if more, err := q.reuse(shared); err != nil || more {
		return err
	}
	lo := q.at
	hi := min(lo+q.chunk, len(prompt))
	tokens := prompt[lo:hi]
	q.step = forward.Step{Cache: q.cache, Tokens: tokens, States: q.guess.states(len(tokens)), Hidden: q.req.pool.room(len(tokens))}
	if err := q.net.Run(q.ctx, q.one[:]); err != nil {
		return err
	}
	q.req.pool.add(q.step.Hidden)
	logits := q.step.Logits
	if err := q.share(shared, lo, tokens); err != nil {
		return err
	}
	q.at = hi
	q.stream.addRead(hi)
	if q.answering() {
		q.stand(nil)
		q.mark()
		id, err := q.reply.take(logits)
		if err != nil {
			return err
		}
		if q.reply.done {
			q.end(nil)
			return nil
		}
		q.last = id
		q.guess.made(id)
	}
	return q.guess.read(q.ctx, tokens)
}

// reuse takes what others have read of the same beginning, in memory or on disk. The last token is always read, for its
// logits. more says that the others should have their turn before the rest is taken from the disk.
func (q *sequence) reuse(shared *prefixes) (more bool, err error) {
	var loaded int64
	for q.at+q.chunk < len(q.req.Tokens) && (q.node != nil || q.store != nil) {
		tokens := q.req.Tokens[q.at : q.at+q.chunk]
		next, part := q.find(shared, tokens)
		if part == nil {
			break
		}
		if err := q.cache.Append(part); err != nil {
			return false, err
		}
		q.stand(next)
		q.follow(tokens)
		q.at += q.chunk
		q.reply.r.Reused += q.chunk
		q.guess.gap()
		q.stream.addRead(q.at)
		if loaded += part.Bytes(); loaded > loadRound {
			return true, nil
		}
	}
	return false, nil
}

// loadRound is how many bytes of a prompt are taken in one round.
const loadRound = 64 << 20

// find gives the next chunk, and where it stands in memory, if it does.
func (q *sequence) find(shared *prefixes, tokens []int32) (*prefixNode, *forward.Part) {
	if q.node != nil {
		if next := shared.find(q.node, tokens, q.req.Salt); next != nil {
			return next, next.part
		}
	}
	if q.store == nil {
		return nil, nil
	}
	part := q.store.get(q.net, q.link.follow(tokens))
	if part == nil || q.node == nil {
		return nil, part
	}
	return shared.add(q.node, tokens, q.req.Salt, part), part
}

// follow takes note of a chunk that was read, and of its place in the store.
func (q *sequence) follow(tokens []int32) {
	if q.store != nil {
		q.link = q.link.follow(tokens)
		q.chain = append(q.chain, q.link)
	}
}

// share gives the chunk that was read from position lo on to the others.
func (q *sequence) share(shared *prefixes, lo int, tokens []int32) error {
	if len(tokens) < q.chunk || q.node == nil && q.store == nil {
		return nil
	}
	var next *prefixNode
	if q.node != nil {
		next = shared.find(q.node, tokens, q.req.Salt)
	}
	var part *forward.Part
	if next == nil {
		var err error
		if part, err = q.cache.Part(lo); err != nil {
			return err
		}
		if q.node != nil {
			next = shared.add(q.node, tokens, q.req.Salt, part)
		}
	}
	q.stand(next)
	q.follow(tokens)
	if q.store != nil && part != nil {
		q.store.put(q.link, part)
	}
	return nil
}

// mark tells the store which chunks were of use.
func (q *sequence) mark() {
	if len(q.chain) > 0 {
		q.store.mark(q.chain)
		q.chain = nil
	}
}

// prepare sets the next step, with up to k guesses.
func (q *sequence) prepare(k int) {
	q.tokens, q.guesses = append(q.tokens[:0], q.last), nil
	if q.guess != nil {
		guesses, err := q.guess.guess(q.ctx, q.last, min(k, q.reply.mostGuesses(q.guess)))
		if err != nil {
			q.end(err)
			return
		}
		q.tokens = append(q.tokens, guesses...)
		q.guesses = q.tokens[1:]
	}
	q.step = forward.Step{Cache: q.cache, Tokens: q.tokens, Every: len(q.tokens) > 1, States: q.guess.states(len(q.tokens))}
}

// before is how many tokens the cache held before the step.
func (q *sequence) before() int { return len(q.req.Tokens) + len(q.reply.r.Tokens) - 1 }

// again runs the step alone, unless it was run; before says how the first attempt ended.
func (q *sequence) again(before error) {
	if q.cache.Len() != q.before() { // a state that cannot be taken back token by token is lost
		q.end(before)
		return
	}
	if err := q.net.Run(q.ctx, q.one[:]); err != nil {
		q.end(err)
		return
	}
	q.step.Logits = slices.Clone(q.step.Logits)
}

// draw draws tokens from the logits of the step. Sequences draw at the same time: it touches nothing that they share.
func (q *sequence) draw() {
	had := len(q.reply.r.Tokens)
	q.drawn, q.last, q.err = q.reply.judge(q.step.Logits, q.guesses)
	q.guess.made(q.reply.r.Tokens[had:]...)
}

// settle brings the caches to what was drawn.
func (q *sequence) settle() {
	q.guess.judged(q.drawn - 1)
	switch {
	case q.err != nil || q.reply.done:
		q.end(q.err)
	default:
		if err := q.keep(); err != nil {
			q.end(err)
		}
	}
}

// keep forgets the guesses that were wrong.
func (q *sequence) keep() error {
	if err := q.guess.read(q.ctx, q.tokens[:q.drawn]); err != nil {
		return err
	}
	n := q.before()
	if q.cache.Truncate(n); q.cache.Len() == n {
		return nil
	}
	// The layers went back further. Short steps give the same bits again.
	all := slices.Concat(q.req.Tokens, q.reply.r.Tokens)
	if q.cache.Len() < len(q.req.Tokens) {
		return fmt.Errorf("infer: a cache of %d tokens went back to %d, into the prompt", n, q.cache.Len())
	}
	for q.cache.Len() < n {
		at := q.cache.Len()
		q.step = forward.Step{Cache: q.cache, Tokens: all[at:min(n, at+forward.Short)]}
		if err := q.net.Run(q.ctx, q.one[:]); err != nil {
			return err
		}
	}
	return nil
}
