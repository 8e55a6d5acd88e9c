package forward

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/haenyeo/haenyeo/kernel"
	"github.com/haenyeo/haenyeo/model"
	"github.com/haenyeo/haenyeo/weights"
)

// shapes are small models of the generations that can be trained, with every part.
var shapes = map[string]*model.Config{
	"llama": {ModelType: "llama", VocabSize: 97, HiddenSize: 48, IntermediateSize: 72, NumHiddenLayers: 3, NumAttentionHeads: 6,
		NumKeyValueHeads: 2, HeadDim: 10, AttentionBias: true, RMSNormEps: 1e-5},
	"qwen2": {ModelType: "qwen2", VocabSize: 101, HiddenSize: 40, IntermediateSize: 56, NumHiddenLayers: 2, NumAttentionHeads: 5,
		NumKeyValueHeads: 1, TieWordEmbeddings: true},
	"qwen3": {ModelType: "qwen3", VocabSize: 90, HiddenSize: 36, IntermediateSize: 50, NumHiddenLayers: 2, NumAttentionHeads: 4,
		NumKeyValueHeads: 4, HeadDim: 14, RopeScaling: model.RopeScaling{Type: "yarn", Factor: 4, OriginalMaxPosition: 16}},
	"v3": {ModelType: "deepseek_v3", VocabSize: 110, HiddenSize: 44, IntermediateSize: 60, NumHiddenLayers: 3, NumAttentionHeads: 3,
		QLoraRank: 20, KVLoraRank: 24, QKNopeHeadDim: 12, QKRopeHeadDim: 6, VHeadDim: 10, MoEIntermediateSize: 18, NRoutedExperts: 12,
		NSharedExperts: 2, NumExpertsPerTok: 3, FirstKDenseReplace: 1, NGroup: 4, TopKGroup: 2, NormTopKProb: true, RoutedScalingFactor: 2.5,
		NumNextnPredictLayers: 1, RopeScaling: model.RopeScaling{Type: "yarn", Factor: 8, OriginalMaxPosition: 16, MScale: 1, MScaleAllDim: 1}},
	"v3 plain": {ModelType: "deepseek_v3", VocabSize: 80, HiddenSize: 32, NumHiddenLayers: 2, NumAttentionHeads: 2, IntermediateSize: 40,
		KVLoraRank: 8, QKNopeHeadDim: 16, QKRopeHeadDim: 8, VHeadDim: 16, MoEIntermediateSize: 20, NRoutedExperts: 5, NumExpertsPerTok: 2, MoELayerFreq: 2},
}

// random makes a model with lively random weights: norms and biases are not all ones and zeros.
func random(t testing.TB, c *model.Config, o model.Options) *model.Model {
	t.Helper()
	m := must[*model.Model](t)(model.New(c, newEngine(t, 0), o))
	rng := rand.New(rand.NewPCG(1, uint64(c.HiddenSize)))
	for _, p := range m.Params() {
		for i := range p.Data {
			switch {
			case p.Kind == model.Bias || strings.HasSuffix(p.Name, ".bias"):
				p.Data[i] = float32(0.1 * rng.NormFloat64())
			case p.Kind == model.Vector:
				p.Data[i] = float32(1 + 0.2*rng.NormFloat64())
			default:
				p.Data[i] = float32(rng.NormFloat64() / math.Sqrt(float64(p.Len()/p.Shape[0])) * 1.3)
			}
		}
	}
	m.Sync()
	return m
}

func fromModel(t testing.TB, m *model.Model, o Options) *Net {
	t.Helper()
	return must[*Net](t)(New(weights.FromModel(m), newEngine(t, 0), o))
}

func randomTokens(seed uint64, n, vocab int) []int32 {
	rng := rand.New(rand.NewPCG(seed, 3))
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = int32(rng.IntN(vocab))
	}
	return ids
}

