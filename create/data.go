package create

// This file turns text into what the trainer takes: corpus, tokenizer, tokens, batches. Everything
// here is a function of the text and the plan, so a resumed run makes the same again.

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"strings"
	"unicode"

	"github.com/haenyeo/haenyeo/corpus"
	"github.com/haenyeo/haenyeo/tokenizer"
	"github.com/haenyeo/haenyeo/train"
)

const (
	learnBytes      = 32 << 20 // of text that a vocabulary is learned from: more changes next to nothing
	validationRows  = 8
	promptRunes     = 24
	promptLanguages = 8
)

func (r *Request) openCorpus(ctx context.Context) (*corpus.Corpus, error) {
	r.progress("reading text", -1)
	if len(r.Data) == 0 {
		c, err := corpus.Embedded(ctx, corpus.Options{})
		if err != nil {
			return nil, err
		}
		return c, r.Mixture.Suits(c.Report())
	}
	c, err := corpus.Open(ctx, r.Data, corpus.Options{})
	if err != nil {
		return nil, err
	}
	if err := r.Mixture.Suits(c.Report()); err != nil {
		return nil, err
	}
	if skips := c.Report().Skips(); skips != "" {
		r.logger().Warn("create: " + skips)
	}
	return c, nil
}

// material is the text, ready to be trained on.
type material struct {
	corpus     *corpus.Corpus
	tok        *tokenizer.Tokenizer
	tokens     *train.Tokens // behind source
	source     train.Source
	validation *corpus.Evaluation
	prompts    []prompt
	threads    int
	tier       string // of kernels
}

// prompt is the beginning of a validation text.
type prompt struct{ lang, text string }

func prepare(ctx context.Context, r *Request, c *corpus.Corpus, p *plan) (m *material, err error) {
	m = &material{corpus: c, threads: r.Engine.Pool().Threads(), tier: r.Engine.Tier()}
	if m.tok, err = learn(ctx, r, c, p); err != nil {
		return nil, err
	}
	r.progress("tokenising", -1)
	sum, err := fingerprint(c, m.tok, p.TextBytes)
	if err != nil {
		return nil, err
	}
	bos, _ := m.tok.BOS()
	eos, _ := m.tok.EOS()
	opt := corpus.TokenOptions{
		Encode: func(dst []int32, text string) []int32 {
			return m.tok.Encode(dst, text, tokenizer.EncodeOptions{NoAddedTokens: true})
		},
		Vocab: m.tok.VocabSize(), BOS: bos, EOS: eos, Workers: r.Engine.Pool().Threads(), Fingerprint: sum,
	}
	kept := c.Report().Bytes - c.Report().ValidationBytes
	tokens, err := train.Tokenize(ctx, r.Out, thin(c.Documents(ctx, corpus.Train), float64(p.TextBytes)/float64(max(kept, 1))), opt)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			tokens.Release(false)
		}
	}()
	m.tokens = tokens
	copies, err := tokens.Copies(r.Mixture)
	if err != nil {
		return nil, err
	}
	sampler, err := corpus.NewSampler(tokens.Tokens, corpus.SamplerOptions{B: p.Batch, T: p.Seq, Seed: p.Options.Seed, Copies: copies})
	if err != nil {
		return nil, err
	}
	p.waste = sampler.Stats().Waste
	r.logger().Info("create: packed", "rows", sampler.Stats().Rows, "empty_share", p.waste)
	m.source = train.FromStream(sampler, p.Batch, p.Seq)
	held, err := corpus.Tokenize(ctx, c.Documents(ctx, corpus.Validation), opt)
	if err != nil {
		return nil, err
	}
	if m.validation, err = corpus.NewEvaluation(held, validationRows, p.Seq, p.EvalTokens); err != nil {
		return nil, err
	}
	m.prompts, err = findPrompts(ctx, c)
	return m, err
}

// learn trains the tokenizer. A vocabulary that was not asked for gives way to the text.
func learn(ctx context.Context, r *Request, c *corpus.Corpus, p *plan) (*tokenizer.Tokenizer, error) {
	r.progress("learning a vocabulary", 0)
	texts := func(yield func(string, error) bool) {
		for d, err := range thin(c.Documents(ctx, corpus.Train), learnBytes/float64(max(c.Report().Bytes, 1))) {
			if !yield(d.Text, err) {
				return
			}
		}
	}
	t, err := tokenizer.Train(ctx, texts, tokenizer.TrainOptions{
		VocabSize: p.Vocab, ChatTemplate: chatTemplate, Threads: r.Engine.Pool().Threads(),
		Progress: func(done, total int64) {
			if total > 0 {
				r.progress("learning a vocabulary", float64(done)/float64(total))
			}
		},
	})
	var short *tokenizer.ShortVocabularyError
	if errors.As(err, &short) && !p.Fixed {
		return short.Tokenizer, nil
	}
	return t, err
}

// thin leaves out documents so that about share of them remain, spread over all.
func thin(docs iter.Seq2[corpus.Document, error], share float64) iter.Seq2[corpus.Document, error] {
	if share >= 1 || share <= 0 {
		return docs
	}
	return func(yield func(corpus.Document, error) bool) {
		due := 1.0 // the first document is always taken
		for d, err := range docs {
			if err == nil {
				if due < 1 {
					due += share
					continue
				}
				due += share - 1
			}
			if !yield(d, err) {
				return
			}
		}
	}
}

// fingerprint names the text, how much of it is used, and the tokenizer.
func fingerprint(c *corpus.Corpus, t *tokenizer.Tokenizer, use int64) ([32]byte, error) {
	b, err := t.MarshalJSON()
	if err != nil {
		return [32]byte{}, fmt.Errorf("create: %w", err)
	}
	sum := c.Fingerprint()
	return sha256.Sum256(fmt.Appendf(sum[:], "%d %s", use, b)), nil
}

func corpusName(c *corpus.Corpus) string {
	sum := c.Fingerprint()
	return hex.EncodeToString(sum[:])
}

// findPrompts takes the beginning of one validation text in each of the largest languages.
func findPrompts(ctx context.Context, c *corpus.Corpus) ([]prompt, error) {
	var ps []prompt
	want := map[string]int{}
	for i, l := range c.Report().Languages {
		if i < promptLanguages && l.ValidationDocuments > 0 {
			want[l.Lang] = len(ps)
			ps = append(ps, prompt{lang: l.Lang})
		}
	}
	missing := len(ps)
	for d, err := range c.Documents(ctx, corpus.Validation) {
		if err != nil {
			return nil, err
		}
		i, ok := want[d.Lang]
		if !ok || ps[i].text != "" {
			continue
		}
		if ps[i].text = beginning(d.Text); ps[i].text != "" {
			if missing--; missing == 0 {
				break
			}
		}
	}
	found := ps[:0]
	for _, p := range ps {
		if p.text != "" {
			found = append(found, p)
		}
	}
	return found, nil
}

// beginning is the first words of the first line that begins with words, "" if none does.
func beginning(text string) string {
	for line := range strings.Lines(text) {
		runes := []rune(strings.TrimSpace(line))
		if len(runes) < promptRunes || !unicode.IsLetter(runes[0]) {
			continue
		}
		cut := promptRunes
		for i := cut; i > promptRunes/2; i-- { // at a space, if the script has them
			if unicode.IsSpace(runes[i-1]) {
				cut = i - 1
				break
			}
		}
		for cut < len(runes) && unicode.Is(unicode.M, runes[cut]) { // vowel signs stay with their letters
			cut++
		}
		return string(runes[:cut])
	}
	return ""
}
