// This file holds Model: New, its parameters, Sync and Init, and the loads of its experts.

package model

import (
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/haenyeo/haenyeo/kernel"
)

// Options say what a model is opened for.
type Options struct {
	DType         kernel.DType // arithmetic of matrix products
	Train         bool         // with gradients; takes twice the memory for parameters
	MTP           bool         // with the multi-token prediction layer
	MTPBeforeNorm bool         // the MTP layer reads the state before the final norm, not after it
	MaxTokens     int          // tokens worked on at once, which bounds memory; 0 means 2048

	// Trainable says by name which parameters train; the others are Frozen. nil: all, but with LoRA none
	// beside its adapters. Gradients are made for whole products: those of gate_proj and up_proj of one
	// MLP, and of q_a_proj (or q_proj) and kv_a_proj_with_mqa of MLA, take memory together.
	Trainable func(name string) bool
	LoRA      *LoRA // nil: no adapters
}

// Model is a network with its weights. It is not safe for use by two goroutines at once, nor is its
// Engine.
type Model struct {
	cfg    *Config
	e      *kernel.Engine
	opt    Options
	params []*Param
	byName map[string]*Param

	rope    *rope
	embed   *embedding
	blocks  []*block
	norm    *norm
	head    *linear
	mtp     *mtp
	routers []*router // of all MoE layers, the MTP block last

	weights, trained products
	lowest           int // first of blocks that must be walked back to
	pass             *pass

	positions []int32 // of the chunk that a ChunkObjective is told of
}

// New makes a model whose weights are zero: call Init, or fill Params and call Sync.
func New(cfg *Config, e *kernel.Engine, opt Options) (*Model, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if err := cfg.Trainable(); err != nil {
		return nil, err
	}
	c := cfg.withDefaults()
	if opt.MTP && c.NumNextnPredictLayers == 0 {
		return nil, errors.New("model: MTP asked for, but num_nextn_predict_layers is 0")
	}
	if opt.MTP && c.NumNextnPredictLayers > 1 {
		return nil, fmt.Errorf("model: num_nextn_predict_layers is %d, only one MTP layer is supported", c.NumNextnPredictLayers)
	}
	if opt.MaxTokens == 0 {
		opt.MaxTokens = 2048
	}
	if opt.MaxTokens < 1 {
		return nil, fmt.Errorf("model: MaxTokens is %d", opt.MaxTokens)
	}
	m := &Model{cfg: c, e: e, opt: opt, rope: newRope(c)}
	b := &builder{e: e, dtype: opt.DType, train: opt.Train, trains: opt.Trainable}
	if opt.LoRA != nil {
		if err := opt.LoRA.validate(); err != nil {
			return nil, err
		}
		b.lora, b.met = opt.LoRA, make([]bool, len(opt.LoRA.Targets))
	}
	var table *Param
	m.embed, table = b.embedding(c)
	for i := range c.NumHiddenLayers {
		if c.ModelType == v3 {
			m.blocks = append(m.blocks, b.v3Block(c, i, m.rope))
		} else {
			m.blocks = append(m.blocks, b.llamaBlock(c, i, m.rope))
		}
	}
	m.norm = b.norm("model.norm", c.HiddenSize, c.RMSNormEps)
	if c.TieWordEmbeddings {
		m.head = b.linear(table, c.VocabSize, c.HiddenSize, opt.DType)
	} else {
		m.head = b.matrices(c.HiddenSize, matrix{"lm_head", c.VocabSize, Head})
	}
	if opt.MTP {
		m.mtp = b.mtp(c, m.rope, opt.MTPBeforeNorm)
	}
	if i := slices.Index(b.met, false); i >= 0 {
		return nil, fmt.Errorf("model: LoRA target %q names no matrix of this model: its matrices are %s", opt.LoRA.Targets[i], b.kindsOfMatrices())
	}
	b.finish()
	if opt.Train && len(b.trained.weights) == 0 && !slices.ContainsFunc(b.params, func(p *Param) bool { return p.Grad != nil }) {
		return nil, errors.New("model: every parameter is frozen: let some train")
	}
	m.params, m.weights, m.trained = b.params, b.weights, b.trained
	m.byName = make(map[string]*Param, len(m.params))
	for _, p := range m.params {
		m.byName[p.Name] = p
	}
	for _, block := range m.allBlocks() {
		if x, ok := block.ffn.(*moe); ok {
			x.router.layer = len(m.routers)
			m.routers = append(m.routers, x.router)
		}
	}
	m.lowest = m.lowestTrained()
	return m, nil
}