// The training side's forward pass and this one are the same function.
func TestEqualsModel(t *testing.T) {
	for name, c := range shapes {
		t.Run(name, func(t *testing.T) {
			mtp := c.NumNextnPredictLayers > 0
			m := random(t, c, model.Options{MTP: mtp})
			n := fromModel(t, m, Options{MTP: mtp})
			seq := randomTokens(1, 60, c.VocabSize)
			want := must[[]float32](t)(m.Logits(seq))
			if d := maxDiff(read(t, n, newCache(t, n, 60), seq), want); d > 2e-5 {
				t.Errorf("logits differ by %.3g", d)
			}
			if mtp {
				want := must[[]float32](t)(m.MTPLogits(seq))
				if d := maxDiff(must[[]float32](t)(n.MTPLogits(context.Background(), seq)), want); d > 2e-5 {
					t.Errorf("MTP logits differ by %.3g", d)
				}
			}
		})
	}
}

// netsUnderTest opens models of every generation: those above, and what there is of the golden set.
func netsUnderTest(t *testing.T, o Options, f func(t *testing.T, n *Net, again func(Options) *Net)) {
	for name, c := range shapes {
		t.Run(name, func(t *testing.T) {
			m := random(t, c, model.Options{})
			f(t, fromModel(t, m, o), func(o Options) *Net { return fromModel(t, m, o) })
		})
	}
	paths := []string{"deepseek_v2_lite", "deepseek_v2_group_limited", "deepseek_v32", "deepseek_v4"}
	for name, labels := range ggufCases {
		if name != "kmix" {
			paths = append(paths, "gguf/models/"+name+"-"+labels[1]+".gguf")
		}
	}
	for _, name := range paths {
		if path := goldenPath(t, name); path != "" {
			t.Run(name, func(t *testing.T) {
				f(t, open(t, path, o), func(o Options) *Net { return open(t, path, o) })
			})
		}
	}
}

// readLimit is how far logits of two ways of reading a text may lie apart: some float32 roundings.
const readLimit = 4e-5

// However a text is cut into steps and chunks, and whatever is saved, restored or forgotten on the way, the
// logits after every token are the same within rounding, and so is the greedy continuation.
func TestWaysOfReading(t *testing.T) {
	netsUnderTest(t, Options{Rounding: None}, func(t *testing.T, n *Net, again func(Options) *Net) {
		V := n.cfg.VocabSize
		const T = 70
		seq := randomTokens(2, T, V)
		want := read(t, n, newCache(t, n, T), seq)
		text := continued(t, n, seq, 12)
		check := func(how string, n *Net, c *Cache, got []float32, from int) {
			t.Helper()
			if d := maxDiff(got, want[from*V:][:len(got)]); d > readLimit {
				t.Errorf("%s: logits differ by %.3g", how, d)
			}
			if c.Len() != T {
				t.Fatalf("%s: the cache holds %d tokens", how, c.Len())
			}
		}
		for _, most := range []int{1, 3, 16, 17, 33} {
			o := n.opt
			o.MaxTokens = most
			small := again(o)
			c := newCache(t, small, T)
			check(fmt.Sprintf("chunks of %d", most), small, c, read(t, small, c, seq), 0)
			if got := continued(t, small, seq, len(text)); !slices.Equal(got, text) {
				t.Errorf("chunks of %d: greedy %v, want %v", most, got, text)
			}
		}
		for _, cuts := range [][]int{{1}, {2, 1}, {20}, {69, 1}, {1, 69}, {30, 1, 1, 38}} {
			c := newCache(t, n, T)
			var got []float32
			for at, i := 0, 0; at < T; i++ {
				k := min(cuts[i%len(cuts)], T-at)
				got = append(got, read(t, n, c, seq[at:at+k])...)
				at += k
			}
			check(fmt.Sprintf("steps of %v", cuts), n, c, got, 0)
		}
		for _, at := range []int{1, 31, 64, 69} {
			c := newCache(t, n, T)
			read(t, n, c, seq[:at])
			var buf bytes.Buffer
			if err := c.Save(&buf); err != nil {
				t.Fatal(err)
			}
			restored := must[*Cache](t)(n.LoadCache(&buf, T))
			check(fmt.Sprintf("saved after %d", at), n, restored, read(t, n, restored, seq[at:]), at)

			// the original goes astray and returns
			read(t, n, c, randomTokens(9, T-at, V))
			kept := c.Truncate(at)
			if kept > at || kept != c.Len() {
				t.Fatalf("truncated to %d: kept %d, Len %d", at, kept, c.Len())
			}
			check(fmt.Sprintf("truncated to %d", at), n, c, read(t, n, c, seq[kept:]), kept)
		}
	})
}

