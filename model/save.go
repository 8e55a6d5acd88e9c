// This file holds Save: a Model becomes a directory in Hugging Face layout with published names.

package model

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/haenyeo/haenyeo/format/safetensors"
	"github.com/haenyeo/haenyeo/internal/atomicfile"
	"github.com/haenyeo/haenyeo/kernel"
)

// Save writes model.safetensors, then config.json, to dir, each whole or not at all. dt is the type of
// the stored weights; correction biases are always F32. As published checkpoints do, an MTP layer
// comes with copies of embedding and head. Adapters are not written, and must add nothing (MergeLoRA).
func (m *Model) Save(dir string, dt kernel.DType) error {
	if m.unmerged() {
		return errors.New("model: adapters that are not merged would be lost: MergeLoRA first, or keep them apart")
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("model: %w", err)
	}
	c := *m.cfg
	stored := safetensors.F32
	c.TorchDType = "float32"
	if dt == kernel.BF16 {
		stored, c.TorchDType = safetensors.BF16, "bfloat16"
	}
	if m.mtp == nil {
		c.NumNextnPredictLayers = 0
	}
	text, err := c.JSON()
	if err != nil {
		return err
	}
	var tensors []safetensors.Source
	for _, p := range m.params {
		if p.Kind == Adapter {
			continue
		}
		t := stored
		if p.Kind == Bias {
			t = safetensors.F32
		}
		tensors = append(tensors, safetensors.Floats(p.Name, t, p.Shape, p.Data))
	}
	if m.mtp != nil {
		shape := []int{c.VocabSize, c.HiddenSize}
		tensors = append(tensors,
			safetensors.Floats(layerName(m.mtp.layer, "embed_tokens.weight"), stored, shape, m.embed.table),
			safetensors.Floats(layerName(m.mtp.layer, "shared_head.head.weight"), stored, shape, m.head.data))
	}
	if err := safetensors.Write(filepath.Join(dir, safetensors.FileName), tensors, map[string]string{"format": "pt"}); err != nil {
		return fmt.Errorf("model: %w", err)
	}
	if err := atomicfile.WriteFile(filepath.Join(dir, "config.json"), text); err != nil {
		return fmt.Errorf("model: %w", err)
	}
	return nil
}
