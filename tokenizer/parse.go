package tokenizer

// Reading tokenizer.json, the file of the Hugging Face `tokenizers` library. What this package does not do exactly as
// that library does is refused by name.

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"unicode/utf8"

	"github.com/haenyeo/haenyeo/internal/regular"
)

const maxFileBytes = 512 << 20

// Load reads tokenizer.json from dir and, where they are there, tokenizer_config.json and chat_template.jinja.
func Load(dir string) (*Tokenizer, error) {
	model, err := readFile(filepath.Join(dir, "tokenizer.json"))
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%w: is %q the directory of a model or a tokenizer?", err, dir)
	}
	if err != nil {
		return nil, err
	}
	config, err := readFile(filepath.Join(dir, "tokenizer_config.json"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	t, err := parse(model, config, dir)
	if err != nil {
		return nil, err
	}
	if t.config.ChatTemplate == "" {
		template, err := readFile(filepath.Join(dir, "chat_template.jinja"))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
		t.config.ChatTemplate = string(template)
	}
	return t, nil
}

func readFile(path string) ([]byte, error) {
	b, err := regular.ReadFile(path, maxFileBytes)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	return b, nil
}

// Parse reads the bytes of tokenizer.json and of tokenizer_config.json, which may be nil.
func Parse(tokenizerJSON, config []byte) (*Tokenizer, error) { return parse(tokenizerJSON, config, "") }

func parse(model, config []byte, dir string) (*Tokenizer, error) {
	name := func(file string) string { return filepath.Join(dir, file) }
	p := parser{builder: newBuilder(0), r: jsonReader{b: model}}
	t, err := p.parse()
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %s: %w", name("tokenizer.json"), err)
	}
	if len(config) > 0 {
		if err := t.readConfig(config); err != nil {
			return nil, fmt.Errorf("tokenizer: %s: %w", name("tokenizer_config.json"), err)
		}
	}
	return t, nil
}

// fileParts are the small parts of a file, kept as they were read for Save.
type fileParts struct {
	truncation, padding, normalizer, preTokenizer, postProcessor, decoder json.RawMessage
	config                                                                map[string]json.RawMessage
}

// parser walks the file once. The vocabulary and the merges may stand in any order, so merges are marked and read last.
type parser struct {
	*builder
	r                    jsonReader
	hasVocab, hasMerges  bool
	mergesAt             int
	modelType            string
	subwordPrefix        string
	wordSuffix           string
	dropout              float64
	preTokenizer, addeds bool
}

func (p *parser) parse() (*Tokenizer, error) {
	if !utf8.Valid(p.r.b) {
		return nil, errors.New("it is not UTF-8 text")
	}
	if err := p.r.object(p.field); err != nil {
		return nil, err
	}
	if c := p.r.next(); c != 0 || p.r.i < len(p.r.b) {
		return nil, p.r.fail("something follows the end")
	}
	switch {
	case p.modelType != "" && p.modelType != "BPE":
		return nil, fmt.Errorf("model type %q is not supported, only BPE", p.modelType)
	case !p.hasVocab:
		return nil, errors.New("model.vocab is missing")
	case !p.hasMerges:
		return nil, errors.New("model.merges is missing")
	case p.subwordPrefix != "" || p.wordSuffix != "":
		return nil, fmt.Errorf("continuing_subword_prefix %q and end_of_word_suffix %q are not supported, both must be empty", p.subwordPrefix, p.wordSuffix)
	case p.dropout != 0:
		return nil, fmt.Errorf("dropout %v is not supported: it makes encoding random; set it to null", p.dropout)
	case !p.preTokenizer:
		return nil, errors.New("pre_tokenizer is missing: only byte-level tokenizers are supported")
	}
	if err := p.closeVocabulary(); err != nil {
		return nil, err
	}
	if err := p.readMerges(); err != nil {
		return nil, err
	}
	t, err := p.build()
	if err != nil {
		return nil, err
	}
	return t, t.readPostProcessor()
}

