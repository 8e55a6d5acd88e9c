package forward

import (
	"slices"
	"testing"

	"github.com/haenyeo/haenyeo/quant"
)

// The publisher's forms hold what is rounded as published without loss: float32 in their place gives the same bits.
// Rotated channels of entries in 16 bits move the logits, a little.
func TestPublishedFormsAreExact(t *testing.T) {
	for _, name := range []string{"deepseek_v32", "deepseek_v4"} {
		path, T := goldenPath(t, name), 90
		n := open(t, path, Options{})
		seq := randomTokens(5, T, n.cfg.VocabSize)
		c := newCache(t, n, T)
		got, small := read(t, n, c, seq), c.bytes(T)

		wide := open(t, path, Options{})
		for _, l := range wide.layers {
			var a attention
			switch l := l.(type) {
			case *block:
				a = l.attention
			case *hyperBlock:
				a = l.attention
			}
			switch a := a.(type) {
			case *dsa:
				a.keyForm = rowForm(quant.F32, a.indexer.dim, 0)
			case *windowAttention:
				for _, k := range []*compressor{a.compressor, a.indexKeys} {
					if k != nil {
						k.form = rowForm(quant.F32, k.dim, 0)
					}
				}
			}
		}
		c = newCache(t, wide, T)
		if want := read(t, wide, c, seq); !slices.Equal(got, want) {
			t.Errorf("%s: logits differ by %.3g", name, maxDiff(got, want))
		}
		if large := c.bytes(T); small >= large && name != "deepseek_v32" { // whose keys here are much shorter than a block
			t.Errorf("%s: %d bytes instead of %d", name, small, large)
		}

		less := open(t, path, Options{KV: quant.BF16})
		c = newCache(t, less, T)
		d := medianDiff(read(t, less, c, seq), got, n.cfg.VocabSize)
		t.Logf("%s: %d bytes as BF16, %d as F32, %.2g apart", name, c.bytes(T), small, d)
		if d == 0 || d > 0.05 || c.bytes(T) >= small {
			t.Errorf("%s as BF16: %d bytes, not fewer than %d, or logits differ by %.3g", name, c.bytes(T), small, d)
		}
	}
}
