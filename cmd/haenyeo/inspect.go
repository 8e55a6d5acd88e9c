package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/haenyeo/haenyeo"
	"github.com/haenyeo/haenyeo/cmd/haenyeo/terminal"
	"github.com/haenyeo/haenyeo/format/gguf"
	"github.com/haenyeo/haenyeo/format/safetensors"
	"github.com/haenyeo/haenyeo/internal/regular"
	"github.com/haenyeo/haenyeo/model"
	"github.com/haenyeo/haenyeo/weights"
)

type inspectCmd struct {
	Model string `arg:"" help:"Model directory, .gguf or .safetensors file."`
}

func (inspectCmd) Help() string {
	return "Shows architecture, shapes, types and sizes, and what would keep the model from running: in these, in its tokenizer and in its chat template. The weights themselves are not read. The exit status is 1 if something was found.\n\nExample:\n\n\thaenyeo inspect my-model"
}

// inspection is what inspect prints.
type inspection struct {
	Architecture string       `json:"architecture"`
	Generation   string       `json:"generation,omitempty"` // models of this architecture, if it is known
	Params       int64        `json:"params"`
	Active       int64        `json:"active,omitempty"` // parameters that take part in a token
	Bytes        int64        `json:"bytes"`
	Types        []typeInfo   `json:"types"` // the largest share first
	Tensors      []tensorInfo `json:"tensors"`
	Problems     []string     `json:"problems"` // why it would not run; empty: nothing found

	part bool // a single file of a model
}

type typeInfo struct {
	Type    string `json:"type"`
	Tensors int    `json:"tensors"`
	Bytes   int64  `json:"bytes"`
}

type tensorInfo struct {
	Name  string `json:"name"`
	Type  string `json:"type"`
	Shape []int  `json:"shape"`
	Bytes int64  `json:"bytes"`
}

func (c *inspectCmd) Run(a *app) (err error) {
	if c.Model, err = a.locate(c.Model); err != nil {
		return err
	}
	info, err := os.Stat(c.Model)
	if err != nil {
		return fmt.Errorf("inspect: %w: give a model directory, a .gguf or a .safetensors file", regular.Quoted(err))
	}
	var r *inspection
	switch {
	case info.IsDir():
		r, err = inspectDir(c.Model)
	case strings.EqualFold(filepath.Ext(c.Model), ".safetensors"):
		r, err = inspectSafetensors(c.Model)
	default:
		r, err = inspectGGUF(c.Model)
	}
	if err != nil {
		return err
	}
	r.sortTypes()
	if a.JSON {
		err = a.emit(r)
	} else {
		err = r.print(a)
	}
	if err == nil && len(r.Problems) > 0 && !r.part {
		err = fmt.Errorf("inspect: the model would not run: %s", plural(len(r.Problems), "problem"))
	}
	return err
}

func (r *inspection) print(a *app) error {
	architecture := shown(r.Architecture)
	if r.Generation != "" {
		architecture += " (" + r.Generation + ")"
	}
	a.print("architecture  %s", architecture)
	active := ""
	if r.Active > 0 && r.Active < r.Params {
		active = fmt.Sprintf(" (%s take part in a token)", count(float64(r.Active)))
	}
	a.print("parameters    %s%s in %d tensors, %s on disk", count(float64(r.Params)), active, len(r.Tensors), size(r.Bytes))
	for _, t := range r.Types {
		a.print("type          %-8s %d tensors, %s", t.Type, t.Tensors, size(t.Bytes))
	}
	for _, t := range r.Tensors {
		if err := a.print("  %-56s %-7s %v", shown(t.Name), t.Type, t.Shape); err != nil {
			return err
		}
	}
	for _, p := range r.Problems {
		if err := a.print("would not run: %s", terminal.Clean(p)); err != nil {
			return err
		}
	}
	return nil
}

// shown is a name out of a file as a line can show it: quoted if a terminal would obey it.
func shown(name string) string {
	if strings.ContainsAny(name, "\n\t") || terminal.Clean(name) != name {
		return strconv.QuoteToASCII(name)
	}
	return name
}

// generations says which models have an architecture, by the names of config.json and GGUF.
var generations = map[string]string{
	"llama":        "DeepSeek LLM, Coder, Math, R1-Distill-Llama and others",
	"qwen2":        "R1-Distill-Qwen and others",
	"qwen3":        "R1-0528-Qwen3 and others",
	"deepseek":     "DeepSeek-MoE 16B",
	"deepseek_v2":  "DeepSeek-V2, V2-Lite, V2.5, Coder-V2",
	"deepseek_v3":  "DeepSeek-V3, R1, V3.1",
	"deepseek_v32": "DeepSeek-V3.2",
	"deepseek_v4":  "DeepSeek-V4",
}

