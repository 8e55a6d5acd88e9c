package forward

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/haenyeo/haenyeo/kernel"
	"github.com/haenyeo/haenyeo/model"
	"github.com/haenyeo/haenyeo/quant"
)

// kvNets opens small models with GQA, MLA and, where there is room for heads of whole blocks, both again.
func kvNets(t *testing.T, f func(t *testing.T, open func(Options) *Net)) {
	wide := *shapes["llama"]
	wide.HeadDim = 32
	latent := *shapes["v3"]
	latent.KVLoraRank = 64
	for name, c := range map[string]*model.Config{"llama": shapes["llama"], "llama wide": &wide, "v3": shapes["v3"], "v3 wide": &latent} {
		m := random(t, c, model.Options{})
		t.Run(name, func(t *testing.T) { f(t, func(o Options) *Net { return fromModel(t, m, o) }) })
	}
	t.Run("v3.2", func(t *testing.T) {
		f(t, func(o Options) *Net { o.Rounding = None; return open(t, goldenPath(t, "deepseek_v32"), o) })
	})
}

// medianDiff is the median over tokens of the largest difference of their v logits: some tokens meet another
// expert.
func medianDiff(a, b []float32, v int) float64 {
	var ds []float64
	for lo := 0; lo < len(a); lo += v {
		ds = append(ds, maxDiff(a[lo:lo+v], b[lo:lo+v]))
	}
	slices.Sort(ds)
	return ds[len(ds)/2]
}

// Fewer bits move the logits, a little; what is saved is restored to the bit; the cache shrinks as much as it
// should, and says so before.
func TestKVTypes(t *testing.T) {
	kvNets(t, func(t *testing.T, open func(Options) *Net) {
		const T = 90
		exact := open(Options{})
		seq := randomTokens(3, T, exact.cfg.VocabSize)
		want := read(t, exact, newCache(t, exact, T), seq)
		for _, c := range []struct {
			kv     quant.Type
			limit  float64 // on medianDiff; logits spread by about 1
			shrink float64 // of the memory, at least, of heads that fill blocks
		}{{quant.F16, 0.006, 2}, {quant.BF16, 0.05, 2}, {quant.Q8_0, 0.15, 3}} {
			n := open(Options{KV: c.kv})
			cache := newCache(t, n, T)
			got := read(t, n, cache, seq)
			d := medianDiff(got, want, n.cfg.VocabSize)
			t.Logf("%v: logits differ by %.2g", c.kv, d)
			if d > c.limit || d == 0 {
				t.Errorf("%v: logits differ by %.3g", c.kv, d)
			}
			all, less := newCache(t, exact, T).bytes(T), cache.bytes(T)
			if strings.HasSuffix(t.Name(), "wide") && float64(all) < c.shrink*float64(less) || less >= all {
				t.Errorf("%v: %d bytes instead of %d", c.kv, less, all)
			}

			c1 := newCache(t, n, T)
			read(t, n, c1, seq[:40])
			var buf bytes.Buffer
			if err := c1.Save(&buf); err != nil {
				t.Fatal(err)
			}
			if max := int(c1.bytes(40)) + 64; buf.Len() > max {
				t.Errorf("%v: saved in %d bytes, more than %d", c.kv, buf.Len(), max)
			}
			saved := buf.Bytes()
			c2 := must[*Cache](t)(n.LoadCache(bytes.NewReader(saved), T))
			if a, b := read(t, n, c1, seq[40:]), read(t, n, c2, seq[40:]); !slices.Equal(a, b) {
				t.Errorf("%v: restored, logits differ by %.3g", c.kv, maxDiff(a, b))
			}
			if _, err := exact.LoadCache(bytes.NewReader(saved), T); err == nil || !strings.Contains(err.Error(), c.kv.String()) {
				t.Errorf("%v: opened as F32: %v", c.kv, err)
			}
			if _, err := n.LoadCache(bytes.NewReader(saved[:len(saved)-1]), T); err == nil {
				t.Errorf("%v: a cut cache was accepted", c.kv)
			}
		}
		if _, err := New(exact.src, exact.e, Options{KV: quant.Q4_0}); err == nil {
			t.Error("a cache of Q4_0 was accepted")
		}
	})
}

