// This file makes a page of scores: Scores, what models did on sets of questions.

package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
)

// Scores is what was measured.
type Scores struct {
	Title string
	Rows  []Score
	Pairs []Pair
	Found []Found
	Bits  []BitsRow
}

// Score is a score of a model with its 95 % interval.
type Score struct {
	Model, Task, Metric string
	Value, Low, High    float64
	Share               bool // a share of the items, from 0 to 1
	Items, Of, Shots    int
	SHA256              string // of the file of questions
}

// Pair is the difference of two models on the same items.
type Pair struct {
	Task, Metric, First, Second string
	Difference, Low, High, P    float64
	Items                       int
}

// Found says how many items stand in training data.
type Found struct {
	Task                string
	Items, Found, Short int
}

// BitsRow is bits per byte of a language.
type BitsRow struct {
	Model, Lang string
	BPB         float64
}

//go:embed scores.html
var scoresText string

var scoresPage = template.Must(template.New("scores").Funcs(template.FuncMap{
	"percent": func(x float64) string { return fmt.Sprintf("%.1f", 100*x) },
	"points":  func(x float64) string { return fmt.Sprintf("%+.1f", 100*x) },
	"number":  func(x float64) string { return fmt.Sprintf("%.4g", x) },
	"digest":  func(s string) string { return s[:min(12, len(s))] },
	"place":   func(x float64) string { return fmt.Sprintf("%.2f", 200*x) }, // of a share on a line of 200
	"width":   func(low, high float64) string { return fmt.Sprintf("%.2f", 200*(high-low)) },
}).Parse(scoresText))

// HTML is the page. It loads nothing and runs no script.
func (s *Scores) HTML() ([]byte, error) {
	var b bytes.Buffer
	if err := scoresPage.Execute(&b, s); err != nil {
		return nil, fmt.Errorf("report: scores: %w", err)
	}
	return bytes.Map(visible, b.Bytes()), nil
}
