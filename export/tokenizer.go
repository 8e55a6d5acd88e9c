package export

// The tokenizer and the chat template inside a GGUF, and out of it again.

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"

	"github.com/haenyeo/haenyeo/format/gguf"
	"github.com/haenyeo/haenyeo/model"
	"github.com/haenyeo/haenyeo/tokenizer"
)

// unused is the GGUF type of ids that the model has and the tokenizer does not.
const unused tokenizer.TokenType = 5

// tokenizerKeys adds the vocabulary, merges, special tokens and chat template of the tokenizer in
// dir. A model without tokenizer gives a file that knows ids only.
func (m *metadata) tokenizerKeys(dir string, c *model.Config, log *slog.Logger) error {
	t, err := tokenizer.Load(dir)
	if errors.Is(err, fs.ErrNotExist) {
		log.Warn("the model has no tokenizer.json: the GGUF will know token ids only")
		m.text("tokenizer.ggml.model", "none")
		return nil
	}
	if err != nil {
		return err
	}
	tokens := t.Vocab()
	if len(tokens) > c.VocabSize {
		return fmt.Errorf("export: the tokenizer has %d tokens, but the model only %d: they do not belong together", len(tokens), c.VocabSize)
	}
	types := make([]int32, c.VocabSize)
	for id := range types {
		if id < len(tokens) {
			types[id] = int32(t.TokenType(int32(id)))
			continue
		}
		tokens = append(tokens, fmt.Sprintf("[PAD%d]", id))
		types[id] = int32(unused)
	}
	m.text("tokenizer.ggml.model", "gpt2") // byte-level BPE
	m.text("tokenizer.ggml.pre", t.Pre())
	m.Set("tokenizer.ggml.tokens", tokens)
	m.Set("tokenizer.ggml.token_type", types)
	m.Set("tokenizer.ggml.merges", t.Merges())
	m.token("tokenizer.ggml.bos_token_id", t.BOS)
	m.token("tokenizer.ggml.eos_token_id", t.EOS)
	m.token("tokenizer.ggml.padding_token_id", t.Pad)
	config := t.Config()
	m.boolean("tokenizer.ggml.add_bos_token", config.AddBOS)
	m.boolean("tokenizer.ggml.add_eos_token", config.AddEOS)
	if config.ChatTemplate != "" {
		m.text("tokenizer.chat_template", config.ChatTemplate)
	}
	return nil
}

// token adds the id of a special token that exists.
func (m *metadata) token(key string, id func() (int32, bool)) {
	if id, ok := id(); ok {
		m.number(key, int(id))
	}
}

// beginsWithBOS are the pre-tokenizers whose models were trained with a BOS before every text, for files that do not say.
// Those of V4 (joyai-llm) and Qwen were not.
var beginsWithBOS = map[string]bool{"llama-bpe": true, "llama3": true, "llama-v3": true, "deepseek-llm": true, "deepseek-coder": true, "deepseek-v3": true}

// Tokenizer builds the tokenizer of a GGUF; nil if the file has none, or one of a kind that this
// program does not know: its model still works with ids.
func Tokenizer(m *gguf.Metadata) (*tokenizer.Tokenizer, error) {
	kind, err := m.String("tokenizer.ggml.model")
	if errors.Is(err, gguf.ErrNoKey) || kind == "none" || kind == "no_vocab" {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if kind != "gpt2" {
		return nil, nil // not byte-level BPE
	}
	var p tokenizer.Parts
	p.Pre, err = m.String("tokenizer.ggml.pre")
	if errors.Is(err, gguf.ErrNoKey) || p.Pre == "default" { // the vocabulary may tell
		p.Tokens, _ = m.Strings("tokenizer.ggml.tokens") // read again below
		p.Pre, err = tokenizer.PreOf(p.Tokens), nil
	}
	if err == nil && !tokenizer.KnownPre(p.Pre) {
		return nil, nil // guessing would give other ids for some texts
	}
	if err != nil {
		return nil, err
	}
	if p.Tokens, err = m.Strings("tokenizer.ggml.tokens"); err != nil {
		return nil, err
	}
	if p.Merges, err = m.Strings("tokenizer.ggml.merges"); err != nil {
		return nil, err
	}
	types, err := m.Ints("tokenizer.ggml.token_type")
	if err != nil && !errors.Is(err, gguf.ErrNoKey) {
		return nil, err
	}
	for _, t := range types {
		p.Types = append(p.Types, tokenizer.TokenType(t))
	}
	for n := len(p.Types); n > 0 && n == len(p.Tokens) && p.Types[n-1] == unused; n-- {
		p.Tokens, p.Types = p.Tokens[:n-1], p.Types[:n-1]
	}
	name := func(key string) string {
		id, err := m.Uint(key)
		if err != nil || id >= uint64(len(p.Tokens)) {
			return ""
		}
		return p.Tokens[id]
	}
	p.Config.BOS = name("tokenizer.ggml.bos_token_id")
	p.Config.EOS = name("tokenizer.ggml.eos_token_id")
	p.Config.Pad = name("tokenizer.ggml.padding_token_id")
	if p.Config.AddBOS, err = m.Bool("tokenizer.ggml.add_bos_token"); err != nil {
		p.Config.AddBOS = p.Config.BOS != "" && beginsWithBOS[p.Pre] // missing
	}
	p.Config.AddEOS, _ = m.Bool("tokenizer.ggml.add_eos_token")
	p.Config.ChatTemplate, _ = m.String("tokenizer.chat_template")
	return tokenizer.New(p)
}
