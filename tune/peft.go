package tune

// This file writes adapters as Hugging Face PEFT does: adapter_config.json and adapter_model.safetensors.

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/haenyeo/haenyeo/format/safetensors"
	"github.com/haenyeo/haenyeo/internal/atomicfile"
	"github.com/haenyeo/haenyeo/model"
)

// AdapterDir is the directory in Out that holds the adapters.
const AdapterDir = "adapter"

// peftPrefix stands before every name: PEFT wraps the model twice.
const peftPrefix = "base_model.model."

// SaveAdapter writes the adapters of m to dir, for the base model of that name or directory. Those of the layer for
// multi-token prediction, which other programs leave out, are not in it.
func SaveAdapter(dir string, m *model.Model, base string) error {
	lora := m.LoRA()
	if lora == nil {
		return fmt.Errorf("tune: the model has no adapters to save in %q", dir)
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("tune: %w", err)
	}
	if abs, err := filepath.Abs(base); err == nil {
		base = abs
	}
	config, err := json.MarshalIndent(map[string]any{
		"peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": base, "r": lora.Rank, "lora_alpha": lora.Alpha,
		"lora_dropout": 0.0, "target_modules": lora.Targets, "bias": "none", "fan_in_fan_out": false, "inference_mode": true,
		"init_lora_weights": true, "modules_to_save": nil, "use_rslora": false, "use_dora": false,
	}, "", "  ")
	if err != nil {
		return fmt.Errorf("tune: %w", err)
	}
	mtp := fmt.Sprintf("model.layers.%d.", m.Config().NumHiddenLayers)
	var tensors []safetensors.Source
	for _, p := range m.Params() {
		if p.Kind == model.Adapter && !strings.HasPrefix(p.Name, mtp) {
			tensors = append(tensors, safetensors.Floats(peftPrefix+p.Name, safetensors.F32, p.Shape, p.Data))
		}
	}
	if err := safetensors.Write(filepath.Join(dir, "adapter_model.safetensors"), tensors, map[string]string{"format": "pt"}); err != nil {
		return fmt.Errorf("tune: %w", err)
	}
	if err := atomicfile.WriteFile(filepath.Join(dir, "adapter_config.json"), append(config, '\n')); err != nil {
		return fmt.Errorf("tune: %w", err)
	}
	return nil
}
