package create

// This file holds the three sizes. They keep the proportions of DeepSeek-V3: latent attention with
// query and key/value ranks well below the width, one dense layer first, one shared expert beside
// the routed ones. Every size that a matrix product meets is a multiple of 16 and the width of an
// expert one of 32 and at least 96, below which the processor's tiles run half empty.

import (
	"fmt"
	"strings"

	"github.com/haenyeo/haenyeo/model"
)

// preset is one size and how it is trained.
type preset struct {
	name   string
	vocab  int     // largest that suits the size: a big vocabulary eats a small model
	batch  int     // rows
	seq    int     // tokens a row
	lr     float64 // peak
	config model.Config
}

var presets = []preset{
	{name: "nano", vocab: 4096, batch: 16, seq: 256, lr: 6e-3, config: model.Config{
		HiddenSize: 128, NumHiddenLayers: 4, NumAttentionHeads: 4, IntermediateSize: 384,
		QLoraRank: 64, KVLoraRank: 64, QKNopeHeadDim: 32, QKRopeHeadDim: 16, VHeadDim: 32,
		NRoutedExperts: 8, NumExpertsPerTok: 2, MoEIntermediateSize: 96,
	}},
	{name: "S", vocab: 8192, batch: 16, seq: 256, lr: 4e-3, config: model.Config{
		HiddenSize: 256, NumHiddenLayers: 6, NumAttentionHeads: 4, IntermediateSize: 768,
		QLoraRank: 128, KVLoraRank: 96, QKNopeHeadDim: 48, QKRopeHeadDim: 16, VHeadDim: 64,
		NRoutedExperts: 16, NumExpertsPerTok: 2, MoEIntermediateSize: 192,
	}},
	{name: "M", vocab: 16384, batch: 16, seq: 512, lr: 3e-3, config: model.Config{
		HiddenSize: 384, NumHiddenLayers: 8, NumAttentionHeads: 6, IntermediateSize: 1152,
		QLoraRank: 192, KVLoraRank: 128, QKNopeHeadDim: 48, QKRopeHeadDim: 16, VHeadDim: 64,
		NRoutedExperts: 24, NumExpertsPerTok: 3, MoEIntermediateSize: 256,
	}},
}

// Preset is the configuration of a size (nano, S or M) for a vocabulary; 0 takes the size's own.
// The ids of the begin and end of text are set by whoever trains the tokenizer.
func Preset(name string, vocab int) (model.Config, error) {
	p, err := findPreset(name)
	if err != nil {
		return model.Config{}, err
	}
	if vocab == 0 {
		vocab = p.vocab
	}
	return p.forVocab(vocab), nil
}

func (p *preset) forVocab(vocab int) model.Config {
	c := p.config
	c.ModelType = "deepseek_v3"
	c.VocabSize = vocab
	c.FirstKDenseReplace = 1
	c.NSharedExperts = 1
	c.NormTopKProb = true
	c.MaxPositionEmbeddings = p.seq
	c.InitializerRange = 0.006 // the reports'; the template value in config files is 0.02
	c.BOSTokenID = -1
	return c
}

func findPreset(name string) (*preset, error) {
	var names []string
	for i := range presets {
		if strings.EqualFold(presets[i].name, name) {
			return &presets[i], nil
		}
		names = append(names, presets[i].name)
	}
	return nil, fmt.Errorf("create: size %q: use %s or auto", name, strings.Join(names, ", "))
}