// A sequence gets the same bits beside others as alone, whether they read one token or many.
func TestNeighbours(t *testing.T) {
	netsUnderTest(t, Options{}, func(t *testing.T, n *Net, _ func(Options) *Net) {
		V := n.cfg.VocabSize
		const many, room = 20, 64
		var steps []*Step
		var want [][]float32
		for i := range many {
			prompt, next := randomTokens(uint64(i), 2+7*i%31, V), []int32{int32(i)}
			c := newCache(t, n, room)
			first := last(t, n, c, prompt)
			second := last(t, n, c, next)
			c = newCache(t, n, room)
			last(t, n, c, prompt)
			steps, want = append(steps, &Step{Cache: c, Tokens: next}), append(want, second)
			if i%5 == 0 { // a long step in between
				steps, want = append(steps, &Step{Cache: newCache(t, n, room), Tokens: prompt}), append(want, first)
			}
		}
		if err := n.Run(context.Background(), steps); err != nil {
			t.Fatal(err)
		}
		for i, s := range steps {
			if !slices.Equal(s.Logits, want[i]) {
				t.Errorf("step %d of %d tokens differs by %.3g beside others", i, len(s.Tokens), maxDiff(s.Logits, want[i]))
			}
		}
	})
}

// A long text, in chunks that see many more tokens than they have: the expanded and the absorbed form of
// MLA, and more keys than the kernels take at once.
func TestLongText(t *testing.T) {
	for _, name := range []string{"qwen3", "v3"} {
		c := *shapes[name]
		m := random(t, &c, model.Options{})
		V := c.VocabSize
		const T = 1300
		seq := randomTokens(5, T, V)
		whole := fromModel(t, m, Options{MaxTokens: T})
		want := read(t, whole, newCache(t, whole, T), seq)
		for _, most := range []int{40, 300} {
			n := fromModel(t, m, Options{MaxTokens: most})
			if d := maxDiff(read(t, n, newCache(t, n, T), seq), want); d > readLimit {
				t.Errorf("%s: chunks of %d: logits differ by %.3g", name, most, d)
			}
		}
		cache := newCache(t, whole, T)
		got := read(t, whole, cache, seq[:T-20])
		for _, id := range seq[T-20:] {
			got = append(got, last(t, whole, cache, []int32{id})...)
		}
		if d := maxDiff(got, want); d > readLimit {
			t.Errorf("%s: token by token at the end: logits differ by %.3g", name, d)
		}
	}
}

// Both forms of MLA agree, whichever is less work.
func TestExpandedEqualsAbsorbed(t *testing.T) {
	n := fromModel(t, random(t, shapes["v3"], model.Options{}), Options{})
	m := n.layers[0].(*block).attention.(*mla)
	c := newCache(t, n, 100)
	seq := randomTokens(7, 100, n.cfg.VocabSize)
	last(t, n, c, seq[:60])
	spans := []span{{cache: c, hi: 40, start: 60, tokens: seq[60:]}}
	if err := n.walk(context.Background(), spans, n.layers); err != nil {
		t.Fatal(err)
	}
	p := &n.pass
	q := make([]float32, p.n*m.heads*m.qk())
	rng := rand.New(rand.NewPCG(2, 2))
	for i := range q {
		q[i] = float32(rng.NormFloat64())
	}
	a, b := make([]float32, p.n*m.heads*m.v), make([]float32, p.n*m.heads*m.v)
	m.expanded(p, 0, a, q)
	m.absorbed(p, 0, b, q)
	if d := relative(a, b); d > 1e-5 {
		t.Errorf("relative difference %.3g", d)
	}
}

// A step of one token per sequence makes no garbage while caches have room.
func TestDecodingIsQuiet(t *testing.T) {
	netsUnderTest(t, Options{}, func(t *testing.T, n *Net, _ func(Options) *Net) {
		var steps []*Step
		for i := range 3 {
			c := newCache(t, n, 64)
			last(t, n, c, randomTokens(uint64(i), 3, n.cfg.VocabSize))
			steps = append(steps, &Step{Cache: c, Tokens: []int32{5}})
		}
		ctx := context.Background()
		run := func() {
			if err := n.Run(ctx, steps); err != nil {
				t.Fatal(err)
			}
		}
		for range 20 { // past the tokens that V3.2 and V4 see without choosing
			run()
		}
		if k := testing.AllocsPerRun(10, run); k > 0 {
			t.Errorf("a step makes %v allocations", k)
		}
	})
}

