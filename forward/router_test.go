package forward

import (
	"math"
	"slices"
	"testing"

	"github.com/haenyeo/haenyeo/kernel"
)

// route chooses experts for one token whose scores are s.
func route(t *testing.T, r *router, s []float32) ([]int32, []float32) {
	t.Helper()
	r.e, r.score = len(s), func([]float32) {}
	e := newEngine(t, 1)
	task := &routerTask{r: r, s: s, biased: make([]float32, r.e), group: make([]float32, r.groups), ids: make([]int32, r.k), w: make([]float32, r.k)}
	task.Do(0, 0)
	e.TopK(task.ids, task.biased, 1, r.e, r.k)
	task.weigh = true
	task.Do(0, 0)
	return task.ids, task.w
}

func TestRouterRules(t *testing.T) {
	for _, tc := range []struct {
		name string
		r    router
		s    []float32
		ids  []int32
		w    []float32
	}{
		{"greedy", router{k: 2, groups: 1, factor: 1}, []float32{0.1, 0.4, 0.2, 0.3}, []int32{1, 3}, []float32{0.4, 0.3}},
		{"ties go to the lower index", router{k: 2, groups: 1, factor: 1}, []float32{0.2, 0.3, 0.3, 0.3}, []int32{1, 2}, []float32{0.3, 0.3}},
		{"V2 takes the group with the best expert", router{k: 1, groups: 2, topGroups: 1, groupBest: 1, factor: 16},
			[]float32{0.9, 0, 0.5, 0.5}, []int32{0}, []float32{14.4}},
		{"V3 takes the group with the two best", router{k: 1, groups: 2, topGroups: 1, groupBest: 2, factor: 1},
			[]float32{0.9, 0, 0.5, 0.5}, []int32{2}, []float32{0.5}},
		{"the bias chooses and does not weigh", router{k: 2, groups: 1, factor: 2, normalise: true, bias: []float32{0, 0, 1, 1}},
			[]float32{0.9, 0.8, 0.1, 0.3}, []int32{2, 3}, []float32{0.5, 1.5}},
		{"other groups are out even below zero", router{k: 2, groups: 2, topGroups: 1, groupBest: 2, factor: 1, bias: []float32{-9, -9, -5, -5}},
			[]float32{0.9, 0.8, 0.1, 0.3}, []int32{2, 3}, []float32{0.1, 0.3}},
	} {
		ids, w := route(t, &tc.r, tc.s)
		if !slices.Equal(ids, tc.ids) || maxDiff(w, tc.w) > 1e-6 {
			t.Errorf("%s: experts %v with weights %v, want %v with %v", tc.name, ids, w, tc.ids, tc.w)
		}
	}
}

func TestScores(t *testing.T) {
	z := []float32{-200, -3, 0, 0.5, 4, 200}
	want := map[string]func(x, sum float64) float64{
		"softmax":      func(x, sum float64) float64 { return math.Exp(x) / sum },
		"sigmoid":      func(x, _ float64) float64 { return 1 / (1 + math.Exp(-x)) },
		"sqrtsoftplus": func(x, _ float64) float64 { return math.Sqrt(math.Log1p(math.Exp(x))) },
	}
	for name, f := range map[string]func([]float32){"softmax": softmax, "sigmoid": sigmoids, "sqrtsoftplus": sqrtSoftplus} {
		s := slices.Clone(z)
		f(s)
		var sum float64
		for _, v := range z {
			sum += math.Exp(float64(v))
		}
		for i, v := range z {
			w := want[name](float64(v), sum)
			if d := math.Abs(float64(s[i]) - w); !(d <= 1e-6*math.Max(w, 1e-3)) {
				t.Errorf("%s(%v) = %v, want %v", name, v, s[i], w)
			}
		}
	}
}

// The router's product is float32 whatever the others are: a choice must not hang on a rounding.
func TestRouterIsFloat32(t *testing.T) {
	dir := goldenPath(t, "deepseek_v3")
	if dir == "" {
		t.Skip("needs the golden set")
	}
	full, half := open(t, dir, Options{}), open(t, dir, Options{DType: kernel.BF16})
	seq := randomTokens(1, 40, full.cfg.VocabSize)
	for _, n := range []*Net{full, half} {
		c := newCache(t, n, 40)
		if err := n.walk(t.Context(), []span{{cache: c, hi: 40, tokens: seq}}, nil); err != nil {
			t.Fatal(err)
		}
	}
	// Both passes hold the embeddings: the same input for both routers.
	a, _ := full.layers[1].(*block).mlp.(*moe).router.choose(&full.pass, full.pass.stream)
	b, _ := half.layers[1].(*block).mlp.(*moe).router.choose(&half.pass, half.pass.stream)
	if !slices.Equal(a, b) {
		t.Error("experts differ")
	}
}
