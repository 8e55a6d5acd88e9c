package grammar

import (
	"strings"
	"testing"
)

func TestGBNF(t *testing.T) {
	for _, c := range []struct {
		text      string
		good, bad []string
	}{
		{arithmetic, []string{"a=1\n", "(x + 1) *y=  3\nb=b\n"}, []string{"", "a=1", "1a=1\n"}},
		{`root ::= "a" | # comment
			"b"
			| [^a-z\n]{2}
other-rule ::= root`, []string{"a", "b", "1é"}, []string{"1", "1a", "\n1"}},
		{`root ::= ("x" | "y"
  "z")+ tail?
tail ::= [\x41-\u0043\-\]]{,2} "\"\\"`, []string{"x", "yzx", `xA]"\`, `x"\`, `x-C"\`}, []string{"y", `xD"\`, `xAAA"\`}},
		{`root ::= obj
obj ::= "{" (pair ("," pair)*)? "}"
pair ::= [a-z]+ ":" (obj | [0-9]+)`, []string{"{}", "{a:{b:{}},c:12}"}, []string{"{a}", "{a:{}"}},
		{`root ::= .{3}`, []string{"a\n😀"}, []string{"ab", "abcd"}},
		{"root ::= \"a\"{1000000} | \"b\"{2,}", []string{"bb", "bbbbb"}, []string{"b", "a"}},
		{"\n# nothing\n\nroot::=\"a\"\r\n\t", []string{"a"}, nil},
		{`root ::= "" | "a" root`, []string{"", "aaaa"}, []string{"b"}},
	} {
		g, err := FromGBNF(c.text)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		m := newMachine(g)
		for _, s := range c.good {
			if ok, _ := m.match([]byte(s)); !ok {
				t.Errorf("%s\nrefuses %q", c.text, s)
			}
		}
		for _, s := range c.bad {
			if ok, _ := m.match([]byte(s)); ok {
				t.Errorf("%s\naccepts %q", c.text, s)
			}
		}
	}
}

// Each is an error that says what is wrong, and where there are lines, on which.
func TestWrongGrammars(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", `no rule "root"`}, {"a ::= \"x\"", `no rule "root"`},
		{"root ::= b\n\nx ::= \"y\" c", `line 1: rule "b" is used`},
		{"root ::= \"a", "not closed"}, {"root ::= [a", "not closed"}, {"root ::= (\"a\"", "not closed"}, {"root ::= \"a\" )", "cannot stand"},
		{"root ::= \"a\"\nroot ::= \"b\"", "line 2: rule \"root\" is defined twice"},
		{"root = \"a\"", `"::="`}, {"::= \"a\"", "begins with its name"}, {"root ::= [z-a]", "empty"}, {`root ::= "\q"`, "not known"}, {`root ::= "\ud800"`, "no character"},
		{"root ::= \"a\"{3,2}", "m not below n"}, {"root ::= \"a\"{}", "a count is"}, {"root ::= \"a\"{99999999999}", "larger than"}, {"root ::= <x", "goes from < to >"}, {"root ::= <[7]>", "by its text"},
		{"root ::= root \"a\" | \"b\"", "calls itself before"}, {"root ::= a\na ::= b? a \"x\"\nb ::= \"y\"", "a → a"}, {"root ::= a \"x\"\na ::= \"\" b\nb ::= [a]* a | \"y\"", "calls itself"},
		{"root ::= \"a\" root", "ever complete"}, {"root ::= [^\\x00-\\U0010ffff]", "ever complete"},
		{"root ::= (\"a\"?){1000}", "may be empty"}, {"root ::= " + strings.Repeat("(", 300), "nested more than"}, {strings.Repeat("#", maxSchema+1), "at most"}, {"root ::= \"\xff\"", "UTF-8"},
		{"root ::= (((" + strings.Repeat("[a-z0-9é-￿] ", 3) + "){30} \"x\"){30} \"y\"){30}", ""}, // counted, not written out
		{"root ::= " + strings.Repeat("\"0123456789\" ", 8000), ""},
		{"root ::= " + strings.Repeat(".", 200000), "more than 1048576 states"},
	} {
		_, err := FromGBNF(c.text)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%.60s: %v", c.text, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%.60s: %v, want %q", c.text, err, c.want)
		}
	}
}

func TestWrongRegexps(t *testing.T) {
	for re, want := range map[string]string{
		`(`: "missing closing", `a{1,1000000000}`: "repeat count", `\bx`: "whole expression only", `a^b`: "whole expression", `(?=x)`: "invalid", `(?m)^a$`: "whole expression",
		`[^\x00-\x{10FFFF}]`: "ever complete", strings.Repeat("a", maxPattern+1): "at most", strings.Repeat("(", 1100) + strings.Repeat(")", 1100): "", `((a{100}){100}){100}`: "repeat", "\xff": "UTF-8",
	} {
		_, err := FromRegexp(re)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40s: %v, want %q", re, err, want)
		}
	}
	if _, err := FromChoices(nil); err == nil {
		t.Error("no choices are accepted")
	}
}
