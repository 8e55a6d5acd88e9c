package serve

// Grammars of answers: what shape and tool choice of a request demand becomes a mask over the tokens that may come next,
// so that JSON is JSON, and a call can be read, whatever the model. An answer is
//
//	[thinking </think>] [newlines] content | block of calls
//
// where content is a text of the shape, or any text in which no call begins. Who demands nothing but has tools is held
// to their form where the model begins a call, and to nothing else.

import (
	"container/list"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"strings"
	"sync"

	"github.com/haenyeo/haenyeo/grammar"
	"github.com/haenyeo/haenyeo/infer"
	"github.com/haenyeo/haenyeo/tokenizer"
)

// constrain finds the grammar of the answer, if it has one.
func (p *prepared) constrain(s *Server) error {
	if p.shape != nil {
		if n := p.shape.size(); n > s.options.MaxSchema {
			return fail(outOfRange, p.shape.param, "%s has %d bytes: at most %d", p.shape.param, n, s.options.MaxSchema)
		}
	}
	total := 0
	for _, t := range p.tools {
		total += len(t.Parameters)
	}
	demands := p.shape != nil || p.must || len(p.strict) > 0
	if total > s.options.MaxSchema*4 {
		if demands {
			return fail(outOfRange, "tools", "the schemas of the tools have %d bytes: at most %d", total, s.options.MaxSchema*4)
		}
		return nil
	}
	if !demands && (len(p.tools) == 0 || p.prompt == nil) {
		return nil
	}
	masker, err := p.model.grammars.get(p.grammarKey(), p.compile)
	if err != nil && !demands {
		return nil // schemas that cannot be understood are for the model alone to mind
	}
	p.masker, p.demands = masker, demands
	return err
}

// grammarKey tells answers apart that have different grammars.
func (p *prepared) grammarKey() [sha256.Size]byte {
	type tool struct {
		Name       string
		Parameters json.RawMessage
	}
	key := struct {
		Object, Strict                bool
		Schema                        string
		Grammar, Pattern              string
		Choices, StrictTools          []string
		Tools                         []tool
		Must, OneCall, Thinks, IsText bool
	}{StrictTools: p.strict, Must: p.must, OneCall: p.oneCall, Thinks: p.within, IsText: p.prompt == nil}
	if s := p.shape; s != nil {
		key.Object, key.Strict, key.Schema, key.Grammar, key.Pattern, key.Choices = s.object, s.strict, string(s.schema), s.grammar, s.pattern, s.choices
	}
	for _, t := range p.tools {
		parameters := t.Parameters
		if !json.Valid(parameters) {
			parameters = nil
		}
		key.Tools = append(key.Tools, tool{t.Name, parameters})
	}
	return sha256.Sum256(encode(key))
}

// compile makes the grammar of the answer.
func (p *prepared) compile() (*grammar.Masker, error) {
	answer, err := p.answerGrammar()
	if err == nil && p.prompt != nil {
		answer, err = p.afterThought(answer)
	}
	if err != nil {
		return nil, p.grammarFailure(err)
	}
	masker, err := answer.For(p.model.vocabulary(), p.ask.End)
	return masker, p.grammarFailure(err)
}

// grammarFailure puts what is wrong with a grammar into words for the client.
func (p *prepared) grammarFailure(err error) error {
	if err == nil || errors.As(err, new(*failure)) {
		return err
	}
	param := "tools"
	if p.shape != nil {
		param = p.shape.param
	}
	return fail(outOfRange, param, "%s: %s", param, strings.TrimPrefix(err.Error(), "grammar: "))
}

// afterThought puts the reasoning before an answer.
func (p *prepared) afterThought(answer *grammar.Grammar) (*grammar.Grammar, error) {
	b := builder{m: p.model}
	thought := b.free(thinkEnd)
	thinks := b.sequence(thought, b.written(thinkEnd), b.newlines(), answer)
	switch {
	case p.within && p.shape == nil && !p.must: // the model may leave it at the thought
		answer = b.either(thinks, thought)
	case p.within:
		answer = thinks
	case p.model.Format.Name() == "jinja" && p.model.isControl(thinkBegin):
		answer = b.either(answer, b.sequence(grammar.Control(thinkBegin), thinks))
	}
	return answer, b.err
}

