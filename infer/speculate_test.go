package infer

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/haenyeo/haenyeo/forward"
)

// eager is a Session that guesses as much as it may: plain steps seem to take an hour.
type eager struct {
	*Session
	t     *testing.T
	steps [][]int32 // tokens of every step
	at    []int     // tokens in the context before it
}

func (e *eager) speculate(req *Request, sample *sampler) (*guesser, error) {
	g, err := e.Session.speculate(req, sample)
	if g != nil {
		e.pace = pace{clock: 1, now: time.Now}
		e.pace.steps[1] = timing{3600, 1}
		e.pace.guess = 1e-9
	}
	return g, err
}

func (e *eager) stepEvery(ctx context.Context, tokens []int32) ([]float32, error) {
	e.steps, e.at = append(e.steps, slices.Clone(tokens)), append(e.at, len(e.Tokens()))
	return e.Session.stepEvery(ctx, tokens)
}

func (e *eager) guesses() (n int) {
	for _, s := range e.steps {
		n += len(s) - 1
	}
	return n
}

// Guessing changes neither the answer, to the bits of its log-probabilities, nor what the session holds.
func TestGuessingChangesNothing(t *testing.T) {
	check := func(net *forward.Net, name string, how Speculation) {
		t.Run(fmt.Sprintf("%s %+v", name, how), func(t *testing.T) {
			e := &eager{Session: newTestSession(t, net, 600), t: t}
			made := 0
			for i, q := range mixed(t, net, 16, how) {
				q.MaxTokens *= 4
				plain := q
				plain.Speculation = Speculation{}
				s := newTestSession(t, net, 600)
				want, err := Generate(context.Background(), s, plain, nil)
				if err != nil {
					t.Fatal(err)
				}
				e.Session = newTestSession(t, net, 600)
				got, err := Generate(context.Background(), e, q, nil)
				if err != nil || !same(got, want) {
					t.Errorf("request %d: %v\n got %v\nwant %v", i, err, got.Tokens, want.Tokens)
				}
				if !slices.Equal(e.Tokens(), s.Tokens()) {
					t.Errorf("request %d: the session holds %d tokens, want %d", i, len(e.Tokens()), len(s.Tokens()))
				}
				made += len(got.Tokens)
			}
			n := e.guesses()
			t.Logf("%d tokens in %d steps, %d guesses", made, len(e.steps), n)
			if n == 0 || how.NGram && !how.MTP && len(e.steps) >= made {
				t.Errorf("%d tokens in %d steps, %d guesses", made, len(e.steps), n)
			}
		})
	}
	for _, name := range goldenNets {
		check(openNet(t, name), name, Speculation{NGram: true})
	}
	for _, name := range predictorNets {
		net := openPredictor(t, name, forward.Publisher)
		check(net, name, Speculation{MTP: true, Most: 2})
		check(net, name, Speculation{NGram: true, MTP: true})
	}
}

// answerOdds are the probabilities of all answers of some length to a prompt, from plain steps: at every place choose
// says which ids can come.
func answerOdds(t *testing.T, net *forward.Net, prompt []int32, length int, temperature float64, choose func(logits []float32) []int32) map[string]float64 {
	odds := map[string]float64{}
	var walk func(made []int32, p float64)
	walk = func(made []int32, p float64) {
		if len(made) == length {
			odds[fmt.Sprint(made)] = p
			return
		}
		logits, err := newTestSession(t, net, 200).Step(context.Background(), slices.Concat(prompt, made))
		if err != nil {
			t.Fatal(err)
		}
		sum, ids := 0.0, choose(logits)
		weights := make([]float64, len(ids))
		for i, id := range ids {
			weights[i] = math.Exp(float64(logits[id]) / temperature)
			sum += weights[i]
		}
		for i, w := range weights {
			walk(append(slices.Clip(made), ids[i]), p*w/sum)
		}
	}
	walk(nil, 1)
	return odds
}

// mostProbable are the k ids of the largest logits.
func mostProbable(logits []float32, k int) []int32 {
	ids := make([]int32, len(logits))
	for i := range ids {
		ids[i] = int32(i)
	}
	slices.SortStableFunc(ids, func(a, b int32) int { return cmp.Compare(logits[b], logits[a]) })
	return ids[:k]
}

