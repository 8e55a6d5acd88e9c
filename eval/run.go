package eval

// Run takes a model through a set.

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/haenyeo/haenyeo/tokenizer"
)

// Options say how a set is asked.
type Options struct {
	Shots     int    // examples before every question
	ShotsFrom *Set   // what they are drawn from; nil: the set itself, where no question is its own example
	Seed      uint64 // of what is drawn
	Limit     int    // ask the first so many questions; 0: all
	MaxTokens int    // of a written answer; 0: 256
	Progress  func(done, total int)
}

// Asked is one question with what the model made of it.
type Asked struct {
	ID      string          `json:"id"`
	Gold    int             `json:"gold"`
	Right   map[string]bool `json:"right"`
	Choices []Likelihood    `json:"choices,omitempty"`
	Answer  string          `json:"answer,omitempty"` // right one, of questions that are answered by text
	Text    string          `json:"text,omitempty"`   // that the model wrote
}

// Metric is a score of a set.
type Metric struct {
	Name string `json:"name"`
	Interval
	Right int    `json:"right,omitempty"`
	How   string `json:"interval"` // how the interval was found
}

// Result is how a model did.
type Result struct {
	Model   string
	Task    string
	Path    string
	SHA256  string
	Shape   string
	Kind    Kind
	N       int // items asked
	Of      int // items of the set
	Shots   int
	Seed    uint64
	Metrics []Metric
	Items   []Asked
	Seconds float64

	order []string // of the metrics that count items
}

// Names of the ways in which intervals are found.
const (
	ByWilson = "Wilson"
	ByError  = "standard error"
)

// metricNames are the scores of every kind, the main one first.
var metricNames = map[Kind][]string{
	Choice:     {"acc", "acc_norm", "acc_bytes"},
	Completion: {"acc"},
	Answer:     {"exact_match", "exact_match_flexible"},
}

// Run asks a model the questions of a set.
func Run(ctx context.Context, m *Model, set *Set, o Options) (*Result, error) {
	if m.Tokenizer == nil {
		return nil, fmt.Errorf("eval: %q has no tokenizer: questions are text", m.Name)
	}
	asked := set.Items
	if o.Limit < 0 || o.MaxTokens < 0 {
		return nil, errors.New("eval: limits are 0 or more")
	}
	if o.Limit > 0 && o.Limit < len(asked) {
		asked = asked[:o.Limit]
	}
	from := set
	if o.ShotsFrom != nil {
		if from = o.ShotsFrom; from.Kind != set.Kind {
			return nil, fmt.Errorf("eval: examples of set %q before questions of %q: they are of another kind", from.Name, set.Name)
		}
	}
	if o.Shots > 0 && set.Shape == "blimp" {
		return nil, fmt.Errorf("eval: set %q compares sentences that stand alone: no examples go before them", set.Name)
	}
	picked, err := draw(from.Items, o.Shots, o.Seed)
	if err != nil {
		return nil, err
	}
	r := &Result{Model: m.Name, Task: set.Name, Path: set.Path, SHA256: set.SHA256, Shape: set.Shape, Kind: set.Kind,
		N: len(asked), Of: len(set.Items), Shots: o.Shots, Seed: o.Seed, order: metricNames[set.Kind]}
	if set.Items[0].verify != nil {
		r.order = []string{"correct", "correct_lenient"}
	}
	begin := time.Now()
	if set.Kind == Answer {
		err = r.write(ctx, m, set, asked, picked, o)
	} else {
		err = r.choose(ctx, m, asked, picked, o)
	}
	if err != nil {
		return nil, fmt.Errorf("eval: set %q: %w", set.Name, err)
	}
	r.Seconds = time.Since(begin).Seconds()
	r.sum()
	return r, nil
}

// choose scores choices.
func (r *Result) choose(ctx context.Context, m *Model, asked, picked []Item, o Options) error {
	work := make([][]group, len(asked))
	longest := 0
	for i := range asked {
		gs, n, err := m.groups(&asked[i], examples(picked, &asked[i]))
		if err != nil {
			return fmt.Errorf("item %q: %w", asked[i].ID, err)
		}
		if i%256 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		work[i], longest = gs, max(longest, n)
	}
	s, err := newScorer(ctx, m.Net, m.head(picked), longest)
	if err != nil {
		return err
	}
	for i := range asked {
		it := &asked[i]
		ls, err := s.likelihoods(ctx, work[i], len(it.Choices))
		if err != nil {
			return fmt.Errorf("item %q: %w", it.ID, err)
		}
		r.Items = append(r.Items, Asked{ID: it.ID, Gold: it.Gold, Right: judge(it, ls), Choices: ls})
		work[i] = nil
		if o.Progress != nil {
			o.Progress(i+1, len(asked))
		}
	}
	return nil
}

// head are the tokens of the examples, but for the last few, which may merge with what follows.
func (m *Model) head(picked []Item) []int32 {
	text := examples(picked, &Item{Contexts: []string{""}, Choices: []string{""}})
	if text == "" {
		return nil
	}
	ids := m.Tokenizer.Encode(nil, text, tokenizer.EncodeOptions{AddSpecial: true, NoAddedTokens: true})
	return ids[:max(0, len(ids)-4)]
}

// write has the model write answers.
func (r *Result) write(ctx context.Context, m *Model, set *Set, asked, picked []Item, o Options) error {
	if o.MaxTokens == 0 {
		o.MaxTokens = 256
	}
	prompts := make([][]int32, len(asked))
	for i := range asked {
		if prompts[i] = m.prompt(examples(picked, &asked[i])+asked[i].Contexts[0], o.MaxTokens); len(prompts[i]) == 0 {
			return fmt.Errorf("item %q: the question has no tokens", asked[i].ID)
		}
	}
	r.Items = make([]Asked, len(asked))
	done := 0
	return m.answers(ctx, prompts, set.Stop, o.MaxTokens, func(i int, text string) {
		it := &asked[i]
		r.Items[i] = Asked{ID: it.ID, Right: it.judgeAnswer(ctx, text), Answer: it.Answer, Text: text}
		if done++; o.Progress != nil {
			o.Progress(done, len(asked))
		}
	})
}

// sum makes the scores of the items.
func (r *Result) sum() {
	for _, name := range r.order {
		right := 0
		for i := range r.Items {
			if r.Items[i].Right[name] {
				right++
			}
		}
		r.Metrics = append(r.Metrics, Metric{Name: name, Interval: Wilson(right, len(r.Items)), Right: right, How: ByWilson})
	}
	if r.Kind == Completion {
		logs := make([]float64, len(r.Items))
		for i := range r.Items {
			logs[i] = r.Items[i].Choices[0].Log
		}
		r.Metrics = append(r.Metrics, Metric{Name: "perplexity", Interval: perplexity(logs), How: ByError})
	}
}

// MarshalJSON writes the result without its items.
func (r *Result) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Event   string   `json:"event"`
		Model   string   `json:"model"`
		Task    string   `json:"task"`
		Path    string   `json:"file,omitempty"`
		SHA256  string   `json:"sha256,omitempty"`
		Shape   string   `json:"shape"`
		Kind    Kind     `json:"kind"`
		N       int      `json:"items"`
		Of      int      `json:"of"`
		Shots   int      `json:"shots"`
		Seed    uint64   `json:"seed"`
		Metrics []Metric `json:"metrics"`
		Seconds float64  `json:"seconds"`
	}{"result", r.Model, r.Task, r.Path, r.SHA256, r.Shape, r.Kind, r.N, r.Of, r.Shots, r.Seed, r.Metrics, r.Seconds})
}
