package export

// WriteDirectory: a model directory in Hugging Face layout, made beside its final place and moved there when
// it is whole.

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/debug"

	"github.com/haenyeo/haenyeo/format/safetensors"
	"github.com/haenyeo/haenyeo/internal/atomicfile"
	"github.com/haenyeo/haenyeo/internal/regular"
	"github.com/haenyeo/haenyeo/kernel"
	"github.com/haenyeo/haenyeo/model"
	"github.com/haenyeo/haenyeo/quant"
	"github.com/haenyeo/haenyeo/weights"
)

// shardSize is how many bytes of tensors a file of a directory has at most, if it has more than one tensor.
const shardSize = 5_000_000_000

// WriteDirectory writes the model of src to the directory out, which must not exist or be empty, whole or not
// at all: config.json, safetensors, the tokenizer and generation_config.json. Matrices become t: f32, f16 or
// bf16; the zero Type is bf16 where they are bf16, fp8 or fp4, f16 where they are f16, else f32. Cancelling
// ctx stops it.
func WriteDirectory(ctx context.Context, src *weights.Source, e *kernel.Engine, out string, t Type, opt Options) (Summary, error) {
	return writeDirectory(ctx, src, e, out, t, opt, shardSize)
}

func writeDirectory(ctx context.Context, src *weights.Source, e *kernel.Engine, out string, t Type, opt Options, shard int64) (s Summary, err error) {
	defer src.CatchFault(debug.SetPanicOnFault(true), &err)
	if t.m != nil && !t.Plain() {
		return s, fmt.Errorf("export: a directory holds f32, f16 or bf16, not %v: choose a .gguf file for it", t)
	}
	c := src.Config()
	if c.DSparkBlockSize > 0 {
		opt.log().Warn("the DSpark drafter is left out: the directory holds the main model")
	}
	o := origin{src: src, c: c, mtp: hasMTP(src)}
	ts, err := o.published()
	if err != nil {
		return s, err
	}
	as := quant.F32
	if t.m != nil {
		as = t.m.base
	} else {
		as = storedAs(ts)
	}
	temp, err := beside(out)
	if err != nil {
		return s, err
	}
	defer os.RemoveAll(temp)
	w := directory{
		dir: temp, ts: ts, as: as, total: total(ts, as), encoder: newEncoder(ctx, e, total(ts, as), opt.Progress),
		summary: Summary{Types: map[string]int{}},
	}
	if err := room(out, w.total); err != nil {
		return s, err
	}
	if err := w.config(c, o.mtp); err != nil {
		return s, err
	}
	if err := w.tokenizer(src, opt); err != nil {
		return s, err
	}
	if err := w.tensors(shard); err != nil {
		return s, err
	}
	if err := os.Remove(out); err != nil && !errors.Is(err, fs.ErrNotExist) { // empty, or beside would have failed
		return s, fmt.Errorf("export: %w", err)
	}
	if err := os.Rename(temp, out); err != nil {
		return s, fmt.Errorf("export: %w", err)
	}
	return w.summary, nil
}

// beside makes a directory under a temporary name next to out, which must be free.
func beside(out string) (string, error) {
	out = filepath.Clean(out)
	info, err := os.Lstat(out)
	if err == nil && !info.IsDir() {
		return "", fmt.Errorf("export: %q exists already and is no directory: choose another name", out)
	}
	if names, err := os.ReadDir(out); err == nil && len(names) > 0 {
		return "", fmt.Errorf("export: %q is not empty: give a new directory", out)
	}
	parent, base := filepath.Split(out)
	for {
		temp := filepath.Join(parent, fmt.Sprintf(".%s.%08x.partial", base, rand.Uint32()))
		switch err := os.Mkdir(temp, 0o777); {
		case err == nil:
			return temp, nil
		case errors.Is(err, fs.ErrExist):
		default:
			return "", fmt.Errorf("export: making %q: %w: choose a place that exists and can be written", out, err)
		}
	}
}

// storedAs is the type of single numbers that holds what the matrices are stored as. Numbers of fp8 with a
// scale may have more digits than bf16, in which everybody keeps them.
func storedAs(ts []tensor) quant.Type {
	as, found := quant.F32, false
	for i := range ts {
		if ts[i].kind == precise {
			continue
		}
		for j := range ts[i].parts {
			p := &ts[i].parts[j]
			typ := quant.F32
			switch {
			case p.coded, p.typ == quant.BF16, p.typ == quant.MXFP4:
				typ = quant.BF16
			case p.typ == quant.F16:
				typ = quant.F16
			}
			if found && typ != as {
				return quant.F32
			}
			as, found = typ, true
		}
	}
	return as
}

