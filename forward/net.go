// This file holds Net and how it is opened.

package forward

import (
	"fmt"
	"runtime/debug"

	"github.com/haenyeo/haenyeo/kernel"
	"github.com/haenyeo/haenyeo/model"
	"github.com/haenyeo/haenyeo/quant"
	"github.com/haenyeo/haenyeo/weights"
)

// Options say how a Net computes.
type Options struct {
	DType    kernel.DType // arithmetic of products of many rows; those of few rows are float32
	Rounding Rounding
	// KV is the type of cached keys and values, latents, keys of indexers and compressed entries: F32, F16, BF16 or
	// Q8_0. What is rounded as published keeps the publisher's form instead, whose 8 or 4 bits hold it without loss: keys
	// of indexers, and entries of V4 but for their rotated channels, which are bfloat16 unless KV is F32. The window of
	// V4, of fixed size, is float32 always.
	KV quant.Type

	MTP           bool // with the multi-token prediction layer
	MTPBeforeNorm bool // the MTP layer of V3 reads the state before the final norm, not after it
	MaxTokens     int  // worked on at once, which bounds memory; 0 means 512

	// RAM is the most bytes of memory that the process may hold, 0: no limit. Experts that do not fit are read
	// when they are chosen. Linux only.
	RAM int64
}

// Rounding says whether values that the publisher's code rounds to 8 or 4 bits on the way are rounded
// here too: keys of the V3.2 indexer; keys and indexer of V4. Other generations have none.
type Rounding uint8

const (
	Publisher Rounding = iota
	None
)

// Net is a model opened for reading tokens. It is not safe for use by two goroutines at once, nor is
// its Engine.
type Net struct {
	cfg *model.Config
	src *weights.Source
	e   *kernel.Engine
	opt Options

	embed   *kernel.Stored // [V,D]
	streams int            // copies of the residual stream
	layers  []layer
	output  output
	head    *kernel.Stored // [V,D]
	mtp     predictor      // nil unless asked for
	ropes   []*rope

	residents *residents // nil without a memory budget

	pass   pass
	spans  []span
	logits []float32 // of the steps of a run
	guess  []float32 // [V] of the MTP layer
	finite finiteTask
}

// New opens the model of src.
func New(src *weights.Source, e *kernel.Engine, o Options) (net *Net, err error) {
	if o.MaxTokens == 0 {
		o.MaxTokens = 512
	}
	if o.MaxTokens < 1 {
		return nil, fmt.Errorf("forward: MaxTokens is %d", o.MaxTokens)
	}
	if err := checkKV(o.KV); err != nil {
		return nil, err
	}
	net = &Net{cfg: src.Config(), src: src, e: e, opt: o, streams: 1}
	defer src.CatchFault(debug.SetPanicOnFault(true), &err)
	b := &builder{net: net, cfg: net.cfg, src: src}
	switch net.cfg.ModelType {
	case "llama", "qwen2", "qwen3":
		b.llama()
	case "deepseek":
		b.moe16b()
	case "deepseek_v2", "deepseek_v3":
		b.v3()
	case "deepseek_v32":
		b.v32()
	case "deepseek_v4":
		b.v4()
	default:
		b.fail(fmt.Errorf("forward: models of type %q cannot be run yet", net.cfg.ModelType))
	}
	if b.err != nil {
		return nil, b.err
	}
	if o.RAM < 0 {
		return nil, fmt.Errorf("forward: a memory budget of %d bytes", o.RAM)
	}
	if o.RAM > 0 {
		if err := net.keepBudget(); err != nil {
			return nil, err
		}
	}
	return net, nil
}

// ExpertReads is what happened to experts of a Net with a memory budget; zero without one.
func (n *Net) ExpertReads() ExpertReads {
	if n.residents == nil {
		return ExpertReads{}
	}
	n.residents.mu.Lock()
	defer n.residents.mu.Unlock()
	return n.residents.ExpertReads
}

// Config is the shape of the model.
func (n *Net) Config() *model.Config { return n.cfg }
