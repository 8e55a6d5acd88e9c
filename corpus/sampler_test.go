package corpus

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/haenyeo/haenyeo/format/safetensors"
)

// The test tokenizer has a token for each byte.
const (
	bos, eos   = 0, 1
	vocabBytes = 258
)

func encodeBytes(dst []int32, text string) []int32 {
	for i := range len(text) {
		dst = append(dst, 2+int32(text[i]))
	}
	return dst
}

func byteOptions() TokenOptions {
	return TokenOptions{Encode: encodeBytes, Vocab: vocabBytes, BOS: bos, EOS: eos, Workers: 3}
}

// texts gives documents of two languages and three sources with lengths from 1 to long.
func texts(n, long int) []Document {
	var docs []Document
	for i := range n {
		size := 1 + int(below(mix(1, 2, uint64(i)), uint64(long)))
		d := Document{Text: noise(uint64(i), size), Lang: "ko", Source: "a"}
		if i%3 == 1 {
			d.Lang, d.Source = "id", "b"
		} else if i%5 == 1 {
			d.Source = "c"
		}
		docs = append(docs, d)
	}
	return docs
}

func sequence(docs []Document) iter.Seq2[Document, error] {
	return func(yield func(Document, error) bool) {
		for _, d := range docs {
			if !yield(d, nil) {
				return
			}
		}
	}
}

func tokenise(t testing.TB, docs []Document, opt TokenOptions) *Tokens {
	t.Helper()
	tok, err := Tokenize(context.Background(), sequence(docs), opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tok.Close() })
	return tok
}

func TestTokenize(t *testing.T) {
	docs := texts(3000, 400)
	docs[7].Continues = true
	for _, tc := range []struct {
		name string
		set  func(*TokenOptions)
	}{
		{"memory", func(*TokenOptions) {}},
		{"one worker", func(o *TokenOptions) { o.Workers = 1 }},
		{"wide", func(o *TokenOptions) { o.Vocab = 70_000 }},
		{"file", func(o *TokenOptions) { o.Path = filepath.Join(t.TempDir(), "tokens.bin") }},
		{"wide file", func(o *TokenOptions) { o.Path, o.Vocab = filepath.Join(t.TempDir(), "tokens.bin"), 70_000 }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			opt := byteOptions()
			tc.set(&opt)
			tok := tokenise(t, docs, opt)
			if tok.Documents() != len(docs) {
				t.Fatalf("%d documents", tok.Documents())
			}
			var total int64
			for i, d := range docs {
				want := encodeBytes([]int32{bos}, d.Text)
				if !d.Continues {
					want = append(want, eos)
				}
				from, to := tok.span(i)
				got := make([]int32, to-from)
				tok.read(got, from)
				if !slices.Equal(got, want) {
					t.Fatalf("document %d is %v, want %v", i, got, want)
				}
				total += int64(len(d.Text))
			}
			if tok.Bytes() != total || len(tok.Strata()) != 3 {
				t.Errorf("%d bytes, strata %+v", tok.Bytes(), tok.Strata())
			}
		})
	}
}

