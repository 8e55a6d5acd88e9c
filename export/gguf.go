package export

// WriteGGUF: metadata, then every tensor piece by piece from the mapped source.

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"

	"github.com/haenyeo/haenyeo/format/gguf"
	"github.com/haenyeo/haenyeo/internal/diskspace"
	"github.com/haenyeo/haenyeo/kernel"
	"github.com/haenyeo/haenyeo/quant"
	"github.com/haenyeo/haenyeo/weights"
)

// Options are what both kinds of files have in common.
type Options struct {
	Importance *Importance        // for GGUF: how much each input counts; nil: all the same
	Progress   func(part float64) // hears the share that is done; nil: nobody does
	Log        *slog.Logger       // of what is left out; nil: slog.Default
}

func (o *Options) log() *slog.Logger {
	if o.Log == nil {
		return slog.Default()
	}
	return o.Log
}

// Summary says what was written.
type Summary struct {
	Bytes int64
	Types map[string]int // tensors by type
}

// WriteGGUF writes the model of src to the file out, whole or not at all, its matrices as t, with the threads
// of e. Cancelling ctx stops it.
func WriteGGUF(ctx context.Context, src *weights.Source, e *kernel.Engine, out string, t Type, opt Options) (s Summary, err error) {
	defer src.CatchFault(debug.SetPanicOnFault(true), &err)
	c := src.Config()
	arch, err := architecture(src)
	if err != nil {
		return s, err
	}
	o := origin{src: src, c: c, interleaved: arch == llama || arch == deepseek, mtp: keepsMTP(arch, src, opt.log())}
	if c.TopKMethod == "group_limited_greedy" {
		opt.log().Warn("llama.cpp scores a group of experts by its two best, this model by the best: its results will differ")
	}
	if t.m != nil && t.m.stack != 0 && c.NRoutedExperts == 0 {
		opt.log().Warn("only experts are packed in this type, and the model has none: q4_0 and q4_k_m are as small", "asked", t.String(), "written", t.m.base.String())
	}
	ts, err := o.arranged()
	if err != nil {
		return s, err
	}
	choose := chooser{m: t.m, c: c, tied: c.TieWordEmbeddings, layers: c.NumHiddenLayers, weighted: opt.Importance != nil}
	if o.mtp {
		choose.layers += c.NumNextnPredictLayers
	}
	types := make([]quant.Type, len(ts))
	var total int64
	for i := range ts {
		types[i] = choose.of(&ts[i])
		total += int64(types[i].Bytes(ts[i].len()))
	}
	if err := room(out, total); err != nil {
		return s, err
	}
	var m metadata
	if f := src.GGUF(); f != nil {
		m.inherit(&f.Metadata)
	} else if err := m.fromDirectory(src.Dir(), c, opt.log()); err != nil {
		return s, err
	}
	m.text("general.architecture", arch)
	if _, kept := m.Get(fileTypeKey); !kept || t.m != nil {
		m.number(fileTypeKey, fileType(t, ts, types))
	}
	m.number("general.quantization_version", 2)
	m.configKeys(arch, c, o.mtp, src.GGUF() == nil)

	s.Types = map[string]int{}
	enc := newEncoder(ctx, e, total, opt.Progress)
	sources := make([]gguf.Source, len(ts))
	for i := range ts {
		t, as := &ts[i], types[i]
		importance, err := opt.Importance.of(t)
		if err != nil {
			return s, err
		}
		s.Types[as.String()]++
		sources[i] = gguf.Source{Name: t.name, Type: as, Shape: t.shape, Emit: func(w io.Writer) error {
			return enc.write(w, t, as, importance)
		}}
	}
	if err := gguf.Write(out, &m.Metadata, sources); err != nil {
		return s, err
	}
	info, err := os.Stat(out)
	if err != nil {
		return s, fmt.Errorf("export: %w", err)
	}
	s.Bytes = info.Size()
	return s, nil
}

// keepsMTP says whether the multi-token prediction layers go into the file. Readers of architecture deepseek4
// know no head of its own in such a layer, and others know one layer only.
func keepsMTP(arch string, src *weights.Source, log *slog.Logger) bool {
	c := src.Config()
	if c.DSparkBlockSize > 0 {
		log.Warn("the DSpark drafter is left out: the file holds the main model")
	}
	if !hasMTP(src) {
		return false
	}
	if n := c.NumNextnPredictLayers; arch == deepseek4 || n > 1 {
		log.Warn("the multi-token prediction layer is left out: the GGUF holds the main model", "layers", n)
		return false
	}
	return true
}

// fileType is llama.cpp's number for the file; information only. A file stored as its source is has the
// number of its most frequent type.
func fileType(t Type, ts []tensor, types []quant.Type) int {
	if t.m != nil {
		return t.m.number
	}
	bytes := map[quant.Type]int{}
	for i := range ts {
		if ts[i].kind != precise {
			bytes[types[i]] += types[i].Bytes(ts[i].len())
		}
	}
	number, most := 0, 0
	for _, m := range mixtures() {
		base := m.base
		if m.stack != 0 {
			base = m.stack
		}
		if bytes[base] > most {
			number, most = m.number, bytes[base]
		}
	}
	return number
}

// room refuses to begin what will not fit on the disk.
func room(out string, need int64) error {
	dir := filepath.Dir(out)
	if have, known := diskspace.Free(dir); known && have < need {
		return fmt.Errorf("export: %q takes %.1f GB, and the disk of %q has room for %.1f GB: make room, choose another disk, or a smaller type", out, float64(need)/1e9, dir, float64(have)/1e9)
	}
	return nil
}

const fileTypeKey = "general.file_type"

// inherit takes over what another GGUF says, but for how it is stored.
func (m *metadata) inherit(from *gguf.Metadata) {
	for _, key := range from.Keys() {
		if strings.HasPrefix(key, "split.") || strings.HasPrefix(key, "quantize.") || key == "general.alignment" {
			continue
		}
		v, _ := from.Get(key)
		m.Set(key, v)
	}
}
