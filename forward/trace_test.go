package forward

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/haenyeo/haenyeo/model"
	"github.com/haenyeo/haenyeo/weights"
)

// account is a Tracer that adds up.
type account struct {
	at         Kind
	layer      int
	open       bool
	entered    [Kinds]int
	bytes, ops [Kinds]int64
	layers     map[int]bool
	stray      int // calls outside a run
	runs       int
}

func (a *account) Enter(layer int, kind Kind) {
	a.at, a.layer, a.open = kind, layer, true
	a.entered[kind]++
	a.layers[layer] = true
}

func (a *account) Moved(bytes, ops int64) {
	if !a.open {
		a.stray++
	}
	a.bytes[a.at] += bytes
	a.ops[a.at] += ops
}

func (a *account) Leave() { a.open = false; a.runs++ }

// A Tracer changes no bit, sees every layer, and takes no memory.
func TestTracer(t *testing.T) {
	netsUnderTest(t, Options{}, func(t *testing.T, n *Net, _ func(Options) *Net) {
		seq := randomTokens(7, 40, n.cfg.VocabSize)
		want := slices.Clone(last(t, n, newCache(t, n, 64), seq))
		a := &account{layers: map[int]bool{}}
		n.SetTracer(a)
		c := newCache(t, n, 64)
		if got := last(t, n, c, seq); !slices.Equal(got, want) {
			t.Error("a traced run gives other logits")
		}
		if a.open || a.stray > 0 || a.runs != 1 {
			t.Errorf("after a run: open %v, %d stray calls, %d runs", a.open, a.stray, a.runs)
		}
		for i := -1; i < n.cfg.NumHiddenLayers; i++ {
			if !a.layers[i] {
				t.Errorf("layer %d was not entered", i)
			}
		}
		for kind := range Kinds {
			has := true
			switch Kind(kind) {
			case Routing, Experts:
				has = n.cfg.NRoutedExperts > 0
			case Dense:
				has = n.cfg.NRoutedExperts == 0 || n.cfg.NSharedExperts > 0 || n.cfg.FirstKDenseReplace > 0 || n.cfg.MoELayerFreq > 1
			case Indexing:
				has = n.cfg.IndexTopK > 0
			}
			if (a.entered[kind] > 0) != has {
				t.Errorf("%v was entered %d times", Kind(kind), a.entered[kind])
			}
		}
		if a.entered[Head] != 1 || a.bytes[Attending] == 0 || a.ops[Attending] == 0 {
			t.Errorf("the head was entered %d times; attention moved %d bytes, %d operations", a.entered[Head], a.bytes[Attending], a.ops[Attending])
		}
		steps := []*Step{{Cache: c, Tokens: []int32{5}}}
		run := func() {
			if err := n.Run(context.Background(), steps); err != nil {
				t.Fatal(err)
			}
		}
		run()
		if k := testing.AllocsPerRun(5, run); k > 0 {
			t.Errorf("a traced step allocates %v objects", k)
		}
	})
}

// The bytes and operations of a token are those of the matrices that it meets and of the context that it sees.
func TestTracerCounts(t *testing.T) {
	for name, c := range shapes {
		t.Run(name, func(t *testing.T) {
			n := netOf(t, c)
			const held = 20
			cache := newCache(t, n, 64)
			last(t, n, cache, randomTokens(1, held, c.VocabSize))
			a := &account{layers: map[int]bool{}}
			n.SetTracer(a)
			last(t, n, cache, []int32{3})
			var matrices, ops int64
			for k := range Kinds {
				if Kind(k) != Attending {
					matrices, ops = matrices+a.bytes[k], ops+a.ops[k]
				}
			}
			if want := matrixBytes(n.cfg); matrices != want || ops != want/2 {
				t.Errorf("%d bytes and %d operations, want %d and %d", matrices, ops, want, want/2)
			}
			seen := int64(held + 1)
			want := seen * n.CacheBytes(64) / 64
			if a.bytes[Attending] != want {
				t.Errorf("attention moved %d bytes, the cache of %d tokens has %d", a.bytes[Attending], seen, want)
			}
		})
	}
}

// matrixBytes is the float32 bytes of the matrices that one token meets.
func matrixBytes(c *model.Config) int64 {
	var all, experts int64
	for x := range weights.Expected(c) {
		if len(x.Shape) != 2 {
			continue
		}
		size := 4 * int64(x.Shape[0]) * int64(x.Shape[1])
		switch {
		case strings.Contains(x.Name, ".experts."):
			experts += size
		case strings.HasSuffix(x.Name, "embed_tokens.weight") && !c.TieWordEmbeddings:
		default:
			all += size
		}
	}
	if e := c.NRoutedExperts; e > 0 {
		all += experts / int64(e) * int64(c.NumExpertsPerTok)
	}
	return all
}

func netOf(t *testing.T, c *model.Config) *Net {
	return fromModel(t, random(t, c, model.Options{}), Options{})
}
