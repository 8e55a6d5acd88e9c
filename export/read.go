package export

// OpenGGUF: the same layout the other way round.

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/haenyeo/haenyeo/format/gguf"
	"github.com/haenyeo/haenyeo/kernel"
	"github.com/haenyeo/haenyeo/model"
	"github.com/haenyeo/haenyeo/tokenizer"
)

// OpenGGUF reads the model and the tokenizer (nil if there is none) of the file at path.
func OpenGGUF(path string, e *kernel.Engine, opt model.Options) (*model.Model, *tokenizer.Tokenizer, error) {
	f, err := gguf.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	m, t, err := read(f, e, opt)
	if err != nil {
		return nil, nil, fmt.Errorf("%w (in %q)", err, path)
	}
	return m, t, nil
}

func read(f *gguf.File, e *kernel.Engine, opt model.Options) (*model.Model, *tokenizer.Tokenizer, error) {
	if err := f.CheckModel(); err != nil {
		return nil, nil, errors.New(strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	arch, err := f.Metadata.String("general.architecture")
	if err != nil {
		return nil, nil, err
	}
	t, err := readTokenizer(&f.Metadata)
	if err != nil {
		return nil, nil, err
	}
	c, err := readConfig(f, arch, t)
	if err != nil {
		return nil, nil, err
	}
	ts, err := expected(f, arch, c)
	if err != nil {
		return nil, nil, err
	}
	m, err := model.New(c, e, opt)
	if err != nil {
		return nil, nil, err
	}
	for i := range ts {
		g, _ := f.Tensor(ts[i].name)
		if err := ts[i].unpack(g, m); err != nil {
			return nil, nil, err
		}
	}
	if err := m.CheckFinite(); err != nil {
		return nil, nil, err
	}
	m.Sync()
	return m, t, nil
}

// expected lists the tensors that the metadata promises and checks that the file has them all, before
// any memory is taken for them.
func expected(f *gguf.File, arch string, c *model.Config) ([]tensor, error) {
	elements := 0
	for _, g := range f.Tensors() {
		elements += g.Len()
	}
	if total, _ := c.Sizes(); total > int64(elements) {
		return nil, fmt.Errorf("export: the metadata describes %d parameters, but the file has %d: it is incomplete", total, elements)
	}
	ts := layout(arch, c)
	for _, want := range ts {
		got, ok := f.Tensor(want.name)
		if !ok {
			return nil, fmt.Errorf("export: tensor %q is missing: the file is incomplete", want.name)
		}
		if !slices.Equal(got.Shape, want.shape) {
			return nil, fmt.Errorf("export: tensor %q has shape %v, but the metadata says %v", want.name, got.Shape, want.shape)
		}
	}
	return ts, nil
}

// unpack decodes g into the published tensors that it was made of.
func (t *tensor) unpack(g gguf.Tensor, m *model.Model) error {
	if t.values != nil {
		return nil // the configuration says them
	}
	targets := make([][]float32, len(t.from))
	for i, name := range t.from {
		p := m.Param(name)
		if p == nil || len(p.Data) != product(t.each) {
			return fmt.Errorf("export: tensor %q has no place in the model for %q", t.name, name)
		}
		targets[i] = p.Data
	}
	width, rowBytes := t.width(), g.Type.Bytes(t.width())
	step := max(1, pieceSize/width)
	var buf, columns []float32
	if t.keys != nil {
		step = t.shape[1]
		columns = make([]float32, t.shape[1]*width)
	}
	for lo := 0; lo < t.rows(); lo += step {
		hi := min(lo+step, t.rows())
		piece := g
		piece.Data = g.Data[lo*rowBytes : hi*rowBytes]
		var err error
		if buf, err = piece.Float32(buf); err != nil {
			return err
		}
		switch {
		case t.keys != nil:
			transpose(columns, buf, t.shape[1], width)
			copy(targets[0][lo/step*t.keys.stride*t.shape[1]:], columns)
		case t.row == nil:
			copy(targets[0][lo*width:], buf)
		default:
			for r := lo; r < hi; r++ {
				source, row := t.row(r)
				copy(targets[source][row*width:][:width], buf[(r-lo)*width:])
			}
		}
	}
	return nil
}

// readConfig rebuilds the configuration from the metadata; the inverse of configKeys.
func readConfig(f *gguf.File, arch string, t *tokenizer.Tokenizer) (*model.Config, error) {
	k := keys{m: &f.Metadata, arch: arch}
	c := &model.Config{
		NumHiddenLayers:       k.size("block_count"),
		MaxPositionEmbeddings: k.size("context_length"),
		HiddenSize:            k.size("embedding_length"),
		IntermediateSize:      k.size("feed_forward_length"),
		NumAttentionHeads:     k.size("attention.head_count"),
		RMSNormEps:            k.float("attention.layer_norm_rms_epsilon", missing),
		RopeTheta:             k.float("rope.freq_base", 10000),
		BOSTokenID:            -1,
	}
	embedding, ok := f.Tensor("token_embd.weight")
	if !ok || len(embedding.Shape) != 2 {
		return nil, errors.New("export: tensor \"token_embd.weight\" is missing: this file holds no language model")
	}
	c.VocabSize = embedding.Shape[0]
	_, untied := f.Tensor("output.weight")
	c.TieWordEmbeddings = !untied
	switch arch {
	case deepseek2:
		c.ModelType = "deepseek_v3"
		k.readLatent(c)
	case llama, qwen2, qwen3:
		c.ModelType = arch
		c.NumKeyValueHeads = k.sizeOr("attention.head_count_kv", c.NumAttentionHeads)
		c.HeadDim = k.sizeOr("attention.key_length", c.HiddenSize/max(1, c.NumAttentionHeads))
		_, c.AttentionBias = f.Tensor("blk.0.attn_output.bias")
	default:
		return nil, fmt.Errorf("export: architecture %q is not implemented: only %s, %s, %s and %s", arch, deepseek2, llama, qwen2, qwen3)
	}
	k.readRope(c)
	if divisors, ok := f.Tensor("rope_freqs.weight"); ok && k.err == nil {
		if arch != llama || c.RopeScaling.Type != "" {
			return nil, fmt.Errorf("export: tensor \"rope_freqs.weight\" in architecture %s with rope scaling %q is not known: open the safetensors", arch, c.RopeScaling.Type)
		}
		d, err := divisors.Float32(nil)
		if err != nil {
			return nil, err
		}
		if c.RopeScaling, err = llama3Scaling(c, d); err != nil {
			return nil, err
		}
	}
	if t != nil {
		if id, ok := t.BOS(); ok {
			c.BOSTokenID = int(id)
		}
		if id, ok := t.EOS(); ok {
			c.EOSTokenID = []int{int(id)}
		}
	}
	if k.err != nil {
		return nil, k.err
	}
	if _, err := architecture(c); err != nil {
		return nil, err
	}
	text, err := c.JSON() // checks it
	if err != nil {
		return nil, err
	}
	return model.ParseConfig(text) // fills in defaults
}

func (k *keys) readLatent(c *model.Config) {
	if _, err := k.m.Uint(k.arch + ".attention.key_length_mla"); err != nil && k.err == nil {
		k.err = errors.New("export: latent attention is stored in the old form (attn_kv_b), which is not read yet: convert the model again")
		return
	}
	c.QLoraRank = k.sizeOr("attention.q_lora_rank", 0)
	c.KVLoraRank = k.size("attention.kv_lora_rank")
	c.QKRopeHeadDim = k.size("rope.dimension_count")
	c.QKNopeHeadDim = k.size("attention.key_length_mla") - c.QKRopeHeadDim
	c.VHeadDim = k.size("attention.value_length_mla")
	c.FirstKDenseReplace = k.sizeOr("leading_dense_block_count", 0)
	c.NSharedExperts = k.size("expert_shared_count")
	c.MoEIntermediateSize = k.size("expert_feed_forward_length")
	c.NRoutedExperts = k.sizeOr("expert_count", 0)
	c.NumExpertsPerTok = k.sizeOr("expert_used_count", 0)
	c.RoutedScalingFactor = k.float("expert_weights_scale", 1)
	c.NGroup = k.sizeOr("expert_group_count", 1)
	c.TopKGroup = k.sizeOr("expert_group_used_count", 1)
	c.NormTopKProb, _ = k.m.Bool(k.arch + ".expert_weights_norm") // missing: false
	if gating := k.sizeOr("expert_gating_func", 1); c.NRoutedExperts > 0 && gating != gatingSigmoid && k.err == nil {
		k.err = fmt.Errorf("export: expert gating function %d is not implemented, only sigmoid (%d)", gating, gatingSigmoid)
	}
}

func (k *keys) readRope(c *model.Config) {
	kind, err := k.m.String(k.arch + ".rope.scaling.type")
	if errors.Is(err, gguf.ErrNoKey) || kind == "none" {
		return
	}
	c.RopeScaling = model.RopeScaling{
		Type:                kind,
		Factor:              k.float("rope.scaling.factor", missing),
		OriginalMaxPosition: k.sizeOr("rope.scaling.original_context_length", c.MaxPositionEmbeddings),
		BetaFast:            k.float("rope.scaling.yarn_beta_fast", yarnBetaFast),
		BetaSlow:            k.float("rope.scaling.yarn_beta_slow", yarnBetaSlow),
		MScaleAllDim:        10 * k.float("rope.scaling.yarn_log_multiplier", 0),
	}
	c.RopeScaling.MScale = c.RopeScaling.MScaleAllDim
}

// keys reads the keys of one architecture and keeps the first error.
type keys struct {
	m    *gguf.Metadata
	arch string
	err  error
}

// missing stands for "no default" in float.
var missing = math.NaN()

// size reads a whole number that a model dimension can be.
func (k *keys) size(key string) int { return k.sizeOr(key, -1) }

// sizeOr gives def, if not negative, when the key is missing.
func (k *keys) sizeOr(key string, def int) int {
	n, err := k.m.Uint(k.arch + "." + key)
	switch {
	case errors.Is(err, gguf.ErrNoKey) && def >= 0:
		return def
	case err == nil && n > math.MaxInt32:
		err = fmt.Errorf("export: key %q is %d: no model has such a size", k.arch+"."+key, n)
	}
	if err != nil && k.err == nil {
		k.err = err
	}
	return int(n)
}

// float gives def, unless that is missing, when the key is missing. A float32 of the file becomes
// the shortest decimal that it stands for: 1e-6 and not 9.99999997e-7.
func (k *keys) float(key string, def float64) float64 {
	x, err := k.m.Float(k.arch + "." + key)
	if errors.Is(err, gguf.ErrNoKey) && def == def {
		return def
	}
	if err != nil && k.err == nil {
		k.err = err
	}
	if exact, err := strconv.ParseFloat(strconv.FormatFloat(x, 'g', -1, 32), 64); err == nil && float32(x) == float32(exact) {
		return exact
	}
	return x
}
