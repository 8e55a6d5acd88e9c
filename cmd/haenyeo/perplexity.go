package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"

	"github.com/haenyeo/haenyeo"
	"github.com/haenyeo/haenyeo/corpus"
	"github.com/haenyeo/haenyeo/infer"
	"github.com/haenyeo/haenyeo/tokenizer"
)

type perplexityCmd struct {
	Model   string `arg:"" help:"Model directory or .gguf file."`
	Path    string `arg:"" optional:"" help:"Text to measure on: a file, a directory or a glob."`
	Tokens  idList `placeholder:"IDS" help:"Measure on these comma-separated token ids instead of a text."`
	Against string `placeholder:"MODEL" help:"Compare with this model of the same vocabulary: KL divergence from it, and how often both find the same token most probable."`
	Context int    `default:"512" placeholder:"N" help:"Tokens of a window. Windows do not overlap, and each is read on its own. Default: ${default}."`
	Skip    int    `default:"1" placeholder:"N" help:"Do not score the first N tokens of a window. Default: ${default}, the token that nothing predicts."`
	Windows int    `placeholder:"N" help:"Measure on the first N windows only."`
	Begin   bool   `name:"bos" help:"Put the begin token in the place of every window's first token."`
	arithmetic
}

func (perplexityCmd) Help() string {
	return "Perplexity says how well a model predicts a text; lower is better. It compares models with the same tokenizer only: for others see bpb. " +
		"With --against it also says how far a model, quantised perhaps, has moved from another one.\n\n" +
		"Windows like those of llama-perplexity: --context N --skip N/2+1, and --bos for models that begin with one.\n\n" +
		"Example:\n\n\thaenyeo perplexity my-model-q4.gguf held-out.txt --against my-model"
}

func (c *perplexityCmd) Run(a *app) error {
	switch {
	case (c.Path == "") == (len(c.Tokens) == 0):
		return misuse("give a text to measure on, or --tokens, and not both")
	case c.Context < 2:
		return misuse("--context %d: a window has at least 2 tokens", c.Context)
	case c.Skip < 1 || c.Skip >= c.Context:
		return misuse("--skip %d: give at least 1, and less than a window of %d", c.Skip, c.Context)
	case c.Windows < 0:
		return misuse("--windows %d: give 0 (all) or more", c.Windows)
	}
	m, err := a.open(c.Model, c.arithmetic)
	if err != nil {
		return err
	}
	defer m.Close()
	o := infer.PerplexityOptions{Context: c.Context, Skip: c.Skip, Windows: c.Windows, Progress: func(done, total int) {
		a.bar.update(float64(done)/float64(total), fmt.Sprintf("%d of %d windows", done, total))
	}}
	if c.Begin {
		if o.Begin = begin(m); o.Begin == nil {
			return misuse("--bos: the tokenizer of %q names no begin token", c.Model)
		}
	}
	tokens := c.Tokens
	if c.Path != "" {
		if m.Tokenizer() == nil {
			return fmt.Errorf("%q has no tokenizer that this program knows: give --tokens", c.Model)
		}
		if tokens, err = readTokens(a.ctx, m.Tokenizer(), c.Path, c.Windows*c.Context); err != nil {
			return err
		}
	}
	if c.Against != "" {
		other, err := a.open(c.Against, c.arithmetic)
		if err != nil {
			return err
		}
		defer other.Close()
		if x, y := m.Tokenizer(), other.Tokenizer(); x != nil && y != nil && infer.TokenizerFingerprint(x) != infer.TokenizerFingerprint(y) {
			return fmt.Errorf("%q and %q have different tokenizers: the same ids mean different texts to them", c.Model, c.Against)
		}
		o.Against = other.Net()
	}
	r, err := infer.Perplexity(a.ctx, m.Net(), tokens, o)
	if err != nil {
		return err
	}
	return c.report(a, r)
}

func (c *perplexityCmd) report(a *app, r *infer.PerplexityResult) error {
	value, spread := r.Perplexity()
	if math.IsInf(value, 0) || math.IsNaN(value) {
		return fmt.Errorf("the perplexity is %v: %q holds a token of the text for impossible", value, c.Model)
	}
	if !a.JSON {
		a.print("perplexity %.4f ± %.4f (%.4f bits a token) over %d tokens in %d windows", value, spread, r.Bits(), r.N, r.Windows)
		if r.Left > 0 {
			a.print("%d tokens of the text were left out", r.Left)
		}
		if c.Against != "" {
			other, spread := r.Against.Perplexity()
			a.print("of %s %.4f ± %.4f", c.Against, other, spread)
			a.print("KL divergence from it %.6f ± %.6f nats a token; same most probable token at %.2f ± %.2f %% of them", r.KL.Value, r.KL.Error, 100*r.Top1.Value, 100*r.Top1.Error)
		}
		return nil
	}
	shape := struct {
		Perplexity float64  `json:"perplexity"`
		KL         *float64 `json:"kl"`
		Top1       *float64 `json:"top1_agreement"`
		StdError   float64  `json:"std_error"`
		Bits       float64  `json:"bits_per_token"`
		Tokens     int      `json:"tokens"`
		Windows    int      `json:"windows"`
	}{Perplexity: value, StdError: spread, Bits: r.Bits(), Tokens: r.N, Windows: r.Windows}
	if c.Against != "" {
		if math.IsInf(r.KL.Value, 0) {
			return fmt.Errorf("the KL divergence is infinite: %q holds a token for impossible that %q does not", c.Model, c.Against)
		}
		shape.KL, shape.Top1 = &r.KL.Value, &r.Top1.Value
	}
	return a.emit(shape)
}

// begin is the token that texts begin with, nil without one.
func begin(m *haenyeo.Model) *int32 {
	if m.Tokenizer() != nil {
		if id, ok := m.Tokenizer().BOS(); ok {
			return &id
		}
	}
	return nil
}

// errEnough ends the reading of a text.
var errEnough = errors.New("enough was read")

// readTokens turns the text at path into ids, at most about limit of them unless it is 0: what the files hold, one
// newline between documents. Nothing in it is taken for a control token.
func readTokens(ctx context.Context, t *tokenizer.Tokenizer, path string, limit int) (ids []int32, err error) {
	text, err := corpus.Open(ctx, []string{path}, corpus.Options{ValidationShare: -1})
	if err != nil {
		return nil, err
	}
	next, stop := iter.Pull2(text.Documents(ctx, corpus.Train))
	defer stop()
	err = t.EncodeReader(&joined{next: next}, tokenizer.EncodeOptions{NoAddedTokens: true}, func(part []int32) error {
		if ids = append(ids, part...); limit > 0 && len(ids) >= limit {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return ids, err
}

// joined reads documents as one text.
type joined struct {
	next func() (corpus.Document, error, bool)
	rest string
	gap  string // goes before the next document
}

func (j *joined) Read(p []byte) (int, error) {
	for j.rest == "" {
		d, err, ok := j.next()
		if err != nil {
			return 0, err
		}
		if !ok {
			return 0, io.EOF
		}
		if j.rest, j.gap = j.gap+d.Text, "\n"; d.Continues {
			j.gap = ""
		}
	}
	n := copy(p, j.rest)
	j.rest = j.rest[n:]
	return n, nil
}