// lowestTrained is the first layer that holds something that trains, 0 when the embedding does, and the
// number of layers when none does.
func (m *Model) lowestTrained() int {
	if m.embed.dtable != nil {
		return 0
	}
	for i := range m.blocks {
		prefix := layerName(i, "")
		for _, p := range m.params {
			if p.Grad != nil && strings.HasPrefix(p.Name, prefix) {
				return i
			}
		}
	}
	return len(m.blocks)
}

// allBlocks are the layers and the one inside the MTP layer.
func (m *Model) allBlocks() []*block {
	if m.mtp == nil {
		return m.blocks
	}
	return append(m.blocks[:len(m.blocks):len(m.blocks)], m.mtp.block)
}

// Config returns the model's configuration, with defaults filled in. It must not be changed.
func (m *Model) Config() *Config { return m.cfg }

// Params returns all parameters, always in the same order.
func (m *Model) Params() []*Param { return m.params }

// Param returns the parameter of that name, or nil.
func (m *Model) Param(name string) *Param { return m.byName[name] }

// Sync prepares the weights for products again after Data of any parameter has changed.
func (m *Model) Sync() { m.e.Pack(m.weights.weights, m.weights.sources) }

// SyncTrained is Sync where only Data of parameters that train has changed.
func (m *Model) SyncTrained() { m.e.Pack(m.trained.weights, m.trained.sources) }

// ClearGrads sets all gradients to zero.
func (m *Model) ClearGrads() {
	for _, p := range m.params {
		clear(p.Grad)
	}
}

// routing are the routers of the layers, without the MTP block's.
func (m *Model) routing() []*router {
	if m.mtp != nil && m.cfg.IsMoE(m.cfg.NumHiddenLayers) {
		return m.routers[:len(m.routers)-1]
	}
	return m.routers
}

// ExpertLoads returns, for every MoE layer (the MTP block last), how many tokens LossGrad has sent to
// each expert since UpdateBias. The slices are the model's own.
func (m *Model) ExpertLoads() [][]int64 {
	loads := make([][]int64, len(m.routers))
	for i, r := range m.routers {
		loads[i] = r.loads
	}
	return loads
}

// UpdateBias moves the correction bias of every expert by gamma towards equal loads, then forgets the
// loads. Call it once per optimiser step.
func (m *Model) UpdateBias(gamma float32) {
	for _, r := range m.routers {
		r.updateBias(gamma)
	}
}

// Init draws all matrices from a normal distribution with deviation InitializerRange, sets norm weights
// to 1 and biases to 0, adapters as InitLoRA does, and calls Sync. Every tensor has its own stream, which depends on seed and
// name alone.
func (m *Model) Init(seed uint64) {
	t := initTask{std: m.cfg.InitializerRange}
	for _, p := range m.params {
		switch {
		case p.Kind == Adapter:
		case p.Kind == Bias || strings.HasSuffix(p.Name, ".bias"):
			clear(p.Data)
		case p.Kind == Vector:
			for i := range p.Data {
				p.Data[i] = 1
			}
		default:
			t.key, t.data = stream(seed, p.Name), p.Data
			m.e.Pool().Run((len(p.Data)+initChunk-1)/initChunk, &t)
		}
	}
	m.drawAdapters(seed)
	m.Sync()
}

// stream is the key of the numbers that seed draws for a tensor.
func stream(seed uint64, name string) uint64 {
	h := fnv.New64a()
	io.WriteString(h, name)
	return mix(seed ^ mix(h.Sum64()))
}

// initChunk is a multiple of 2: normals come in pairs.
const initChunk = 1 << 14

type initTask struct {
	key  uint64
	std  float64
	data []float32
}

// Do draws by the transform of Box and Muller from counters, so that any element can be drawn alone.
func (t *initTask) Do(_, i int) {
	lo, hi := i*initChunk, min((i+1)*initChunk, len(t.data))
	for j := lo; j < hi; j += 2 {
		// 53 bits in (0,1], so that the logarithm is finite
		u := float64(mix(t.key+uint64(j))>>11+1) / (1 << 53)
		v := float64(mix(t.key+uint64(j)+1)>>11) / (1 << 53)
		r := t.std * math.Sqrt(-2*math.Log(u))
		s, c := math.Sincos(2 * math.Pi * v)
		t.data[j] = float32(r * c)
		if j+1 < hi {
			t.data[j+1] = float32(r * s)
		}
	}
}

// mix is the output function of SplitMix64. Source: Steele, Lea and Flood 2014.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
