package haenyeo

// This file holds Open and Model. Create stands in create.go, what generation_config.json says about
// sampling in generation.go.

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"slices"

	"github.com/haenyeo/haenyeo/corpus"
	"github.com/haenyeo/haenyeo/export"
	"github.com/haenyeo/haenyeo/infer"
	"github.com/haenyeo/haenyeo/kernel"
	"github.com/haenyeo/haenyeo/model"
	"github.com/haenyeo/haenyeo/tokenizer"
	"github.com/haenyeo/haenyeo/train"
)

// Options say how to compute. The zero value uses every processor and float32.
type Options struct {
	Threads int          // 0: all processors this process may use
	Tier    string       // of kernels; "": the measured choice
	DType   kernel.DType // of matrix products
	Logger  *slog.Logger // of warnings; nil: slog.Default
}

// Model is a loaded model with its tokenizer. Close it when it is no longer needed.
type Model struct {
	net      *model.Model
	tok      *tokenizer.Tokenizer // nil: ids only
	engine   *kernel.Engine
	sampling infer.Sampling
	end      []int32
	log      *slog.Logger
	warned   bool // that a text is longer than the window
}

// Open loads the model at path: a directory in Hugging Face layout (config.json, safetensors,
// tokenizer.json) or a .gguf file. A model without tokenizer works with token ids.
func Open(path string, o Options) (*Model, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("haenyeo: model %q: %w: give a directory with config.json, or a .gguf file", path, errors.Unwrap(err))
	}
	e, err := kernel.New(o.Threads, o.Tier)
	if err != nil {
		return nil, err
	}
	m := &Model{engine: e, log: cmp.Or(o.Logger, slog.Default())}
	opt := model.Options{DType: o.DType}
	if info.IsDir() {
		err = m.openDir(path, opt)
	} else {
		m.net, m.tok, err = export.OpenGGUF(path, e, opt)
	}
	if err != nil {
		e.Close()
		return nil, err
	}
	m.findEnd()
	return m, nil
}

func (m *Model) openDir(dir string, opt model.Options) (err error) {
	if m.net, err = model.Open(dir, m.engine, opt); err != nil {
		return err
	}
	if m.tok, err = loadTokenizer(dir); err != nil {
		return err
	}
	m.sampling, m.end, err = readGenerationConfig(dir)
	return err
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

// Close stops the workers.
func (m *Model) Close() { m.engine.Close() }

// Net returns the network, for what this package has no door for.
func (m *Model) Net() *model.Model { return m.net }

// Engine returns the engine that Net computes with. Close ends it.
func (m *Model) Engine() *kernel.Engine { return m.engine }

// Config returns the shape of the model.
func (m *Model) Config() *model.Config { return m.net.Config() }

// Tokenizer returns the tokenizer, nil if the model has none.
func (m *Model) Tokenizer() *tokenizer.Tokenizer { return m.tok }

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

// Logits returns the logits [T,V] after every one of tokens.
func (m *Model) Logits(tokens []int32) ([]float32, error) {
	if err := m.check(tokens); err != nil {
		return nil, err
	}
	return m.net.Logits(tokens)
}

// Request is a text to be continued.
type Request struct {
	Prompt    string
	Tokens    []int32 // instead of Prompt
	MaxTokens int     // at most this many new tokens; Room says how many the model's window holds
	infer.Sampling
	Stop []string // texts that end generation
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
	q := infer.Request{Tokens: tokens, MaxTokens: r.MaxTokens, Sampling: r.Sampling, Stop: r.Stop, End: m.end}
	if m.tok != nil {
		q.Text = m.tok.Stream(true)
	}
	result, err := infer.Generate(ctx, infer.NewSession(m.net, len(tokens)+r.MaxTokens), q, emit)
	m.mind(len(tokens) + len(result.Tokens))
	return result, err
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

// Save writes the model, its weights stored as dt, and its tokenizer to a directory in Hugging Face
// layout.
func (m *Model) Save(dir string, dt kernel.DType) error {
	if err := m.net.Save(dir, dt); err != nil {
		return err
	}
	if m.tok == nil {
		return nil
	}
	return m.tok.Save(dir)
}

// BitsPerByte measures how many bits the model needs for a byte of the text at paths: the total, and
// each language that the records name.
func (m *Model) BitsPerByte(ctx context.Context, paths []string) (total corpus.LangScore, langs []corpus.LangScore, err error) {
	if m.tok == nil {
		return total, nil, errors.New("haenyeo: the model has no tokenizer (tokenizer.json): bits per byte need one")
	}
	text, err := corpus.Open(ctx, paths, corpus.Options{ValidationShare: -1})
	if err != nil {
		return total, nil, err
	}
	if skips := text.Report().Skips(); skips != "" {
		m.log.Warn(skips)
	}
	tokens, err := corpus.Tokenize(ctx, text.Documents(ctx, corpus.Train), tokenOptions(m.tok))
	if err != nil {
		return total, nil, err
	}
	defer tokens.Close()
	const batchTokens = 2048
	row := batchTokens
	if window := m.Config().MaxPositionEmbeddings; window > 0 {
		row = min(row, window)
	}
	ev, err := corpus.NewEvaluation(tokens, max(1, batchTokens/row), row, 0)
	if err != nil {
		return total, nil, err
	}
	return train.Measure(ctx, m.net, ev)
}
