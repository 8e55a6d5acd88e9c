package eval

// What records of known sets look like, and the words that are put around them: those of the tasks of lm-eval 0.4.

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// record is a line of a file. The first field that is not what it should be is kept in err.
type record struct {
	fields map[string]json.RawMessage
	lang   string
	err    error
}

func (r *record) names() []string {
	names := make([]string, 0, len(r.fields))
	for name := range r.fields {
		names = append(names, strconv.Quote(name))
	}
	slices.Sort(names)
	if len(names) > 12 {
		names = append(names[:12], "…")
	}
	return names
}

func (r *record) fail(name, want string) {
	if r.err == nil {
		r.err = fmt.Errorf("field %q: %s expected, not %.40q", name, want, string(r.fields[name]))
	}
}

// text is a field that holds a string.
func (r *record) text(name string) (s string) {
	if json.Unmarshal(r.fields[name], &s) != nil || r.fields[name] == nil {
		r.fail(name, "a string")
	}
	return s
}

func (r *record) texts(name string) (s []string) {
	if json.Unmarshal(r.fields[name], &s) != nil {
		r.fail(name, "a list of strings")
	}
	return s
}

// number is a field that holds an integer, or one in a string.
func (r *record) number(name string) int {
	n, err := strconv.Atoi(strings.Trim(string(r.fields[name]), `"`))
	if err != nil {
		r.fail(name, "a number")
	}
	return n
}

// value is a field that holds a string or a number.
func (r *record) value(name string) string {
	var s string
	if json.Unmarshal(r.fields[name], &s) == nil {
		return s
	}
	var n json.Number
	if json.Unmarshal(r.fields[name], &n) != nil {
		r.fail(name, "a string or a number")
	}
	return n.String()
}

func has(r *record, names ...string) bool {
	for _, name := range names {
		if _, ok := r.fields[name]; !ok {
			return false
		}
	}
	return true
}

// shape is a kind of record.
type shape struct {
	name   string
	kind   Kind
	fields []string // that it has, all of them
	make   func(r *record) Item
	stop   []string
}

var answerStop = []string{"Question:", "</s>", "<|im_end|>"}

// shapes are tried from the first on: those with more telling fields come first.
var shapes = []shape{
	{name: "blimp", kind: Choice, fields: []string{"good", "bad"}, make: makePair("good", "bad")},
	{name: "blimp", kind: Choice, fields: []string{"sentence_good", "sentence_bad"}, make: makePair("sentence_good", "sentence_bad")},
	{name: "schema", kind: Choice, fields: []string{"context_options", "continuation", "gold"}, make: makeSchema},
	{name: "winogrande", kind: Choice, fields: []string{"sentence", "option1", "option2", "answer"}, make: makeWinogrande},
	{name: "piqa", kind: Choice, fields: []string{"goal", "sol1", "sol2", "label"}, make: makePIQA},
	{name: "hellaswag", kind: Choice, fields: []string{"ctx_a", "ctx_b", "activity_label", "endings", "label"}, make: makeHellaSwag},
	{name: "kobest-copa or xcopa", kind: Choice, fields: []string{"premise", "question", "choices", "label"}, make: makeCOPA},
	{name: "kobest-copa or xcopa", kind: Choice, fields: []string{"premise", "question", "choice1", "choice2", "label"}, make: makeCOPA},
	{name: "kobest-wic", kind: Choice, fields: []string{"word", "context_1", "context_2", "label"}, make: makeWiC},
	{name: "boolq", kind: Choice, fields: []string{"passage", "question", "label"}, make: makeBoolQ},
	{name: "kobest-sentineg", kind: Choice, fields: []string{"text", "label"}, make: makeSentiNeg},
	{name: "kobest-hellaswag", kind: Choice, fields: []string{"context", "choices", "label"}, make: makeKoHellaSwag},
	{name: "arc", kind: Choice, fields: []string{"question", "choices", "answerKey"}, make: makeARC},
	{name: "query", kind: Choice, fields: []string{"query", "choices", "gold"}, make: makeQuery},
	{name: "gsm8k", kind: Answer, fields: []string{"question", "answer"}, make: makeGSM8K, stop: answerStop},
	{name: "svamp", kind: Answer, fields: []string{"context", "answer"}, make: makeSVAMP, stop: answerStop},
	{name: "continuation", kind: Completion, fields: []string{"context", "continuation"}, make: makeContinuation},
}