// describe adds what the shape of the model says.
func (r *inspection) describe(c *model.Config) {
	r.Generation = generations[c.ModelType]
	r.Params, r.Active = c.Sizes()
}

// sortTypes adds up the tensors of each type.
func (r *inspection) sortTypes() {
	at := map[string]int{}
	for _, t := range r.Tensors {
		i, ok := at[t.Type]
		if !ok {
			i = len(r.Types)
			at[t.Type], r.Types = i, append(r.Types, typeInfo{Type: t.Type})
		}
		r.Types[i].Tensors++
		r.Types[i].Bytes += t.Bytes
	}
	slices.SortStableFunc(r.Types, func(a, b typeInfo) int { return cmp.Compare(b.Bytes, a.Bytes) })
}

func (r *inspection) add(name, typ string, shape []int, bytes int) {
	n := int64(1)
	for _, d := range shape {
		n *= int64(d)
	}
	r.Params += n
	r.Tensors = append(r.Tensors, tensorInfo{name, typ, shape, int64(bytes)})
}

// problem adds what err says, a line each.
func (r *inspection) problem(err error) {
	var list weights.Problems
	switch {
	case errors.As(err, &list):
		for _, p := range list {
			r.Problems = append(r.Problems, p.Error())
		}
	case err != nil:
		r.Problems = append(r.Problems, strings.Split(err.Error(), "\n")...)
	}
}

func newInspection() *inspection {
	return &inspection{Types: []typeInfo{}, Tensors: []tensorInfo{}, Problems: []string{}}
}

// inspectDir reads config.json and the headers of the safetensors, or those of the one GGUF that is
// there instead. A configuration that this program does not know is a finding, not a failure.
func inspectDir(dir string) (*inspection, error) {
	text, err := regular.ReadFile(filepath.Join(dir, "config.json"), 8<<20)
	if errors.Is(err, fs.ErrNotExist) {
		src, err := weights.Open(dir)
		if err != nil {
			return nil, fmt.Errorf("inspect: %w", err)
		}
		defer src.Close()
		r := newInspection()
		r.gguf(src.GGUF())
		r.load(dir)
		return r, nil
	}
	if err != nil {
		return nil, fmt.Errorf("inspect: %w", err)
	}
	var head struct {
		ModelType string `json:"model_type"`
	}
	if err := json.Unmarshal(text, &head); err != nil {
		return nil, fmt.Errorf("inspect: config.json in %q: %w", dir, err)
	}
	r := newInspection()
	r.Architecture = head.ModelType
	files, err := safetensors.OpenDir(dir)
	if err != nil {
		return nil, err
	}
	defer files.Close()
	r.safetensors(files)
	r.load(dir)
	return r, nil
}

// load adds what opening the model says: its shape, or what is wrong.
func (r *inspection) load(path string) {
	src, err := weights.Open(path)
	if err != nil {
		r.problem(err)
		return
	}
	defer src.Close()
	r.describe(src.Config())
	r.problem(haenyeo.Check(path))
}

func (r *inspection) safetensors(weights *safetensors.Reader) {
	r.Bytes = weights.Bytes()
	for _, name := range weights.Names() {
		t, _ := weights.Tensor(name)
		r.add(name, t.DType.String(), t.Shape, len(t.Data))
	}
}

func inspectSafetensors(path string) (*inspection, error) {
	weights, err := safetensors.Open(path)
	if err != nil {
		return nil, err
	}
	defer weights.Close()
	r := newInspection()
	r.Architecture, r.part = "unknown", true // only config.json says it
	r.safetensors(weights)
	r.Problems = append(r.Problems, "a single safetensors file has no config.json: give the model's directory")
	return r, nil
}

func inspectGGUF(path string) (*inspection, error) {
	f, err := gguf.OpenModel(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r := newInspection()
	r.gguf(f)
	r.load(path)
	return r, nil
}

func (r *inspection) gguf(f *gguf.File) {
	r.Bytes = f.Bytes()
	r.Architecture, _ = f.Metadata.String("general.architecture") // opening the model complains
	for _, t := range f.Tensors() {
		r.add(t.Name, t.Type.String(), t.Shape, len(t.Data))
	}
}
