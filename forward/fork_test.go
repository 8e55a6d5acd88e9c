package forward

import (
	"context"
	"slices"
	"testing"

	"github.com/haenyeo/haenyeo/quant"
)

// tables are the rows that a cache keeps.
func tables(c *Cache) (all []*rowCache) {
	for _, l := range c.layers {
		switch l := l.(type) {
		case *gqaCache:
			all = append(all, &l.k, &l.v)
		case *mlaCache:
			all = append(all, &l.latent)
		case *dsaCache:
			all = append(all, &l.latent, &l.keys)
		case *windowCache:
			for _, k := range l.compressed() {
				all = append(all, &k.rows)
			}
		}
	}
	return all
}

// same counts the blocks that two caches have in common, and all of a.
func same(a, b *Cache) (common, all int) {
	other := tables(b)
	for i, t := range tables(a) {
		for j, block := range t.Blocks {
			all++
			if j < len(other[i].Blocks) && sameBlock(block.Floats, other[i].Blocks[j].Floats) && sameBlock(block.Bytes, other[i].Blocks[j].Bytes) {
				common++
			}
		}
	}
	return common, all
}

func sameBlock[T any](a, b []T) bool { return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0]) }

// Sixteen sequences with a beginning in common, of different lengths, go their own ways: they share what they have
// in common, and each has the bits that it has alone, whatever the others, and the cache that all is from, go on to
// do.
func TestForks(t *testing.T) {
	const chunk, chunks, rest = 128, 5, 6 // the beginning ends inside of the second block
	ctx := context.Background()
	for _, kv := range []quant.Type{quant.F32, quant.Q8_0} {
		netsUnderTest(t, Options{KV: kv}, func(t *testing.T, n *Net, _ func(Options) *Net) {
			V := n.cfg.VocabSize
			seq := randomTokens(8, chunk*chunks, V)
			origin := newCache(t, n, 1000)
			var parts []*Part
			for lo := 0; lo < len(seq); lo += chunk {
				last(t, n, origin, seq[lo:lo+chunk])
				parts = append(parts, must[*Part](t)(origin.Part(lo)))
			}
			own := func(i, at int) []int32 { return []int32{int32((7*i + at) % V)} }
			fork := func(i int) (*Cache, int) {
				c, taken := newCache(t, n, 1000), 1+i%chunks
				for j, p := range parts[:taken] {
					if i/chunks%2 == 1 && j > 0 { // by way of its bytes
						p = n.PartOf(p.lo, p.hi, p.Data())
					}
					if err := c.Append(p); err != nil {
						t.Fatal(err)
					}
				}
				return c, taken
			}
			want := make([][]float32, 16) // alone, and without sharing
			for i := range want {
				c := newCache(t, n, 1000)
				for lo := range 1 + i%chunks {
					last(t, n, c, seq[lo*chunk:(lo+1)*chunk])
				}
				for at := range rest {
					want[i] = append(want[i], last(t, n, c, own(i, at))...)
				}
			}
			got := make([][]float32, len(want))
			steps := make([]*Step, len(want))
			for i := range steps {
				c, _ := fork(i)
				if common, all := same(c, origin); i == chunks-1 && common != all {
					t.Errorf("before it is written to, a fork shares %d of %d blocks", common, all)
				}
				steps[i] = &Step{Cache: c}
			}
			for at := range rest {
				for i, s := range steps {
					s.Tokens = own(i, at)
				}
				if err := n.Run(ctx, steps); err != nil {
					t.Fatal(err)
				}
				for i, s := range steps {
					got[i] = append(got[i], s.Logits...)
				}
			}
			for i := range want {
				if !slices.Equal(got[i], want[i]) {
					t.Errorf("fork %d: logits differ by %.3g", i, maxDiff(got[i], want[i]))
				}
			}
			for _, rows := range tables(steps[chunks-1].Cache) {
				if len(rows.Blocks) > 1 && rows.frozen[0] != blockRows {
					t.Error("a whole block that is not written to was copied")
				}
			}
			// The origin goes back into what others read, and another way.
			kept := origin.Truncate(300)
			last(t, n, origin, randomTokens(9, 400, V)[:340-kept])
			c, _ := fork(chunks - 1)
			for at := range rest {
				if logits := last(t, n, c, own(chunks-1, at)); !slices.Equal(logits, want[chunks-1][at*V:][:V]) {
					t.Fatalf("after the origin went another way: logits differ by %.3g", maxDiff(logits, want[chunks-1][at*V:][:V]))
				}
			}
		})
	}
}
