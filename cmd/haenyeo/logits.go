package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

type logitsCmd struct {
	Model  string `arg:"" help:"Model directory or .gguf file."`
	Tokens idList `required:"" placeholder:"IDS" help:"Comma-separated token ids."`
	arithmetic
}

func (logitsCmd) Help() string {
	return "With --json one line a position with every logit; without, the five largest.\n\nExample:\n\n\thaenyeo logits my-model --tokens 0,17,42 --json"
}

func (c *logitsCmd) Run(a *app) error {
	m, err := a.open(c.Model, c.DType)
	if err != nil {
		return err
	}
	defer m.Close()
	logits, err := m.Logits(c.Tokens)
	if err != nil {
		return err
	}
	v := m.Config().VocabSize
	for i, id := range c.Tokens {
		row := logits[i*v:][:v]
		for j, l := range row {
			if math.IsNaN(float64(l)) || math.IsInf(float64(l), 0) {
				return fmt.Errorf("logit %d at position %d is %v: the weights of %q hold NaN or infinity, or overflow in %s", j, i, l, c.Model, c.DType)
			}
		}
		if !a.JSON {
			if err := a.print("position %d, token %d: %s", i, id, largest(row, 5)); err != nil {
				return err
			}
			continue
		}
		if err := a.emit(struct {
			Position int       `json:"position"`
			Token    int32     `json:"token"`
			Logits   []float32 `json:"logits"`
		}{i, id, row}); err != nil {
			return err
		}
	}
	return nil
}

// largest lists the n largest logits as id=value.
func largest(row []float32, n int) string {
	ids := make([]int, len(row))
	for i := range ids {
		ids[i] = i
	}
	slices.SortStableFunc(ids, func(a, b int) int {
		switch {
		case row[a] > row[b]:
			return -1
		case row[a] < row[b]:
			return 1
		}
		return 0
	})
	var parts []string
	for _, id := range ids[:min(n, len(ids))] {
		parts = append(parts, fmt.Sprintf("%d=%.4f", id, row[id]))
	}
	return strings.Join(parts, " ")
}
