package tokenizer

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// tiny is the smallest tokenizer.json: the 256 bytes, a few merges and added tokens, with parts to exchange.
type tiny struct {
	vocab, merges, added, normalizer, preTokenizer, postProcessor, decoder, model, more string
}

func (f tiny) json() []byte {
	def := func(s *string, value string) {
		if *s == "" {
			*s = value
		}
	}
	if f.vocab == "" {
		f.vocab = byteVocab() + `, "he": 256, "ll": 257, "hell": 258, "hello": 259`
	}
	def(&f.merges, `["h e", ["l", "l"], "he ll", "hell o"]`)
	def(&f.added, `[{"id": 260, "content": "<s>", "special": true}, {"id": 261, "content": "<think>", "special": false, "normalized": false}]`)
	def(&f.normalizer, "null")
	def(&f.preTokenizer, preTokenizerJSON(deepseekV3))
	def(&f.postProcessor, "null")
	def(&f.decoder, "null")
	return []byte(`{"version": "1.0", "added_tokens": ` + f.added + `, "normalizer": ` + f.normalizer + `, "pre_tokenizer": ` + f.preTokenizer +
		`, "post_processor": ` + f.postProcessor + `, "decoder": ` + f.decoder + `, "model": {"type": "BPE", ` + f.model + `"merges": ` + f.merges +
		`, "vocab": {` + f.vocab + `}}` + f.more + `}`)
}

func byteVocab() string {
	var list []string
	for b := range 256 {
		s, _ := json.Marshal(string(symbolOfByte[b]))
		id, _ := json.Marshal(b)
		list = append(list, string(s)+": "+string(id))
	}
	return strings.Join(list, ", ")
}