// The distribution of answers is the model's: a chi-squared test over all answers of four tokens, guessed by the MTP
// layer and from the context.
func TestGuessingKeepsTheDistribution(t *testing.T) {
	const (
		answers     = 3000
		length      = 4
		temperature = 3 // at which all answers come
	)
	net := openPredictor(t, "deepseek_v32", forward.Publisher)
	allowed := []int32{3, 21, 40, 63}
	var pairs []int32 // every two of them stand somewhere, so that there is always a guess
	for _, a := range allowed {
		for _, b := range allowed {
			pairs = append(pairs, a, b)
		}
	}
	var set uint64
	for _, id := range allowed {
		set |= 1 << id
	}
	for _, c := range []struct {
		name   string
		q      Request
		choose func(logits []float32) []int32
	}{
		{"MTP", Request{Tokens: prompt(net, 30, 5), Speculation: Speculation{MTP: true}, Sampling: Sampling{TopK: 4}},
			func(logits []float32) []int32 { return mostProbable(logits, 4) }},
		{"context", Request{Tokens: pairs, Speculation: Speculation{NGram: true}, Sampling: Sampling{Allowed: func([]int32) []uint64 { return []uint64{set} }}},
			func([]float32) []int32 { return allowed }},
	} {
		t.Run(c.name, func(t *testing.T) {
			want := answerOdds(t, net, c.q.Tokens, length, temperature, c.choose)
			e := &eager{Session: newTestSession(t, net, 100), t: t}
			seen := map[string]int{}
			c.q.MaxTokens, c.q.Temperature = length, temperature
			for i := range answers {
				c.q.Seed = uint64(i)
				r, err := Generate(context.Background(), e, c.q, nil)
				if err != nil {
					t.Fatal(err)
				}
				if want[fmt.Sprint(r.Tokens)] == 0 {
					t.Fatalf("%v is impossible", r.Tokens)
				}
				seen[fmt.Sprint(r.Tokens)]++
			}
			// Answers that are expected fewer than 5 times count together.
			var chi, degrees, rest float64
			restSeen := answers
			for a, p := range want {
				if n := p * answers; n >= 5 {
					d := float64(seen[a]) - n
					chi += d * d / n
					degrees++
					restSeen -= seen[a]
				} else {
					rest += n
				}
			}
			if rest >= 5 {
				chi += (float64(restSeen) - rest) * (float64(restSeen) - rest) / rest
				degrees++
			}
			degrees--
			// With so many degrees chi-squared is nearly normal, of variance 2·degrees: four deviations.
			limit := degrees + 4*math.Sqrt(2*degrees)
			t.Logf("chi-squared %.1f of %.0f degrees, %d guesses, %d steps for %d tokens", chi, degrees, e.guesses(), len(e.steps), answers*length)
			if chi > limit || degrees < 50 {
				t.Errorf("chi-squared %.1f of %.0f degrees, must be below %.1f", chi, degrees, limit)
			}
			// Without a right guess an answer takes three steps after the first token.
			if e.guesses() < answers || len(e.steps) > answers*(length-1)*99/100 {
				t.Errorf("%d guesses, %d steps for %d answers", e.guesses(), len(e.steps), answers)
			}
		})
	}
}

// The MTP layer is fed with the right tokens and states: its first guess is that of the whole text.
func TestMTPGuess(t *testing.T) {
	for _, name := range predictorNets {
		// With the publisher's roundings a last bit can choose other tokens to attend to.
		net := openPredictor(t, name, forward.None)
		for _, n := range []int{1, 2, 40, 90} {
			e := &eager{Session: newTestSession(t, net, 300), t: t}
			p := prompt(net, n, 7)
			r, err := Generate(context.Background(), e, Request{Tokens: p, MaxTokens: 50, Speculation: Speculation{MTP: true, Most: 3}}, nil)
			if err != nil {
				t.Fatal(err)
			}
			text := slices.Concat(p, r.Tokens)
			for i, step := range e.steps {
				if len(step) == 1 {
					continue
				}
				at := e.at[i]
				logits, err := net.MTPLogits(context.Background(), text[:at+1])
				if err != nil {
					t.Fatal(err)
				}
				logits = logits[len(logits)-net.Config().VocabSize:]
				if best := slices.Max(logits); logits[step[1]] < best-1e-3 {
					t.Errorf("%s, %d tokens: guessed %d of logit %v, the largest is %v", name, at, step[1], logits[step[1]], best)
				}
			}
		}
	}
}