// directory is a model directory that is being written.
type directory struct {
	dir     string
	ts      []tensor
	as      quant.Type
	total   int64
	encoder *encoder
	summary Summary
}

// typeIn is what a tensor is stored as among matrices of type as. What the publishers keep in float32 stays so.
func typeIn(t *tensor, as quant.Type) quant.Type {
	switch {
	case t.ints != nil:
		return quant.I32
	case exact(t.name):
		return quant.F32
	}
	return as
}

func total(ts []tensor, as quant.Type) (bytes int64) {
	for i := range ts {
		bytes += int64(typeIn(&ts[i], as).Bytes(ts[i].len()))
	}
	return bytes
}

var dtypes = map[quant.Type]safetensors.DType{quant.F32: safetensors.F32, quant.F16: safetensors.F16, quant.BF16: safetensors.BF16, quant.I32: safetensors.I32}

// tensors writes the safetensors: one file, or several and their index.
func (w *directory) tensors(shard int64) error {
	var shards [][]safetensors.Source
	var size int64
	for i := range w.ts {
		t := &w.ts[i]
		as := typeIn(t, w.as)
		w.summary.Types[as.String()]++
		n := int64(as.Bytes(t.len()))
		if len(shards) == 0 || size+n > shard {
			shards, size = append(shards, nil), 0
		}
		size += n
		last := &shards[len(shards)-1]
		*last = append(*last, safetensors.Source{Name: t.name, DType: dtypes[as], Shape: t.shape, Emit: func(to io.Writer) error {
			return w.encoder.write(to, t, as, nil)
		}})
	}
	index := map[string]string{}
	for i, s := range shards {
		name := safetensors.FileName
		if len(shards) > 1 {
			name = fmt.Sprintf("model-%05d-of-%05d.safetensors", i+1, len(shards))
		}
		path := filepath.Join(w.dir, name)
		if err := safetensors.Write(path, s, map[string]string{"format": "pt"}); err != nil {
			return err
		}
		info, err := os.Stat(path)
		if err != nil {
			return fmt.Errorf("export: %w", err)
		}
		w.summary.Bytes += info.Size()
		for _, t := range s {
			index[t.Name] = name
		}
	}
	if len(shards) == 1 {
		return nil
	}
	return w.json(safetensors.IndexName, map[string]any{"metadata": map[string]any{"total_size": w.total}, "weight_map": index})
}

var torchNames = map[quant.Type]string{quant.F32: "float32", quant.F16: "float16", quant.BF16: "bfloat16"}

// config writes config.json.
func (w *directory) config(from *model.Config, mtp bool) error {
	c := *from
	c.Quantization, c.DSparkBlockSize = model.Quantization{}, 0
	c.TorchDType = torchNames[w.as]
	if !mtp {
		c.NumNextnPredictLayers = 0
		c.CompressRatios = c.CompressRatios[:min(len(c.CompressRatios), c.NumHiddenLayers)]
	}
	text, err := c.JSON()
	if err != nil {
		return err
	}
	return w.file("config.json", text)
}

// copied are the files beside the weights that belong to a model.
var copied = []string{"generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
	"vocab.json", "merges.txt", "tokenizer.model", "chat_template.jinja"}

// maxCopied is far above any real file of these.
const maxCopied = 256 << 20

// tokenizer copies the tokenizer and generation_config.json from a directory, or makes them from what a GGUF
// says.
func (w *directory) tokenizer(src *weights.Source, opt Options) error {
	f := src.GGUF()
	if f == nil {
		for _, name := range copied {
			text, err := regular.ReadFile(filepath.Join(src.Dir(), name), maxCopied)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return fmt.Errorf("export: %w", err)
			}
			if err := w.file(name, text); err != nil {
				return err
			}
		}
		return nil
	}
	tok, err := Tokenizer(&f.Metadata)
	if err != nil {
		return err
	}
	if tok == nil {
		opt.log().Warn("the GGUF has no tokenizer that this program knows: the directory will have no tokenizer.json")
	} else if err := tok.Save(w.dir); err != nil {
		return err
	}
	ids := map[string]any{}
	if c := src.Config(); c.BOSTokenID >= 0 {
		ids["bos_token_id"] = c.BOSTokenID
	}
	switch ends := src.Config().EOSTokenID; len(ends) {
	case 0:
	case 1:
		ids["eos_token_id"] = ends[0]
	default:
		ids["eos_token_id"] = ends
	}
	return w.json("generation_config.json", ids)
}

func (w *directory) json(name string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("export: %q: %w", name, err)
	}
	return w.file(name, append(text, '\n'))
}

func (w *directory) file(name string, text []byte) error {
	if err := atomicfile.WriteFile(filepath.Join(w.dir, name), text); err != nil {
		return fmt.Errorf("export: %w", err)
	}
	return nil
}
