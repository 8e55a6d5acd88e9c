package kernel

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// The operations against vectors made with PyTorch in float64 (testdata/README.md).

type golden map[string]goldenTensor

type goldenTensor struct {
	DType   string `json:"dtype"`
	Shape   []int  `json:"shape"`
	Offsets [2]int `json:"data_offsets"`
	floats  []float32
	ints    []int32
}

func readGolden(t *testing.T, name string) golden {
	t.Helper()
	dir := "testdata"
	if root := os.Getenv("HAENYEO_GOLDEN"); root != "" {
		dir = filepath.Join(root, "ops")
	}
	data, err := os.ReadFile(filepath.Join(dir, name+".safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	n := binary.LittleEndian.Uint64(data)
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(data[8:8+n], &raw); err != nil {
		t.Fatal(err)
	}
	out := golden{}
	for k, v := range raw {
		var g goldenTensor
		if k == "__metadata__" || json.Unmarshal(v, &g) != nil {
			continue
		}
		b := data[8+int(n):][g.Offsets[0]:g.Offsets[1]]
		switch g.DType {
		case "F32":
			for ; len(b) > 0; b = b[4:] {
				g.floats = append(g.floats, math.Float32frombits(binary.LittleEndian.Uint32(b)))
			}
		case "I64":
			for ; len(b) > 0; b = b[8:] {
				g.ints = append(g.ints, int32(binary.LittleEndian.Uint64(b)))
			}
		}
		out[k] = g
	}
	return out
}

func TestGoldenNorm(t *testing.T) {
	g := readGolden(t, "norm")
	forEachTier(t, 2, func(t *testing.T, e *Engine) {
		rows, n := g["rms.x"].Shape[0], g["rms.x"].Shape[1]
		x, w, eps := g["rms.x"].floats, g["rms.w"].floats, g["rms.eps"].floats[0]
		y, rstd := make([]float32, rows*n), make([]float32, rows)
		e.RMSNorm(y, n, rstd, x, n, w, rows, n, eps)
		wantClose(t, "y", y, to64(g["rms.y"].floats), 2e-7)
		dx, dw := make([]float32, rows*n), make([]float32, n)
		e.RMSNormGrad(dx, n, dw, g["rms.dy"].floats, n, x, n, w, rstd, rows, n, false)
		wantClose(t, "dx", dx, to64(g["rms.dx"].floats), 5e-7)
		wantClose(t, "dw", dw, to64(g["rms.dw"].floats), 5e-7)
		small := g["rms_small.x"]
		e.RMSNorm(y, n, rstd, small.floats, n, w, small.Shape[0], n, eps)
		wantClose(t, "small y", y, to64(g["rms_small.y"].floats), 2e-7)
	})
}

func TestGoldenSwiGLU(t *testing.T) {
	g := readGolden(t, "swiglu")
	forEachTier(t, 2, func(t *testing.T, e *Engine) {
		rows, f := g["gate"].Shape[0], g["gate"].Shape[1]
		var gu []float32
		for r := range rows {
			gu = append(append(gu, g["gate"].floats[r*f:][:f]...), g["up"].floats[r*f:][:f]...)
		}
		h, dgu := make([]float32, rows*f), make([]float32, 2*rows*f)
		e.SwiGLU(h, f, gu, 2*f, rows, f)
		wantClose(t, "h", h, to64(g["h"].floats), 2e-7)
		clear(h)
		e.SwiGLUGrad(dgu, 2*f, h, f, g["dh"].floats, f, gu, 2*f, rows, f)
		wantClose(t, "h again", h, to64(g["h"].floats), 2e-7)
		var dg, du []float32
		for r := range rows {
			dg, du = append(dg, dgu[2*r*f:][:f]...), append(du, dgu[2*r*f+f:][:f]...)
		}
		wantClose(t, "dgate", dg, to64(g["dgate"].floats), 5e-7)
		wantClose(t, "dup", du, to64(g["dup"].floats), 5e-7)
	})
}

func TestGoldenRope(t *testing.T) {
	g := readGolden(t, "rope")
	rows, heads, width := g["x"].Shape[0], g["x"].Shape[1], g["x"].Shape[2]
	last := slices.Max(g["positions"].ints)
	var cos, sin []float32
	for p := range last + 1 {
		for _, f := range g["inv_freq"].floats {
			s, c := math.Sincos(float64(p) * float64(f))
			cos, sin = append(cos, float32(c)), append(sin, float32(s))
		}
	}
	forEachTier(t, 2, func(t *testing.T, e *Engine) {
		for _, layout := range []string{"interleaved", "half_split"} {
			for _, c := range []struct {
				in, out string
				inverse bool
			}{{"x", "y", false}, {"x", "inverse", true}, {"dy", "dx", true}} {
				x := slices.Clone(g[c.in].floats)
				e.Rope(View{Data: x, Row: heads * width, Head: width}, rows, heads, width, g["positions"].ints, cos, sin, layout == "interleaved", c.inverse)
				// the angles of the file come from float32 products p·f
				wantClose(t, layout+" "+c.out, x, to64(g[layout+"."+c.out].floats), 1e-5)
			}
		}
	})
}

func TestGoldenCrossEntropy(t *testing.T) {
	g := readGolden(t, "cross_entropy")
	rows, v := g["logits"].Shape[0], g["logits"].Shape[1]
	targets, kept := g["targets"].ints, 0
	for _, x := range targets {
		if x >= 0 {
			kept++
		}
	}
	mean := func(x []float32) float64 {
		var s float64
		for _, x := range x {
			s += float64(x)
		}
		return s / float64(kept)
	}
	forEachTier(t, 2, func(t *testing.T, e *Engine) {
		nll := make([]float32, rows)
		x := slices.Clone(g["logits"].floats)
		e.CrossEntropy(nll, x, v, targets, rows, v, 0)
		if !slices.Equal(x, g["logits"].floats) {
			t.Error("evaluation changed the logits")
		}
		wantClose(t, "loss per row", nll, to64(g["loss_per_row"].floats), 2e-7)
		e.CrossEntropy(nll, x, v, targets, rows, v, 1/float32(kept))
		wantClose(t, "loss per row", nll, to64(g["loss_per_row"].floats), 2e-7)
		wantClose(t, "dlogits", x, to64(g["dlogits"].floats), 5e-7)
		wantClose(t, "loss", []float32{float32(mean(nll))}, to64(g["loss"].floats), 2e-7)
		e.CrossEntropy(nll, slices.Clone(g["large_logits"].floats), v, targets, rows, v, 1)
		wantClose(t, "large loss", []float32{float32(mean(nll))}, to64(g["large_loss"].floats), 2e-7)
	})
}

// TestGoldenAttention poses the golden cases as causal attention in which only the last position
// counts. A sink is a key without a value whose score does not depend on the query.
func TestGoldenAttention(t *testing.T) {
	g := readGolden(t, "attention")
	heads, d := g["q"].Shape[0], g["q"].Shape[1]
	n, scale := g["entries"].Shape[0], float64(g["scale"].floats[0])
	c := &attentionCase{b: 1, t: n + 1, h: heads, hk: heads, dk: d + 1, dv: d, scale: scale}
	c.q, c.up = make([]float64, (n+1)*heads*(d+1)), make([]float64, (n+1)*heads*d)
	for h := range heads {
		copy(c.q[(n*heads+h)*(d+1):], to64(g["q"].floats[h*d:][:d]))
		c.q[(n*heads+h)*(d+1)+d] = 1
		copy(c.up[(n*heads+h)*d:], to64(g["do"].floats[h*d:][:d]))
	}
	for s := range n + 1 {
		for h := range heads {
			entry, sink := make([]float64, d), 0.0
			if s == 0 {
				sink = float64(g["sink"].floats[h]) / scale
			} else {
				entry = to64(g["entries"].floats[(s-1)*d:][:d])
			}
			c.k = append(append(c.k, entry...), sink)
			c.v = append(c.v, entry...)
		}
	}
	forEachTier(t, 2, func(t *testing.T, e *Engine) {
		r := c.run(t, e, F32, 3)
		wantClose(t, "o", r.o[n*heads*d:], to64(g["o"].floats), 1e-6)
		var dq, dsink []float32
		de := make([]float32, n*d)
		for h := range heads {
			dq = append(dq, r.dq[(n*heads+h)*(d+1):][:d]...)
			dsink = append(dsink, float32(float64(r.dk[h*(d+1)+d])/scale))
			for s := range n {
				for j := range d {
					de[s*d+j] += r.dk[((s+1)*heads+h)*(d+1)+j] + r.dv[((s+1)*heads+h)*d+j]
				}
			}
		}
		wantClose(t, "dq", dq, to64(g["dq"].floats), 2e-6)
		wantClose(t, "dentries", de, to64(g["dentries"].floats), 2e-6)
		wantClose(t, "dsink", dsink, to64(g["dsink"].floats), 2e-6)
	})

	// Softmax: keys and values are the unit vectors.
	rows, w := g["softmax.x"].Shape[0], g["softmax.x"].Shape[1]
	s := &attentionCase{b: rows, t: w, h: 1, hk: 1, dk: w, dv: w, scale: 1}
	s.q, s.up = make([]float64, rows*w*w), make([]float64, rows*w*w)
	for r := range rows {
		copy(s.q[(r*w+w-1)*w:], to64(g["softmax.x"].floats[r*w:][:w]))
		copy(s.up[(r*w+w-1)*w:], to64(g["softmax.dy"].floats[r*w:][:w]))
		for i := range w * w {
			s.k = append(s.k, map[bool]float64{true: 1}[i%(w+1) == 0])
		}
	}
	s.v = s.k
	forEachTier(t, 2, func(t *testing.T, e *Engine) {
		got := s.run(t, e, F32, 0)
		var y, dx []float32
		for r := range rows {
			y, dx = append(y, got.o[(r*w+w-1)*w:][:w]...), append(dx, got.dq[(r*w+w-1)*w:][:w]...)
		}
		wantClose(t, "softmax", y, to64(g["softmax.y"].floats), 1e-6)
		wantClose(t, "softmax gradient", dx, to64(g["softmax.dx"].floats), 2e-6)
	})
}

// TestGoldenTopK chooses experts as the three routers do.
func TestGoldenTopK(t *testing.T) {
	g := readGolden(t, "routers")
	rows, n, k := g["logits"].Shape[0], g["logits"].Shape[1], g["v3.ids"].Shape[1]
	forEachTier(t, 2, func(t *testing.T, e *Engine) {
		for name, score := range map[string]func(z float64) float64{
			"v2": func(z float64) float64 { return z },
			"v3": func(z float64) float64 { return 1 / (1 + math.Exp(-z)) },
			"v4": func(z float64) float64 { return math.Sqrt(math.Log1p(math.Exp(z))) },
		} {
			x := make([]float32, rows*n)
			for i, z := range g["logits"].floats {
				x[i] = float32(score(float64(z)))
				if name != "v2" {
					x[i] += g["bias"].floats[i%n]
				}
			}
			idx := make([]int32, rows*k)
			e.TopK(idx, x, rows, n, k)
			if want := g[name+".ids"].ints; !slices.Equal(idx, want) {
				t.Errorf("%s: %v", name, fmt.Sprintf("got %v\nwant %v", idx, want))
			}
		}
	})
}