func recognise(r *record) *shape {
	for i := range shapes {
		if has(r, shapes[i].fields...) {
			return &shapes[i]
		}
	}
	return nil
}

func shapeNames() string {
	var names []string
	for _, s := range shapes {
		names = append(names, fmt.Sprintf("%s (%s)", s.name, strings.Join(s.fields, ", ")))
	}
	return strings.Join(names, "; ")
}

func makePair(good, bad string) func(r *record) Item {
	return func(r *record) Item {
		g, b := r.text(good), r.text(bad)
		return Item{Text: g, Contexts: []string{""}, Choices: []string{g, b}}
	}
}

// makeSchema scores one continuation after several contexts.
func makeSchema(r *record) Item {
	contexts, next := r.texts("context_options"), strings.TrimSpace(r.text("continuation"))
	it := Item{Contexts: contexts, Gold: r.number("gold")}
	for i := range contexts {
		it.Choices = append(it.Choices, next)
		if i == it.Gold {
			it.Text = contexts[i] + " " + next
		}
	}
	return it
}

func makeWinogrande(r *record) Item {
	before, after, found := strings.Cut(r.text("sentence"), "_")
	if !found {
		r.fail("sentence", "a text with a gap (_)")
	}
	after = strings.TrimSpace(after)
	it := Item{Gold: r.number("answer") - 1, Choices: []string{after, after}}
	for i, option := range []string{r.text("option1"), r.text("option2")} {
		it.Contexts = append(it.Contexts, before+option)
		if i == it.Gold {
			it.Text = before + option + " " + after
		}
	}
	return it
}

// choose makes an item of a prompt and choices; asked is the prompt without what lm-eval puts around it.
func choose(asked, prompt string, choices []string, gold int) Item {
	it := Item{Text: asked, Contexts: []string{prompt}, Choices: choices, Gold: gold}
	if gold >= 0 && gold < len(choices) {
		it.Text += " " + choices[gold]
	}
	return it
}

func question(q string) string { return "Question: " + q + "\nAnswer:" }

func makePIQA(r *record) Item {
	q := r.text("goal")
	return choose(q, question(q), []string{r.text("sol1"), r.text("sol2")}, r.number("label"))
}

func makeARC(r *record) Item {
	var c struct{ Text, Label []string }
	if json.Unmarshal(r.fields["choices"], &c) != nil || len(c.Text) != len(c.Label) {
		r.fail("choices", "an object with lists text and label")
	}
	q := r.text("question")
	return choose(q, question(q), c.Text, slices.Index(c.Label, r.text("answerKey")))
}

// makeQuery takes the multiple choice of llm-foundry. Its files end some queries with a line, and have none of the
// words that lm-eval asks for an answer with.
func makeQuery(r *record) Item {
	q := strings.TrimRightFunc(r.text("query"), unicode.IsSpace)
	asked := strings.TrimPrefix(q, "Question: ")
	if strings.HasPrefix(q, "Question:") || strings.Contains(q, "\nQuestion:") {
		if !strings.HasSuffix(q, "Answer:") {
			q += "\nAnswer:"
		}
	}
	return choose(asked, q, r.texts("choices"), r.number("gold"))
}

var brackets = regexp.MustCompile(`\[.*?\]`)

// cleanHow takes the marks of WikiHow out of HellaSwag.
func cleanHow(s string) string {
	s = strings.ReplaceAll(strings.TrimSpace(s), " [title]", ". ")
	return strings.ReplaceAll(brackets.ReplaceAllString(s, ""), "  ", " ")
}

func makeHellaSwag(r *record) Item {
	b := r.text("ctx_b")
	if first, n := utf8.DecodeRuneInString(b); n > 0 {
		b = string(unicode.ToTitle(first)) + strings.ToLower(b[n:])
	}
	q := cleanHow(r.text("activity_label") + ": " + r.text("ctx_a") + " " + b)
	endings := r.texts("endings")
	for i := range endings {
		endings[i] = cleanHow(endings[i])
	}
	return choose(q, q, endings, r.number("label"))
}