func mustParse(t *testing.T, model, config []byte) *Tokenizer {
	t.Helper()
	tok, err := Parse(model, config)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func TestParseTiny(t *testing.T) {
	tok := mustParse(t, tiny{}.json(), nil)
	if got, want := tok.Encode(nil, "<s>hello<think>he", EncodeOptions{}), []int32{260, 259, 261, 256}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := tok.Decode([]int32{260, 259, 261, -1, 5000}, true); got != "hello<think>" {
		t.Errorf("decoded %q", got)
	}
	if _, ok := tok.BOS(); ok {
		t.Error("there is a BOS")
	}
	if tok.TokenBytes(-1) != nil || tok.TokenBytes(262) != nil || tok.TokenType(262) != 0 {
		t.Error("ids out of range have bytes")
	}
}

// TestRefused holds what a broken or foreign tokenizer.json is told.
func TestRefused(t *testing.T) {
	split := func(pattern, behavior string, invert bool) string {
		b, _ := json.Marshal(map[string]any{"type": "Sequence", "pretokenizers": []any{
			map[string]any{"type": "Split", "pattern": map[string]any{"Regex": pattern}, "behavior": behavior, "invert": invert},
			map[string]any{"type": "ByteLevel", "add_prefix_space": false, "use_regex": false}}})
		return string(b)
	}
	for name, c := range map[string]struct {
		file []byte
		want string
	}{
		"empty":              {nil, "truncated"},
		"truncated":          {tiny{}.json()[:300], "truncated"},
		"not UTF-8":          {[]byte("{\"\xff\": 1}"), "not UTF-8"},
		"an array":           {[]byte("[]"), `'[' where '{'`},
		"more after the end": {append(tiny{}.json(), "{}"...), "follows the end"},
		"deep nesting":       {[]byte(`{"x": ` + strings.Repeat("[", 1<<20)), "nested more than 64 deep"},
		"deep pre-tokenizer": {tiny{preTokenizer: strings.Repeat(`{"type":"Sequence","pretokenizers":[`, 1000)}.json(), "nested more than 64 deep"},
		"huge id":            {tiny{vocab: byteVocab() + `, "he": 4294967295`}.json(), "number above"},
		"huge added id":      {tiny{added: `[{"id": 99999999999, "content": "<s>"}]`}.json(), "99999999999"},
		"negative id":        {tiny{vocab: `"a": -1`}.json(), "whole number"},
		"fractional id":      {tiny{vocab: `"a": 1.5`}.json(), "fraction"},
		"id as text":         {tiny{vocab: `"a": "1"`}.json(), "whole number"},
		"a hole":             {tiny{vocab: byteVocab() + `, "he": 257, "ll": 258, "hell": 259, "hello": 300`}.json(), "without holes"},
		"duplicate id":       {tiny{vocab: byteVocab() + `, "he": 256, "ll": 256, "hell": 257, "hello": 258`}.json(), `id 256 belongs to two tokens, "he" and "ll"`},
		"duplicate token":    {tiny{vocab: byteVocab() + `, "he": 256, "he": 257, "ll": 258, "hell": 259`}.json(), "are the same token"},
		"empty token":        {tiny{vocab: `"": 0`}.json(), "is empty"},
		"a byte is missing":  {tiny{vocab: strings.Replace(byteVocab(), `"!"`, `"!!!"`, 1), merges: "[]", added: "[]"}.json(), "no token for byte 33"},
		"unknown left":       {tiny{merges: `["xx e"]`}.json(), `merge 0: its left side "xx"`},
		"unknown right":      {tiny{merges: `["h e", "e xx"]`}.json(), `merge 1: its right side "xx"`},
		"unknown join":       {tiny{merges: `["h h"]`}.json(), "what they join to is not"},
		"merge of one":       {tiny{merges: `["he"]`}.json(), "not two tokens"},
		"merge of three":     {tiny{merges: `["h e l"]`}.json(), "more than one space"},
		"merge list of one":  {tiny{merges: `[["h"]]`}.json(), "not two sides"},
		"merge is a number":  {tiny{merges: `[5]`}.json(), "'5' where '\"'"},
		"added twice":        {tiny{added: `[{"id": 260, "content": "a b"}, {"id": 261, "content": "a b"}]`}.json(), "listed twice"},
		"added empty":        {tiny{added: `[{"id": 260, "content": ""}]`}.json(), "is empty"},
		"added without id":   {tiny{added: `[{"content": "x"}]`}.json(), "no id"},
		"added on an entry":  {tiny{added: `[{"id": 3, "content": "<s>"}]`}.json(), "belongs to two tokens"},
		"WordPiece":          {tiny{model: `"type": "WordPiece", `}.json(), `model type "WordPiece"`},
		"dropout":            {tiny{model: `"dropout": 0.1, `}.json(), "dropout"},
		"word suffix":        {tiny{model: `"end_of_word_suffix": "</w>", `}.json(), "end_of_word_suffix"},
		"no pre-tokenizer":   {tiny{preTokenizer: "null"}.json(), "byte-level"},
		"Metaspace":          {tiny{preTokenizer: `{"type": "Metaspace"}`}.json(), `"Metaspace"`},
		"unknown expression": {tiny{preTokenizer: split(`\w+`, "Isolated", false)}.json(), "none of the supported pre-tokenizers"},
		"removed":            {tiny{preTokenizer: split(exprQwen, "Removed", false)}.json(), "Removed"},
		"inverted":           {tiny{preTokenizer: split(exprQwen, "Isolated", true)}.json(), "invert true"},
		"prefix space":       {tiny{preTokenizer: `{"type": "ByteLevel", "add_prefix_space": true}`}.json(), "add_prefix_space"},
		"lower case":         {tiny{normalizer: `{"type": "Lowercase"}`}.json(), `"Lowercase"`},
		"foreign decoder":    {tiny{decoder: `{"type": "Metaspace"}`}.json(), `"Metaspace"`},
		"foreign template":   {tiny{postProcessor: `{"type": "BertProcessing"}`}.json(), `"BertProcessing"`},
		"template beyond": {tiny{postProcessor: `{"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "x"}}, {"Sequence": {"id": "A"}}],
			"special_tokens": {"x": {"ids": [5000]}}}`}.json(), "beyond the vocabulary"},
		"template without A": {tiny{postProcessor: `{"type": "TemplateProcessing", "single": []}`}.json(), "sequence A"},
		"two models":         {tiny{more: `, "model": {}`}.json(), "second time"},
		"broken escape":      {[]byte(`{"model": {"vocab": {"\uD800": 1}}}`), "surrogate"},
		"control character":  {[]byte("{\"a\nb\": 1}"), "control character"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse(c.file, nil)
			if err == nil {
				t.Fatal("no error")
			}
			if !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "tokenizer: tokenizer.json: ") {
				t.Errorf("error %q does not say %q", err, c.want)
			}
			if len(err.Error()) > 700 {
				t.Errorf("error of %d bytes", len(err.Error()))
			}
		})
	}
	for name, c := range map[string]struct{ config, want string }{
		"broken":        {`{`, "unexpected end"},
		"unknown bos":   {`{"bos_token": "<nope>"}`, `bos_token "<nope>" is not in the vocabulary`},
		"bos of no one": {`{"add_bos_token": true}`, "no bos_token"},
	} {
		if _, err := Parse(tiny{}.json(), []byte(c.config)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v does not say %q", name, err, c.want)
		}
	}
}

