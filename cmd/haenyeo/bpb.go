package main

import (
	"fmt"
	"math"
)

type bpbCmd struct {
	Model string   `arg:"" help:"Model directory or .gguf file."`
	Paths []string `arg:"" name:"path" help:"Text to measure on: files, directories or globs."`
	DType string   `name:"dtype" enum:"f32,bf16" default:"f32" placeholder:"TYPE" help:"Arithmetic of matrix products: f32 or bf16. Default: ${default}."`
}

func (bpbCmd) Help() string {
	return "Bits per byte: how many bits the model needs for a byte of the text, lower is better. Unlike loss or perplexity it compares models with different tokenizers. By language when the records (lang) say it.\n\n" +
		"Example:\n\n\thaenyeo bpb my-model held-out.jsonl"
}

func (c *bpbCmd) Run(a *app) error {
	m, err := a.open(c.Model, arithmetic{DType: c.DType})
	if err != nil {
		return err
	}
	defer m.Close()
	total, langs, err := m.BitsPerByte(a.ctx, c.Paths)
	if err != nil {
		return err
	}
	if math.IsNaN(total.BPB) || math.IsInf(total.BPB, 0) {
		return fmt.Errorf("bits per byte are %v: the weights of %q hold NaN or infinity, or overflow in %s", total.BPB, c.Model, c.DType)
	}
	if len(langs) == 1 && langs[0].Lang == "und" {
		langs = nil // no record names its language
	}
	if a.JSON {
		by := map[string]float64{}
		for _, l := range langs {
			by[l.Lang] = l.BPB
		}
		return a.emit(struct {
			BPB    float64            `json:"bpb"`
			Bytes  int64              `json:"bytes"`
			Tokens int64              `json:"tokens"`
			ByLang map[string]float64 `json:"by_lang"`
		}{total.BPB, total.Bytes, total.Tokens, by})
	}
	for _, l := range langs {
		a.print("%-6s %.4f bits per byte over %s", l.Lang, l.BPB, size(l.Bytes))
	}
	return a.print("%.4f bits per byte over %s in %d tokens", total.BPB, size(total.Bytes), total.Tokens)
}