func (p *parser) field(key []byte) (err error) {
	small := func(to *json.RawMessage, read func(json.RawMessage) error) error {
		raw, err := p.r.raw()
		if err != nil {
			return err
		}
		if *to = append(json.RawMessage(nil), raw...); read != nil {
			if err := read(*to); err != nil {
				return fmt.Errorf("%s: %w", key, err)
			}
		}
		return nil
	}
	switch string(key) {
	case "model":
		if p.hasVocab || p.hasMerges {
			return p.r.fail("model stands here a second time")
		}
		return p.r.object(p.modelField)
	case "added_tokens":
		if p.addeds {
			return p.r.fail("added_tokens stand here a second time")
		}
		p.addeds = true
		return p.readAdded()
	case "truncation":
		return small(&p.file.truncation, nil)
	case "padding":
		return small(&p.file.padding, nil)
	case "normalizer":
		return small(&p.file.normalizer, func(raw json.RawMessage) (err error) {
			p.nfc, err = readNormalizer(raw)
			return err
		})
	case "pre_tokenizer":
		return small(&p.file.preTokenizer, func(raw json.RawMessage) (err error) {
			p.scan, err = readPreTokenizer(raw)
			p.preTokenizer = true
			return err
		})
	case "post_processor":
		return small(&p.file.postProcessor, nil)
	case "decoder":
		return small(&p.file.decoder, readDecoder)
	}
	_, err = p.r.raw()
	return err
}

func (p *parser) modelField(key []byte) error {
	switch string(key) {
	case "vocab":
		if p.hasVocab {
			return p.r.fail("model.vocab stands here a second time")
		}
		p.hasVocab = true
		return p.r.object(func(token []byte) error {
			id, err := p.r.integer(maxTokens)
			if err != nil {
				return fmt.Errorf("id of token %q: %w", token, err)
			}
			if err := p.token(token, id); err != nil {
				return p.r.fail("%v", err)
			}
			return nil
		})
	case "merges":
		if p.hasMerges {
			return p.r.fail("model.merges stand here a second time")
		}
		p.hasMerges = true
		p.r.next()
		p.mergesAt = p.r.i
		_, err := p.r.raw()
		return err
	}
	raw, err := p.r.raw()
	if err != nil {
		return err
	}
	var to any
	switch string(key) {
	case "type":
		to = &p.modelType
	case "dropout":
		to = &p.dropout
	case "continuing_subword_prefix":
		to = &p.subwordPrefix
	case "end_of_word_suffix":
		to = &p.wordSuffix
	case "ignore_merges":
		to = &p.ignoreMerges
	default: // unk_token, fuse_unk, byte_fallback: would come into play only for bytes that have no token, which give none
		return nil
	}
	if err := json.Unmarshal(raw, to); err != nil {
		return fmt.Errorf("model.%s: %w", key, err)
	}
	return nil
}

// readMerges reads both spellings: "left right" and ["left", "right"].
func (p *parser) readMerges() error {
	r := jsonReader{b: p.r.b, i: p.mergesAt}
	var left, right []byte
	return r.array(func(i int) (err error) {
		if r.next() == '[' {
			sides := 0
			err = r.array(func(side int) (err error) {
				sides++
				switch side {
				case 0:
					left, err = r.str(left[:0])
				case 1:
					right, err = r.str(right[:0])
				default:
					err = r.fail("merge %d has more than two sides", i)
				}
				return err
			})
			if err == nil && sides != 2 {
				err = r.fail("merge %d has not two sides", i)
			}
		} else if left, err = r.str(left[:0]); err == nil {
			space := -1
			for j, c := range left {
				if c == ' ' {
					if space >= 0 {
						return r.fail("merge %d, %q, has more than one space", i, left)
					}
					space = j
				}
			}
			if space < 0 {
				return r.fail("merge %d, %q, is not two tokens with a space between", i, left)
			}
			right = append(right[:0], left[space+1:]...)
			left = left[:space]
		}
		if err != nil {
			return err
		}
		if err := p.merge(left, right); err != nil {
			return r.fail("%v", err)
		}
		return nil
	})
}

func (p *parser) readAdded() error {
	return p.r.array(func(i int) error {
		raw, err := p.r.raw()
		if err != nil {
			return err
		}
		var a struct {
			ID         *int64  `json:"id"`
			Content    *string `json:"content"`
			SingleWord bool    `json:"single_word"`
			LStrip     bool    `json:"lstrip"`
			RStrip     bool    `json:"rstrip"`
			Normalized *bool   `json:"normalized"`
			Special    bool    `json:"special"`
		}
		if err := json.Unmarshal(raw, &a); err != nil {
			return fmt.Errorf("added token %d: %w", i, err)
		}
		if a.ID == nil || a.Content == nil {
			return p.r.fail("added token %d has no id or no content", i)
		}
		if *a.ID < 0 || *a.ID > maxTokens {
			return p.r.fail("added token %q has id %d, from 0 to %d are supported", *a.Content, *a.ID, maxTokens)
		}
		normalized := !a.Special
		if a.Normalized != nil {
			normalized = *a.Normalized
		}
		p.added = append(p.added, AddedToken{ID: int32(*a.ID), Content: *a.Content, Special: a.Special,
			SingleWord: a.SingleWord, LStrip: a.LStrip, RStrip: a.RStrip, Normalized: normalized})
		return nil
	})
}