func TestPreTokenizersAreRecognised(t *testing.T) {
	for _, scan := range []scanner{deepseekV3, llamaBPE, qwen2, gpt2} {
		if tok := mustParse(t, tiny{preTokenizer: preTokenizerJSON(scan)}.json(), nil); tok.scan != scan || tok.Pre() != scannerNames[scan][0] {
			t.Errorf("%v is taken for %v", scan, tok.scan)
		}
	}
}

func TestConfig(t *testing.T) {
	template := `{"type": "Sequence", "processors": [{"type": "ByteLevel"}, {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}},
		{"Sequence": {"id": "A", "type_id": 0}}], "special_tokens": {"<s>": {"id": "<s>", "ids": [260], "tokens": ["<s>"]}}}]}`
	for name, c := range map[string]struct {
		post, config string
		bos          int32
		ids          []int32
	}{
		"nothing":                 {"null", ``, -1, []int32{259}},
		"template":                {template, ``, 260, []int32{260, 259}},
		"template, silent config": {template, `{"eos_token": "<s>"}`, 260, []int32{260, 259}},
		"template, told no":       {template, `{"add_bos_token": false}`, 260, []int32{259}},
		"config":                  {"null", `{"bos_token": {"content": "<s>"}, "add_bos_token": true, "model_max_length": 1e30}`, 260, []int32{260, 259}},
		"config, both":            {"null", `{"bos_token": "<s>", "eos_token": "<think>", "add_bos_token": true, "add_eos_token": true}`, 260, []int32{260, 259, 261}},
		"nulls":                   {"null", `{"bos_token": null, "add_bos_token": null, "chat_template": null}`, -1, []int32{259}},
	} {
		var config []byte
		if c.config != "" {
			config = []byte(c.config)
		}
		tok := mustParse(t, tiny{postProcessor: c.post}.json(), config)
		if tok.bos != c.bos {
			t.Errorf("%s: bos %d, want %d", name, tok.bos, c.bos)
		}
		if got := tok.Encode(nil, "hello", EncodeOptions{AddSpecial: true}); !slices.Equal(got, c.ids) {
			t.Errorf("%s: got %v, want %v", name, got, c.ids)
		}
		// Saved and read again it does the same.
		dir := t.TempDir()
		if err := tok.Save(dir); err != nil {
			t.Fatal(err)
		}
		again, err := Load(dir)
		if err != nil {
			t.Fatal(err)
		}
		if got := again.Encode(nil, "hello", EncodeOptions{AddSpecial: true}); !slices.Equal(got, c.ids) || again.bos != c.bos {
			t.Errorf("%s: saved and read: got %v, want %v", name, got, c.ids)
		}
	}
	several := mustParse(t, tiny{}.json(), []byte(`{"chat_template": [{"name": "tools", "template": "x"}, {"name": "default", "template": "y"}]}`))
	if got := several.Config().ChatTemplate; got != "y" {
		t.Errorf("of several templates %q is taken", got)
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	if _, err := Load(dir); !errors.Is(err, os.ErrNotExist) || !strings.HasPrefix(err.Error(), "tokenizer: ") {
		t.Errorf("empty directory: %v", err)
	}
	write := func(name, content string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("tokenizer.json", string(tiny{}.json()))
	write("chat_template.jinja", "{{ messages }}")
	tok, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if tok.Config().ChatTemplate != "{{ messages }}" {
		t.Error("chat_template.jinja is not read")
	}
	write("tokenizer.json", "{")
	if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), filepath.Join(dir, "tokenizer.json")) {
		t.Errorf("error %v does not name the file", err)
	}
	if err := tok.Save(filepath.Join(dir, "missing")); err == nil {
		t.Error("saving into a missing directory gives no error")
	}
	left, _ := filepath.Glob(filepath.Join(dir, ".*"))
	if len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestSaveKeepsPublished writes the DeepSeek-V3 tokenizer and reads it again.
func TestSaveKeepsPublished(t *testing.T) {
	tok := deepSeekV3(t)
	dir := t.TempDir()
	if err := tok.Save(dir); err != nil {
		t.Fatal(err)
	}
	again, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	checkSame(t, tok, again)
	var was, is map[string]any
	if err := errors.Join(json.Unmarshal(readFileT(t, "testdata/deepseek-v3.tokenizer_config.json"), &was),
		json.Unmarshal(readFileT(t, filepath.Join(dir, "tokenizer_config.json")), &is)); err != nil {
		t.Fatal(err)
	}
	for k, v := range was {
		a, _ := json.Marshal(v)
		b, _ := json.Marshal(is[k])
		if string(a) != string(b) {
			t.Errorf("tokenizer_config.json: %s was %.80s, is %.80s", k, a, b)
		}
	}
}

// TestNew takes tokenizers apart as GGUF does and puts them together again.
func TestNew(t *testing.T) {
	tok := deepSeekV3(t)
	p := Parts{Pre: tok.Pre(), Tokens: tok.Vocab(), Merges: tok.Merges(), Config: tok.Config()}
	for id := range p.Tokens {
		p.Types = append(p.Types, tok.TokenType(int32(id)))
	}
	again, err := New(p)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range readLines[row](t, "testdata/deepseek-v3.rows.jsonl.zst") {
		if got := again.Encode(nil, r.Text, EncodeOptions{}); !slices.Equal(got, r.IDs) {
			t.Errorf("%q: got %v, want %v", r.Text, got, r.IDs)
		}
	}
	for name, c := range map[string]struct {
		change func(p *Parts)
		want   string
	}{
		"pre":    {func(p *Parts) { p.Pre = "smaug" }, `"smaug"`},
		"types":  {func(p *Parts) { p.Types = p.Types[1:] }, "token types"},
		"merge":  {func(p *Parts) { p.Merges = []string{"ab"} }, "not two tokens"},
		"merges": {func(p *Parts) { p.Merges = []string{"a <x>"} }, "not in the vocabulary"},
		"tokens": {func(p *Parts) { p.Tokens, p.Types, p.Merges = nil, nil, nil }, "no token for byte 9"},
		"bos":    {func(p *Parts) { p.Config.BOS = "<nope>" }, "bos_token"},
	} {
		q := p
		c.change(&q)
		if _, err := New(q); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v does not say %q", name, err, c.want)
		}
	}
}