func makeKoHellaSwag(r *record) Item {
	q := r.text("context")
	return choose(q, "문장: "+q, r.texts("choices"), r.number("label"))
}

// connectors are the words between a premise and its cause or effect.
var connectors = map[string][2]string{
	"en": {"because", "therefore"}, "et": {"sest", "seetõttu"}, "ht": {"poukisa", "donk sa"}, "it": {"perché", "quindi"},
	"id": {"karena", "maka"}, "qu": {"imataq", "chaymi"}, "sw": {"kwa sababu", "kwa hiyo"}, "zh": {"因为", "所以"},
	"ta": {"காரணமாக", "எனவே"}, "th": {"เพราะ", "ดังนั้น"}, "tr": {"çünkü", "bu yüzden"}, "vi": {"bởi vì", "vì vậy"},
}

func makeCOPA(r *record) Item {
	premise, asked := r.text("premise"), strings.TrimSpace(r.text("question"))
	var choices []string
	if has(r, "choices") {
		choices = r.texts("choices")
	} else {
		choices = []string{r.text("choice1"), r.text("choice2")}
	}
	switch asked {
	case "원인":
		return choose(premise, premise+"  왜냐하면", choices, r.number("label"))
	case "결과":
		return choose(premise, premise+"  그래서", choices, r.number("label"))
	}
	words, known := connectors[r.lang]
	if !known && r.err == nil {
		r.err = fmt.Errorf("language %q: the words for cause and effect are known in en, et, ht, id, it, qu, sw, ta, th, tr, vi and zh, named by field \"lang\" or by the file (id.test.jsonl)", r.lang)
	}
	word := words[0]
	if asked == "effect" {
		word = words[1]
	} else if asked != "cause" {
		r.fail("question", "cause, effect, 원인 or 결과")
	}
	for i, c := range choices {
		first, n := utf8.DecodeRuneInString(c)
		if n > 0 {
			choices[i] = string(unicode.ToLower(first)) + c[n:]
		}
	}
	stem := strings.TrimSpace(premise) // its last character is a full stop, which goes
	_, n := utf8.DecodeLastRuneInString(stem)
	return choose(premise, stem[:len(stem)-n]+" "+word, choices, r.number("label"))
}

var noYes = []string{"아니오", "예"}

func makeWiC(r *record) Item {
	a, b := r.text("context_1"), r.text("context_2")
	return choose(a+" "+b, fmt.Sprintf("문장1: %s 문장2: %s 두 문장에서 %s가 같은 뜻으로 쓰였나?", a, b, r.text("word")), noYes, r.number("label"))
}

func makeBoolQ(r *record) Item {
	p, q := r.text("passage"), r.text("question")
	if r.lang == "ko" {
		return choose(p+" "+q, p+" 질문: "+q+" 답변: ", noYes, r.number("label"))
	}
	return choose(p+" "+q, p+"\nQuestion: "+q+"?\nAnswer:", []string{"no", "yes"}, r.number("label"))
}

func makeSentiNeg(r *record) Item {
	s := r.text("text")
	return choose(s, "문장: "+s+" 긍부정:", []string{"부정", "긍정"}, r.number("label"))
}

// makeGSM8K takes GSM8K as it is published, where the answer stands behind #### at the end of its reasons, and records
// that have it apart.
func makeGSM8K(r *record) Item {
	it := Item{Text: r.text("question"), Answer: strings.TrimSpace(r.value("answer"))}
	it.Contexts = []string{question(it.Text)}
	if has(r, "solution") {
		it.Target = r.text("solution")
	} else if i := strings.LastIndex(it.Answer, "#### "); i >= 0 {
		it.Target, it.Answer = it.Answer, it.Answer[i+5:]
	}
	if it.Target == "" {
		it.Target = "#### " + it.Answer
	}
	it.Text += " " + it.Target
	return it
}

func makeSVAMP(r *record) Item {
	it := Item{Text: r.text("context"), Answer: strings.TrimSpace(r.value("answer"))}
	it.Contexts, it.Target = []string{question(it.Text)}, "#### "+it.Answer
	return it
}

func makeContinuation(r *record) Item {
	context, next := strings.TrimRightFunc(r.text("context"), unicode.IsSpace), strings.TrimLeft(r.text("continuation"), " ")
	return choose(context, context, []string{next}, 0)
}
