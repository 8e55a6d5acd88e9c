package create

// This file decides: what to train, on how much of the text, how. It happens once, before the first
// byte is written.

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/haenyeo/haenyeo/corpus"
	"github.com/haenyeo/haenyeo/internal/machine"
	"github.com/haenyeo/haenyeo/model"
	"github.com/haenyeo/haenyeo/optim"
	"github.com/haenyeo/haenyeo/train"
)

// plan is everything that was decided. It is kept in run.json.
type plan struct {
	Preset     string        `json:"preset"`
	Vocab      int           `json:"vocab"`       // asked of the tokenizer
	Fixed      bool          `json:"vocab_fixed"` // by the user: a smaller one will not do
	Batch      int           `json:"batch"`
	Seq        int           `json:"seq"`
	TextBytes  int64         `json:"text_bytes"`  // of the text, as much as the run can use
	EvalTokens int64         `json:"eval_tokens"` // validation tokens of each language
	Options    train.Options `json:"options"`
	Pace       train.Pace    `json:"pace"`
	TokS       float64       `json:"tok_s"`
	RSSMB      int64         `json:"peak_rss_mb"`
	Seconds    float64       `json:"seconds"` // of the whole run
	Epochs     float64       `json:"epochs"`
	Capped     bool          `json:"capped"` // the budget was more than the text is good for

	waste  float64      // of packing; 0 until the text is packed
	mix    string       // Request.Mixture, in words
	config model.Config // for Vocab, then for the vocabulary that was learned
}

const (
	bytesPerToken   = 3.5       // a guess until there is a tokenizer: mixed scripts, vocabulary of 4k to 16k
	learnBytesS     = 8 << 20   // text that a vocabulary is learned from in a second
	readBytesS      = 150 << 20 // text read in a second, decompressed and checked
	finishSeconds   = 3.0       // weights, card and report
	evalShare       = 0.05      // of the training time
	overheadShare   = 0.03      // of the training time: samples, checkpoints
	baseMB          = 120       // program, kernels' scratch, pages of files
	checkpointEvery = 60.0      // seconds
	evaluations     = 12
	samplings       = 8
	evalMost        = 8 << 10 // tokens of a language; more make the figure hardly steadier
	evalLeast       = 1 << 10
	evalSpeedup     = 3.0 // a forward pass is a third of a step

	bytesPerSymbol = 200 // text that a token of the vocabulary should stand on
	smallestVocab  = 512
	leastSteps     = 100 // fewer teach nothing worth keeping; Request.Steps overrides
)

// decide chooses and measures. began is when the run did: the budget counts from there.
func decide(ctx context.Context, r *Request, c *corpus.Corpus, began time.Time) (*plan, error) {
	text, langs := c.Report().Bytes, len(c.Report().Languages)
	r.progress("measuring this machine", -1)
	candidates := r.candidates(text)
	left := func() float64 {
		return (r.budget() - time.Since(began)).Seconds() - prepareSeconds(text) - finishSeconds
	}
	unique := float64(text) / bytesPerToken

	// One measurement of the smallest tells roughly about the others; the chosen one is measured.
	best := candidates[0]
	if need, free, ok := best.fits(); !ok {
		return nil, best.tooLarge(r, need, free)
	}
	s, err := best.measure(ctx, r)
	if err != nil {
		return nil, err
	}
	if c := choose(candidates, s.tokS*best.active()*left(), unique); c != best {
		best = c
		if s, err = best.measure(ctx, r); err != nil {
			return nil, err
		}
	}
	best.TokS = s.tokS
	if err := best.schedule(r, left(), unique, langs); err != nil {
		return nil, err
	}
	// The text that is used, with some to spare; documents are left out evenly.
	tokens := float64(best.Options.Steps) * float64(best.Batch*best.Seq)
	best.TextBytes = min(text, int64(2*tokens*bytesPerToken)+1<<20)
	// A quarter more than was measured: evaluation, samples, pages of files.
	best.RSSMB = (s.bytes*5/4+int64(2*float64(best.TextBytes)/bytesPerToken))>>20 + baseMB
	best.Seconds += time.Since(began).Seconds() + prepareSeconds(text) + finishSeconds
	return best, nil
}

// prepareSeconds is about how long the text takes until the first step: it is read twice more, to
// learn the vocabulary and to tokenise.
func prepareSeconds(text int64) float64 {
	return float64(min(text, learnBytes))/learnBytesS + 2*float64(text)/readBytesS
}

