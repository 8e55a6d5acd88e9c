package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/haenyeo/haenyeo/export"
	"github.com/haenyeo/haenyeo/format/gguf"
	"github.com/haenyeo/haenyeo/format/safetensors"
	"github.com/haenyeo/haenyeo/kernel"
	"github.com/haenyeo/haenyeo/model"
	"github.com/haenyeo/haenyeo/quant"
)

type convertCmd struct {
	Model string `arg:"" help:"Model directory or .gguf file."`
	Out   string `required:"" placeholder:"PATH" help:"A .gguf file to write, or a directory for safetensors."`
	Type  string `placeholder:"TYPE" help:"Type of the matrices: f32, f16, bf16 or q8_0; for safetensors f32 or bf16. Default: as they are stored, and from other types than bf16 to safetensors f32."`
}

func (convertCmd) Help() string {
	return "A GGUF holds tokenizer and chat template too; llama.cpp and its kin load it.\n\nExample:\n\n\thaenyeo convert my-model --out my-model.gguf --type q8_0"
}

func (c *convertCmd) Run(a *app) (err error) {
	if c.Model, err = a.locate(c.Model); err != nil {
		return err
	}
	info, err := os.Stat(c.Model)
	if err != nil {
		return fmt.Errorf("convert: %w: give a model directory or a .gguf file", err)
	}
	toGGUF := strings.EqualFold(filepath.Ext(c.Out), ".gguf")
	var done conversion
	switch {
	case info.IsDir() && toGGUF:
		done, err = c.toGGUF(a)
	case !info.IsDir() && !toGGUF:
		done, err = c.toDir(a)
	case toGGUF:
		return misuse("%q is a GGUF already: give a model directory, or a directory as --out", c.Model)
	default:
		return misuse("--out %q: give a name that ends in .gguf", c.Out)
	}
	if err != nil {
		return err
	}
	if a.JSON {
		return a.emit(done)
	}
	var types []string
	for _, t := range slices.Sorted(maps.Keys(done.Types)) {
		types = append(types, fmt.Sprintf("%d %s", done.Types[t], t))
	}
	return a.print("%s: %s, tensors: %s", done.Out, size(done.Bytes), strings.Join(types, ", "))
}

// conversion is what convert prints.
type conversion struct {
	Out   string         `json:"out"`
	Bytes int64          `json:"bytes"`
	Types map[string]int `json:"types"` // tensors by type
}

func (c *convertCmd) toGGUF(a *app) (conversion, error) {
	config, err := model.ReadConfig(c.Model)
	if err != nil {
		return conversion{}, err
	}
	typ := c.Type
	if typ == "" {
		typ = storedAs(config.TorchDType)
	}
	t, err := export.ParseType(typ)
	if err != nil {
		return conversion{}, usageError{err}
	}
	if err := vacant(c.Out); err != nil {
		return conversion{}, fmt.Errorf("convert: %w", err)
	}
	if _, err := os.Stat(filepath.Join(c.Model, "tokenizer.json")); errors.Is(err, fs.ErrNotExist) {
		a.log.Warn("the model has no tokenizer.json: the GGUF will know token ids only")
	}
	if n := config.NumNextnPredictLayers; n > 0 {
		a.log.Warn("the multi-token prediction layer is left out: the GGUF holds the main model", "layers", n)
	}
	s, err := export.WriteGGUF(a.ctx, c.Model, c.Out, t, func(part float64) { a.bar.update(part, c.Out) })
	return conversion{c.Out, s.Bytes, s.Types}, err
}

// storedAs is our name for what config.json calls the type of the weights.
func storedAs(torch string) string {
	switch torch {
	case "bfloat16":
		return "bf16"
	case "float16":
		return "f16"
	}
	return "f32"
}

// storedInGGUF is the type of safetensors nearest to what a GGUF holds: bf16 where the matrices are bf16
// (norms and routers are f32 in every GGUF), else f32.
func storedInGGUF(path string) (kernel.DType, error) {
	f, err := gguf.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	dt := kernel.F32
	for _, t := range f.Tensors() {
		switch {
		case t.Type == quant.BF16:
			dt = kernel.BF16
		case t.Type != quant.F32:
			return kernel.F32, nil
		}
	}
	return dt, nil
}

func (c *convertCmd) toDir(a *app) (conversion, error) {
	dt := kernel.F32
	switch strings.ToLower(c.Type) {
	case "":
		var err error
		if dt, err = storedInGGUF(c.Model); err != nil {
			return conversion{}, err
		}
	case "f32":
	case "bf16":
		dt = kernel.BF16
	default:
		return conversion{}, misuse("--type %q: safetensors are written as f32 or bf16", c.Type)
	}
	if names, err := os.ReadDir(c.Out); err == nil && len(names) > 0 {
		return conversion{}, fmt.Errorf("convert: %q is not empty: give a new directory", c.Out)
	}
	undo, err := writableDir(c.Out)
	if err != nil {
		return conversion{}, fmt.Errorf("convert: %w", err)
	}
	defer undo()
	e, err := a.compute()
	if err != nil {
		return conversion{}, err
	}
	m, tok, err := export.OpenGGUF(c.Model, e, model.Options{})
	if err != nil {
		return conversion{}, err
	}
	if err := m.Save(c.Out, dt); err != nil {
		return conversion{}, err
	}
	if tok == nil {
		a.log.Warn("the GGUF has no tokenizer that this program knows: the directory will have no tokenizer.json")
	} else if err := tok.Save(c.Out); err != nil {
		return conversion{}, err
	}
	weights, err := safetensors.OpenDir(c.Out)
	if err != nil {
		return conversion{}, err
	}
	defer weights.Close()
	done := conversion{c.Out, weights.Bytes(), map[string]int{}}
	for _, name := range weights.Names() {
		t, _ := weights.Tensor(name)
		done.Types[t.DType.String()]++
	}
	return done, nil
}
