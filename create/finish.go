package create

// This file writes what a finished run leaves beside its checkpoints and log.

import (
	"encoding/json"
	"fmt"
	"path/filepath"

	"github.com/haenyeo/haenyeo/internal/atomicfile"
	"github.com/haenyeo/haenyeo/kernel"
	"github.com/haenyeo/haenyeo/model"
	"github.com/haenyeo/haenyeo/train"
)

// chatTemplate is DeepSeek-V3's order of turns, without tools. A base model does not chat; one that
// is trained further from it will.
const chatTemplate = `{{ bos_token }}{% for message in messages %}{% if message['role'] == 'system' %}{{ message['content'] }}{% elif message['role'] == 'user' %}{{ '<｜User｜>' + message['content'] }}{% elif message['role'] == 'assistant' %}{{ '<｜Assistant｜>' + message['content'] + eos_token }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<｜Assistant｜>' }}{% endif %}`

// finish writes everything that makes dir a model. Each file is whole or not there.
func finish(dir string, net *model.Model, m *material, rec *record, d train.Done) error {
	if err := net.Save(dir, kernel.F32); err != nil {
		return err
	}
	if err := writeGenerationConfig(dir, net.Config()); err != nil {
		return err
	}
	return nil
}

func writeGenerationConfig(dir string, cfg *model.Config) error {
	g := map[string]any{
		"do_sample": true, "temperature": sampling.Temperature, "top_p": sampling.TopP,
		"max_length": cfg.MaxPositionEmbeddings,
	}
	if cfg.BOSTokenID >= 0 {
		g["bos_token_id"] = cfg.BOSTokenID
	}
	if len(cfg.EOSTokenID) > 0 {
		g["eos_token_id"] = cfg.EOSTokenID[0]
	}
	b, err := json.MarshalIndent(g, "", "  ")
	if err != nil {
		return fmt.Errorf("create: %w", err)
	}
	if err := atomicfile.WriteFile(filepath.Join(dir, "generation_config.json"), append(b, '\n')); err != nil {
		return fmt.Errorf("create: %w", err)
	}
	return nil
}
