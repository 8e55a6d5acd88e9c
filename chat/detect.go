package chat

// Which format a model was trained with.

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/haenyeo/haenyeo/chat/jinja"
	"github.com/haenyeo/haenyeo/tokenizer"
)

// Hints is what Detect goes by, beside the tokenizer. All may be empty.
type Hints struct {
	ModelType string // model_type in config.json
	Name      string // of the model or its folder: the only place where some generations differ
	Template  string // Jinja source; empty is the tokenizer's own
	Format    string // one of Names, or a name that people know a generation by: no guessing
}

// Detect chooses the format of a model: the one that is named; else the generation whose template it carries, whatever
// little was changed in it; else, for a template of others, "jinja"; else what model type, tokens and name tell.
func Detect(tok *tokenizer.Tokenizer, h Hints) (*Format, error) {
	if h.Template == "" {
		h.Template = tok.Config().ChatTemplate
	}
	name := h.Format
	if name == "" {
		if h.Template != "" {
			if name = ofTemplate(h.Template); name == "" || len(missing(tok, name)) > 0 {
				name = "jinja"
			}
		} else if name = ofModel(tok, h); name == "" {
			return nil, fmt.Errorf("chat: the model (type %q) has no chat template, and its tokens are of no known generation: name the format, one of %s; \"raw\" is for base models",
				h.ModelType, strings.Join(Names(), ", "))
		}
	}
	if known, ok := aliases[name]; ok {
		name = known
	}
	k := kindOf(name)
	if k == nil {
		return nil, fmt.Errorf("chat: there is no format %q; there are %s", name, strings.Join(Names(), ", "))
	}
	if m := missing(tok, name); len(m) > 0 {
		return nil, fmt.Errorf("chat: format %q needs the tokens %q, which this tokenizer lacks: its model speaks another format", name, m)
	}
	f := &Format{name: name, kind: k, bos: beginOf(tok), eos: endOf(tok)}
	switch name {
	case "raw":
		if !tok.Config().AddBOS {
			f.bos = ""
		}
	case "coder":
		f.system = systemOfTemplate(h.Template)
	case "jinja":
		if h.Template == "" {
			return nil, errors.New("chat: format \"jinja\" needs a chat template, and the model brings none")
		}
		var err error
		if f.template, err = jinja.Parse(h.Template); err != nil {
			return nil, fmt.Errorf("chat: the model's chat template: %w", err)
		}
		f.called = callsOfTemplate(h.Template)
		f.effort = strings.Contains(h.Template, "reasoning_effort")
		for _, a := range tok.AddedTokens() {
			if !a.Harmless() {
				f.tokens = append(f.tokens, a.Content)
			}
		}
	}
	return f, nil
}

func kindOf(name string) *kind {
	if i := slices.IndexFunc(kinds, func(k *kind) bool { return k.name == name }); i >= 0 {
		return kinds[i]
	}
	return nil
}

// missing lists the tokens that a format needs and a tokenizer lacks.
func missing(tok *tokenizer.Tokenizer, name string) (list []string) {
	k := kindOf(name)
	if k == nil {
		return nil
	}
	for _, s := range k.needs {
		if _, ok := tok.TokenID(s); !ok {
			list = append(list, s)
		}
	}
	return list
}

// ofTemplate recognises the templates of the family, published and ported; "" for others.
func ofTemplate(t string) string {
	has := func(s string) bool { return strings.Contains(t, s) }
	switch {
	case has(dsmlToken) && has(" calls>"):
		return "v4.1"
	case has(dsmlToken) && has("tool_calls>"):
		if has("Beyond maximum") {
			return "v4-0731"
		}
		return "v4"
	case has(dsmlToken) && has("function_calls>"):
		return "v3.2"
	case has(userToken) && has(assistantToken):
		switch {
		case has(`<think>\n`) || has("<think>\n"):
			return "r1"
		case has(endThinkToken) && has("thinking"):
			return "v3.1"
		case has(endThinkToken):
			return "r1-0528"
		}
		return "v3"
	case has("### Instruction:") && has("### Response:") && has(eot):
		return "coder"
	case has("'User: '") && has("'Assistant:"):
		return "llm"
	}
	return ""
}

// ofModel guesses without a template.
func ofModel(tok *tokenizer.Tokenizer, h Hints) string {
	named := func(s string) bool { return hasWord(strings.ToLower(h.Name), s) }
	token := func(s string) bool { _, ok := tok.TokenID(s); return ok }
	switch h.ModelType {
	case "deepseek_v4":
		switch {
		case token(systemToken):
			return "v4.1"
		case named("0731"):
			return "v4-0731"
		}
		return "v4"
	case "deepseek_v32":
		if named("exp") {
			return "v3.1"
		}
		return "v3.2"
	case "deepseek_v2":
		if named("v2.5") {
			return "v3"
		}
		return "llm"
	case "deepseek":
		return "llm"
	}
	if token(userToken) && token(assistantToken) {
		switch {
		case named("r1-0528"):
			return "r1-0528"
		case named("r1"):
			return "r1"
		case h.ModelType == "deepseek_v3" && token(thinkToken):
			return "v3.1"
		case token(thinkToken):
			return "r1" // a distilled model
		}
		return "v3"
	}
	switch tok.Pre() {
	case "deepseek-llm":
		return "llm"
	case "deepseek-coder":
		if token(eot) {
			return "coder"
		}
	}
	return ""
}

// hasWord finds a word that stands between others: "r1" is in DeepSeek-R1 and not in /home/user1.
func hasWord(text, word string) bool {
	inside := func(b byte) bool { return b >= 'a' && b <= 'z' || b >= '0' && b <= '9' }
	for at := 0; ; at++ {
		i := strings.Index(text[at:], word)
		if i < 0 {
			return false
		}
		at += i
		end := at + len(word)
		if (at == 0 || !inside(text[at-1])) && (end == len(text) || !inside(text[end])) {
			return true
		}
	}
}

// callsOfTemplate tells how a template of others writes calls, by its words.
func callsOfTemplate(t string) syntax {
	has := func(s string) bool { return strings.Contains(t, s) }
	switch {
	case has(dsmlToken) && has(" calls>"):
		return dsmlV41
	case has(dsmlToken) && has("tool_calls>"):
		return dsmlV4
	case has(dsmlToken) && has("function_calls>"):
		return dsmlV32
	case has(callsBegin) && has("```json"):
		return fencedCalls
	case has(callsBegin):
		return bareCalls
	case has(toolCallBegin) && has("arguments"):
		return taggedCalls
	}
	return noCalls
}

// systemOfTemplate gives the system text that a template of Coder v1 has for conversations without one: copies differ in
// it.
func systemOfTemplate(t string) string {
	const first = "You are an AI programming assistant"
	if _, after, found := strings.Cut(t, "'"+first); found {
		if text, _, found := strings.Cut(after, "'"); found {
			return first + strings.ReplaceAll(text, `\n`, "\n")
		}
	}
	return coderSystem
}
