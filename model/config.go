// This file holds Config, its defaults, and what follows from it for single layers. Its checks stand in
// configcheck.go, the sizes in configsize.go, reading and writing of config.json in configjson.go,
// configread.go and configwrite.go. Source: config.json of the published checkpoints.

package model

import (
	"errors"
	"fmt"
	"slices"
)

// Config is the shape of a model. Fields are named after the keys of config.json, which are also
// where their meaning is documented; a size that a generation does not have is 0.
type Config struct {
	ModelType string // one of Types

	VocabSize             int // V
	HiddenSize            int // D
	IntermediateSize      int // width of the dense MLP
	NumHiddenLayers       int // L
	NumAttentionHeads     int // H
	NumKeyValueHeads      int // Llama line, MoE-16B; 0 means NumAttentionHeads; 1 in V4
	HeadDim               int // Llama line, MoE-16B; 0 means HiddenSize/NumAttentionHeads; V4: of the one key/value vector
	MaxPositionEmbeddings int
	RMSNormEps            float64 // 0 means 1e-6. The norms inside MLA use 1e-6 whatever this says
	TieWordEmbeddings     bool
	AttentionBias         bool // Llama line: biases on q, k, v and o
	QKVBias               bool // Qwen2: biases on q, k, v (implied by the model type)
	QKNorm                bool // Qwen3: per-head norms of q and k (implied by the model type)

	// Multi-head latent attention (V2, V3, V3.2). V4 has QLoraRank and QKRopeHeadDim too.
	QLoraRank     int // 0: queries are projected directly (null in the file)
	KVLoraRank    int // R
	QKNopeHeadDim int
	QKRopeHeadDim int // P; in V4 the last P of HeadDim channels
	VHeadDim      int

	// Mixture of experts.
	MoEIntermediateSize int // F
	NRoutedExperts      int // E
	NSharedExperts      int
	NumExpertsPerTok    int     // K
	FirstKDenseReplace  int     // layers before this one use the dense MLP
	MoELayerFreq        int     // of the others every n-th is MoE; 0 means 1
	NGroup, TopKGroup   int     // 0 means 1
	RoutedScalingFactor float64 // 0 means 1
	NormTopKProb        bool
	ScoringFunc         string // "softmax", "sigmoid" or "sqrtsoftplus"; "" means that of the generation
	TopKMethod          string // "greedy", "group_limited_greedy" or "noaux_tc"; "" means that of the generation

	NumNextnPredictLayers int // multi-token prediction layers

	// Lightning indexer (V3.2; V4 in layers of ratio 4).
	IndexNHeads  int
	IndexHeadDim int
	IndexTopK    int

	// V4.
	SlidingWindow     int     // tokens that a query sees uncompressed, itself included
	CompressRatios    []int   // of every layer, then of every MTP layer: 0, 4 (CSA) or 128 (HCA)
	CompressRopeTheta float64 // of layers whose ratio is not 0; RopeScaling is theirs alone. 0 means 160000
	OGroups           int     // groups of heads in the output projection
	OLoraRank         int     // its rank per group
	HCMult            int     // residual streams
	HCSinkhornIters   int
	HCEps             float64
	NumHashLayers     int     // layers that choose experts by token id
	SwigluLimit       float64 // clamp inside the experts; 0: none
	DSparkBlockSize   int     // V4-Flash-0731: a drafter stands where the MTP layer was; 0: none

	RopeTheta   float64 // 0 means 10000
	RopeScaling RopeScaling

	Quantization Quantization

	InitializerRange float64 // 0 means 0.02
	BOSTokenID       int     // -1: none
	EOSTokenID       []int
	TorchDType       string // of the stored weights; "" means float32
}

// Quantization says how the matrices of a checkpoint are stored. Which of them are quantised is
// discovered by their scales. The zero value: none is.
type Quantization struct {
	Method      string // "", "fp8" or "nvfp4" (conversions by others)
	BlockRows   int    // fp8: rows and columns that share one scale; 0 means 128
	BlockCols   int
	ScaleFormat string // "ue8m0", or "" for any float32
	ExpertDType string // "fp4": routed experts hold two E2M1 codes a byte
}

// RopeScaling says how rotary frequencies are stretched. The zero value leaves them alone.
type RopeScaling struct {
	Type                string // "", "linear", "yarn" or "llama3"
	Factor              float64
	OriginalMaxPosition int
	BetaFast, BetaSlow  float64 // yarn; 0 means 32 and 1
	MScale              float64 // yarn; 0: the key is missing
	MScaleAllDim        float64 // yarn; 0: the key is missing
	AttentionFactor     float64 // yarn; 0: the key is missing. 1 in V4
	NoTruncate          bool    // yarn, "truncate": false
	LowFreqFactor       float64 // llama3
	HighFreqFactor      float64 // llama3
}

