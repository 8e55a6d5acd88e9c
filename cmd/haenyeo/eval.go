package main

// eval: what a model can do, on sets of questions.

import (
	"encoding/json"
	"fmt"
	"iter"
	"path/filepath"
	"strings"

	"github.com/haenyeo/haenyeo"
	"github.com/haenyeo/haenyeo/corpus"
	"github.com/haenyeo/haenyeo/eval"
	"github.com/haenyeo/haenyeo/internal/atomicfile"
	"github.com/haenyeo/haenyeo/task"
	"github.com/haenyeo/haenyeo/task/sandbox"
)

type evalCmd struct {
	Model         string   `arg:"" help:"Model directory or .gguf file."`
	Task          []string `required:"" sep:"none" placeholder:"NAME|FILE" help:"Set of questions: a file of JSON lines, also .zst or .gz, or its name in --data (arc-easy, kobest/copa, xcopa for all its languages), ladder/RUNG of the built-in tasks, or a task file in Starlark (NAME.star). Give it once for each."`
	Data          string   `placeholder:"DIR" help:"Where the sets of these names are."`
	Shots         int      `placeholder:"N" help:"Examples before every question. Default: none."`
	ShotsFrom     string   `placeholder:"NAME|FILE" help:"Draw the examples from this set. Default: from the one that is asked."`
	Seed          uint64   `default:"1234" placeholder:"N" help:"Of the choice of examples. Default: ${default}."`
	Limit         int      `placeholder:"N" help:"Ask the first N questions of every set only."`
	MaxTokens     int      `default:"256" placeholder:"N" help:"Tokens of a written answer at most. Default: ${default}."`
	Against       string   `placeholder:"MODEL" help:"Ask this model too, and compare both item by item."`
	Contamination []string `sep:"none" placeholder:"PATH" help:"Look for the questions in this training data: 13 words in a row. Give it once for each path."`
	BPB           []string `name:"bpb" sep:"none" placeholder:"PATH" help:"Measure bits per byte of this text too, by language."`
	Out           string   `placeholder:"DIR" help:"Write results.jsonl, items.jsonl (every question with what the model made of it) and report.html there."`
	arithmetic
}

func (evalCmd) Help() string {
	return "Multiple choice is scored by the probability of the choices, as lm-eval does it; questions with a number for an answer by what the model writes. " +
		"Scores have 95 % intervals. With --against the difference has one too: it is no more than chance where that holds 0.\n\n" +
		"Example:\n\n\thaenyeo eval my-model --data eval --task arc-easy --task kobest --against other-model"
}

func (c *evalCmd) Run(a *app) error {
	switch {
	case c.Shots < 0 || c.Limit < 0:
		return misuse("--shots and --limit are 0 or more")
	case c.MaxTokens < 1:
		return misuse("--max-tokens %d: give at least 1", c.MaxTokens)
	case c.ShotsFrom != "" && c.Shots == 0:
		return misuse("--shots-from says where examples come from: give --shots too")
	}
	sets, shots, err := c.load(a)
	if err != nil {
		return err
	}
	if c.Out != "" {
		undo, err := writableDir(c.Out)
		if err != nil {
			return err
		}
		defer undo()
	}
	report := &eval.Report{}
	if err := c.contaminated(a, sets, report); err != nil {
		return err
	}
	names := []string{c.Model}
	if c.Against != "" {
		names = append(names, c.Against)
	}
	for _, name := range names {
		if err := c.ask(a, name, sets, shots, report); err != nil {
			return err
		}
	}
	if err := report.Compare(); err != nil {
		return err
	}
	if err := c.tell(a, report); err != nil {
		return err
	}
	return c.write(a, report)
}

// load reads all sets before a model is opened: what is wrong with one is known at once.
func (c *evalCmd) load(a *app) (sets []*eval.Set, shots *eval.Set, err error) {
	for _, name := range c.Task {
		t, err := openTask(name)
		if err != nil {
			return nil, nil, err
		}
		if t != nil {
			set, err := taskSet(t, c.Seed, max(c.Limit, min(c.Limit, 1)*(c.Shots+1)))
			if err != nil {
				return nil, nil, err
			}
			sets = append(sets, set)
			continue
		}
		files, err := eval.Find(c.Data, name)
		if err != nil {
			return nil, nil, err
		}
		for _, f := range files {
			set, err := eval.Load(a.ctx, f.Name, f.Path)
			if err != nil {
				return nil, nil, err
			}
			sets = append(sets, set)
		}
	}
	if c.ShotsFrom == "" {
		return sets, nil, nil
	}
	files, err := eval.Find(c.Data, c.ShotsFrom)
	if err != nil {
		return nil, nil, err
	}
	if len(files) != 1 {
		return nil, nil, misuse("--shots-from %q: %d sets have this name: give one", c.ShotsFrom, len(files))
	}
	shots, err = eval.Load(a.ctx, files[0].Name, files[0].Path)
	return sets, shots, err
}

// openTask finds a rung of the ladder or a task file; nil: name is of a set of questions.
func openTask(name string) (task.Task, error) {
	if rung, ok := strings.CutPrefix(name, "ladder/"); ok {
		return task.Named(rung)
	}
	if strings.HasSuffix(name, ".star") {
		return sandbox.OpenStarlark(name)
	}
	return nil, nil
}

// taskSet makes questions of a task, of its held-out ones: 100 without a limit.
func taskSet(t task.Task, seed uint64, limit int) (*eval.Set, error) {
	if limit == 0 {
		limit = 100
	}
	return eval.FromTask(t, seed, limit)
}

