// This file holds Open: a directory in Hugging Face layout becomes a Model.

package model

import (
	"fmt"
	"slices"

	"github.com/haenyeo/haenyeo/format/safetensors"
	"github.com/haenyeo/haenyeo/kernel"
)

// Open reads config.json and the safetensors files of dir. Weights of any floating-point type of 16 or
// more bits become float32. Names and shapes are checked before memory is taken. Tensors of MTP layers
// are left unread unless opt.MTP.
func Open(dir string, e *kernel.Engine, opt Options) (*Model, error) {
	cfg, err := ReadConfig(dir)
	if err != nil {
		return nil, err
	}
	r, err := safetensors.OpenDir(dir)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if err := bounded(cfg, r.Bytes()); err != nil {
		return nil, fmt.Errorf("%w (in %q)", err, dir)
	}
	m, err := New(cfg, e, opt)
	if err != nil {
		return nil, err
	}
	for _, p := range m.params {
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
		if _, err := t.Float32(p.Data[:0]); err != nil {
			return nil, fmt.Errorf("model: %w", err)
		}
	}
	m.Sync()
	return m, nil
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
