package tokenizer

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// trainNaively follows the five rules literally over pieces.
func trainNaively(docs []string, vocab, least int) (merges []string) {
	counts := map[string]int{}
	for _, d := range docs {
		for _, p := range scan(deepseekV3, d) {
			counts[p]++
		}
	}
	symbols, id := []string{}, map[string]int{}
	for _, b := range bytesInOrder() {
		id[string([]byte{b})] = len(symbols)
		symbols = append(symbols, string([]byte{b}))
	}
	type word struct {
		ids   []int
		count int
	}
	var words []word
	for p, n := range counts {
		w := word{count: n}
		for i := 0; i < len(p); i++ {
			w.ids = append(w.ids, id[p[i:i+1]])
		}
		words = append(words, w)
	}
	spell := func(i int) string { return string(appendSymbols(nil, []byte(symbols[i]))) }
	for len(symbols) < vocab {
		pairs := map[[2]int]int{}
		for _, w := range words {
			for i := 0; i+1 < len(w.ids); i++ {
				pairs[[2]int{w.ids[i], w.ids[i+1]}] += w.count
			}
		}
		var best [2]int
		most := 0
		for p, n := range pairs {
			if n > most || n == most && (p[0] < best[0] || p[0] == best[0] && p[1] < best[1]) {
				best, most = p, n
			}
		}
		if most < least {
			break
		}
		merges = append(merges, spell(best[0])+" "+spell(best[1]))
		joined := symbols[best[0]] + symbols[best[1]]
		if _, ok := id[joined]; !ok {
			id[joined] = len(symbols)
			symbols = append(symbols, joined)
		}
		for w := range words {
			ids := words[w].ids
			for i := 0; i+1 < len(ids); i++ {
				if ids[i] == best[0] && ids[i+1] == best[1] {
					ids[i] = id[joined]
					ids = slices.Delete(ids, i+1, i+2)
				}
			}
			words[w].ids = ids
		}
	}
	return merges
}

// TestTrainEqualsDefinition compares over small random texts, where ties and overlaps are common.
func TestTrainEqualsDefinition(t *testing.T) {
	random := rand.New(rand.NewPCG(9, 10))
	rounds := 60
	if testing.Short() {
		rounds = 10
	}
	for round := range rounds {
		letters := []string{"a", "ab", "abc", "aé", "กข", "abcd "}[round%6]
		runes := []rune(letters)
		var docs []string
		for range 1 + random.IntN(30) {
			var b strings.Builder
			for range random.IntN(30) {
				b.WriteRune(runes[random.IntN(len(runes))])
			}
			docs = append(docs, b.String())
		}
		least := 1 + random.IntN(3)
		want := trainNaively(docs, 256+80, least)
		size := 256 + 80
		if round%2 == 1 {
			size = 70_000 // symbols of 32 bits
		}
		tok, err := Train(context.Background(), texts(docs...), TrainOptions{VocabSize: size, MinFrequency: least, SpecialTokens: []AddedToken{}})
		var short *ShortVocabularyError
		if errors.As(err, &short) {
			tok = short.Tokenizer
		} else if err != nil {
			t.Fatal(err)
		}
		if got := tok.Merges(); len(got) < len(want) || !slices.Equal(got[:len(want)], want) {
			t.Fatalf("%q at least %d:\n got %q\nwant %q", docs, least, got, want)
		}
	}
}

// TestTrainDoesNotDependOnThreads also holds while rare pieces are forgotten.
func TestTrainDoesNotDependOnThreads(t *testing.T) {
	docs := goldenCorpus(t)
	for range 6 { // several rounds of text
		docs = append(docs, strings.Repeat(strings.Join(docs[:20], "\n"), 20))
	}
	for _, memory := range []int64{0, 1 << 20} {
		var first *Tokenizer
		for _, threads := range []int{1, 2, 5} {
			tok, err := Train(context.Background(), texts(docs...), TrainOptions{VocabSize: 1500, Threads: threads, MaxMemory: memory})
			if err != nil {
				t.Fatal(err)
			}
			if first == nil {
				first = tok
			}
			if !slices.Equal(first.Merges(), tok.Merges()) {
				t.Errorf("with memory %d and %d threads the merges differ", memory, threads)
			}
		}
	}
}

