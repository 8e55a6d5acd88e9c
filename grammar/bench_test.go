package grammar

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/haenyeo/haenyeo/tokenizer"
)

// deepSeekV3 is the published tokenizer of 128,815 tokens.
func deepSeekV3(tb testing.TB) *tokenizer.Tokenizer {
	tb.Helper()
	const dir = "../tokenizer/testdata"
	packed, err := os.ReadFile(filepath.Join(dir, "deepseek-v3.tokenizer.json.zst"))
	if err != nil {
		tb.Fatal(err)
	}
	z, err := zstd.NewReader(nil)
	if err != nil {
		tb.Fatal(err)
	}
	defer z.Close()
	raw, err := z.DecodeAll(packed, nil)
	if err != nil {
		tb.Fatal(err)
	}
	config, err := os.ReadFile(filepath.Join(dir, "deepseek-v3.tokenizer_config.json"))
	if err != nil {
		tb.Fatal(err)
	}
	tok, err := tokenizer.Parse(raw, config)
	if err != nil {
		tb.Fatal(err)
	}
	return tok
}

const person = `{"type":"object","properties":{
	"name":{"type":"string","maxLength":200},"age":{"type":"integer","minimum":0,"maximum":130},
	"email":{"type":"string","format":"email"},"role":{"enum":["admin","editor","viewer"]},
	"tags":{"type":"array","items":{"type":"string"},"maxItems":20},
	"address":{"type":"object","properties":{"street":{"type":"string"},"city":{"type":"string"},"zip":{"type":"string","pattern":"^[0-9]{5}$"}},
		"required":["street","city","zip"],"additionalProperties":false},
	"friends":{"type":"array","items":{"$ref":"#"}},"score":{"type":"number"}},
	"required":["name","age","email","role","tags","address","friends","score"],"additionalProperties":false}`

const someone = `{"name": "Kim Soon-ja, haenyeo of Hado village, who dives for abalone", "age": 71, "email": "kim.soonja@example.org", "role": "editor", ` +
	`"tags": ["sea", "Jeju", "tradition and its keepers"], "address": {"street": "Haean-ro 12", "city": "제주시", "zip": "63359"}, ` +
	`"friends": [{"name": "Ko", "age": 68, "email": "ko@example.org", "role": "viewer", "tags": [], "address": {"street": "x", "city": "y", "zip": "00000"}, "friends": [], "score": 1.5e-3}], "score": 0.75}`

const arithmetic = `root ::= (expr "=" ws term "\n")+
expr ::= term ([-+*/] ws term)*
term ::= ident | num | "(" ws expr ")" ws
ident ::= [a-z] [a-z0-9_]* ws
num ::= [0-9]+ ws
ws ::= [ \t\n]*`

// benchmarks are grammars with a text that a model might write.
func benchmarks(tb testing.TB) map[string]struct {
	g    *Grammar
	text string
} {
	schema, err := FromJSONSchema([]byte(person), Options{Strict: false})
	if err != nil {
		tb.Fatal(err)
	}
	gbnf, err := FromGBNF(arithmetic)
	if err != nil {
		tb.Fatal(err)
	}
	re, err := FromRegexp(`[A-Z][^.]{10,500}\.( [A-Z][^.]{10,500}\.)*`)
	if err != nil {
		tb.Fatal(err)
	}
	choices, err := FromChoices([]string{"Busan", "Seoul", "Jeju City", "Seogwipo", "Incheon"})
	if err != nil {
		tb.Fatal(err)
	}
	prose := "The women of Hado go down to the sea before dawn, as their mothers did, and come back with abalone. They sing while they row, so that nobody is lost in the fog."
	return map[string]struct {
		g    *Grammar
		text string
	}{
		"schema": {schema, someone}, "json": {JSON(), someone}, "regexp": {re, prose}, "choices": {choices, "Seogwipo"},
		"gbnf": {gbnf, "(alpha + 12) * beta_2 - 7 / (x - y) = gamma\nfoo = 4\n"},
	}
}

// BenchmarkMask is the time of a token: of its mask and of accepting it. cold is a grammar's first answer, with nothing
// remembered; warm every further one.
func BenchmarkMask(b *testing.B) {
	tok := deepSeekV3(b)
	v := OfTokenizer(tok)
	eos, _ := tok.EOS()
	for name, c := range benchmarks(b) {
		ids := tok.Encode(nil, c.text, tokenizer.EncodeOptions{})
		run := func(b *testing.B, k *Masker) {
			m := k.Matcher()
			for _, id := range ids {
				if _, err := m.Mask(); err != nil {
					b.Fatal(err)
				}
				if err := m.Accept(id); err != nil {
					b.Fatal(name, err)
				}
			}
			if _, err := m.Mask(); err != nil || !m.Complete() {
				b.Fatal(err)
			}
		}
		perToken := func(b *testing.B) {
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(ids)+1), "ns/token")
		}
		b.Run(name+"/warm", func(b *testing.B) {
			k, err := c.g.For(v, []int32{eos})
			if err != nil {
				b.Fatal(err)
			}
			run(b, k)
			for b.Loop() {
				run(b, k)
			}
			perToken(b)
		})
		b.Run(name+"/cold", func(b *testing.B) {
			for b.Loop() {
				k, err := c.g.For(v, []int32{eos})
				if err != nil {
					b.Fatal(err)
				}
				run(b, k)
			}
			perToken(b)
		})
	}
}

func BenchmarkVocabulary(b *testing.B) {
	tok := deepSeekV3(b)
	for b.Loop() {
		OfTokenizer(tok)
	}
}

func BenchmarkCompile(b *testing.B) {
	for b.Loop() {
		if _, err := FromJSONSchema([]byte(person), Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
