package create

// This file writes what a finished run leaves beside its checkpoints and log: the model, how to
// sample it, and the two pages that tell how it was made.

import (
	"cmp"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"

	"github.com/haenyeo/haenyeo/corpus"
	"github.com/haenyeo/haenyeo/corpus/embedded"
	"github.com/haenyeo/haenyeo/eval/report"
	"github.com/haenyeo/haenyeo/internal/atomicfile"
	"github.com/haenyeo/haenyeo/internal/cpu"
	"github.com/haenyeo/haenyeo/internal/regular"
	"github.com/haenyeo/haenyeo/kernel"
	"github.com/haenyeo/haenyeo/model"
	"github.com/haenyeo/haenyeo/train"
)

// chatTemplate is DeepSeek-V3's order of turns, without tools. A base model does not chat; one that
// is trained further from it will.
const chatTemplate = `{{ bos_token }}{% for message in messages %}{% if message['role'] == 'system' %}{{ message['content'] }}{% elif message['role'] == 'user' %}{{ '<｜User｜>' + message['content'] }}{% elif message['role'] == 'assistant' %}{{ '<｜Assistant｜>' + message['content'] + eos_token }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<｜Assistant｜>' }}{% endif %}`

// finish writes everything that makes dir a model. Each file is whole or not there.
func finish(dir string, net *model.Model, m *material, d train.Done) error {
	if err := net.Save(dir, kernel.F32); err != nil {
		return err
	}
	if err := writeGenerationConfig(dir, net.Config()); err != nil {
		return err
	}
	r, err := tell(dir, net.Config(), m)
	if err != nil {
		return err
	}
	// The log says so only when everything is there.
	r.Done = &report.Done{Step: d.Step, Tokens: d.Tokens, Loss: d.Loss, BPB: d.ValBPB, Seconds: d.Seconds, Retries: d.Retries}
	if err := writeReport(dir, r); err != nil {
		return err
	}
	return write(dir, "README.md", r.Card())
}

func write(dir, name string, b []byte) error {
	if err := atomicfile.WriteFile(filepath.Join(dir, name), b); err != nil {
		return fmt.Errorf("create: %w", err)
	}
	return nil
}

func writeReport(dir string, r *report.Run) error {
	page, err := r.HTML()
	if err != nil {
		return fmt.Errorf("create: %w", err)
	}
	return write(dir, "report.html", page)
}

func writeGenerationConfig(dir string, cfg *model.Config) error {
	g := map[string]any{
		// No max_length: transformers warns of one whenever a caller says max_new_tokens.
		"do_sample": true, "temperature": sampling.Temperature, "top_p": sampling.TopP,
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
	return write(dir, "generation_config.json", append(b, '\n'))
}

// tell collects what is known about the run so far.
func tell(dir string, cfg *model.Config, m *material) (*report.Run, error) {
	f, _, err := regular.Open(filepath.Join(dir, train.LogName))
	if err != nil {
		return nil, fmt.Errorf("create: %w", err)
	}
	defer f.Close()
	r, _, err := report.ReadLog(f)
	if err != nil {
		return nil, err
	}
	name := filepath.Base(dir)
	if abs, err := filepath.Abs(dir); err == nil {
		name = filepath.Base(abs)
	}
	r.Name = name
	r.Machine = fmt.Sprintf("%s, %d threads, kernels %s", cmp.Or(cpu.Name(), runtime.GOARCH), m.threads, m.tier)
	r.Software = software()
	r.Architecture, r.Tags = architecture(cfg)
	r.Config = shape(cfg)
	r.Commands = []report.Command{
		{What: "Continue a text", Line: fmt.Sprintf("haenyeo generate %s --prompt 'Once upon a time'", name)},
		{What: "Serve it elsewhere (llama.cpp)", Line: fmt.Sprintf("haenyeo convert %s --out %s.gguf --type f16", name, name)},
	}
	r.Data = describe(m)
	return r, nil
}

func software() string {
	version := "(devel)"
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		version = info.Main.Version
	}
	return "haenyeo " + version
}

// architecture names what kind of model it is, in words and as tags of the hub.
func architecture(c *model.Config) (words string, tags []string) {
	tags = []string{c.ModelType}
	switch c.ModelType {
	case "deepseek_v3":
		if c.NRoutedExperts > 0 && c.FirstKDenseReplace < c.NumHiddenLayers {
			tags = append(tags, "mixture-of-experts")
		}
		return "DeepSeek-V3", append(tags, "multi-head-latent-attention")
	case "qwen2":
		words = "Qwen2"
	case "qwen3":
		words = "Qwen3"
	default:
		words = "Llama"
	}
	return words, append(tags, "dense")
}

// shape is the configuration as the card shows it.
func shape(c *model.Config) []report.Setting {
	n := func(name string, v int) report.Setting { return report.Setting{Name: name, Value: strconv.Itoa(v)} }
	s := []report.Setting{n("vocabulary", c.VocabSize), n("hidden size", c.HiddenSize), n("layers", c.NumHiddenLayers), n("heads", c.NumAttentionHeads)}
	if c.NumKeyValueHeads > 0 && c.ModelType != "deepseek_v3" {
		s = append(s, n("key and value heads", c.NumKeyValueHeads))
	}
	if c.NRoutedExperts > 0 {
		s = append(s, n("query rank", c.QLoraRank), n("key and value rank", c.KVLoraRank), n("routed experts", c.NRoutedExperts),
			n("experts per token", c.NumExpertsPerTok), n("shared experts", c.NSharedExperts), n("expert width", c.MoEIntermediateSize))
	}
	return append(s, n("window", c.MaxPositionEmbeddings))
}

// describe says where the text came from.
func describe(m *material) report.Data {
	c := m.corpus.Report()
	d := report.Data{
		Documents: c.Documents, Bytes: c.Bytes, ValidationBytes: c.ValidationBytes,
		Duplicates: c.Duplicates, Empty: c.Empty, Altered: c.Altered, NotNFC: c.NotNFC, SkipCount: c.SkipCount,
		Tokenizer: fmt.Sprintf("byte-level BPE with %d tokens, learned from this text", m.tok.VocabSize()),
	}
	for _, l := range c.Languages {
		d.Languages = append(d.Languages, report.Language{Lang: l.Lang, Documents: l.Documents, Bytes: l.Bytes})
	}
	for _, s := range c.Skipped {
		d.Skipped = append(d.Skipped, report.Skip{Name: s.Path, Reason: s.Reason})
	}
	if len(c.Files) == 1 && c.Files[0].Path == corpus.EmbeddedName {
		for _, s := range embedded.Sources() {
			d.Sources = append(d.Sources, report.Source{
				Name: s.Source, Licence: s.Licence, Lang: s.Lang, Repository: s.Repository, Author: s.Author, SHA256: s.SHA256,
				Translated: s.Translated, Documents: int64(s.Records), Bytes: int64(s.Bytes),
			})
		}
		return d
	}
	for _, s := range c.Sources {
		d.Sources = append(d.Sources, report.Source{Name: s.Name, Licence: s.Licence, Lang: s.Lang, Documents: s.Documents, Bytes: s.Bytes})
	}
	for _, f := range c.Files {
		// The name without its directory: the card is made to be passed on.
		d.Files = append(d.Files, report.File{Name: filepath.Base(f.Path), Bytes: f.Bytes, Documents: f.Documents, SHA256: hex.EncodeToString(f.SHA256[:])})
	}
	return d
}
