package main

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/haenyeo/haenyeo/export"
	"github.com/haenyeo/haenyeo/weights"
)

type convertCmd struct {
	Model   string `arg:"" help:"Model directory or .gguf file."`
	Out     string `required:"" placeholder:"PATH" help:"A .gguf file to write, or a directory for safetensors."`
	Type    string `placeholder:"TYPE" help:"Type of the matrices: f32, f16 or bf16; in a GGUF also q8_0, q6_k, q5_k_m, q5_k_s, q5_1, q5_0, q4_k_m, q4_k_s, q4_1, q4_0, q3_k_l, q3_k_m, q3_k_s, q2_k, iq4_nl, iq4_xs, mxfp4, tq1_0, tq2_0. Default: as they are stored, fp8 as bf16; in a directory f32 if they are stored in blocks."`
	Imatrix string `placeholder:"FILE" help:"How much each input counts, from llama.cpp's imatrix tool: blocks of few bits become better."`
}

func (convertCmd) Help() string {
	return `A GGUF holds tokenizer and chat template too; llama.cpp and its kin load it. A directory of fp8 weights becomes
one of bf16. Memory does not grow with the model.

Example:

	haenyeo convert my-model --out my-model.gguf --type q4_k_m`
}

func (c *convertCmd) Run(a *app) error {
	t, err := export.ParseType(c.Type)
	if err != nil {
		return usageError{err}
	}
	toGGUF := strings.EqualFold(filepath.Ext(c.Out), ".gguf")
	switch {
	case !toGGUF && c.Type != "" && !t.Plain():
		return misuse("--type %s: a directory holds f32, f16 or bf16; give --out a name that ends in .gguf for it", c.Type)
	case !toGGUF && c.Imatrix != "":
		return misuse("--imatrix is for a GGUF: give --out a name that ends in .gguf")
	case c.Imatrix != "" && (c.Type == "" || t.Plain()):
		return misuse("--imatrix is for types of blocks: give --type q4_k_m, for example")
	}
	if c.Model, err = a.locate(c.Model); err != nil {
		return err
	}
	if toGGUF {
		if err := vacant(c.Out); err != nil {
			return fmt.Errorf("convert: %w", err)
		}
	}
	opt := export.Options{Log: a.log, Progress: func(part float64) { a.bar.update(part, c.Out) }}
	if c.Imatrix != "" {
		if opt.Importance, err = export.ReadImportance(c.Imatrix); err != nil {
			return err
		}
	}
	src, err := weights.Open(c.Model)
	if err != nil {
		return err
	}
	defer src.Close()
	e, err := a.compute()
	if err != nil {
		return err
	}
	if from := export.Packed(src); from != "" && t.Blocks() && !strings.EqualFold(from, t.String()) {
		a.log.Warn("the weights were packed before: packing them once more adds to the error, the original gives a better file", "stored", from)
	}
	write := export.WriteDirectory
	if toGGUF {
		write = export.WriteGGUF
	}
	s, err := write(a.ctx, src, e, c.Out, t, opt)
	if err != nil {
		return err
	}
	if a.JSON {
		return a.emit(conversion{c.Out, s.Bytes, s.Types})
	}
	var types []string
	for _, t := range slices.Sorted(maps.Keys(s.Types)) {
		types = append(types, fmt.Sprintf("%d %s", s.Types[t], t))
	}
	return a.print("%s: %s, tensors: %s", c.Out, size(s.Bytes), strings.Join(types, ", "))
}

// conversion is what convert prints.
type conversion struct {
	Out   string         `json:"out"`
	Bytes int64          `json:"bytes"`
	Types map[string]int `json:"types"` // tensors by type
}