// TestTrainHostile trains on texts that have no words, and wants it to end and to keep its memory.
func TestTrainHostile(t *testing.T) {
	random := rand.New(rand.NewPCG(11, 12))
	for name, text := range map[string]string{
		"one letter": strings.Repeat("a", 4<<20),
		"random":     randomString(random, "abcdefghijklmnopqrstuvwxyz", 4<<20),
		"Thai":       strings.Repeat("ภาษาไทยไม่เว้นวรรคระหว่างคำ", 1<<16),
		"marks":      strings.Repeat("\u0301", 1<<20),
		"not UTF-8":  strings.Repeat("\xff\xfe\xe4\xb8", 1<<18),
		"spaces":     strings.Repeat(" ", 4<<20),
	} {
		tok, err := Train(context.Background(), texts(text, text[:len(text)/2]), TrainOptions{VocabSize: 400})
		var short *ShortVocabularyError
		if errors.As(err, &short) {
			tok = short.Tokenizer
		} else if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := tok.AppendDecode(nil, tok.Encode(nil, text[:1000], EncodeOptions{}), false); string(got) != text[:1000] {
			t.Errorf("%s does not come back", name)
		}
	}
}

func TestTrainErrors(t *testing.T) {
	broken := errors.New("disk on fire")
	failing := iter.Seq2[string, error](func(yield func(string, error) bool) {
		_ = yield("some text", nil) && yield("", broken)
	})
	if _, err := Train(context.Background(), failing, TrainOptions{VocabSize: 300}); !errors.Is(err, broken) {
		t.Errorf("an error of the documents gives %v", err)
	}
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Train(cancelled, texts("text"), TrainOptions{VocabSize: 300}); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled context gives %v", err)
	}
	for name, c := range map[string]struct {
		opt  TrainOptions
		want string
	}{
		"no size":   {TrainOptions{}, "a vocabulary of 0 is too small: 256 bytes and 7 special tokens need 263"},
		"too small": {TrainOptions{VocabSize: 262}, "too small"},
		"too large": {TrainOptions{VocabSize: 1 << 30}, "too large"},
		"twice":     {TrainOptions{VocabSize: 300, SpecialTokens: []AddedToken{{Content: "x"}, {Content: "x"}}}, "listed twice"},
		"a byte":    {TrainOptions{VocabSize: 300, SpecialTokens: []AddedToken{{Content: "x"}}}, "an ordinary token"},
		"bos":       {TrainOptions{VocabSize: 263, BOS: "<nope>"}, "<nope>"},
	} {
		if _, err := Train(context.Background(), texts("text"), c.opt); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v does not say %q", name, err, c.want)
		}
	}
	// What text supports is given with the error.
	for _, doc := range []string{"", "x", "abab abab abab"} {
		_, err := Train(context.Background(), texts(doc), TrainOptions{VocabSize: 5000})
		var short *ShortVocabularyError
		if !errors.As(err, &short) || short.Asked != 5000 || short.Got != short.Tokenizer.VocabSize() || short.Got < 263 {
			t.Errorf("%q: error %v", doc, err)
			continue
		}
		if !strings.Contains(err.Error(), fmt.Sprintf("ask for at most %d", short.Got)) {
			t.Errorf("%q: error %v does not say what to do", doc, err)
		}
		if _, err := Train(context.Background(), texts(doc), TrainOptions{VocabSize: short.Got}); err != nil {
			t.Errorf("%q: what the error advises fails: %v", doc, err)
		}
	}
}