// The first walk is the one that finds out how much room it takes: from its second layer on it leaves no garbage.
func TestFirstWalkGrowsOnce(t *testing.T) {
	deep := *shapes["llama"]
	deep.NumHiddenLayers = 40
	n := fromModel(t, random(t, &deep, model.Options{}), Options{})
	c := newCache(t, n, 300)
	if err := c.reserve(256); err != nil {
		t.Fatal(err)
	}
	steps := []*Step{{Cache: c, Tokens: randomTokens(1, 256, n.cfg.VocabSize)}}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if err := n.Run(context.Background(), steps); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	arena := 4 * uint64(len(n.pass.f))
	if made := after.TotalAlloc - before.TotalAlloc; arena == 0 || made > 8*arena {
		t.Errorf("the first walk of 40 layers made %d bytes, its arena has %d", made, arena)
	} else {
		t.Logf("%d bytes, arena %d", made, arena)
	}
}

// The bits do not depend on the number of threads.
func TestThreads(t *testing.T) {
	for name, c := range shapes {
		m := random(t, c, model.Options{})
		var want []float32
		for _, threads := range []int{1, 2, 5} {
			n := must[*Net](t)(New(weights.FromModel(m), newEngine(t, threads), Options{}))
			cache := newCache(t, n, 64)
			got := append(read(t, n, cache, randomTokens(1, 40, c.VocabSize)), read(t, n, cache, []int32{3})...)
			if want == nil {
				want = got
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s: %d threads give other bits", name, threads)
			}
		}
	}
}

