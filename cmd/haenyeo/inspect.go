package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/haenyeo/haenyeo/export"
	"github.com/haenyeo/haenyeo/format/gguf"
	"github.com/haenyeo/haenyeo/format/safetensors"
	"github.com/haenyeo/haenyeo/internal/regular"
	"github.com/haenyeo/haenyeo/model"
)

type inspectCmd struct {
	Model string `arg:"" help:"Model directory, .gguf or .safetensors file."`
}

func (inspectCmd) Help() string {
	return "Shows architecture, shapes, types and sizes, and what of these would keep the model from loading. The weights themselves are not read.\n\nExample:\n\n\thaenyeo inspect my-model"
}

// inspection is what inspect prints.
type inspection struct {
	Architecture string       `json:"architecture"`
	Params       int64        `json:"params"`
	Bytes        int64        `json:"bytes"`
	Tensors      []tensorInfo `json:"tensors"`
	Problems     []string     `json:"problems"` // why it would not load; empty: nothing found
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
		return fmt.Errorf("inspect: %w: give a model directory, a .gguf or a .safetensors file", err)
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
	if a.JSON {
		return a.emit(r)
	}
	a.print("architecture  %s", r.Architecture)
	a.print("parameters    %s in %d tensors, %s on disk", count(float64(r.Params)), len(r.Tensors), size(r.Bytes))
	for _, t := range r.Tensors {
		if err := a.print("  %-56s %-5s %v", t.Name, t.Type, t.Shape); err != nil {
			return err
		}
	}
	for _, p := range r.Problems {
		a.print("would not load: %s", p)
	}
	return nil
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
	if err != nil {
		r.Problems = append(r.Problems, strings.Split(err.Error(), "\n")...)
	}
}

func newInspection() *inspection {
	return &inspection{Tensors: []tensorInfo{}, Problems: []string{}}
}

// inspectDir reads config.json and the headers of the safetensors. A configuration that this
// program does not know is a finding, not a failure.
func inspectDir(dir string) (*inspection, error) {
	text, err := regular.ReadFile(filepath.Join(dir, "config.json"), 8<<20)
	if err != nil {
		return nil, fmt.Errorf("inspect: %w: is %q a model directory?", err, dir)
	}
	var head struct {
		ModelType string `json:"model_type"`
	}
	if err := json.Unmarshal(text, &head); err != nil {
		return nil, fmt.Errorf("inspect: config.json in %q: %w", dir, err)
	}
	r := newInspection()
	r.Architecture = head.ModelType
	weights, err := safetensors.OpenDir(dir)
	if err != nil {
		return nil, err
	}
	defer weights.Close()
	r.safetensors(weights)
	c, err := model.ParseConfig(text)
	if err == nil {
		err = export.CheckSafetensors(c, weights)
	}
	r.problem(err)
	return r, nil
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
	r.Architecture = "unknown" // only config.json says it
	r.safetensors(weights)
	r.Problems = append(r.Problems, "a single safetensors file has no config.json: give the model's directory")
	return r, nil
}

func inspectGGUF(path string) (*inspection, error) {
	f, err := gguf.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r := newInspection()
	r.Bytes = f.Bytes()
	r.Architecture, _ = f.Metadata.String("general.architecture") // CheckGGUF complains
	for _, t := range f.Tensors() {
		r.add(t.Name, t.Type.String(), t.Shape, len(t.Data))
	}
	r.problem(export.CheckGGUF(path))
	return r, nil
}
