package export

// WriteGGUF: metadata, then every tensor row by row from the mapped safetensors.

import (
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/haenyeo/haenyeo/format/gguf"
	"github.com/haenyeo/haenyeo/format/safetensors"
	"github.com/haenyeo/haenyeo/model"
	"github.com/haenyeo/haenyeo/quant"
)

// Summary says what was written.
type Summary struct {
	Bytes int64
	Types map[string]int // tensors by type
}

// ParseType reads the name of a type that weights can be stored in.
func ParseType(name string) (quant.Type, error) {
	for _, t := range []quant.Type{quant.F32, quant.F16, quant.BF16, quant.Q8_0} {
		if strings.EqualFold(name, t.String()) {
			return t, nil
		}
	}
	return 0, fmt.Errorf("export: type %q: use f32, f16, bf16 or q8_0", name)
}

// WriteGGUF writes the model in dir to the file out, whole or not at all, its matrices as t.
// progress, if not nil, hears the share that is done. Cancelling ctx stops it.
func WriteGGUF(ctx context.Context, dir, out string, t quant.Type, progress func(part float64)) (Summary, error) {
	c, err := model.ReadConfig(dir)
	if err != nil {
		return Summary{}, err
	}
	arch, err := architecture(c)
	if err != nil {
		return Summary{}, err
	}
	weights, err := safetensors.OpenDir(dir)
	if err != nil {
		return Summary{}, err
	}
	defer weights.Close()

	var m metadata
	m.text("general.architecture", arch)
	m.text("general.type", "model")
	if abs, err := filepath.Abs(dir); err == nil {
		m.text("general.name", filepath.Base(abs))
	}
	m.number("general.file_type", fileType(t))
	m.number("general.quantization_version", 2)
	m.configKeys(arch, c)
	if err := m.tokenizerKeys(dir, c); err != nil {
		return Summary{}, err
	}

	ts := layout(arch, c)
	s := Summary{Types: map[string]int{}}
	var total, done int64
	sources := make([]gguf.Source, len(ts))
	for i := range ts {
		w := &writing{ctx: ctx, t: &ts[i], as: typeFor(&ts[i], t)}
		if err := w.find(weights); err != nil {
			return Summary{}, err
		}
		size := int64(w.as.Bytes(w.t.rows() * w.t.width()))
		total += size
		s.Types[w.as.String()]++
		sources[i] = gguf.Source{Name: w.t.name, Type: w.as, Shape: w.t.shape, Emit: func(to io.Writer) error {
			if err := w.emit(to); err != nil {
				return err
			}
			if done += size; progress != nil {
				progress(float64(done) / float64(total))
			}
			return nil
		}}
	}
	if err := gguf.Write(out, &m.Metadata, sources); err != nil {
		return Summary{}, err
	}
	info, err := os.Stat(out)
	if err != nil {
		return Summary{}, fmt.Errorf("export: %w", err)
	}
	s.Bytes = info.Size()
	return s, nil
}

// typeFor is the type that t is stored in when matrices are stored as want.
func typeFor(t *tensor, want quant.Type) quant.Type {
	switch {
	case t.plain:
		return quant.F32
	case t.width()%want.Block() != 0:
		return quant.F16
	}
	return want
}

// fileType is llama.cpp's number for a file whose matrices are mostly of type t; information only.
func fileType(t quant.Type) int {
	switch t {
	case quant.F16:
		return 1
	case quant.Q8_0:
		return 7
	case quant.BF16:
		return 32
	}
	return 0
}

// writing is one tensor on its way from safetensors to GGUF.
type writing struct {
	ctx    context.Context
	t      *tensor
	as     quant.Type
	source []safetensors.Tensor // by index into t.from
	rows   []float32            // as published
	out    []float32            // as GGUF wants them
}

// find looks up the published tensors, so that what is missing or misshapen is known before
// anything is written.
func (w *writing) find(weights *safetensors.Reader) error {
	for _, name := range w.t.from {
		s, ok := weights.Tensor(name)
		if !ok {
			return fmt.Errorf("export: tensor %q is missing from the safetensors: the model is incomplete", name)
		}
		switch s.DType {
		case safetensors.F32, safetensors.F16, safetensors.BF16:
		default:
			return fmt.Errorf("export: tensor %q is stored as %v: only F32, F16 and BF16 can be converted yet", name, s.DType)
		}
		if !slices.Equal(s.Shape, w.t.each) {
			return fmt.Errorf("export: tensor %q has shape %v, but the configuration says %v", name, s.Shape, w.t.each)
		}
		w.source = append(w.source, s)
	}
	return nil
}

// pieceSize bounds the numbers that are converted at a time.
const pieceSize = 1 << 16

// emit writes the tensor, a few rows at a time.
func (w *writing) emit(to io.Writer) error {
	if w.t.values != nil {
		return gguf.EmitFloats(to, w.as, w.t.values)
	}
	step := max(1, pieceSize/w.t.width())
	if w.t.keys != nil {
		step = w.t.shape[1] // a head at a time
	}
	for lo := 0; lo < w.t.rows(); lo += step {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		if err := w.read(lo, min(lo+step, w.t.rows())); err != nil {
			return err
		}
		if err := finite(w.out, w.as); err != nil {
			return err
		}
		if err := gguf.EmitFloats(to, w.as, w.out); err != nil {
			return err
		}
	}
	return nil
}

// read puts rows [lo,hi) of the GGUF tensor into out.
func (w *writing) read(lo, hi int) (err error) {
	width := w.t.width()
	switch {
	case w.t.keys != nil:
		k := w.t.keys
		head := lo / w.t.shape[1]
		if w.rows, err = rowsOf(w.source[0], head*k.stride, head*k.stride+k.n, w.rows); err != nil {
			return err
		}
		w.out = grow(w.out, len(w.rows))
		transpose(w.out, w.rows, k.n, w.t.shape[1])
	case w.t.row == nil:
		w.out, err = rowsOf(w.source[0], lo, hi, w.out)
	default:
		w.out = grow(w.out, (hi-lo)*width)
		for r := lo; r < hi; r++ {
			source, row := w.t.row(r)
			if w.rows, err = rowsOf(w.source[source], row, row+1, w.rows); err != nil {
				return err
			}
			copy(w.out[(r-lo)*width:], w.rows)
		}
	}
	return err
}

// rowsOf converts rows [lo,hi) of t.
func rowsOf(t safetensors.Tensor, lo, hi int, buf []float32) ([]float32, error) {
	bytes := rowWidth(t.Shape) * t.DType.Size()
	t.Data = t.Data[lo*bytes : hi*bytes]
	return t.Float32(buf)
}

// transpose writes src [rows,columns] to dst [columns,rows].
func transpose(dst, src []float32, rows, columns int) {
	for r := range rows {
		for c := range columns {
			dst[c*rows+r] = src[r*columns+c]
		}
	}
}

func grow(buf []float32, n int) []float32 {
	if cap(buf) < n {
		return make([]float32, n)
	}
	return buf[:n]
}

// finite refuses numbers that type t cannot hold.
func finite(values []float32, t quant.Type) error {
	limit := float32(math.MaxFloat32)
	if t == quant.F16 {
		limit = 65504
	}
	for _, v := range values {
		switch {
		case v-v != 0:
			return fmt.Errorf("the weights hold %v: they are damaged, or come from a training run that diverged; fetch or make them again", v)
		case !(v >= -limit && v <= limit):
			return fmt.Errorf("value %v cannot be stored as %v: use bf16 or f32", v, t)
		}
	}
	return nil
}