// choose is the candidate that is predicted to end lowest when parameters times tokens is work.
func choose(candidates []*plan, work, unique float64) *plan {
	best, least := candidates[0], math.Inf(1)
	for _, c := range candidates {
		if loss := predict(c.active(), max(1, work/c.active()), unique); loss < least {
			best, least = c, loss
		}
	}
	return best
}

// fits says whether the model can be trained in the memory that is free.
func (p *plan) fits() (need, free int64, ok bool) {
	_, free = machine.Memory()
	need = train.Memory(&p.config, p.Batch, p.Seq) + baseMB<<20
	return need, free, free <= 0 || need <= free
}

// tooLarge is the error of a model that does not fit, which the vocabulary that was asked for may be to blame for.
func (p *plan) tooLarge(r *Request, need, free int64) error {
	what, less := "size "+p.Preset, "choose a smaller size (--size)"
	usual := *p
	if preset, err := findPreset(p.Preset); err != nil {
		what, less = "the model of this configuration", "make it smaller"
	} else if usual.config = preset.forVocab(preset.vocab); p.Vocab > preset.vocab {
		if _, _, ok := usual.fits(); ok {
			what, less = fmt.Sprintf("a vocabulary of %d (size %s)", p.Vocab, p.Preset), fmt.Sprintf("choose a smaller one (--vocab); %d suits this size", preset.vocab)
		}
	}
	return fmt.Errorf("create: %s needs about %d MB of memory and %d MB are free: %s", what, need>>20, free>>20, less)
}

// candidates are the sizes to choose from, smallest first.
func (r *Request) candidates(text int64) []*plan {
	if r.Config != nil {
		p := presets[0]
		for _, q := range presets {
			if _, active := r.Config.Sizes(); float64(active) > 2*presetActive(&q) {
				p = q
			}
		}
		return []*plan{{
			Preset: "custom", Vocab: r.Config.VocabSize, Fixed: true, Batch: p.batch,
			Seq: min(p.seq, max(1, r.Config.MaxPositionEmbeddings)), Options: options(r.Config, p.lr), config: *r.Config,
		}}
	}
	var ps []*plan
	for _, p := range presets {
		if q, err := findPreset(r.Size); err == nil && q.name != p.name {
			continue
		}
		vocab := r.Vocab
		if vocab == 0 {
			vocab = vocabFor(p.vocab, text)
		}
		c := p.forVocab(vocab)
		candidate := &plan{
			Preset: p.name, Vocab: vocab, Fixed: r.Vocab > 0, Batch: p.batch, Seq: p.seq,
			Options: options(&c, p.lr), config: c,
		}
		if _, _, ok := candidate.fits(); !ok && len(ps) > 0 {
			break // the larger ones need more
		}
		ps = append(ps, candidate)
	}
	return ps
}

func presetActive(p *preset) float64 {
	c := p.forVocab(p.vocab)
	_, n := c.Sizes()
	return float64(n)
}

// vocabFor bounds a vocabulary by the text: a token that is seen a few times is not learned.
func vocabFor(most int, text int64) int {
	v := int(min(int64(most), text/bytesPerSymbol))
	return max(smallestVocab, v-v%64)
}

// options are those of a short run of a small model. Muon, because it wins by far: preset S after a
// million tokens of the embedded corpus has 1.72 bits per byte with it and 2.21 with AdamW (2e-3),
// nano after 2.5 million 1.70 and 1.79; a step takes 1.2 (nano) to 1.5 (S) times as long.
func options(cfg *model.Config, lr float64) train.Options {
	o := train.Defaults(optim.Muon, 0, cfg)
	o.LR = lr
	// V3's bias speed of 0.001 is for runs of many thousand steps: scores lie between 0 and 1, and a
	// router collapses within its first hundred. It comes to rest before the end, as V3's does.
	o.BiasGamma, o.BiasDecay = 0.01, 0.05
	return o
}

func (p *plan) active() float64 {
	_, n := p.config.Sizes()
	return float64(n)
}

func (p *plan) measure(ctx context.Context, r *Request) (speed, error) {
	atLeast := measureTime
	if r.Steps > 0 {
		atLeast = measureBrief
	}
	return measure(ctx, r.Engine, &p.config, p.Batch, p.Seq, p.Options, atLeast)
}