// contaminated looks for the questions in training data.
func (c *evalCmd) contaminated(a *app, sets []*eval.Set, report *eval.Report) error {
	if len(c.Contamination) == 0 {
		return nil
	}
	text, err := corpus.Open(a.ctx, c.Contamination, corpus.Options{ValidationShare: -1})
	if err != nil {
		return err
	}
	r := text.Report()
	a.bar.stage(fmt.Sprintf("looking for questions in %s of text", size(r.Bytes)), -1)
	report.Contamination, err = eval.Contaminated(a.ctx, sets, a.texts(text, r.Bytes))
	return err
}

// texts are the documents of a corpus of so many bytes, with the bar.
func (a *app) texts(c *corpus.Corpus, bytes int64) iter.Seq2[eval.Text, error] {
	return func(yield func(eval.Text, error) bool) {
		goesOn, read := false, int64(0)
		for d, err := range c.Documents(a.ctx, corpus.Train) {
			if !yield(eval.Text{Text: d.Text, GoesOn: goesOn}, err) || err != nil {
				return
			}
			goesOn = d.Continues
			read += int64(len(d.Text))
			a.bar.update(float64(read)/float64(max(1, bytes)), "looking for questions in training data")
		}
	}
}

// ask takes one model through all sets.
func (c *evalCmd) ask(a *app, name string, sets []*eval.Set, shots *eval.Set, report *eval.Report) error {
	m, err := a.open(name, c.arithmetic)
	if err != nil {
		return err
	}
	defer m.Close()
	measured := &eval.Model{Name: name, Net: m.Net(), Tokenizer: m.Tokenizer(), End: m.End()}
	for _, set := range sets {
		r, err := eval.Run(a.ctx, measured, set, eval.Options{Shots: c.Shots, ShotsFrom: shots, Seed: c.Seed, Limit: c.Limit, MaxTokens: c.MaxTokens,
			Progress: func(done, total int) {
				a.bar.update(float64(done)/float64(total), fmt.Sprintf("%s: %d of %d questions of %s", name, done, total, set.Name))
			}})
		if err != nil {
			return err
		}
		report.Results = append(report.Results, r)
		if !a.JSON {
			a.print("%s", describe(r))
		}
	}
	return c.bits(m, name, a, report)
}

// bits measures bits per byte.
func (c *evalCmd) bits(m *haenyeo.Model, name string, a *app, report *eval.Report) error {
	if len(c.BPB) == 0 {
		return nil
	}
	total, langs, err := m.BitsPerByte(a.ctx, c.BPB)
	if err != nil {
		return err
	}
	b := eval.Bits{Model: name, BPB: total.BPB, Bytes: total.Bytes, ByLang: map[string]float64{}}
	for _, l := range langs {
		if l.Lang != "und" || len(langs) > 1 {
			b.ByLang[l.Lang] = l.BPB
		}
	}
	report.Bits = append(report.Bits, b)
	return nil
}

func describe(r *eval.Result) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s, %d of %d questions", r.Model, r.Task, r.N, r.Of)
	if r.Shots > 0 {
		fmt.Fprintf(&b, ", %d examples", r.Shots)
	}
	for _, m := range r.Metrics {
		if m.How == eval.ByWilson {
			fmt.Fprintf(&b, "\n  %-22s %5.1f %%   (95 %%: %.1f to %.1f)", m.Name, 100*m.Value, 100*m.Low, 100*m.High)
		} else {
			fmt.Fprintf(&b, "\n  %-22s %7.2f (95 %%: %.2f to %.2f)", m.Name, m.Value, m.Low, m.High)
		}
	}
	return b.String()
}

// tell prints what is known when all models were asked.
func (c *evalCmd) tell(a *app, r *eval.Report) error {
	if a.JSON {
		for _, line := range r.Lines() {
			if err := a.emit(line); err != nil {
				return err
			}
		}
		return nil
	}
	for _, b := range r.Bits {
		a.print("%s: %.4f bits per byte over %s", b.Model, b.BPB, size(b.Bytes))
		for _, lang := range b.Langs() {
			a.print("  %-22s %.4f", lang, b.ByLang[lang])
		}
	}
	for _, x := range r.Comparisons {
		a.print("%s, %s: %s minus %s is %+.1f points (95 %%: %+.1f to %+.1f; p = %.2g)", x.Task, x.Metric, x.First, x.Second,
			100*x.Difference.Value, 100*x.Difference.Low, 100*x.Difference.High, x.P)
	}
	for i, x := range r.Contamination {
		a.print("%s: %d of %d questions stand in the training data; %d are too short to tell", r.Results[i].Task, x.Found, x.Items, x.Short)
	}
	return nil
}

// write leaves the files of --out.
func (c *evalCmd) write(a *app, r *eval.Report) error {
	if c.Out == "" {
		return nil
	}
	var results, items strings.Builder
	for _, line := range r.Lines() {
		if err := json.NewEncoder(&results).Encode(line); err != nil {
			return err
		}
	}
	for _, line := range r.ItemLines() {
		if err := json.NewEncoder(&items).Encode(line); err != nil {
			return err
		}
	}
	page, err := r.HTML()
	if err != nil {
		return err
	}
	for name, data := range map[string][]byte{"results.jsonl": []byte(results.String()), "items.jsonl": []byte(items.String()), "report.html": page} {
		if err := atomicfile.WriteFile(filepath.Join(c.Out, name), data); err != nil {
			return err
		}
	}
	a.say("wrote results.jsonl, items.jsonl and report.html to %s", c.Out)
	return nil
}