// Marks of reasoning.
const (
	thinkBegin = "<think>"
	thinkEnd   = "</think>"
)

// answerGrammar is what follows the reasoning.
func (p *prepared) answerGrammar() (*grammar.Grammar, error) {
	b := builder{m: p.model}
	var content *grammar.Grammar
	if p.shape != nil {
		content = b.shape(p.shape)
	}
	if p.prompt == nil || len(p.tools) == 0 {
		return content, b.err
	}
	form, ok := p.model.Format.CallForm()
	if !ok {
		return nil, fail(outOfRange, "tools", "model %q knows no tools: leave them out", p.model.Name)
	}
	b.form = form
	block := b.calls(p)
	switch {
	case p.must:
		return block, b.err
	case content != nil:
		return b.either(content, block), b.err
	}
	free := b.free(b.mark())
	return b.either(free, b.sequence(free, block)), b.err
}

// allowed follows one answer. Where nothing is demanded, a text that the grammar cannot follow is free from there on.
func (p *prepared) allowed() (*grammar.Matcher, func([]int32) []uint64) {
	if p.masker == nil {
		return nil, nil
	}
	m := p.masker.Matcher()
	if p.demands {
		return m, m.Allowed
	}
	words := make([]uint64, (p.model.Vocab+63)/64)
	for i := range words {
		words[i] = ^uint64(0)
	}
	return nil, func(made []int32) []uint64 {
		if mask := m.Allowed(made); m.Err() == nil && mask != nil {
			return mask
		}
		return words
	}
}

// ended says whether an answer failed because its grammar has nothing to follow: then it is complete.
func ended(m *grammar.Matcher, err error) bool {
	return m != nil && errors.Is(err, infer.ErrNothingAllowed) && m.Complete()
}

// notAllowed puts into words that a grammar and other demands contradict each other.
func (p *prepared) notAllowed(m *grammar.Matcher, err error) error {
	switch {
	case m != nil && m.Err() != nil:
		return p.grammarFailure(m.Err())
	case errors.Is(err, infer.ErrNothingAllowed):
		return fail(outOfRange, "logit_bias", "no token is left to choose: the form of the answer and the bans of logit_bias exclude each other")
	}
	return err
}

// maskers keeps the grammars of a model that were used last.
type maskers struct {
	vocabulary sync.Once
	words      *grammar.Vocabulary

	mu   sync.Mutex
	by   map[[sha256.Size]byte]*list.Element
	used list.List // of keptMasker, last used first
}

type keptMasker struct {
	key    [sha256.Size]byte
	masker *grammar.Masker
}

// keptMaskers is how many: each may take tens of megabytes.
const keptMaskers = 16

// get finds a grammar or makes it.
func (k *maskers) get(key [sha256.Size]byte, compile func() (*grammar.Masker, error)) (*grammar.Masker, error) {
	k.mu.Lock()
	if at := k.by[key]; at != nil {
		k.used.MoveToFront(at)
		k.mu.Unlock()
		return at.Value.(keptMasker).masker, nil
	}
	k.mu.Unlock()
	masker, err := compile() // perhaps twice at the same time: no harm but work
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.by == nil {
		k.by = map[[sha256.Size]byte]*list.Element{}
	}
	if k.by[key] == nil {
		k.by[key] = k.used.PushFront(keptMasker{key, masker})
	}
	for k.used.Len() > keptMaskers {
		last := k.used.Back()
		delete(k.by, last.Value.(keptMasker).key)
		k.used.Remove(last)
	}
	return masker, nil
}

// vocabulary is the tokens as grammars see them.
func (m *Model) vocabulary() *grammar.Vocabulary {
	m.grammars.vocabulary.Do(func() { m.grammars.words = grammar.OfTokenizer(m.Tokenizer) })
	return m.grammars.words
}

// isControl says whether a text is a control token.
func (m *Model) isControl(text string) bool {
	id, ok := m.Tokenizer.TokenID(text)
	return ok && m.Tokenizer.TokenType(id) != tokenizer.Normal
}
