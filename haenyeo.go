package haenyeo

// This file holds Open and Model: opening, ids, logits, generation. Create stands in create.go, Pretrain in
// pretrain.go, bits per byte in bpb.go, what generation_config.json says about sampling in generation.go.

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"slices"
	"sync"

	"github.com/haenyeo/haenyeo/chat"
	"github.com/haenyeo/haenyeo/export"
	"github.com/haenyeo/haenyeo/forward"
	"github.com/haenyeo/haenyeo/grammar"
	"github.com/haenyeo/haenyeo/infer"
	"github.com/haenyeo/haenyeo/kernel"
	"github.com/haenyeo/haenyeo/model"
	"github.com/haenyeo/haenyeo/quant"
	"github.com/haenyeo/haenyeo/tokenizer"
	"github.com/haenyeo/haenyeo/weights"
)

// Options say how to compute. The zero value uses every processor, float32, and the published arithmetic.
type Options struct {
	Threads  int              // 0: all processors this process may use
	Tier     string           // of kernels; "": the measured choice
	DType    kernel.DType     // of matrix products
	Rounding forward.Rounding // the fp8 and fp4 round trips of V3.2 and V4: as published, or none
	KV       quant.Type       // of caches: F32, F16, BF16 or Q8_0
	MTP      bool             // open the multi-token prediction layer too, for Speculation.MTP
	RAM      int64            // most bytes of memory that the process may hold, 0: no limit; see forward.Options
	Logger   *slog.Logger     // of warnings; nil: slog.Default
}

// Model is an open model with its tokenizer. Its weights stay where they are, mapped. Close it when it is no
// longer needed.
type Model struct {
	path        string
	source      *weights.Source
	net         *forward.Net
	tok         *tokenizer.Tokenizer // nil: ids only
	engine      *kernel.Engine
	sampling    infer.Sampling
	recommended bool // the model brings sampling
	end         []int32
	log         *slog.Logger
	warned      bool // that a text is longer than the window
	words       sync.Once
	vocabulary  *grammar.Vocabulary // of tok, made by words
}

// Open opens the model at path: a directory in Hugging Face layout (config.json, safetensors, tokenizer.json), a
// .gguf file, or any file of a split GGUF. A model without tokenizer works with token ids.
func Open(path string, o Options) (*Model, error) {
	m := &Model{path: path, log: cmp.Or(o.Logger, slog.Default())}
	if err := m.open(path, o); err != nil {
		m.Close()
		return nil, err
	}
	return m, nil
}

func (m *Model) open(path string, o Options) (err error) {
	if m.source, err = weights.Open(path); err != nil {
		return err
	}
	if m.engine, err = kernel.New(o.Threads, o.Tier); err != nil {
		return err
	}
	if m.net, err = forward.New(m.source, m.engine, forward.Options{DType: o.DType, Rounding: o.Rounding, KV: o.KV, MTP: o.MTP, RAM: o.RAM}); err != nil {
		return err
	}
	if err := m.readWords(); err != nil {
		return err
	}
	m.findEnd()
	return nil
}

// readWords reads what turns text into ids and back, and what is recommended about it.
func (m *Model) readWords() (err error) {
	if f := m.source.GGUF(); f != nil {
		m.tok, err = export.Tokenizer(&f.Metadata)
	} else if m.tok, err = loadTokenizer(m.source.Dir()); err == nil {
		m.sampling, m.end, err = readGenerationConfig(m.source.Dir())
		m.recommended = m.sampling.Temperature > 0
	}
	if err == nil && m.tok != nil {
		err = m.tok.CheckRows(m.source.Config().VocabSize)
	}
	return err
}

// Check looks for what keeps a model from being opened, or from being talked with by the template that it brings. It reads
// no weights: what is wrong with their numbers is not found.
func Check(path string) (err error) {
	m := &Model{path: path}
	defer m.Close()
	if m.source, err = weights.Open(path); err != nil {
		return err
	}
	if err := m.readWords(); err != nil || m.tok == nil || m.tok.Config().ChatTemplate == "" {
		return err
	}
	f, err := chat.Detect(m.tok, chat.Hints{ModelType: m.source.Config().ModelType, Name: m.name()})
	if err == nil {
		_, err = f.Render([]chat.Message{{Role: chat.User, Content: "Hello"}}, chat.Options{})
	}
	if err != nil {
		return fmt.Errorf("haenyeo: a conversation cannot begin: %w", err)
	}
	return nil
}