// What followed the last run of tokens is found where it stood last, the longest run first.
func TestNGrams(t *testing.T) {
	for _, c := range []struct {
		history []int32
		want    int
	}{
		{[]int32{1, 2, 3}, -1},
		{[]int32{1, 2, 3, 1, 2}, 2},
		{[]int32{1, 2, 3, 1, 2, 4, 1, 2}, 5},                                // the later one
		{[]int32{9, 8, 1, 2, 5, 3, 1, 2, 6, 9, 8, 1, 2}, 4},                 // a run of four goes before
		{[]int32{7, 7, 7}, 2},                                               // one that overlaps itself
		{[]int32{1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 1, 2, 3}, 13}, // the period that came last
		{nil, -1}, {[]int32{1}, -1}, {[]int32{1, 1}, -1},
	} {
		n := newNGrams()
		for i := range c.history { // one by one, as an answer grows
			n.add(c.history[:i+1])
		}
		if got := n.follow(c.history); got != c.want {
			t.Errorf("%v: %d, want %d", c.history, got, c.want)
		}
	}
}

// The rule: guess while it gives more tokens per second.
func TestPace(t *testing.T) {
	ms := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	sure, unsure, hopeless := &odds{right: 90, judged: 98}, &odds{right: 48, judged: 98}, &odds{judged: 98}
	fresh := func() *pace { return &pace{} }
	measured := func(row func(n int) int) *pace {
		p := fresh()
		for n := 1; n <= forward.Short; n++ {
			p.stepped(n, ms(row(n)))
		}
		return p
	}
	memory := measured(func(n int) int { return 100 + 3*n }) // bound by memory: rows are nearly free
	compute := measured(func(n int) int { return 100 * n })
	costly := *memory
	costly.guess = 0.05
	dear := &odds{right: 90, judged: 98, costs: true}
	for _, c := range []struct {
		name   string
		p      *pace
		who    []*odds
		others int
		lo, hi int
	}{
		{"nobody can", memory, nil, 3, 0, 0},
		{"plain steps first", fresh(), []*odds{sure}, 0, 0, 0},
		{"free and sure", memory, []*odds{sure}, 0, 8, 15},
		{"free and unsure", memory, []*odds{unsure}, 0, 2, 6},
		{"free and hopeless", memory, []*odds{hopeless}, 0, 0, 0},
		{"no gain", compute, []*odds{sure}, 0, 0, 0},
		{"guesses cost", &costly, []*odds{dear}, 0, 1, 3},
		{"guesses cost too much", &costly, []*odds{{right: 30, judged: 98, costs: true}}, 0, 0, 0},
		{"four together", memory, []*odds{sure, sure, sure, sure}, 0, 2, 3},
		{"no room beside others", memory, []*odds{sure}, 15, 0, 0},
		{"a little room", memory, []*odds{sure}, 13, 2, 2},
		{"too many", memory, []*odds{sure}, 40, 0, 0},
	} {
		if k := c.p.best(c.who, c.others, 15); k < c.lo || k > c.hi {
			t.Errorf("%s: %d guesses, want %d to %d", c.name, k, c.lo, c.hi)
		}
	}

	// A process that is slow with many rows for a while: guessing goes off, and comes back.
	p, o := fresh(), &odds{right: 48, judged: 60}
	took := func(rows int, slow bool) time.Duration {
		if slow {
			return ms(100 * rows)
		}
		return ms(100)
	}
	share := func(slow bool, steps int) float64 {
		guessed := 0
		for range steps {
			k := p.best([]*odds{o}, 0, 7)
			p.stepped(1+k, took(1+k, slow))
			if k > 0 {
				guessed++
				o.judge(k, k*4/5)
			} else {
				o.forget()
			}
		}
		return float64(guessed) / float64(steps)
	}
	if s := share(false, 200); s < 0.9 {
		t.Errorf("where it pays, %.2f of the steps have guesses", s)
	}
	share(true, 600)
	if s := share(true, 2000); s > 0.1 {
		t.Errorf("where it does not pay, %.2f of the steps have guesses", s)
	}
	share(false, 1000)
	if s := share(false, 200); s < 0.9 {
		t.Errorf("where it pays again, %.2f of the steps have guesses", s)
	}
}

