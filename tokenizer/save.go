package tokenizer

// Writing tokenizer.json and tokenizer_config.json, so that `tokenizers`, `transformers` and llama.cpp's converter load
// them and give the same ids.

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// Save writes tokenizer.json and tokenizer_config.json into dir, which must exist. Each file is written beside its place,
// synced and renamed, so that a crash leaves the old one or the new one.
func (t *Tokenizer) Save(dir string) error {
	model, err := t.MarshalJSON()
	if err != nil {
		return err
	}
	config, err := t.marshalConfig()
	if err != nil {
		return err
	}
	if err := writeFile(filepath.Join(dir, "tokenizer.json"), model); err != nil {
		return err
	}
	return writeFile(filepath.Join(dir, "tokenizer_config.json"), config)
}

func writeFile(path string, b []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("tokenizer: %w", err)
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		return fmt.Errorf("tokenizer: write %s: %w", path, err)
	}
	if dir, err := os.Open(filepath.Dir(path)); err == nil {
		dir.Sync() // not every file system can; the rename stands either way
		dir.Close()
	}
	return nil
}

// MarshalJSON gives the bytes of tokenizer.json: what was not understood in a file that was read is written as it was.
func (t *Tokenizer) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	part := func(name string, raw json.RawMessage, otherwise string) {
		if len(raw) == 0 {
			raw = json.RawMessage(otherwise)
		}
		fmt.Fprintf(&b, "  %q: %s,\n", name, raw)
	}
	b.WriteString("{\n  \"version\": \"1.0\",\n")
	part("truncation", t.file.truncation, "null")
	part("padding", t.file.padding, "null")
	b.WriteString("  \"added_tokens\": [")
	for i, a := range t.added {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "\n    {\"id\": %d, \"content\": ", a.ID)
		writeString(&b, a.Content)
		fmt.Fprintf(&b, ", \"single_word\": %t, \"lstrip\": %t, \"rstrip\": %t, \"normalized\": %t, \"special\": %t}",
			a.SingleWord, a.LStrip, a.RStrip, a.Normalized, a.Special)
	}
	b.WriteString("\n  ],\n")
	normalizer := "null"
	if t.nfc {
		normalizer = `{"type": "NFC"}`
	}
	part("normalizer", t.file.normalizer, normalizer)
	part("pre_tokenizer", t.file.preTokenizer, preTokenizerJSON(t.scan))
	post, err := t.postProcessorJSON()
	if err != nil {
		return nil, err
	}
	part("post_processor", post, "null")
	decoder := t.file.decoder
	if string(decoder) == "null" {
		decoder = nil // taken as ByteLevel when it was read
	}
	part("decoder", decoder, byteLevelJSON(true))
	fmt.Fprintf(&b, `  "model": {
    "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null, "end_of_word_suffix": null,
    "fuse_unk": false, "byte_fallback": false, "ignore_merges": %t,
    "vocab": {`, t.ignoreMerges)
	t.writeModel(&b)
	return b.Bytes(), nil
}

func (t *Tokenizer) writeModel(b *bytes.Buffer) {
	// Merges may make an added token, and then it must be in the vocabulary too.
	made := make(map[uint32]bool)
	for _, id := range t.merges.result {
		if t.vocab.kind[id] >= addedKind {
			made[id] = true
		}
	}
	separator := "\n"
	for id, s := range t.Vocab() {
		if t.vocab.kind[id] >= addedKind && !made[uint32(id)] && !t.inModel(id) {
			continue
		}
		b.WriteString(separator)
		separator = ",\n"
		b.WriteString("      ")
		writeString(b, s)
		fmt.Fprintf(b, ": %d", id)
	}
	b.WriteString("\n    },\n    \"merges\": [")
	separator = "\n"
	for _, s := range t.Merges() {
		b.WriteString(separator)
		separator = ",\n"
		b.WriteString("      ")
		writeString(b, s)
	}
	b.WriteString("\n    ]\n  }\n}\n")
}

// inModel tells whether an added token's id lies below that of an ordinary one: `tokenizers` numbers added tokens that
// are not in the model's vocabulary from its size on, so such a one must be in it.
func (t *Tokenizer) inModel(id int) bool {
	return slices.ContainsFunc(t.vocab.kind[id:], func(k tokenKind) bool { return k < addedKind })
}

