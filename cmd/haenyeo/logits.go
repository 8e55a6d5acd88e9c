package main

import (
	"fmt"
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
	if c.DType == "" {
		c.DType = "f32" // with it, without round trips unless asked
	}
	m, err := a.open(c.Model, c.arithmetic)
	if err != nil {
		return err
	}
	defer m.Close()
	return m.Logits(a.ctx, c.Tokens, func(i int, row []float32) error {
		if !a.JSON {
			return a.print("position %d, token %d: %s", i, c.Tokens[i], largest(row, 5))
		}
		return a.emit(struct {
			Position int       `json:"position"`
			Token    int32     `json:"token"`
			Logits   []float32 `json:"logits"`
		}{i, c.Tokens[i], row})
	})
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