func TestTrainProgress(t *testing.T) {
	var counted, merged, wanted int64
	docs := goldenCorpus(t)
	tok, err := Train(context.Background(), texts(docs...), TrainOptions{VocabSize: 1000, Progress: func(done, total int64) {
		if total == 0 {
			counted = done
		} else {
			merged, wanted = done, total
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if counted != int64(len(strings.Join(docs, ""))) || merged != wanted || merged != int64(tok.VocabSize()-256-7) {
		t.Errorf("counted %d, merged %d of %d", counted, merged, wanted)
	}
}

// TestTrainedTokenizer checks the special tokens of models made here, what they do, and that saving keeps them.
func TestTrainedTokenizer(t *testing.T) {
	tok, err := Train(context.Background(), texts(goldenCorpus(t)...), TrainOptions{VocabSize: 1000, ChatTemplate: "{{ <b>&ü }}"})
	if err != nil {
		t.Fatal(err)
	}
	for id, s := range []string{"<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜▁pad▁｜>", "<｜User｜>", "<｜Assistant｜>", "<think>", "</think>"} {
		if got, ok := tok.TokenID(s); !ok || int(got) != id {
			t.Errorf("%s has id %d, want %d", s, got, id)
		}
	}
	bos, _ := tok.BOS()
	eos, _ := tok.EOS()
	pad, _ := tok.Pad()
	if bos != 0 || eos != 1 || pad != 2 || tok.Pre() != "deepseek-v3" {
		t.Errorf("bos %d, eos %d, pad %d, pre %s", bos, eos, pad, tok.Pre())
	}
	const chat = "<｜User｜>สวัสดี<｜Assistant｜><think>"
	ids := tok.Encode(nil, chat, EncodeOptions{AddSpecial: true})
	if ids[0] != 0 || ids[1] != 3 || !slices.Equal(ids[len(ids)-2:], []int32{4, 5}) {
		t.Errorf("chat is %v", ids)
	}
	if got := tok.Decode(append(ids, 1), true); got != chat {
		t.Errorf("decoded %q", got)
	}
	for _, id := range tok.Encode(nil, chat, EncodeOptions{NoAddedTokens: true}) {
		if id < 7 {
			t.Errorf("untrusted text injects token %d", id)
		}
	}
	dir := t.TempDir()
	if err := tok.Save(dir); err != nil {
		t.Fatal(err)
	}
	again, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	checkSame(t, tok, again)
	if err := again.Save(dir); err != nil { // over what is there
		t.Fatal(err)
	}
}

// TestStreamGivesWholeCharacters pushes text through a vocabulary of bytes.
func TestStreamGivesWholeCharacters(t *testing.T) {
	tok, err := Train(context.Background(), texts(""), TrainOptions{VocabSize: 263})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"aé漢😀ภาษา", "\xff\xfea", "\xe4\xb8", "\xf0\x9f\x98a\xc3", "\xed\xa0\x80", "\xe4\xb8\xe4\xb8\xad"} {
		ids := tok.Encode(nil, text, EncodeOptions{})
		s, out := tok.Stream(false), ""
		for _, id := range ids {
			part := s.Push(id)
			if !utf8.ValidString(part) {
				t.Errorf("%q: gave %q", text, part)
			}
			out += part
		}
		out += s.Flush()
		if want := tok.Decode(ids, false); out != want || utf8.ValidString(text) && out != text {
			t.Errorf("%q: streamed %q, decoded %q", text, out, want)
		}
	}
	// One U+FFFD for each maximal part of a character, as `tokenizers` gives.
	if got := tok.Decode(tok.Encode(nil, "\xe4\xb8\xe4\xb8\xadx\xff\xf0\x9f\x98\xed\xa0\x80", EncodeOptions{}), false); got != "\ufffd中x\ufffd\ufffd\ufffd\ufffd\ufffd" {
		t.Errorf("broken text decodes to %q", got)
	}
}