// writeString writes a JSON string without the escapes for HTML that encoding/json adds.
func writeString(b *bytes.Buffer, s string) {
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string into a buffer cannot fail
	b.Truncate(b.Len() - 1)
}

func byteLevelJSON(useRegex bool) string {
	return fmt.Sprintf(`{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": %t}`, useRegex)
}

func preTokenizerJSON(scan scanner) string {
	splits := scan == gpt2 || scan == smollm
	expressions := expressionsOf(scan)
	if len(expressions) == 0 {
		return byteLevelJSON(splits)
	}
	var b bytes.Buffer
	b.WriteString(`{"type": "Sequence", "pretokenizers": [`)
	for _, e := range expressions {
		if e == exprNumber {
			b.WriteString("\n    {\"type\": \"Digits\", \"individual_digits\": true},")
			continue
		}
		b.WriteString("\n    {\"type\": \"Split\", \"pattern\": {\"Regex\": ")
		writeString(&b, e)
		b.WriteString(`}, "behavior": "Isolated", "invert": false},`)
	}
	fmt.Fprintf(&b, "\n    %s\n  ]}", byteLevelJSON(splits))
	return b.String()
}

// postProcessorJSON keeps what a file had, as long as it adds what Encode adds; otherwise it writes a template.
func (t *Tokenizer) postProcessorJSON() (json.RawMessage, error) {
	if len(t.file.postProcessor) > 0 {
		as := Tokenizer{vocab: t.vocab, file: fileParts{postProcessor: t.file.postProcessor}}
		if err := as.readPostProcessor(); err != nil {
			return nil, err
		}
		_, saysBOS := t.file.config["add_bos_token"] // the flag does it, as the file has it
		if saysBOS || slices.Equal(as.prefix, t.prefix) && slices.Equal(as.suffix, t.suffix) {
			return t.file.postProcessor, nil
		}
	}
	if len(t.prefix)+len(t.suffix) == 0 {
		return nil, nil
	}
	special := func(id int32) map[string]any {
		return map[string]any{"SpecialToken": map[string]any{"id": string(t.vocab.of(id)), "type_id": 0}}
	}
	sequence := func(name string) map[string]any {
		return map[string]any{"Sequence": map[string]any{"id": name, "type_id": 0}}
	}
	tokens := map[string]any{}
	var single, pair []any
	add := func(ids []int32) {
		for _, id := range ids {
			name := string(t.vocab.of(id))
			tokens[name] = map[string]any{"id": name, "ids": []int32{id}, "tokens": []string{name}}
			single, pair = append(single, special(id)), append(pair, special(id))
		}
	}
	add(t.prefix)
	single, pair = append(single, sequence("A")), append(pair, sequence("A"))
	add(t.suffix)
	pair = append(pair, sequence("B"))
	return json.Marshal(map[string]any{"type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": tokens})
}

// marshalConfig writes tokenizer_config.json: the fields of Config over what a file had.
func (t *Tokenizer) marshalConfig() ([]byte, error) {
	file := map[string]any{"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": false}
	for k, v := range t.file.config {
		file[k] = v
	}
	c := t.config
	set := func(key string, given bool, value any) {
		if given {
			file[key] = value
		} else {
			delete(file, key)
		}
	}
	keep := func(key, content string) {
		var old tokenContent
		if raw, ok := t.file.config[key]; ok && json.Unmarshal(raw, &old) == nil && string(old) == content {
			return
		}
		set(key, content != "", content)
	}
	keep("bos_token", c.BOS)
	keep("eos_token", c.EOS)
	keep("pad_token", c.Pad)
	if old, err := readChatTemplate(t.file.config["chat_template"]); err != nil || old != c.ChatTemplate {
		set("chat_template", c.ChatTemplate != "", c.ChatTemplate)
	}
	// The flags would take back what a template adds beside BOS and EOS.
	if len(t.prefix) == 0 || c.AddBOS {
		file["add_bos_token"] = c.AddBOS
	}
	if len(t.suffix) == 0 || c.AddEOS {
		file["add_eos_token"] = c.AddEOS
	}
	if c.ModelMaxLength > 0 {
		file["model_max_length"] = c.ModelMaxLength
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(file); err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	return b.Bytes(), nil
}