// What cannot be run is refused with a reason.
func TestRefusals(t *testing.T) {
	ctx := context.Background()
	m := random(t, shapes["llama"], model.Options{})
	n, other := fromModel(t, m, Options{}), fromModel(t, m, Options{})
	c := newCache(t, n, 10)
	for _, tc := range []struct {
		name  string
		steps []*Step
		want  string
	}{
		{"no steps", nil, "no steps"},
		{"no tokens", []*Step{{Cache: c}}, "no tokens"},
		{"negative id", []*Step{{Cache: c, Tokens: []int32{-1}}}, "id -1"},
		{"id past the vocabulary", []*Step{{Cache: c, Tokens: []int32{1, 97}}}, "vocabulary has 97"},
		{"no cache", []*Step{{Tokens: []int32{1}}}, "cache"},
		{"cache of another model", []*Step{{Cache: newCache(t, other, 10), Tokens: []int32{1}}}, "another model"},
		{"the same cache twice", []*Step{{Cache: c, Tokens: []int32{1}}, {Cache: c, Tokens: []int32{1}}}, "same cache"},
		{"too many tokens", []*Step{{Cache: c, Tokens: make([]int32, 11)}}, "context of 10"},
	} {
		if err := n.Run(ctx, tc.steps); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
	for _, max := range []int{0, -1, math.MaxInt} {
		if _, err := n.NewCache(max); err == nil {
			t.Errorf("a cache of %d tokens was made", max)
		}
	}
	if _, err := n.NewCache(1 << 30); err == nil || !strings.Contains(err.Error(), "would fit") {
		t.Errorf("a cache beyond memory: %v", err)
	}
	if _, err := n.MTPLogits(ctx, []int32{1, 2}); err == nil || !strings.Contains(err.Error(), "MTP") {
		t.Errorf("MTP of a model without it: %v", err)
	}
	if _, err := New(weights.FromModel(m), newEngine(t, 1), Options{MaxTokens: -1}); err == nil {
		t.Error("MaxTokens -1 was accepted")
	}
}

// When a run ends early, caches hold what Len says, and reading on gives what it would have given.
func TestInterruptedRuns(t *testing.T) {
	netsUnderTest(t, Options{MaxTokens: 8}, func(t *testing.T, n *Net, _ func(Options) *Net) {
		V := n.cfg.VocabSize
		seq := randomTokens(3, 30, V)
		want := last(t, n, newCache(t, n, 30), seq)
		enough := errors.New("enough")
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		for name, run := range map[string]func(c *Cache) error{
			"ended before": func(c *Cache) error { return n.Run(ended, []*Step{{Cache: c, Tokens: seq}}) },
			"ended in the middle": func(c *Cache) error {
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				return n.Run(ctx, []*Step{{Cache: c, Tokens: seq, Each: func(i int, _ []float32) error {
					if i == 17 {
						cancel()
					}
					return nil
				}}})
			},
			"Each failed": func(c *Cache) error {
				return n.Run(context.Background(), []*Step{{Cache: c, Tokens: seq, Each: func(i int, _ []float32) error {
					if i == 19 {
						return enough
					}
					return nil
				}}})
			},
		} {
			c := newCache(t, n, 30)
			if err := run(c); !errors.Is(err, context.Canceled) && !errors.Is(err, enough) {
				t.Fatalf("%s: %v", name, err)
			}
			if c.Len() == len(seq) {
				t.Fatalf("%s: everything was read", name)
			}
			if d := maxDiff(last(t, n, c, seq[c.Len():]), want); d > readLimit {
				t.Errorf("%s, %d tokens read: logits differ by %.3g", name, c.Len(), d)
			}
		}
	})
}

// Weights that are not numbers give an error that says where, and leave the cache as it was.
func TestNaNWeights(t *testing.T) {
	for _, tc := range []struct{ param, want string }{
		{"model.embed_tokens.weight", "embedding of token id 7"},
		{"model.layers.1.mlp.down_proj.weight", "layer 1"},
		{"lm_head.weight", "head"},
	} {
		m := random(t, shapes["llama"], model.Options{})
		c := fromModel(t, m, Options{})
		cache := newCache(t, c, 10)
		last(t, c, cache, []int32{1, 2})
		p := m.Param(tc.param)
		d := shapes["llama"].HiddenSize
		p.Data[7*d+3] = float32(math.NaN())
		for _, tokens := range [][]int32{{7}, {3, 7}} {
			err := c.Run(context.Background(), []*Step{{Cache: cache, Tokens: tokens}})
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s: %v", tc.param, err)
			}
			if cache.Len() != 2 {
				t.Errorf("%s: the cache holds %d tokens", tc.param, cache.Len())
			}
		}
	}
}

// An expert whose score is no number is passed over when experts are compared, and must not go unnoticed.
func TestNaNRouter(t *testing.T) {
	for name, cfg := range shapes {
		m := random(t, cfg, model.Options{})
		for _, p := range m.Params() {
			if !strings.HasSuffix(p.Name, "mlp.gate.weight") {
				continue
			}
			was := p.Data[len(p.Data)-1]
			for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
				p.Data[len(p.Data)-1] = float32(bad)
				n := fromModel(t, m, Options{})
				for _, tokens := range [][]int32{{7}, {3, 7, 5}} {
					err := n.Run(context.Background(), []*Step{{Cache: newCache(t, n, 10), Tokens: tokens}})
					if err == nil || !strings.Contains(err.Error(), "NaN") {
						t.Errorf("%s, %s, %v: %v", name, p.Name, bad, err)
					}
				}
			}
			p.Data[len(p.Data)-1] = was
		}
	}
}

