package tokenizer

// The small parts of tokenizer.json: normaliser, pre-tokenizer, decoder and post-processor, recognised or refused.

import (
	"encoding/json"
	"errors"
	"fmt"
)

// stage is any of them, with the fields that matter here.
type stage struct {
	Type           string            `json:"type"`
	Normalizers    []json.RawMessage `json:"normalizers"`
	PreTokenizers  []json.RawMessage `json:"pretokenizers"`
	Decoders       []json.RawMessage `json:"decoders"`
	Processors     []json.RawMessage `json:"processors"`
	AddPrefixSpace *bool             `json:"add_prefix_space"`
	UseRegex       *bool             `json:"use_regex"`

	IndividualDigits *bool `json:"individual_digits"`

	Behavior string `json:"behavior"`
	Invert   bool   `json:"invert"`
	Pattern  struct {
		Regex  *string
		String *string
	} `json:"pattern"`
	Single        []templateItem `json:"single"`
	SpecialTokens map[string]struct {
		IDs []int32 `json:"ids"`
	} `json:"special_tokens"`
}

// templateItem is one of the two kinds of things that a template strings together.
type templateItem struct {
	Sequence *struct {
		ID string `json:"id"`
	} `json:"Sequence,omitempty"`
	SpecialToken *struct {
		ID string `json:"id"`
	} `json:"SpecialToken,omitempty"`
}

// flatten gives the stages of raw with sequences inside each other taken apart; none for null.
func flatten(raw json.RawMessage, members func(*stage) []json.RawMessage) ([]stage, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	var s stage
	if err := json.Unmarshal(raw, &s); err != nil {
		return nil, err
	}
	if s.Type != "Sequence" {
		return []stage{s}, nil
	}
	var all []stage
	for _, m := range members(&s) {
		inner, err := flatten(m, members)
		if err != nil {
			return nil, err
		}
		all = append(all, inner...)
	}
	return all, nil
}

func readNormalizer(raw json.RawMessage) (nfc bool, err error) {
	stages, err := flatten(raw, func(s *stage) []json.RawMessage { return s.Normalizers })
	for _, s := range stages {
		if s.Type != "NFC" {
			return false, fmt.Errorf("type %q is not supported, only NFC", s.Type)
		}
		nfc = true
	}
	return nfc, err
}

func readPreTokenizer(raw json.RawMessage) (scanner, error) {
	stages, err := flatten(raw, func(s *stage) []json.RawMessage { return s.PreTokenizers })
	if err != nil {
		return 0, err
	}
	var expressions []string
	for i, s := range stages {
		switch {
		case s.Type == "ByteLevel" && i == len(stages)-1:
			if s.AddPrefixSpace == nil || *s.AddPrefixSpace {
				return 0, errors.New("a ByteLevel with add_prefix_space is not supported")
			}
			splits := s.UseRegex == nil || *s.UseRegex
			if scan, ok := scannerOf(expressions, splits); ok {
				return scan, nil
			}
			return 0, fmt.Errorf("the expressions %q (ByteLevel use_regex %v) are none of the supported pre-tokenizers: %s",
				expressions, splits, knownScanners())
		case s.Type == "Digits":
			if s.IndividualDigits == nil || !*s.IndividualDigits {
				return 0, errors.New("a Digits without individual_digits is not supported")
			}
			expressions = append(expressions, exprNumber)
			continue
		case s.Type != "Split":
			return 0, fmt.Errorf("type %q is not supported here; known pre-tokenizers are %s", s.Type, knownScanners())
		case s.Pattern.Regex == nil || s.Behavior != "Isolated" || s.Invert:
			return 0, fmt.Errorf("a Split with behavior %q, invert %v is not supported, only an expression that isolates its matches", s.Behavior, s.Invert)
		}
		expressions = append(expressions, *s.Pattern.Regex)
	}
	return 0, errors.New("it does not end in ByteLevel: only byte-level tokenizers are supported")
}

func readDecoder(raw json.RawMessage) error {
	stages, err := flatten(raw, func(s *stage) []json.RawMessage { return s.Decoders })
	for _, s := range stages {
		if s.Type != "ByteLevel" {
			return fmt.Errorf("type %q is not supported, only ByteLevel", s.Type)
		}
	}
	return err
}

// readPostProcessor takes what a template puts before and after a text. A template of one token before names BOS, of one
// after, EOS, for as long as tokenizer_config.json names none.
func (t *Tokenizer) readPostProcessor() error {
	stages, err := flatten(t.file.postProcessor, func(s *stage) []json.RawMessage { return s.Processors })
	if err != nil {
		return fmt.Errorf("post_processor: %w", err)
	}
	for _, s := range stages {
		switch s.Type {
		case "ByteLevel": // moves offsets, not ids
		case "TemplateProcessing":
			if err := t.readTemplate(&s); err != nil {
				return fmt.Errorf("post_processor: template: %w", err)
			}
		default:
			return fmt.Errorf("post_processor: type %q is not supported, only ByteLevel and TemplateProcessing", s.Type)
		}
	}
	if len(t.prefix) == 1 {
		t.bos = t.prefix[0]
		t.config.BOS, t.config.AddBOS = string(t.vocab.of(t.bos)), true
	}
	if len(t.suffix) == 1 {
		t.eos = t.suffix[0]
		t.config.EOS, t.config.AddEOS = string(t.vocab.of(t.eos)), true
	}
	return nil
}

func (t *Tokenizer) readTemplate(s *stage) error {
	seen := false
	for _, item := range s.Single {
		switch {
		case item.SpecialToken != nil:
			ids := s.SpecialTokens[item.SpecialToken.ID].IDs
			for _, id := range ids {
				if id < 0 || int(id) >= t.VocabSize() {
					return fmt.Errorf("special token %q has id %d, beyond the vocabulary of %d", item.SpecialToken.ID, id, t.VocabSize())
				}
			}
			if len(ids) == 0 {
				return fmt.Errorf("special token %q has no ids", item.SpecialToken.ID)
			}
			if seen {
				t.suffix = append(t.suffix, ids...)
			} else {
				t.prefix = append(t.prefix, ids...)
			}
		case item.Sequence != nil && item.Sequence.ID == "A" && !seen:
			seen = true
		default:
			return errors.New("single holds something other than special tokens and the sequence A once")
		}
	}
	if !seen {
		return errors.New("single does not hold the sequence A")
	}
	return nil
}