func checkSame(t *testing.T, a, b *Tokenizer) {
	t.Helper()
	if !slices.Equal(a.Vocab(), b.Vocab()) || !slices.Equal(a.Merges(), b.Merges()) || !slices.Equal(a.AddedTokens(), b.AddedTokens()) {
		t.Error("vocabularies differ")
	}
	if a.Config() != b.Config() || a.Pre() != b.Pre() || a.bos != b.bos || a.eos != b.eos || a.pad != b.pad ||
		!slices.Equal(a.prefix, b.prefix) || !slices.Equal(a.suffix, b.suffix) {
		t.Error("configurations differ")
	}
}

func FuzzParse(f *testing.F) {
	f.Add(tiny{}.json(), []byte(`{"bos_token": "<s>", "add_bos_token": true}`))
	f.Add(tiny{merges: `["h h"]`}.json(), []byte(nil))
	f.Add([]byte(`{"model": {"vocab": {"\u0120a": 1}, "merges": [["a", "b"]]}}`), []byte(`{"chat_template": [{}]}`))
	f.Fuzz(func(t *testing.T, model, config []byte) {
		tok, err := Parse(model, config)
		if err != nil {
			return
		}
		text := "hello <s> wörld\n"
		ids := tok.Encode(nil, text, EncodeOptions{AddSpecial: true})
		for _, id := range ids {
			if id < 0 || int(id) >= tok.VocabSize() {
				t.Fatalf("id %d of %d", id, tok.VocabSize())
			}
		}
		b, err := tok.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Parse(b, nil); err != nil {
			t.Fatalf("what was written is refused: %v", err)
		}
	})
}

// FuzzRoundTrip encodes any bytes and wants them back.
func FuzzRoundTrip(f *testing.F) {
	tok := deepSeekV3(f)
	f.Add("<｜User｜>ภาษาไทย 漢字 \xff\xe4")
	f.Fuzz(func(t *testing.T, s string) {
		for _, opt := range []EncodeOptions{{}, {NoAddedTokens: true}} {
			ids := tok.Encode(nil, s, opt)
			if got := tok.AppendDecode(nil, ids, false); string(got) != s {
				t.Fatalf("%q comes back as %q", s, got)
			}
		}
	})
}
