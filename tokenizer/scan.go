package tokenizer

// Which pre-tokenizers there are, what GGUF and tokenizer.json call them, and the way to their scanners.

import (
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
)

// The first name is the one that is written.
var scannerNames = [...][]string{
	deepseekV3: {"deepseek-v3", "joyai-llm"},
	llamaBPE:   {"llama-bpe", "llama3", "llama-v3"},
	qwen2:      {"qwen2", "deepseek-r1-qwen"},
	gpt2:       {"gpt-2"},
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
		names = append(names, n[0])
	}
	return strings.Join(names, ", ")
}

// The published expressions, which tokenizer.json holds. gpt-2's is inside its ByteLevel stage.
const (
	exprDigits = `\p{N}{1,3}`
	exprHan    = `[一-龥぀-ゟ゠-ヿ]+`
	exprV3     = "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+" +
		`|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	exprLlama = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}` +
		`| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	exprQwen = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}` +
		`| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
)

// scannerOf finds the scanner for a sequence of expressions; files write line ends raw or escaped.
func scannerOf(expressions []string) (scanner, bool) {
	for i, e := range expressions {
		expressions[i] = strings.NewReplacer("\r", `\r`, "\n", `\n`).Replace(e)
	}
	switch {
	case slices.Equal(expressions, []string{exprDigits, exprHan, exprV3}):
		return deepseekV3, true
	case slices.Equal(expressions, []string{exprLlama}):
		return llamaBPE, true
	case slices.Equal(expressions, []string{exprQwen}):
		return qwen2, true
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
	}
	return c.nextGPT2(s, i)
}