// loadTokenizer reads the tokenizer in dir, nil if there is none.
func loadTokenizer(dir string) (*tokenizer.Tokenizer, error) {
	t, err := tokenizer.Load(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return t, err
}

// findEnd collects the ids that end a text.
func (m *Model) findEnd() {
	for _, id := range m.net.Config().EOSTokenID {
		m.end = append(m.end, int32(id))
	}
	if m.tok != nil {
		if id, ok := m.tok.EOS(); ok {
			m.end = append(m.end, id)
		}
	}
	slices.Sort(m.end)
	m.end = slices.Compact(m.end)
}

// Close stops the workers and unmaps the weights.
func (m *Model) Close() {
	if m.engine != nil {
		m.engine.Close()
	}
	if m.source != nil {
		m.source.Close() // of a file that was only read: nothing can be lost
	}
}

// Net returns the network, for what this package has no door for.
func (m *Model) Net() *forward.Net { return m.net }

// Source returns the stored weights.
func (m *Model) Source() *weights.Source { return m.source }

// Engine returns the engine that Net computes with. Close ends it.
func (m *Model) Engine() *kernel.Engine { return m.engine }

// Config returns the shape of the model.
func (m *Model) Config() *model.Config { return m.net.Config() }

// Tokenizer returns the tokenizer, nil if the model has none.
func (m *Model) Tokenizer() *tokenizer.Tokenizer { return m.tok }

// End returns the ids that end a text. They must not be changed.
func (m *Model) End() []int32 { return m.end }

// Sampling returns what the model's makers recommend; greedy if they say nothing.
func (m *Model) Sampling() infer.Sampling { return m.sampling }

// Encode turns a text into the ids that the model begins a text with. Added tokens such as
// <｜User｜> are recognised in it: do not pass text of strangers.
func (m *Model) Encode(text string) ([]int32, error) {
	if m.tok == nil {
		return nil, errors.New("haenyeo: the model has no tokenizer that this program knows (tokenizer.json, or byte-level BPE in a GGUF): give token ids")
	}
	ids := m.tok.Encode(nil, text, tokenizer.EncodeOptions{AddSpecial: true})
	if bos, ok := m.tok.BOS(); ok && len(ids) > 1 && ids[0] == bos && ids[1] == bos {
		ids = ids[1:] // the text brought its own
	}
	return ids, nil
}

// Logits calls each with the logits [V] after every one of tokens. They are valid during the call.
func (m *Model) Logits(ctx context.Context, tokens []int32, each func(i int, logits []float32) error) error {
	if err := m.check(tokens); err != nil {
		return err
	}
	cache, err := m.net.NewCache(len(tokens))
	if err != nil {
		return err
	}
	return m.net.Run(ctx, []*forward.Step{{Cache: cache, Tokens: tokens, Each: each}})
}

// Request is a text to be continued.
type Request struct {
	Prompt    string
	Tokens    []int32 // instead of Prompt
	MaxTokens int     // at most this many new tokens; Room says how many the model's window holds
	infer.Sampling
	Grammar     *grammar.Grammar // what the new text is kept in, to its end; nil: anything
	Stop        []string         // texts that end generation
	Logprobs    bool             // of every token, in the result
	TopLogprobs int              // with so many alternatives each

	Speculation infer.Speculation // of tokens ahead; it changes no text
}

// Generate continues the text of a request. emit, if not nil, receives the new text piece by piece.
// Cancelling ctx ends it with the context's error and what was made until then.
func (m *Model) Generate(ctx context.Context, r Request, emit func(text string) error) (infer.Result, error) {
	tokens := r.Tokens
	if len(tokens) == 0 {
		var err error
		if tokens, err = m.Encode(r.Prompt); err != nil {
			return infer.Result{}, err
		}
	}
	if err := m.check(tokens); err != nil {
		return infer.Result{}, err
	}
	q := infer.Request{
		Tokens: tokens, MaxTokens: r.MaxTokens, Sampling: r.Sampling, Stop: r.Stop, End: m.end,
		Logprobs: r.Logprobs, TopLogprobs: r.TopLogprobs, Speculation: r.Speculation,
	}
	if m.tok != nil {
		q.Text, q.TokenBytes = m.tok.Stream(true), m.tok.TokenBytes
	}
	if r.Grammar != nil {
		if r.Allowed != nil {
			return infer.Result{}, errors.New("haenyeo: Grammar and Sampling.Allowed both say which tokens may come: give one")
		}
		k, err := m.Masker(r.Grammar, m.end)
		if err != nil {
			return infer.Result{}, err
		}
		q.Allowed = k.Matcher().Allowed
	}
	if r.MaxTokens > math.MaxInt-len(tokens) {
		return infer.Result{}, fmt.Errorf("haenyeo: %d new tokens are more than any context holds: ask for fewer", r.MaxTokens)
	}
	session, err := infer.NewSession(m.net, len(tokens)+r.MaxTokens)
	if err != nil {
		return infer.Result{}, err
	}
	result, err := infer.Generate(ctx, session, q, emit)
	m.mind(len(tokens) + len(result.Tokens))
	return result, err
}

// Masker prepares a grammar for the model's vocabulary; ends are the tokens that end a text. One serves any number of
// answers, each through a Matcher of its own.
func (m *Model) Masker(g *grammar.Grammar, ends []int32) (*grammar.Masker, error) {
	if m.tok == nil {
		return nil, errors.New("haenyeo: the model has no tokenizer that this program knows (tokenizer.json, or byte-level BPE in a GGUF): a grammar needs one")
	}
	m.words.Do(func() { m.vocabulary = grammar.OfTokenizer(m.tok) })
	return g.For(m.vocabulary, slices.DeleteFunc(slices.Clone(ends), func(id int32) bool { return int(id) >= m.tok.VocabSize() }))
}

// Room returns how many more tokens the model's window (max_position_embeddings) holds after a text of n.
func (m *Model) Room(n int) int {
	window := m.Config().MaxPositionEmbeddings
	if window == 0 {
		return math.MaxInt32
	}
	return max(0, window-n)
}

// check refuses an empty text and minds a long one.
func (m *Model) check(tokens []int32) error {
	if len(tokens) == 0 {
		return errors.New("haenyeo: empty prompt: give some text or at least one token id")
	}
	m.mind(len(tokens))
	return nil
}

// mind warns, once, of a text of n tokens that is longer than the window. It is computed all the same: the
// rotary embedding knows every position.
func (m *Model) mind(n int) {
	if window := m.Config().MaxPositionEmbeddings; window > 0 && n > window && !m.warned {
		m.warned = true
		m.log.Warn("the text is longer than the model's window: what it says beyond is not to be relied on", "tokens", n, "window", window)
	}
}
