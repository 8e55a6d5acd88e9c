package tokenizer

// tokenizer_config.json: which tokens begin, end and pad a text, whether they are added, and the chat template.

import (
	"encoding/json"
	"errors"
	"fmt"
)

// Config is what tokenizer_config.json says.
type Config struct {
	BOS, EOS, Pad  string // content of the tokens; empty where there is none
	AddBOS, AddEOS bool   // AddSpecial begins a text with BOS, ends it with EOS
	ChatTemplate   string // Jinja source, as it stands in the file
	ModelMaxLength int    // tokens; 0 where the file does not say
}

// Config gives what tokenizer_config.json said, or SetConfig.
func (t *Tokenizer) Config() Config { return t.config }

// SetConfig replaces the configuration; it must not run beside other calls. Tokens it names must be in the vocabulary.
func (t *Tokenizer) SetConfig(c Config) error {
	if err := t.setConfig(c); err != nil {
		return fmt.Errorf("tokenizer: %w", err)
	}
	return nil
}

func (t *Tokenizer) setConfig(c Config) error {
	find := func(name, content string) (int32, error) {
		if content == "" {
			return -1, nil
		}
		id, ok := t.TokenID(content)
		if !ok {
			return -1, fmt.Errorf("%s %q is not in the vocabulary", name, content)
		}
		return id, nil
	}
	bos, err1 := find("bos_token", c.BOS)
	eos, err2 := find("eos_token", c.EOS)
	pad, err3 := find("pad_token", c.Pad)
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	if c.AddBOS && bos < 0 {
		return errors.New("add_bos_token is true, but there is no bos_token")
	}
	if c.AddEOS && eos < 0 {
		return errors.New("add_eos_token is true, but there is no eos_token")
	}
	t.bos, t.eos, t.pad, t.config = bos, eos, pad, c
	t.prefix, t.suffix = nil, nil
	if c.AddBOS {
		t.prefix = []int32{bos}
	}
	if c.AddEOS {
		t.suffix = []int32{eos}
	}
	return nil
}

// readConfig reads tokenizer_config.json. Its add_bos_token and add_eos_token, where they stand, win over the template of
// tokenizer.json, as they do in `transformers`.
func (t *Tokenizer) readConfig(raw []byte) error {
	var file map[string]json.RawMessage
	if err := json.Unmarshal(raw, &file); err != nil {
		return err
	}
	var f struct {
		AddBOS   *bool           `json:"add_bos_token"`
		AddEOS   *bool           `json:"add_eos_token"`
		BOS      tokenContent    `json:"bos_token"`
		EOS      tokenContent    `json:"eos_token"`
		Pad      tokenContent    `json:"pad_token"`
		Template json.RawMessage `json:"chat_template"`
		Longest  float64         `json:"model_max_length"` // 1e30 where unknown
	}
	if err := json.Unmarshal(raw, &f); err != nil {
		return err
	}
	c := Config{BOS: string(f.BOS), EOS: string(f.EOS), Pad: string(f.Pad)}
	if f.Longest > 0 && f.Longest < 1e15 {
		c.ModelMaxLength = int(f.Longest)
	}
	var err error
	if c.ChatTemplate, err = readChatTemplate(f.Template); err != nil {
		return err
	}
	if c.BOS == "" {
		c.BOS = t.config.BOS
	}
	if c.EOS == "" {
		c.EOS = t.config.EOS
	}
	c.AddBOS, c.AddEOS = f.AddBOS != nil && *f.AddBOS, f.AddEOS != nil && *f.AddEOS
	prefix, suffix := t.prefix, t.suffix
	if err := t.setConfig(c); err != nil {
		return err
	}
	if f.AddBOS == nil {
		t.prefix = prefix
	}
	if f.AddEOS == nil {
		t.suffix = suffix
	}
	t.config.AddBOS, t.config.AddEOS = isToken(t.prefix, t.bos), isToken(t.suffix, t.eos)
	t.file.config = file
	return nil
}

// isToken tells whether what a template adds is this one token, which the flags of Config can say too.
func isToken(ids []int32, token int32) bool { return len(ids) == 1 && ids[0] == token }

// tokenContent is a token as files write it: its text, or an object that holds it.
type tokenContent string

func (c *tokenContent) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '{' {
		var object struct{ Content string }
		err := json.Unmarshal(b, &object)
		*c = tokenContent(object.Content)
		return err
	}
	return json.Unmarshal(b, (*string)(c))
}

// readChatTemplate reads a template, or the one named "default" of several.
func readChatTemplate(raw json.RawMessage) (string, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return "", nil
	}
	if raw[0] != '[' {
		var s string
		if err := json.Unmarshal(raw, &s); err != nil {
			return "", fmt.Errorf("chat_template: %w", err)
		}
		return s, nil
	}
	var several []struct{ Name, Template string }
	if err := json.Unmarshal(raw, &several); err != nil {
		return "", fmt.Errorf("chat_template: %w", err)
	}
	for _, s := range several {
		if s.Name == "default" {
			return s.Template, nil
		}
	}
	return "", nil
}