// A cache is continued with the arithmetic that made it, or refused.
func TestSavedCacheKeepsItsArithmetic(t *testing.T) {
	for _, name := range []string{"deepseek_v32", "deepseek_v4"} {
		dir := filepath.Join("testdata", name)
		options := []Options{{}, {Rounding: None}, {DType: kernel.BF16}, {DType: kernel.BF16, Rounding: None}, {Rounding: None, KV: quant.F16}}
		var saved [][]byte
		var nets []*Net
		for _, o := range options {
			n := open(t, dir, o)
			c := newCache(t, n, 64)
			last(t, n, c, randomTokens(3, 20, n.cfg.VocabSize))
			var buf bytes.Buffer
			if err := c.Save(&buf); err != nil {
				t.Fatal(err)
			}
			saved, nets = append(saved, buf.Bytes()), append(nets, n)
		}
		for i, b := range saved {
			for j, n := range nets {
				if _, err := n.LoadCache(bytes.NewReader(b), 64); (err == nil) != (i == j) {
					t.Errorf("%s: saved with %+v, loaded with %+v: %v", name, options[i], options[j], err)
				}
			}
		}
	}
}

// Packed caches give a sequence the same bits beside others and on any number of threads, and take no memory
// while tokens come one by one.
func TestKVTypesAreQuiet(t *testing.T) {
	kvNets(t, func(t *testing.T, open func(Options) *Net) {
		n := open(Options{KV: quant.Q8_0})
		var steps []*Step
		var want [][]float32
		for i := range 3 {
			prompt := randomTokens(uint64(i), 20+9*i, n.cfg.VocabSize)
			c := newCache(t, n, 128)
			last(t, n, c, prompt)
			want = append(want, slices.Clone(last(t, n, c, []int32{1})))
			c = newCache(t, n, 128)
			last(t, n, c, prompt)
			steps = append(steps, &Step{Cache: c, Tokens: []int32{1}})
		}
		run := func() {
			if err := n.Run(context.Background(), steps); err != nil {
				t.Fatal(err)
			}
		}
		run()
		for i, s := range steps {
			if !slices.Equal(s.Logits, want[i]) {
				t.Errorf("sequence %d differs beside others", i)
			}
		}
		run()
		if a := testing.AllocsPerRun(3, run); a > 0 {
			t.Errorf("%v allocations a step", a)
		}
	})
}

// The expanded form of MLA decodes latents block by block.
func TestExpandedFromPackedLatents(t *testing.T) {
	m := random(t, shapes["v3"], model.Options{})
	const T = unpackedRows + 90
	seq := randomTokens(4, T, shapes["v3"].VocabSize)
	cut := fromModel(t, m, Options{KV: quant.F16, MaxTokens: 512})
	whole := fromModel(t, m, Options{MaxTokens: 512})
	if !whole.layers[0].(*block).attention.(*mla).expands(&span{hi: 90, start: T - 90}) {
		t.Fatal("this length is not expanded: the test tests nothing")
	}
	a, b := last(t, cut, newCache(t, cut, T), seq), last(t, whole, newCache(t, whole, T), seq)
	if d := maxDiff(a, b); d > 0.01 || d == 0 {
		t.Errorf("logits differ by %.3g", d)
	}
}

// A number that 16 bits cannot hold ends the step with an error that says where, and the cache stays as it was.
func TestKVOverflow(t *testing.T) {
	m := random(t, shapes["llama"], model.Options{})
	for _, p := range m.Params() {
		if strings.HasSuffix(p.Name, "layers.1.self_attn.v_proj.weight") {
			for i := range p.Data {
				p.Data[i] *= 1e6
			}
		}
	}
	m.Sync()
	n := fromModel(t, m, Options{KV: quant.F16})
	c := newCache(t, n, 10)
	err := n.Run(context.Background(), []*Step{{Cache: c, Tokens: []int32{1, 2}}})
	if err == nil || !strings.Contains(err.Error(), "layer 1") || !strings.Contains(err.Error(), "F16") || c.Len() != 0 {
		t.Errorf("%v; the cache holds %d tokens", err, c.Len())
	}
}

func BenchmarkKVTypes(b *testing.B) {
	m := random(b, &model.Config{ModelType: "llama", VocabSize: 256, HiddenSize: 576, IntermediateSize: 256,
		NumHiddenLayers: 2, NumAttentionHeads: 9, NumKeyValueHeads: 3}, model.Options{})
	for _, kv := range kvTypes {
		n := fromModel(b, m, Options{KV: kv, DType: kernel.BF16})
		for _, tokens := range []int{1, 256} {
			b.Run(fmt.Sprint(kv, " ", tokens), func(b *testing.B) {
				const T = 8192
				seq := randomTokens(1, T, 256)
				cache := newCache(b, n, T+tokens)
				last(b, n, cache, seq)
				for b.Loop() {
					if err := n.Run(context.Background(), []*Step{{Cache: cache, Tokens: seq[:tokens]}}); err != nil {
						b.Fatal(err)
					}
					cache.Truncate(T)
				}
			})
		}
	}
}