// Values of ModelType.
const (
	llama  = "llama"
	qwen2  = "qwen2"
	qwen3  = "qwen3"
	moe16b = "deepseek"
	v2     = "deepseek_v2"
	v3     = "deepseek_v3"
	v32    = "deepseek_v32"
	v4     = "deepseek_v4"
)

const supported = llama + ", " + qwen2 + ", " + qwen3 + ", " + moe16b + ", " + v2 + ", " + v3 + ", " + v32 + " and " + v4

// Types are the values of ModelType.
func Types() []string { return []string{llama, qwen2, qwen3, moe16b, v2, v3, v32, v4} }

// Trainable says why a model of this shape cannot be trained, or nil.
func (c *Config) Trainable() error {
	switch c.ModelType {
	case v3, llama, qwen2, qwen3:
		if c.Quantization != (Quantization{}) {
			return errors.New("model: quantised weights can be run but not trained: convert them to BF16 first, or leave quantization_config out of a configuration to start from")
		}
		return nil
	}
	return fmt.Errorf("model: model_type %q can be run but not trained: training is implemented for %s, %s, %s and %s", c.ModelType, v3, llama, qwen2, qwen3)
}

// latent says whether attention is MLA.
func (c *Config) latent() bool { return c.ModelType == v2 || c.ModelType == v3 || c.ModelType == v32 }

// experts says whether the generation has MoE layers.
func (c *Config) experts() bool { return c.latent() || c.ModelType == moe16b || c.ModelType == v4 }

// IsMoE says whether layer i has experts. The MTP layer is asked for as layer NumHiddenLayers.
func (c *Config) IsMoE(i int) bool {
	return c.experts() && i >= c.FirstKDenseReplace && i%max(c.MoELayerFreq, 1) == 0
}

// withDefaults returns a copy in which zero values that stand for a default are replaced.
func (c *Config) withDefaults() *Config {
	d := *c
	d.EOSTokenID, d.CompressRatios = slices.Clone(c.EOSTokenID), slices.Clone(c.CompressRatios)
	def := func(p *int, v int) {
		if *p == 0 {
			*p = v
		}
	}
	deff := func(p *float64, v float64) {
		if *p == 0 {
			*p = v
		}
	}
	deft := func(p *string, v string) {
		if *p == "" {
			*p = v
		}
	}
	deff(&d.RMSNormEps, 1e-6)
	deff(&d.RopeTheta, 1e4)
	deff(&d.InitializerRange, 0.02)
	if d.RopeScaling.Type == "yarn" {
		deff(&d.RopeScaling.BetaFast, 32)
		deff(&d.RopeScaling.BetaSlow, 1)
	}
	if d.Quantization.Method == "fp8" {
		def(&d.Quantization.BlockRows, 128)
		def(&d.Quantization.BlockCols, 128)
	}
	if d.experts() {
		def(&d.MoELayerFreq, 1)
		def(&d.NGroup, 1)
		def(&d.TopKGroup, 1)
		deff(&d.RoutedScalingFactor, 1)
		scoring, method := routing(d.ModelType)
		deft(&d.ScoringFunc, scoring)
		deft(&d.TopKMethod, method)
		if d.TopKMethod == "greedy" {
			d.NGroup, d.TopKGroup = 1, 1
		}
	}
	switch {
	case d.ModelType == v4:
		d.NumKeyValueHeads = 1
		deff(&d.CompressRopeTheta, 1.6e5)
		deff(&d.HCEps, 1e-6)
		if d.RopeScaling.Type == "yarn" {
			deff(&d.RopeScaling.AttentionFactor, 1)
		}
		for len(d.CompressRatios) < d.NumHiddenLayers+d.NumNextnPredictLayers && len(d.CompressRatios) >= d.NumHiddenLayers && d.NumNextnPredictLayers <= maxMTP {
			d.CompressRatios = append(d.CompressRatios, 0)
		}
	case d.latent():
		def(&d.NumKeyValueHeads, d.NumAttentionHeads)
	default:
		def(&d.NumKeyValueHeads, d.NumAttentionHeads)
		if d.NumAttentionHeads > 0 {
			def(&d.HeadDim, d.HiddenSize/d.NumAttentionHeads)
		}
	}
	d.QKVBias = d.ModelType == qwen2 || d.AttentionBias
	d.QKNorm = d.ModelType == qwen3
	return &d
}

// routing is how a generation scores and chooses experts where config.json does not say it.
func routing(modelType string) (scoring, method string) {
	switch modelType {
	case v3, v32:
		return "sigmoid", "noaux_tc"
	case v4:
		return "sqrtsoftplus", "noaux_tc"
	}
	return "softmax", "greedy"
}
