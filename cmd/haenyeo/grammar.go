package main

// The flags that keep what a model writes in a grammar.

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/haenyeo/haenyeo/grammar"
)

type grammarFlags struct {
	JSONSchema string   `name:"json-schema" group:"grammar" placeholder:"FILE" help:"Write JSON that this schema accepts; one that is {} accepts any."`
	Grammar    string   `name:"grammar" group:"grammar" placeholder:"FILE" help:"Write a text of this grammar, in the GBNF of llama.cpp."`
	Regexp     string   `name:"regexp" group:"grammar" placeholder:"RE" help:"Write a text that matches this regular expression (RE2) as a whole."`
	Choice     []string `name:"choice" group:"grammar" sep:"none" placeholder:"TEXT" help:"Write one of these texts; given once for each."`
}

// maxGrammar bounds the bytes of a grammar's file: more than any that is accepted.
const maxGrammar = 4 << 20

// load is the grammar that the flags ask for, nil for none.
func (f *grammarFlags) load() (*grammar.Grammar, error) {
	var given []string
	for _, x := range []struct {
		flag string
		set  bool
	}{{"--json-schema", f.JSONSchema != ""}, {"--grammar", f.Grammar != ""}, {"--regexp", f.Regexp != ""}, {"--choice", len(f.Choice) > 0}} {
		if x.set {
			given = append(given, x.flag)
		}
	}
	if len(given) > 1 {
		return nil, misuse("%s: give one of them", strings.Join(given, " and "))
	}
	switch {
	case f.JSONSchema != "":
		text, err := readGrammar(f.JSONSchema)
		if err != nil {
			return nil, err
		}
		return inFile(f.JSONSchema)(grammar.FromJSONSchema(text, grammar.Options{}))
	case f.Grammar != "":
		text, err := readGrammar(f.Grammar)
		if err != nil {
			return nil, err
		}
		return inFile(f.Grammar)(grammar.FromGBNF(string(text)))
	case f.Regexp != "":
		g, err := grammar.FromRegexp(f.Regexp)
		if err != nil {
			return nil, usageError{err}
		}
		return g, nil
	case len(f.Choice) > 0:
		return grammar.FromChoices(f.Choice)
	}
	return nil, nil
}

// inFile says in errors where the grammar stands.
func inFile(path string) func(*grammar.Grammar, error) (*grammar.Grammar, error) {
	return func(g *grammar.Grammar, err error) (*grammar.Grammar, error) {
		if err != nil {
			return nil, fmt.Errorf("%q: %w", path, err)
		}
		return g, nil
	}
}

func readGrammar(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxGrammar))
	if err != nil {
		return nil, fmt.Errorf("reading %q: %w", path, err)
	}
	return text, nil
}