// schedule fixes the number of steps for the seconds that are left and the unique tokens that there
// are, and what follows from it.
func (p *plan) schedule(r *Request, seconds, unique float64, langs int) error {
	perStep := float64(p.Batch*p.Seq) / p.TokS * (1 + evalShare + overheadShare)
	steps := r.Steps
	if steps == 0 {
		if steps = int(seconds / perStep); steps < 1 {
			return fmt.Errorf("create: a budget of %v is too small: preparing takes about %.0f s and one step %.2g s; give more time (--budget), or a number of steps instead (--steps)",
				r.budget(), math.Ceil(r.budget().Seconds()-seconds), perStep)
		}
		most := int(maxEpochs * unique / float64(p.Batch*p.Seq))
		if p.Capped = steps > most; p.Capped {
			steps = most
		}
		if p.Capped && steps < leastSteps {
			return fmt.Errorf("create: too little text: about %.0f tokens, which after %.0f passes are %d steps of %d tokens; at least %d steps are needed: give more text (--data), or insist with --steps",
				unique, maxEpochs, steps, p.Batch*p.Seq, leastSteps)
		}
	}
	p.Epochs = float64(steps) * float64(p.Batch*p.Seq) / unique
	p.Seconds = float64(steps) * perStep
	p.Options.Steps = steps
	p.Options.Seed = r.Seed
	p.Options.Warmup = max(1, min(100, steps/10))
	every := func(n int) int { return max(1, (steps+n-1)/n) }
	evals := p.evaluations(langs)
	p.Pace = train.Pace{
		EvalEvery: every(evals), SampleEvery: every(samplings), Retries: 3, PlannedSeconds: p.Seconds,
		CheckpointEvery: max(1, min(steps, int(checkpointEvery/perStep))),
	}
	return nil
}

// evaluations fixes how much is evaluated, and returns how often, within evalShare of the time. The
// first and the last evaluation are worth more than more text in each.
func (p *plan) evaluations(langs int) int {
	tokens := evalShare * p.Seconds * p.TokS * evalSpeedup / float64(max(langs, 1)) // of a language, all together
	p.EvalTokens = int64(min(evalMost, max(evalLeast, tokens/evaluations)))
	return max(1, min(evaluations, int(tokens/float64(p.EvalTokens))))
}

// event is the plan as the user sees it.
func (p *plan) event() train.Plan {
	total, active := p.config.Sizes()
	return train.Plan{
		Preset: p.Preset, Params: total, Active: active, TokS: math.Round(p.TokS), PeakRSSMB: p.RSSMB,
		Tokens:  int64(p.Options.Steps) * int64(p.Batch*p.Seq),
		Seconds: math.Round(p.Seconds), Steps: p.Options.Steps, Batch: p.Batch, Seq: p.Seq,
		Epochs: math.Round(100*p.Epochs) / 100, Mixture: p.mix, Waste: math.Round(1e5*p.waste) / 1e5, Quality: p.quality(), Options: p.Options,
	}
}

// quality says what such a run is worth, by what runs of that much arithmetic have shown (design
// notes; TinyStories, Eldan and Li 2023). It promises no more.
func (p *plan) quality() string {
	compute := 6 * p.active() * float64(p.Options.Steps) * float64(p.Batch*p.Seq) // FLOPs
	words := ""
	switch {
	case compute < 2e13:
		words = "common letters and syllables; enough to see it learn, not to read it"
	case compute < 8e14:
		words = "recognisable words and the beginnings of sentences; no sense"
	case compute < 8e15:
		words = "short sentences that mostly hold together, repetitive; no knowledge"
	case compute < 1e17:
		words = "paragraphs that keep to a narrow subject; no knowledge of the world"
	default:
		words = "fluent text in the style of its data; little knowledge of the world"
	}
	if p.Capped {
		words += fmt.Sprintf("; the text is used up after %.0f passes, so the budget is not: more text would make a better model", p.Epochs)
	}
	return words
}

// Plan says what Run would do, and does nothing else. It reads all the text.
func Plan(ctx context.Context, r Request) (train.Plan, error) {
	began := time.Now()
	if err := r.check(); err != nil {
		return train.Plan{}, err
	}
	c, err := r.openCorpus(ctx)
	if err != nil {
		return train.Plan{}, err
	}
	p, err := decide(ctx, &r, c, began)
	if err != nil {
		return train.Plan{}, err
	}
	p.mix = r.Mixture.String()
	return p.event(), nil
}