// A file that is cut while it is in use ends a run with an error that names it.
func TestCutFile(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("windows refuses to cut a mapped file")
	}
	// The second is float32: assembly reads it where it lies.
	for _, name := range []string{"deepseek_v3_plain/model.safetensors", "llama3_rope_tied/model.safetensors", "gguf/models/deepseek2-q8_0.gguf"} {
		from := goldenPath(t, name)
		if from == "" {
			continue
		}
		for _, threads := range []int{1, 4} {
			dir := t.TempDir()
			path := filepath.Join(dir, filepath.Base(from))
			copyFile(t, path, from)
			open := path
			if filepath.Base(from) == "model.safetensors" {
				copyFile(t, filepath.Join(dir, "config.json"), filepath.Join(filepath.Dir(from), "config.json"))
				open = dir
			}
			src := must[*weights.Source](t)(weights.Open(open))
			n := must[*Net](t)(New(src, newEngine(t, threads), Options{}))
			c := newCache(t, n, 200)
			last(t, n, c, []int32{1, 2, 3})
			if err := os.Truncate(path, 1000); err != nil {
				t.Fatal(err)
			}
			for _, tokens := range [][]int32{{4}, randomTokens(1, 90, n.cfg.VocabSize)} {
				err := n.Run(context.Background(), []*Step{{Cache: c, Tokens: tokens}})
				if err == nil || !strings.Contains(err.Error(), path) {
					t.Errorf("%s, %d threads, %d tokens: %v", name, threads, len(tokens), err)
				}
				if c.Len() != 3 {
					t.Errorf("%s: the cache holds %d tokens", name, c.Len())
				}
			}
			src.Close()
		}
	}
}

func copyFile(t *testing.T, to, from string) {
	t.Helper()
	if err := os.WriteFile(to, must[[]byte](t)(os.ReadFile(from)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// A damaged cache is refused.
func TestLoadCacheRefuses(t *testing.T) {
	n := fromModel(t, random(t, shapes["v3"], model.Options{}), Options{})
	c := newCache(t, n, 50)
	last(t, n, c, randomTokens(1, 40, n.cfg.VocabSize))
	var buf bytes.Buffer
	if err := c.Save(&buf); err != nil {
		t.Fatal(err)
	}
	for _, cut := range []int{0, 5, 16, buf.Len() / 2, buf.Len() - 1} {
		if _, err := n.LoadCache(bytes.NewReader(buf.Bytes()[:cut]), 50); err == nil {
			t.Errorf("the first %d of %d bytes were accepted", cut, buf.Len())
		}
	}
	if _, err := n.LoadCache(bytes.NewReader(buf.Bytes()), 39); err == nil {
		t.Error("a cache of 40 tokens was accepted for a context of 39")
	}
	other := fromModel(t, random(t, shapes["llama"], model.Options{}), Options{})
	c, err := other.LoadCache(bytes.NewReader(buf.Bytes()[:8]), 50)
	if c != nil || err == nil {
		t.Error("eight bytes were accepted")
	}
}

func FuzzLoadCache(f *testing.F) {
	n := fromModel(f, random(f, shapes["v3 plain"], model.Options{}), Options{})
	c := newCache(f, n, 8)
	last(f, n, c, []int32{1, 2, 3})
	var buf bytes.Buffer
	if err := c.Save(&buf); err != nil {
		f.Fatal(err)
	}
	f.Add(buf.Bytes())
	f.Add(buf.Bytes()[:20])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := n.LoadCache(bytes.NewReader(data), 8)
		if err == nil && (c.Len() < 0 || c.Len() > 8) {
			t.Errorf("%d tokens in a context of 8", c.Len())
		}
	})
}

// BenchmarkNet reads one token and many: of the file that HAENYEO_SMOLLM2 names, or of a model of that shape
// with random float32 weights.
func BenchmarkNet(b *testing.B) {
	var n *Net
	if path := os.Getenv("HAENYEO_SMOLLM2"); path != "" {
		n = open(b, path, Options{DType: kernel.BF16})
	} else {
		n = fromModel(b, random(b, &model.Config{ModelType: "llama", VocabSize: 49152, HiddenSize: 576, IntermediateSize: 1536,
			NumHiddenLayers: 30, NumAttentionHeads: 9, NumKeyValueHeads: 3}, model.Options{}), Options{DType: kernel.BF16})
	}
	c, ctx := n.Config(), context.Background()
	seq := randomTokens(1, 512, c.VocabSize)
	for _, tokens := range []int{1, 512} {
		b.Run(fmt.Sprint(tokens), func(b *testing.B) {
			cache := newCache(b, n, 1024)
			last(b, n, cache, seq[:100])
			for b.Loop() {
				if err := n.Run(ctx, []*Step{{Cache: cache, Tokens: seq[:tokens]}}); err != nil {
					b.Fatal(err)
				}
				cache.Truncate(100)
			}
			b.ReportMetric(float64(tokens*b.N)/b.Elapsed().Seconds(), "tokens/s")
		})
	}
}
