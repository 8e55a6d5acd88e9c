package export

// OpenGGUF: the tensors of a GGUF back in the places of a model that can be trained.

import (
	"fmt"
	"strings"

	"github.com/haenyeo/haenyeo/kernel"
	"github.com/haenyeo/haenyeo/model"
	"github.com/haenyeo/haenyeo/tokenizer"
	"github.com/haenyeo/haenyeo/weights"
)

// OpenGGUF reads the model and the tokenizer (nil if there is none) of the file at path.
func OpenGGUF(path string, e *kernel.Engine, opt model.Options) (*model.Model, *tokenizer.Tokenizer, error) {
	src, err := weights.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer src.Close()
	m, t, err := read(src, e, opt)
	if err != nil {
		return nil, nil, fmt.Errorf("%w (in %q)", err, path)
	}
	return m, t, nil
}

func read(src *weights.Source, e *kernel.Engine, opt model.Options) (*model.Model, *tokenizer.Tokenizer, error) {
	if src.GGUF() == nil {
		return nil, nil, fmt.Errorf("export: this is no GGUF file")
	}
	t, err := Tokenizer(&src.GGUF().Metadata)
	if err != nil {
		return nil, nil, err
	}
	m, err := model.New(src.Config(), e, opt)
	if err != nil {
		return nil, nil, err
	}
	for _, p := range m.Params() {
		if err := fill(p, src); err != nil {
			return nil, nil, err
		}
	}
	if err := m.CheckFinite(); err != nil {
		return nil, nil, err
	}
	m.Sync()
	return m, t, nil
}

// fill decodes the tensor of p.
func fill(p *model.Param, src *weights.Source) error {
	c := src.Config()
	if prefix, ok := strings.CutSuffix(p.Name, "kv_b_proj.weight"); ok {
		u, err := src.LatentUp(prefix, c.NumAttentionHeads, c.QKNopeHeadDim, c.VHeadDim, c.KVLoraRank)
		if err == nil {
			join(p.Data, u)
		}
		return err
	}
	width := 1
	if len(p.Shape) == 1 {
		v, err := src.Vector(p.Name, p.Len())
		if err != nil {
			return err
		}
		copy(p.Data, v)
	} else {
		width = p.Shape[1]
		w, err := src.Matrix(p.Name, p.Shape[0], width)
		if err != nil {
			return err
		}
		w.Rows(p.Data, 0, w.N)
	}
	if src.RopeInterleaved() && (strings.Contains(p.Name, ".q_proj.") || strings.Contains(p.Name, ".k_proj.")) {
		apart(p.Data, width, c.HeadDim)
	}
	return nil
}

// join writes kv_b_proj [H,nope+v,R], head by head the rows of keys and of values.
func join(dst []float32, u *weights.LatentUp) {
	for h := range u.Key {
		k, v := &u.Key[h], &u.Value[h]
		n := k.N * k.K
		if u.KeyTransposed {
			columns := make([]float32, n)
			k.Rows(columns, 0, k.N)
			transpose(dst, columns, k.N, k.K)
		} else {
			k.Rows(dst, 0, k.N)
		}
		v.Rows(dst[n:], 0, v.N)
		dst = dst[n+v.N*v.K:]
	}
}

// apart puts rows of every head of w rows whose neighbours rotate together into the published order, in
// which row i rotates with i + w/2: the inverse of pairs.
func apart(data []float32, width, w int) {
	head := make([]float32, w*width)
	for ; len(data) >= len(head); data = data[len(head):] {
		copy(head, data)
		for i := range w {
			copy(data[(i%2*(w/2)+i/2)*width:][:width], head[i*width:])
		}
	}
}
