// This file holds Open: a directory in Hugging Face layout becomes a Model; and CheckFinite, which every
// reader of weights calls.

package model

import (
	"errors"
	"fmt"
	"slices"

	"github.com/haenyeo/haenyeo/format/safetensors"
	"github.com/haenyeo/haenyeo/kernel"
)

// Open reads config.json and the safetensors files of dir. Weights of any floating-point type of 16 or
// more bits become float32. Names and shapes are checked before memory is taken, and that every number is
// finite. Tensors of MTP layers are left unread unless opt.MTP; adapters are those of InitLoRA.
func Open(dir string, e *kernel.Engine, opt Options) (*Model, error) {
	cfg, err := ReadConfig(dir)
	if err != nil {
		return nil, err
	}
	if err := cfg.Trainable(); err != nil {
		return nil, fmt.Errorf("%w (in %q)", err, dir)
	}
	r, err := safetensors.OpenDir(dir)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if head, ok := r.Tensor("lm_head.weight"); ok {
		embed, _ := r.Tensor("model.embed_tokens.weight")
		cfg.Untie(embed, head)
	}
	if err := bounded(cfg, r.Bytes()); err != nil {
		return nil, fmt.Errorf("%w (in %q)", err, dir)
	}
	m, err := New(cfg, e, opt)
	if err != nil {
		return nil, err
	}
	stored := slices.DeleteFunc(slices.Clone(m.params), func(p *Param) bool { return p.Kind == Adapter })
	job := reading{params: stored, from: make([]safetensors.Tensor, len(stored)), errs: make([]error, len(stored))}
	for i, p := range stored {
		t, ok := r.Tensor(p.Name)
		if !ok {
			return nil, fmt.Errorf("model: %q has no tensor %q: it is incomplete, or config.json belongs to another model", dir, p.Name)
		}
		if !slices.Equal(t.Shape, p.Shape) {
			return nil, fmt.Errorf("model: tensor %q in %q has shape %v, config.json asks for %v", p.Name, dir, t.Shape, p.Shape)
		}
		switch t.DType {
		case safetensors.F64, safetensors.F32, safetensors.F16, safetensors.BF16:
		default:
			return nil, fmt.Errorf("model: tensor %q in %q is stored as %v, which is not supported yet: convert the weights to BF16 first", p.Name, dir, t.DType)
		}
		job.from[i] = t
	}
	e.Pool().Run(len(stored), &job)
	if err := errors.Join(job.errs...); err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	if err := m.CheckFinite(); err != nil {
		return nil, fmt.Errorf("%w (in %q)", err, dir)
	}
	m.drawAdapters(0)
	m.Sync()
	return m, nil
}

// reading converts every tensor of a file to the parameter of the same index.
type reading struct {
	params []*Param
	from   []safetensors.Tensor
	errs   []error
}

func (r *reading) Do(_, i int) { _, r.errs[i] = r.from[i].Float32(r.params[i].Data[:0]) }

// CheckFinite names the first parameter that holds a NaN or an infinity. Many of those would never reach
// the logits: a router ranks experts by comparing, and most rows of the embedding are not asked for.
func (m *Model) CheckFinite() error {
	all := make([][]float32, len(m.params))
	for i, p := range m.params {
		all[i] = p.Data
	}
	// One pass at the speed of memory: the sum of squares is finite only if every number is.
	if s := m.e.SumSquares(all); s-s == 0 {
		return nil
	}
	for _, p := range m.params {
		for i, x := range p.Data {
			if x-x != 0 {
				return fmt.Errorf("model: tensor %q holds %v at element %d: the weights are damaged, or come from a training run that diverged; fetch or make them again", p.Name, x, i)
			}
		}
	}
	return nil // finite, but with squares beyond the range
}

// bounded refuses a configuration that asks for much more weights than the files hold: two bytes per
// parameter is the least that Open reads.
func bounded(c *Config, bytes int64) error {
	total, _ := c.Sizes()
	if total > bytes/2 {
		return fmt.Errorf("model: config.json describes %d parameters, but the weights have only %d bytes: files are missing, or it belongs to another model", total, bytes)
	}
	return nil
}
