package tokenizer

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
)

// mergeNaively does what the words say: find the lowest rank, the leftmost of equals, replace it, begin again.
func mergeNaively(t *Tokenizer, piece string) (ids []int32) {
	for i := 0; i < len(piece); i++ {
		ids = append(ids, int32(t.merges.byteID[piece[i]]))
	}
	for {
		best, at := -1, 0
		for i := 0; i+1 < len(ids); i++ {
			for rank, p := range t.pairs {
				if int32(p[0]) == ids[i] && int32(p[1]) == ids[i+1] && (best < 0 || rank < best) {
					best, at = rank, i
				}
			}
		}
		if best < 0 {
			return ids
		}
		ids[at] = int32(t.merges.result[best])
		ids = slices.Delete(ids, at+1, at+2)
	}
}

// randomTokenizer makes merges at random over a few letters, so that all orders of merging occur.
func randomTokenizer(t *testing.T, random *rand.Rand, letters string, merges int) *Tokenizer {
	t.Helper()
	p := Parts{Pre: "qwen2"}
	for b := range 256 {
		p.Tokens = append(p.Tokens, string(symbolOfByte[b]))
	}
	usable := strings.Split(letters, "")
	for len(p.Merges) < merges {
		a, b := usable[random.IntN(len(usable))], usable[random.IntN(len(usable))]
		if len(a+b) > 12 || slices.Contains(p.Merges, a+" "+b) {
			merges--
			continue
		}
		p.Merges = append(p.Merges, a+" "+b)
		if !slices.Contains(p.Tokens, a+b) {
			p.Tokens = append(p.Tokens, a+b)
			usable = append(usable, a+b)
		}
	}
	tok, err := New(p)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func randomString(random *rand.Rand, letters string, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = letters[random.IntN(len(letters))]
	}
	return string(b)
}

// TestMergeEqualsDefinition compares short, long and windowed merging with the definition.
func TestMergeEqualsDefinition(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	rounds := 60
	if testing.Short() {
		rounds = 10
	}
	for round := range rounds {
		letters := []string{"a", "ab", "abc", "abcd"}[round%4]
		tok := randomTokenizer(t, random, letters, 4+random.IntN(60))
		var s mergeScratch
		for range 10 {
			piece := randomString(random, letters, 1+random.IntN(150))
			want := mergeNaively(tok, piece)
			got := tok.merges.merge(nil, piece, &s, tok.vocab.length)
			if !slices.Equal(got, want) {
				t.Fatalf("%q with merges %q:\n got %v\nwant %v", piece, tok.Merges(), got, want)
			}
			for i := 0; i < len(piece); i++ {
				s.ids = append(s.ids[:i], tok.merges.byteID[piece[i]])
			}
			s.ids, s.ranks = s.ids[:len(piece)], slices.Grow(s.ranks[:0], len(piece))[:len(piece)]
			if got := tok.merges.mergeLong(&s); !slices.EqualFunc(got, want, func(a uint32, b int32) bool { return a == uint32(b) }) {
				t.Fatalf("%q by heap with merges %q:\n got %v\nwant %v", piece, tok.Merges(), got, want)
			}
			for _, window := range []int{1, 7, 16, 40} {
				got := tok.merges.mergeEndless(nil, piece, &s, tok.vocab.length, window, random.IntN(window+1))
				if !slices.Equal(got, want) {
					t.Fatalf("%q by windows of %d with merges %q:\n got %v\nwant %v", piece, window, tok.Merges(), got, want)
				}
			}
		}
	}
}

// TestEndlessPiece encodes one piece of many windows, which must take time and memory in proportion.
func TestEndlessPiece(t *testing.T) {
	tok := deepSeekV3(t)
	random := rand.New(rand.NewPCG(5, 6))
	for name, piece := range map[string]string{
		"one letter": strings.Repeat("a", 300_000),
		"random":     randomString(random, "abcdefghijklmnopqrstuvwxyz", 300_000),
		"Thai":       strings.Repeat("ภาษาไทยไม่เว้นวรรคระหว่างคำ", 4000),
		"dashes":     strings.Repeat("-", 300_000),
		"spaces":     strings.Repeat(" ", 300_000),
	} {
		if n := len(scan(deepseekV3, piece)); n != 1 {
			t.Fatalf("%s is %d pieces", name, n)
		}
		var s mergeScratch
		ids := tok.Encode(nil, piece, EncodeOptions{})
		var whole []int32
		for _, id := range tok.merges.window(piece, &s) {
			whole = append(whole, int32(id))
		}
		if !slices.Equal(ids, whole) {
			t.Errorf("%s: windows give other ids than the whole", name)
		}
		if got := tok.Decode(ids, false); got != piece {
			t.Errorf("%s does not come back", name)
		}
	}
}

// TestHugeLine encodes a line of 8 MB without a space, and checks what it takes beside the text and the ids.
func TestHugeLine(t *testing.T) {
	if testing.Short() {
		t.Skip("8 MB")
	}
	tok := deepSeekV3(t)
	piece := strings.Repeat(randomString(rand.New(rand.NewPCG(7, 8)), "etaoinshrdlucmfwypvbgkjqxz", 1<<20)+"ภาษาไทย", 8)
	if n := len(scan(deepseekV3, piece)); n != 1 {
		t.Fatalf("%d pieces", n)
	}
	ids := make([]int32, 0, len(piece))
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	ids = tok.Encode(ids, piece, EncodeOptions{})
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 4<<20 {
		t.Errorf("encoding took %d MB", took>>20)
	}
	if len(ids) < len(piece)/16 {
		t.Errorf("%d ids", len(ids))
	}
}

func TestEncodeAllocatesNothing(t *testing.T) {
	tok := deepSeekV3(t)
	text := strings.Join(goldenCorpus(t)[:20], "\n")
	ids := tok.Encode(nil, text, EncodeOptions{})
	if n := testing.AllocsPerRun(5, func() { ids = tok.Encode(ids[:0], text, EncodeOptions{AddSpecial: true}) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestEncodeConcurrently(t *testing.T) {
	tok := deepSeekV3(t)
	docs := goldenCorpus(t)[:24]
	want := make([][]int32, len(docs))
	for i, d := range docs {
		want[i] = tok.Encode(nil, d, EncodeOptions{})
	}
	var wg sync.WaitGroup
	errs := make(chan error, 4)
	for g := range 4 {
		wg.Go(func() {
			for i := range docs {
				i = (i + 6*g) % len(docs)
				if !slices.Equal(tok.Encode(nil, docs[i], EncodeOptions{}), want[i]) {
					errs <- fmt.Errorf("document %d differs", i)
					return
				}
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		t.Error(err)
	}
}
