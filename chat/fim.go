package chat

// Fill in the middle: Coder v1, Coder-V2-Lite and all bases from V3 on, in the order prefix, suffix, middle.
//
// Source: DeepSeek-Coder README; DeepSeek-V3 report, section 4.1.

import (
	"fmt"
	"strings"

	"github.com/haenyeo/haenyeo/tokenizer"
)

// fimTokens are those of all generations that have any.
var fimTokens = []string{"<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"}

// FillInMiddle writes the prompt for what stands between prefix and suffix: the reply is the middle, up to the EOS.
func FillInMiddle(tok *tokenizer.Tokenizer, prefix, suffix string) ([]Segment, error) {
	var missing []string
	for _, s := range fimTokens {
		if _, ok := tok.TokenID(s); !ok {
			missing = append(missing, s)
		}
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("chat: filling in the middle needs the tokens %s, which this tokenizer lacks: its model was not trained for it",
			strings.Join(missing, " "))
	}
	var w writer
	w.control(beginOf(tok), fimTokens[0])
	w.text(prefix)
	w.control(fimTokens[1])
	w.text(suffix)
	w.control(fimTokens[2])
	return w.prompt, nil
}

// beginOf gives the token that begins a text: the family's own where the tokenizer has it, else what it names BOS.
func beginOf(tok *tokenizer.Tokenizer) string {
	if _, ok := tok.TokenID(bosToken); ok {
		return bosToken
	}
	return tok.Config().BOS
}

func endOf(tok *tokenizer.Tokenizer) string {
	if _, ok := tok.TokenID(eosToken); ok {
		return eosToken
	}
	return tok.Config().EOS
}
