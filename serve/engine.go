package serve

// What computes, and the models it computes with.

import (
	"context"
	"time"

	"github.com/haenyeo/haenyeo/chat"
	"github.com/haenyeo/haenyeo/infer"
	"github.com/haenyeo/haenyeo/tokenizer"
)

// Engine makes completions, called by many goroutines at once. Its Generate is that of package infer: emit receives the
// text piece by piece, and an end of ctx ends it within a step of the model.
type Engine interface {
	Generate(ctx context.Context, q infer.Request, emit func(text string) error) (infer.Result, error)
}

// Model is a model that is served.
type Model struct {
	Name      string   // what clients call it
	Aliases   []string // and what else
	Tokenizer *tokenizer.Tokenizer
	Format    *chat.Format // nil: it only continues texts
	Engine    Engine
	Parallel  int            // requests that the engine works on at a time
	Context   int            // tokens that prompt and answer may have together
	Vocab     int            // rows of its logits
	Sampling  infer.Sampling // where the client does not say
	End       []int32        // ids that end a text
	Published time.Time      // of its files
	Details   Details

	CacheBytes int64 // memory of the contexts of Parallel requests at their longest, for metrics; 0: not known

	// Open opens the model when it is asked for. Until then it has a name, aliases, Parallel, Published, Details and
	// Memory, all else comes from Open. nil: it is open.
	Open   Opener
	Memory int64 // bytes that it takes when it is open, for Options.Memory

	gate     *gate
	grammars *maskers
	slot     *slot // nil: it is always open
}

// Details is what clients show to people.
type Details struct {
	Family     string // model_type of config.json
	Format     string // gguf or safetensors
	Parameters int64  // 0: not known
	Bytes      int64
	Stored     string // the type that most of it is stored in
	Digest     string // hexadecimal SHA-256 that tells it from others
}

// Batch is the engine over a scheduler, which steps the sequences of many requests together.
type Batch struct{ *infer.Scheduler }

// Generate implements Engine.
func (b Batch) Generate(ctx context.Context, q infer.Request, emit func(text string) error) (infer.Result, error) {
	return b.Scheduler.Generate(ctx, q, 0, emit)
}