func TestTokenizeErrors(t *testing.T) {
	docs := texts(3000, 400)
	path := filepath.Join(t.TempDir(), "tokens.bin")
	broken := errors.New("broken reader")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for _, tc := range []struct {
		name string
		docs iter.Seq2[Document, error]
		set  func(*TokenOptions)
		is   error
		says string
	}{
		{"nothing", sequence(nil), nil, ErrNoText, ""},
		{"reader", func(yield func(Document, error) bool) {
			for _, d := range docs {
				if !yield(d, nil) {
					return
				}
			}
			yield(Document{}, broken)
		}, nil, broken, ""},
		{"id", sequence(docs), func(o *TokenOptions) { o.Vocab = 100 }, nil, "do not belong together"},
		{"marks", sequence(docs), func(o *TokenOptions) { o.BOS, o.EOS = -1, -1 }, nil, "neither BOS nor EOS"},
		{"mark", sequence(docs), func(o *TokenOptions) { o.EOS = vocabBytes }, nil, "outside the vocabulary"},
		{"path", sequence(docs), func(o *TokenOptions) { o.Path = filepath.Join(path, "x", "y") }, nil, "token file"},
		{"cancel", func(yield func(Document, error) bool) {
			for i, d := range docs {
				if i == 1000 {
					cancel()
				}
				if !yield(d, nil) {
					return
				}
			}
		}, nil, context.Canceled, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			opt := byteOptions()
			opt.Path = path
			if tc.set != nil {
				tc.set(&opt)
			}
			_, err := Tokenize(ctx, tc.docs, opt)
			if err == nil || tc.is != nil && !errors.Is(err, tc.is) || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("%v", err)
			}
			if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func TestTokenFileDamage(t *testing.T) {
	opt := byteOptions()
	opt.Path = filepath.Join(t.TempDir(), "tokens.bin")
	tok := tokenise(t, texts(20, 50), opt)
	tok.Close()
	good, err := os.ReadFile(opt.Path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parseTokens(good, vocabBytes, [32]byte{}); err != nil {
		t.Fatal(err)
	}
	if _, err := parseTokens(good, vocabBytes, [32]byte{1}); err == nil || !strings.Contains(err.Error(), "another corpus") {
		t.Errorf("another corpus: %v", err)
	}
	if _, err := parseTokens(good, 100, [32]byte{}); err == nil {
		t.Error("smaller vocabulary: no error")
	}
	for n := 0; n < len(good); n += 13 {
		if _, err := parseTokens(good[:n], vocabBytes, [32]byte{}); err == nil {
			t.Errorf("cut at %d: no error", n)
		}
	}
}

// A file of tokens that another program cuts while it is mapped is an error, not the end of the program.
func TestTokenFileCutWhileMapped(t *testing.T) {
	opt := byteOptions()
	opt.Path = filepath.Join(t.TempDir(), "tokens.bin")
	tok := tokenise(t, texts(4000, 50), opt)
	defer tok.Close()
	s, err := NewSampler(tok, SamplerOptions{B: 8, T: 64, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(opt.Path, 0); err != nil {
		t.Skipf("a mapped file cannot be cut here: %v", err)
	}
	b := NewBatch(8, 64)
	for range 100 {
		if err = s.Next(b); err != nil {
			break
		}
	}
	if err == nil || !strings.Contains(err.Error(), "became shorter") {
		t.Errorf("%v", err)
	}
}

// A token file is taken again where it holds what would be written, and made again where it does not.
func TestTokenFileIsFoundAgain(t *testing.T) {
	docs := texts(40, 50)
	opt := byteOptions()
	opt.Path, opt.Fingerprint = filepath.Join(t.TempDir(), "tokens.bin"), [32]byte{1}
	if IsTokenFile(opt.Path) {
		t.Error("a file that is not there is a token file")
	}
	read := 0
	counted := func(yield func(Document, error) bool) {
		for _, d := range docs {
			read++
			if !yield(d, nil) {
				return
			}
		}
	}
	contents := func() []int32 {
		t.Helper()
		tok, err := Tokenize(context.Background(), counted, opt)
		if err != nil {
			t.Fatal(err)
		}
		defer tok.Close()
		ids := make([]int32, tok.Len())
		tok.read(ids, 0)
		return ids
	}
	want := contents()
	if got := contents(); read != len(docs) || !slices.Equal(got, want) {
		t.Errorf("the second time %d documents were read", read-len(docs))
	}
	if !IsTokenFile(opt.Path) {
		t.Error("a token file is not known as one")
	}
	good, err := os.ReadFile(opt.Path)
	if err != nil {
		t.Fatal(err)
	}
	good[10] ^= 1 // another token of the vocabulary
	if err := os.WriteFile(opt.Path, good, 0o666); err != nil {
		t.Fatal(err)
	}
	if got := contents(); read != 2*len(docs) || !slices.Equal(got, want) {
		t.Errorf("a damaged file: %d documents were read, tokens as before: %v", read-len(docs), slices.Equal(got, want))
	}
	opt.Fingerprint[0] = 2
	if contents(); read != 3*len(docs) {
		t.Errorf("another fingerprint: %d documents were read", read-2*len(docs))
	}
	if err := os.WriteFile(opt.Path, []byte("a diary of tokens"), 0o666); err != nil || IsTokenFile(opt.Path) {
		t.Errorf("the file of somebody else is a token file; %v", err)
	}
}

func FuzzTokenFile(f *testing.F) {
	opt := byteOptions()
	opt.Path = filepath.Join(f.TempDir(), "tokens.bin")
	tokenise(f, texts(5, 20), opt)
	good, err := os.ReadFile(opt.Path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Fuzz(func(t *testing.T, b []byte) {
		tok, err := parseTokens(b, vocabBytes, [32]byte{})
		if err != nil {
			return
		}
		if s, err := NewSampler(tok, SamplerOptions{B: 1, T: 8}); err == nil {
			s.Next(NewBatch(1, 8))
		}
	})
}

// check checks the masks of a batch and counts its targets.
func check(t *testing.T, b *Batch) (targets int) {
	t.Helper()
	for r := range b.B {
		tokens, first, target := b.row(r)
		for i := range target {
			if first[i] < 0 || int(first[i]) > i || i > 0 && first[i] != first[i-1] && int(first[i]) != i {
				t.Fatalf("row %d: firsts %v", r, first)
			}
			if target[i] < 0 {
				continue
			}
			targets++
			if target[i] != tokens[i+1] {
				t.Fatalf("row %d: target %d of position %d is not the next token %d", r, target[i], i, tokens[i+1])
			}
			if i+1 < len(first) && first[i+1] != first[i] {
				t.Fatalf("row %d: position %d predicts across documents", r, i)
			}
			if target[i] == bos {
				t.Fatalf("row %d: position %d predicts a beginning", r, i)
			}
		}
	}
	return targets
}

// Every token but the first of a document is predicted exactly once in an epoch.
func TestEpochIsComplete(t *testing.T) {
	for _, size := range []int{1, 2, 3, 7, 16, 63, 64, 65, 200} {
		docs := texts(300, 300)
		tok := tokenise(t, docs, byteOptions())
		s, err := NewSampler(tok, SamplerOptions{B: 1, T: size, Seed: 7})
		if err != nil {
			t.Fatal(err)
		}
		for epoch := range int64(3) {
			want := tok.Len() - int64(len(docs))
			if got := s.Stats().Targets; got != want {
				t.Fatalf("T=%d: %d targets, want %d", size, got, want)
			}
			var got int64
			letters, wantLetters := map[int32]int{}, map[int32]int{}
			b := NewBatch(1, size)
			for s.State().Epoch == epoch && s.at < int64(len(s.order)) {
				if err := s.Next(b); err != nil {
					t.Fatal(err)
				}
				got += int64(check(t, b))
				for _, x := range b.Targets {
					if x >= 0 {
						letters[x]++
					}
				}
			}
			for _, d := range docs {
				for _, id := range encodeBytes(nil, d.Text) {
					wantLetters[id]++
				}
				wantLetters[eos]++
			}
			if got != want || !maps.Equal(letters, wantLetters) {
				t.Fatalf("T=%d epoch %d: %d targets given, want %d", size, epoch, got, want)
			}
			s.prepare(epoch + 1)
		}
	}
}

func TestPackingWastesLittle(t *testing.T) {
	tok := tokenise(t, texts(3000, 900), byteOptions())
	s, err := NewSampler(tok, SamplerOptions{B: 1, T: 256})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", s.Stats())
	if s.Stats().Waste > 0.02 {
		t.Errorf("waste %.2f %%", 100*s.Stats().Waste)
	}
}

func rows(t *testing.T, s Stream, b *Batch, n int) (out []Batch) {
	t.Helper()
	for range n {
		if err := s.Next(b); err != nil {
			t.Fatal(err)
		}
		out = append(out, Batch{b.B, b.T, slices.Clone(b.Tokens), slices.Clone(b.First), slices.Clone(b.Targets)})
	}
	return out
}

func equal(a, b []Batch) bool {
	return slices.EqualFunc(a, b, func(a, b Batch) bool {
		return slices.Equal(a.Tokens, b.Tokens) && slices.Equal(a.First, b.First) && slices.Equal(a.Targets, b.Targets)
	})
}

// Going on from any saved State gives the same batches as never having stopped, over epochs.
func TestResumeIsExact(t *testing.T) {
	tok := tokenise(t, texts(200, 100), byteOptions())
	copies, err := tok.Copies(Mixture{Temperature: 0.5, Weights: map[string]float64{"c": 0.3}})
	if err != nil {
		t.Fatal(err)
	}
	for _, opt := range []SamplerOptions{{B: 4, T: 32, Seed: 3}, {B: 7, T: 50, Copies: copies}} {
		whole, err := NewSampler(tok, opt)
		if err != nil {
			t.Fatal(err)
		}
		n := int(3*whole.Stats().Rows) / opt.B
		b := NewBatch(opt.B, opt.T)
		want := rows(t, whole, b, n)
		if whole.State().Epoch < 2 {
			t.Fatalf("only %d epochs", whole.State().Epoch)
		}
		for _, stop := range []int{0, 1, n / 3, n / 2, n - 1} {
			s, _ := NewSampler(tok, opt)
			rows(t, s, b, stop)
			saved, err := json.Marshal(s.State())
			if err != nil {
				t.Fatal(err)
			}
			var st State
			if err := json.Unmarshal(saved, &st); err != nil {
				t.Fatal(err)
			}
			again, _ := NewSampler(tok, opt)
			if err := again.Restore(st); err != nil {
				t.Fatal(err)
			}
			if !equal(rows(t, again, b, n-stop), want[stop:]) {
				t.Errorf("B=%d: other batches after stopping at %d", opt.B, stop)
			}
		}
	}
}

func TestRestoreRefuses(t *testing.T) {
	tok := tokenise(t, texts(200, 100), byteOptions())
	s, _ := NewSampler(tok, SamplerOptions{B: 4, T: 32, Seed: 3})
	good := s.State()
	for name, change := range map[string]func(*State){
		"plan": func(s *State) { s.Plan = "x" }, "seed": func(s *State) { s.Seed++ },
		"epoch": func(s *State) { s.Epoch = -1 }, "far": func(s *State) { s.Epoch = 1 << 40 },
		"row": func(s *State) { s.Row = 1 << 40 }, "negative": func(s *State) { s.Row = -1 },
	} {
		st := good
		change(&st)
		if err := s.Restore(st); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	for name, opt := range map[string]SamplerOptions{"T": {B: 4, T: 33, Seed: 3}, "mixture": {B: 4, T: 32, Seed: 3, Copies: []float64{1, 1, 2}}} {
		other, err := NewSampler(tok, opt)
		if err != nil {
			t.Fatal(err)
		}
		if err := other.Restore(good); err == nil {
			t.Errorf("another %s: no error", name)
		}
	}
}

// Golden: a change of order is a change of every recorded run, so it must be meant.
func TestOrderIsStable(t *testing.T) {
	tok := tokenise(t, texts(100, 100), byteOptions())
	s, _ := NewSampler(tok, SamplerOptions{B: 2, T: 16, Seed: 42})
	var all strings.Builder
	for _, b := range rows(t, s, NewBatch(2, 16), 500) {
		fmt.Fprint(&all, b.Tokens, b.First, b.Targets)
	}
	h := contentHash(all.String())
	if got, want := fmt.Sprintf("%x", h[:6]), "8acfb94844a4"; got != want {
		t.Errorf("batches hash to %s, want %s", got, want)
	}
}

func TestMixture(t *testing.T) {
	tok := tokenise(t, texts(3000, 200), byteOptions())
	share := func(copies []float64, lang string) float64 {
		s, err := NewSampler(tok, SamplerOptions{B: 1, T: 64, Copies: copies})
		if err != nil {
			t.Fatal(err)
		}
		var of, all float64
		for range 6 {
			for _, p := range s.packer.pieces {
				i, _ := slices.BinarySearchFunc(tok.docs, p.from, func(d doc, at int64) int {
					if d.end <= at {
						return -1
					}
					return 1
				})
				n := float64(p.n - 1)
				if st := tok.strata[tok.docs[i].stratum]; st.Lang == lang || st.Source == lang {
					of += n
				}
				all += n
			}
			s.prepare(s.epoch + 1)
		}
		return of / all
	}
	natural := share(nil, "id")
	if math.Abs(natural-1.0/3) > 0.03 {
		t.Fatalf("id is %.3f of the data", natural)
	}
	for _, tc := range []struct {
		name string
		m    Mixture
		of   string
		want float64
	}{
		{"as it is", Mixture{}, "id", natural},
		{"nearly equal", Mixture{Temperature: 0.001}, "id", 0.5},
		{"doubled", Mixture{Weights: map[string]float64{"id": 2}}, "id", 2 * natural / (1 + natural)},
		{"without", Mixture{Weights: map[string]float64{"c": 0}}, "c", 0},
	} {
		copies, err := tok.Copies(tc.m)
		if err != nil {
			t.Fatal(err)
		}
		if got := share(copies, tc.of); math.Abs(got-tc.want) > 0.01 {
			t.Errorf("%s: %s is %.3f, want %.3f", tc.name, tc.of, got, tc.want)
		}
	}
	for name, m := range map[string]Mixture{
		"unknown": {Weights: map[string]float64{"xx": 1}}, "negative": {Weights: map[string]float64{"ko": -1}},
		"hot": {Temperature: 2}, "nothing": {Weights: map[string]float64{"ko": 0, "id": 0}}, "nan": {Temperature: math.NaN()},
	} {
		if _, err := tok.Copies(m); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestSamplerErrors(t *testing.T) {
	tok := tokenise(t, texts(10, 20), byteOptions())
	for name, opt := range map[string]SamplerOptions{
		"B": {T: 8}, "T": {B: 1}, "strata": {B: 1, T: 8, Copies: []float64{1}},
		"nan": {B: 1, T: 8, Copies: []float64{1, 1, math.NaN()}}, "none": {B: 1, T: 8, Copies: []float64{0, 0, 0}},
	} {
		if _, err := NewSampler(tok, opt); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	s, err := NewSampler(tok, SamplerOptions{B: 1, T: 8, Copies: []float64{1e-3, 0, 0}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Next(NewBatch(2, 8)); err == nil {
		t.Error("batch of another shape: no error")
	}
}

func TestNextDoesNotAllocate(t *testing.T) {
	tok := tokenise(t, texts(3000, 200), byteOptions())
	s, _ := NewSampler(tok, SamplerOptions{B: 4, T: 64})
	b := NewBatch(4, 64)
	if n := testing.AllocsPerRun(100, func() { s.Next(b) }); n != 0 {
		t.Errorf("%v allocations for a batch", n)
	}
}

func TestEvaluation(t *testing.T) {
	docs := texts(200, 300)
	tok := tokenise(t, docs, byteOptions())
	e, err := NewEvaluation(tok, 5, 64, 0)
	if err != nil {
		t.Fatal(err)
	}
	// A model that gives every token 8 bits has 8·(bytes+1)/bytes bits per byte: the end counts.
	b, s, targets := &Batch{}, e.Score(), 0
	nll := make([]float32, 5*64)
	for i := range e.Len() {
		e.Fill(i, b)
		targets += check(t, b)
		for k := range b.Targets {
			nll[k] = 0
			if b.Targets[k] >= 0 {
				nll[k] = 8 * math.Ln2
			}
		}
		s.Add(i, nll[:b.B*b.T])
	}
	total, langs := s.Result()
	if int64(targets) != tok.Len()-200 || total.Tokens != int64(targets) || total.Bytes != tok.Bytes() || total.Documents != 200 {
		t.Errorf("%d targets; %+v", targets, total)
	}
	for _, l := range append(langs, total) {
		if want := 8 * float64(l.Tokens) / float64(l.Bytes); math.Abs(l.BPB-want) > 1e-6 {
			t.Errorf("%q: %v bits per byte, want %v", l.Lang, l.BPB, want)
		}
	}
	if len(langs) != 2 || langs[0].Lang != "ko" || langs[1].Lang != "id" {
		t.Errorf("languages %+v", langs)
	}

	few, err := NewEvaluation(tok, 5, 64, 1000)
	if err != nil {
		t.Fatal(err)
	}
	_, langs = few.Score().Result()
	for _, l := range langs {
		if l.Documents == 0 || l.Tokens > 1000 || l.Tokens < 500 {
			t.Errorf("limit of 1000: %+v", l)
		}
	}
}

func TestRecorded(t *testing.T) {
	dir := t.TempDir()
	write := func(name, tensor string, shape []int, vocab int64) string {
		var data []byte
		n := 1
		for _, d := range shape {
			n *= d
		}
		for i := range n {
			data = binary.LittleEndian.AppendUint64(data, uint64(3+int64(i)*7%(vocab-3)))
		}
		path := filepath.Join(dir, name)
		if err := safetensors.Write(path, []safetensors.Source{safetensors.Raw(tensor, safetensors.I64, shape, data)}, nil); err != nil {
			t.Fatal(err)
		}
		return path
	}
	path := write("good.safetensors", "tokens", []int{5, 2, 9}, 48)
	r, err := OpenRecorded(path, 48)
	if err != nil {
		t.Fatal(err)
	}
	b := NewBatch(2, 8)
	want := rows(t, r, b, r.N)
	if err := r.Next(b); err != io.EOF {
		t.Errorf("after the last batch: %v", err)
	}
	for i := range want {
		if n := check(t, &want[i]); n != r.B*r.T || want[i].Tokens[0] != int32(3+i*18*7%45) {
			t.Errorf("batch %d: %d targets, %v", i, n, want[i].Tokens)
		}
	}
	again, _ := OpenRecorded(path, 48)
	rows(t, again, b, 1)
	st := again.State()
	again, _ = OpenRecorded(path, 48)
	if err := again.Restore(st); err != nil || !equal(rows(t, again, b, r.N-1), want[1:]) {
		t.Errorf("other batches after Restore (%v)", err)
	}
	if err := again.Restore(State{Plan: "x"}); err == nil {
		t.Error("State of another recording: no error")
	}
	if err := again.Next(NewBatch(3, 8)); err == nil {
		t.Error("batch of another shape: no error")
	}
	for name, tc := range map[string]struct {
		path, says string
	}{
		"vocabulary": {write("big.safetensors", "tokens", []int{5, 2, 9}, 100), "outside the vocabulary of 48"},
		"name":       {write("name.safetensors", "ids", []int{5, 2, 9}, 48), "no tensor"},
		"shape":      {write("shape.safetensors", "tokens", []int{10, 9}, 48), "want [N,B,T+1]"},
		"short":      {write("short.safetensors", "tokens", []int{10, 9, 1}, 48), "want [N,B,T+1]"},
		"absent":     {filepath.Join(dir, "absent"), "absent"},
	} {
		if _, err := OpenRecorded(tc.path, 48); err == nil || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