// metered is a Session whose steps seem to take what cost says: no clock is looked at.
type metered struct {
	*Session
	cost           func(rows int) time.Duration
	at             time.Time
	steps, guessed int
}

func (m *metered) speculate(req *Request, sample *sampler) (*guesser, error) {
	m.pace.now = func() time.Time { return m.at }
	return m.Session.speculate(req, sample)
}

func (m *metered) stepEvery(ctx context.Context, tokens []int32) ([]float32, error) {
	m.at = m.at.Add(m.cost(len(tokens)))
	m.steps++
	if len(tokens) > 1 {
		m.guessed++
	}
	return m.Session.stepEvery(ctx, tokens)
}

// Guessing goes on where more rows in a step cost nothing, and is off where every row costs as much as a step; the
// answer is the same, and says what was guessed.
func TestGuessingIsSwitchedOff(t *testing.T) {
	net := openNet(t, "llama-q8_0")
	q := Request{Tokens: prompt(net, 30, 5), MaxTokens: 400, Speculation: Speculation{NGram: true}}
	for i := range 4 { // ids that follow each other in every order: there is always a guess, and a fourth of them are right
		for j := range 4 {
			q.Tokens = append(q.Tokens, int32(10+i), int32(10+j))
		}
	}
	q.Temperature, q.Allowed = 3, func([]int32) []uint64 { return []uint64{15 << 10} }
	var want []int32
	for _, c := range []struct {
		name   string
		cost   func(rows int) time.Duration
		lo, hi float64 // share of steps with guesses
	}{
		{"rows cost nothing", func(int) time.Duration { return time.Second }, 0.7, 1},
		{"every row costs a step", func(rows int) time.Duration { return time.Duration(rows) * time.Second }, 0, 0.1},
	} {
		m := &metered{Session: newTestSession(t, net, 500), cost: c.cost, at: time.Unix(0, 0)}
		r, err := Generate(context.Background(), m, q, nil)
		if err != nil {
			t.Fatal(err)
		}
		if want == nil {
			want = r.Tokens
		}
		share := float64(m.guessed) / float64(m.steps)
		t.Logf("%s: %d tokens in %d steps, %.2f with guesses, %d of %d right", c.name, len(r.Tokens), m.steps, share, r.Right, r.Guessed)
		if share < c.lo || share > c.hi {
			t.Errorf("%s: %.2f of the steps have guesses, want %.2f to %.2f", c.name, share, c.lo, c.hi)
		}
		if !slices.Equal(r.Tokens, want) {
			t.Errorf("%s: another answer", c.name)
		}
		if r.Guessed < r.Right || m.guessed > r.Guessed || m.steps+r.Right+1 != len(r.Tokens) {
			t.Errorf("%s: %d of %d guesses right in %d steps for %d tokens", c.name, r.Right, r.Guessed, m.steps, len(r.Tokens))
		}
	}
}

// A model that is not stepped by a Session cannot guess, and says so.
func TestGuessingNeedsASession(t *testing.T) {
	if _, err := Generate(context.Background(), &script{ids: ids("ab")}, Request{Tokens: []int32{1}, MaxTokens: 2, Speculation: Speculation{NGram: true}}, nil); err == nil {
		t.Error("accepted")
	}
	if _, err := Generate(context.Background(), newTestSession(t, openNet(t, "llama-q8_0"), 10), Request{Tokens: []int32{1}, MaxTokens: 2, Speculation: Speculation{MTP: true}}, nil); err == nil {
		t.Error("MTP of a model without it")
	}
}
