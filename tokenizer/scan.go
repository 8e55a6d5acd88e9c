package tokenizer

// Which pre-tokenizers there are, what GGUF and tokenizer.json call them, and the way to their scanners.

import (
	"math"
	"slices"
	"strings"
)

// scanner names a pre-tokenizer.
type scanner int

const (
	deepseekV3 scanner = iota
	llamaBPE
	qwen2
	gpt2
	smollm
	deepseekLLM
	deepseekCoder
)

// The first name is the one that is written.
var scannerNames = [...][]string{
	deepseekV3: {"deepseek-v3", "joyai-llm"},
	llamaBPE:   {"llama-bpe", "llama3", "llama-v3"},
	qwen2:      {"qwen2", "deepseek-r1-qwen"},
	gpt2:       {"gpt-2", "phi-2"},
	smollm:     {"smollm"},

	deepseekLLM:   {"deepseek-llm"},
	deepseekCoder: {"deepseek-coder"},
}

func (s scanner) String() string { return scannerNames[s][0] }

// KnownPre tells whether a name, as in GGUF's tokenizer.ggml.pre, is that of a pre-tokenizer of this package.
func KnownPre(name string) bool {
	_, ok := scannerNamed(name)
	return ok
}

func scannerNamed(name string) (scanner, bool) {
	for s, names := range scannerNames {
		if slices.Contains(names, name) {
			return scanner(s), true
		}
	}
	return 0, false
}

func knownScanners() string {
	var names []string
	for _, n := range scannerNames {
		names = append(names, n...)
	}
	return strings.Join(names, ", ")
}

// PreOf names the pre-tokenizer of a vocabulary whose GGUF file does not, as files from before April 2024 and careless
// ones do: the vocabularies of this family differ in the id of the token that begins a text. Empty for others.
func PreOf(tokens []string) string {
	for _, known := range []struct {
		id  int
		pre scanner
	}{{0, deepseekV3}, {32013, deepseekCoder}, {100000, deepseekLLM}, {151646, qwen2}} {
		if known.id < len(tokens) && tokens[known.id] == "<｜begin▁of▁sentence｜>" {
			return known.pre.String()
		}
	}
	return ""
}

// The published expressions, which tokenizer.json holds. gpt-2's is inside its ByteLevel stage.
const (
	exprNumber = `\p{N}` // also what a stage Digits does that takes digits one by one
	exprDigits = `\p{N}{1,3}`
	exprHan    = `[一-龥぀-ゟ゠-ヿ]+`
	exprV3     = "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+" +
		`|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	exprLlama = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}` +
		`| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	exprQwen = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}` +
		`| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
)

// The expressions of deepseek-llm and deepseek-coder; the digits are a stage of their own kind.
const (
	exprNewline      = `[\r\n]`
	exprLLMSigns     = `\s?[!-/:-~！-／：-～‘-‟　-。]+`
	exprTails        = `\s+$`
	exprWide         = `[一-龥ࠀ-一가-퟿]+`
	exprCoderLetters = `\s?\p{L}+`
	exprCoderSigns   = `\s?\p{P}+`
)

// exprLLMLetters spells casedLetters out.
func exprLLMLetters() string {
	var b strings.Builder
	b.WriteString(`\s?[`)
	for _, a := range casedLetters {
		if b.WriteRune(a[0]); a[1] > a[0] {
			b.WriteByte('-')
			b.WriteRune(a[1])
		}
	}
	b.WriteString("]+")
	return b.String()
}

// expressionsOf gives the stages before ByteLevel, as scannerOf recognises them.
func expressionsOf(scan scanner) []string {
	switch scan {
	case deepseekV3:
		return []string{exprDigits, exprHan, exprV3}
	case llamaBPE:
		return []string{exprLlama}
	case qwen2:
		return []string{exprQwen}
	case deepseekLLM:
		return []string{exprNewline, exprLLMLetters(), exprLLMSigns, exprTails, exprWide, exprNumber}
	case deepseekCoder:
		return []string{exprNewline, exprCoderLetters, exprCoderSigns, exprWide, exprNumber}
	case smollm:
		return []string{exprNumber}
	}
	return nil
}

// scannerOf finds the scanner for a sequence of expressions before a ByteLevel that splits or does not; files write line
// ends raw or escaped.
func scannerOf(expressions []string, splits bool) (scanner, bool) {
	for i, e := range expressions {
		expressions[i] = strings.NewReplacer("\r", `\r`, "\n", `\n`).Replace(e)
	}
	for s := range scannerNames {
		scan := scanner(s)
		if splits == (scan == gpt2 || scan == smollm) && slices.Equal(expressions, expressionsOf(scan)) {
			return scan, true
		}
	}
	return 0, false
}

// next gives the end of the piece that starts at s[i].
func (c *classes) next(by scanner, s string, i int) int {
	switch by {
	case deepseekV3:
		return c.nextV3(s, i)
	case llamaBPE:
		return c.nextLlama(s, i, 3)
	case qwen2:
		return c.nextLlama(s, i, 1)
	case deepseekLLM:
		return deepseekLLMStages().next(s, i)
	case deepseekCoder:
		return deepseekCoderStages().next(s, i)
	case smollm:
		return c.nextGPT2(s, i, 1)
	}
	return c.nextGPT2(s, i, math.MaxInt)
}
