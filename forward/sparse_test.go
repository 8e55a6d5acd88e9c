package forward

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/haenyeo/haenyeo/kernel"
	"github.com/haenyeo/haenyeo/weights"
)

// V3.2 and V4 against the reference (testdata/README.md of every case), whole and cut into steps in every
// way.

// sparseCase is a checkpoint with what the reference computes from it.
type sparseCase struct {
	expected
	ids [][]int32 // [B][T]
	tol float64   // of logits
}

// sparseCases are the cases in testdata and, where HAENYEO_GOLDEN names the folder of the golden set, those
// there: all whose names begin likewise.
func sparseCases(t *testing.T) (dirs []string) {
	for _, name := range []string{"deepseek_v32", "deepseek_v4"} {
		dirs = append(dirs, filepath.Join("testdata", name))
		if root := os.Getenv("HAENYEO_GOLDEN"); root != "" {
			more, err := filepath.Glob(filepath.Join(root, name+"*"))
			if err != nil || len(more) == 0 {
				t.Fatalf("HAENYEO_GOLDEN=%s holds no %s: %v", root, name, err)
			}
			dirs = append(dirs, more...)
		}
	}
	return dirs
}

func openSparse(t *testing.T, dir string) *sparseCase {
	t.Helper()
	c := &sparseCase{expected: openExpected(t, filepath.Join(dir, "expected.safetensors")), tol: goldenLimit(t, dir)}
	flat, shape := c.ints("input_ids")
	for b := range shape[0] {
		c.ids = append(c.ids, flat[b*shape[1]:][:shape[1]])
	}
	return c
}

// readCut runs tokens in steps of the lengths of cuts, in turn, and returns the logits after every one.
func readCut(t *testing.T, n *Net, c *Cache, tokens []int32, cuts ...int) (logits []float32) {
	t.Helper()
	for i := 0; len(tokens) > 0; i++ {
		k := min(cuts[i%len(cuts)], len(tokens))
		logits = append(logits, read(t, n, c, tokens[:k])...)
		tokens = tokens[k:]
	}
	return logits
}

var roundings = map[Rounding]string{None: "", Publisher: "publisher_rounding."}

// seen is what a run showed of its choices: experts and index entries of every token and layer.
type seen struct {
	experts, chosen map[int][][]int32
	hidden          map[int][]float32
}

// watch puts recorders around the parts of a Net.
func watch(n *Net) *seen {
	s := &seen{map[int][][]int32{}, map[int][][]int32{}, map[int][]float32{}}
	for i, l := range n.layers {
		switch l := l.(type) {
		case *block:
			l.attention, l.mlp = watchedAttention{l.attention, s}, watchedMLP{l.mlp, s, i}
		case *hyperBlock:
			l.attention, l.mlp = watchedAttention{l.attention, s}, watchedMLP{l.mlp, s, i}
		}
		n.layers[i] = watchedLayer{l, s}
	}
	return s
}

type watchedLayer struct {
	layer
	seen *seen
}

func (w watchedLayer) forward(p *pass, i int) {
	w.layer.forward(p, i)
	w.seen.hidden[i] = append(w.seen.hidden[i], p.stream...)
}

type watchedMLP struct {
	feedForward
	seen  *seen
	layer int
}

func (w watchedMLP) feed(p *pass, y, x []float32) {
	w.feedForward.feed(p, y, x)
	m, ok := w.feedForward.(*moe)
	if !ok {
		return
	}
	mark := p.mark()
	ids, _ := m.router.choose(p, x)
	for r := range p.n {
		row := slices.Clone(ids[r*m.router.k:][:m.router.k])
		slices.Sort(row)
		w.seen.experts[w.layer] = append(w.seen.experts[w.layer], row)
	}
	p.rewind(mark)
}

type watchedAttention struct {
	attention
	seen *seen
}

// attend repeats the choice of the indexer: its keys are in the cache afterwards.
func (w watchedAttention) attend(p *pass, i int, y, x []float32) {
	w.attention.attend(p, i, y, x)
	mark := p.mark()
	defer p.rewind(mark)
	s := p.spans[0]
	var index *lightning
	var latent []float32
	var keys *kernel.Vectors
	ratio := 1
	switch a := w.attention.(type) {
	case *dsa:
		index, keys = a.indexer, &s.cache.layers[i].(*dsaCache).keys.Vectors
		latent = a.queries(p, p.floats(p.n*a.heads*a.qk()), x)
	case *windowAttention:
		if a.indexer == nil {
			return
		}
		index, keys, ratio = a.indexer, &s.cache.layers[i].(*windowCache).index.rows.Vectors, a.compressor.ratio
		latent = p.floats(p.n * a.wqa.N)
		p.linear(latent, a.wqa.N, a.wqa, x, a.wqa.K, false)
		a.qNorm.apply(p, latent, latent, p.n)
	default:
		return
	}
	q, weights := p.floats(p.n*index.heads*index.dim), p.floats(p.n*index.heads)
	index.queries(p, q, weights, latent, x)
	visible, lo, hi, list := p.ints(p.n), p.ints(p.n), p.ints(p.n), p.ints(p.n*index.topK)
	for r := range visible {
		visible[r] = (p.pos[r] + 1) / int32(ratio)
	}
	index.choose(p, list, lo, hi, visible, q, weights, keys, 0, p.n)
	for r := range visible {
		w.seen.chosen[i] = append(w.seen.chosen[i], slices.Clone(list[lo[r]:hi[r]]))
	}
}

// TestSparseGolden compares everything that the reference shows.
func TestSparseGolden(t *testing.T) {
	for _, dir := range sparseCases(t) {
		t.Run(dir, func(t *testing.T) {
			c := openSparse(t, dir)
			for rounding, prefix := range roundings {
				n := open(t, dir, Options{Rounding: rounding})
				logits, T, V := c.floats(prefix+"logits"), len(c.ids[0]), n.cfg.VocabSize
				s := watch(n)
				for b, ids := range c.ids {
					*s = seen{map[int][][]int32{}, map[int][][]int32{}, map[int][]float32{}}
					got := readCut(t, n, newCache(t, n, T), ids, T)
					for _, name := range c.r.Names() {
						var i int
						if _, err := fmt.Sscanf(name, prefix+"index.layer.%d.selected", &i); err == nil {
							c.compareChoice(t, name, b, s.chosen[i], rounding)
						}
					}
					if want := logits[b*T*V:][:T*V]; rounding == Publisher {
						c.compareWays(t, Publisher, "logits", got, want)
						continue
					} else {
						wantNear(t, "logits", got, want, c.tol)
					}
					for i, rows := range s.experts {
						c.compareChoice(t, fmt.Sprintf("moe.layer.%d.expert_ids", i), b, rows, None)
					}
					c.compareHidden(t, s, b)
				}
			}
		})
	}
}

// compareChoice compares ascending choices; -1 in the reference stands for none. Where the publisher's
// rounding fell to the other side, a few may be others.
func (c *sparseCase) compareChoice(t *testing.T, name string, b int, rows [][]int32, rounding Rounding) {
	t.Helper()
	want, shape := c.ints(name)
	T, k := shape[1], shape[2]
	if len(rows) != T {
		t.Fatalf("%s: %d rows were seen, want %d", name, len(rows), T)
	}
	others := 0
	for r, got := range rows {
		w := slices.DeleteFunc(slices.Clone(want[(b*T+r)*k:][:k]), func(x int32) bool { return x < 0 })
		if slices.Equal(got, w) {
			continue
		}
		if others++; rounding == None || others > T/20 {
			t.Fatalf("%s, text %d, token %d: %v, want %v (%d of %d tokens differ so far)", name, b, r, got, w, others, T)
		}
	}
}

// compareHidden compares residual streams, of all positions or of those listed.
func (c *sparseCase) compareHidden(t *testing.T, s *seen, b int) {
	t.Helper()
	T := len(c.ids[b])
	var positions []int32
	if c.has("hidden.positions") {
		positions, _ = c.ints("hidden.positions")
	} else {
		for p := range T {
			positions = append(positions, int32(p))
		}
	}
	for i, x := range s.hidden {
		want := c.floats(fmt.Sprintf("hidden.layer.%d", i))
		width := len(x) / T
		var got []float32
		for _, p := range positions {
			got = append(got, x[int(p)*width:][:width]...)
		}
		wantNear(t, fmt.Sprintf("hidden.layer.%d", i), got, want[b*len(got):][:len(got)], c.tol)
	}
}

func TestSparseGreedy(t *testing.T) {
	for _, dir := range sparseCases(t) {
		t.Run(dir, func(t *testing.T) {
			c := openSparse(t, dir)
			n := open(t, dir, Options{Rounding: None})
			want, _ := c.ints("greedy.ids")
			got := continued(t, n, c.ids[0], len(want))
			if !slices.Equal(got, want) {
				t.Errorf("greedy continuation %v, want %v", got, want)
			}
		})
	}
}

// compareWays holds logits of one way of computing against those of another. Where the publisher's code
// rounds to 8 or 4 bits, a value that lies in the middle within float32 rounding may fall to the other side,
// which shows from that token on; the difference stays far below that to unrounded values.
func (c *sparseCase) compareWays(t *testing.T, r Rounding, what string, got, want []float32) {
	t.Helper()
	if r == None {
		wantNear(t, what, got, want, 2*c.tol)
		return
	}
	if d := relative(got, want); !(d <= 0.06) {
		t.Fatalf("%s%s: relative difference %.3g", roundings[r], what, d)
	}
}

// TestSparseCuts reads the text in steps of every kind. V4 gives the same bits: all its matrices are small
// here, and its attention has one form.
func TestSparseCuts(t *testing.T) {
	for _, dir := range sparseCases(t) {
		t.Run(dir, func(t *testing.T) {
			c := openSparse(t, dir)
			ids := c.ids[0]
			for rounding := range roundings {
				whole := open(t, dir, Options{Rounding: rounding})
				want := readCut(t, whole, newCache(t, whole, len(ids)), ids, len(ids))
				for _, cuts := range [][]int{{1}, {2}, {3}, {4}, {5}, {7}, {8}, {9}, {16}, {17}, {31}, {32}, {33}, {100}, {127}, {128}, {129},
					{1, 40}, {40, 1, 1}, {3, 1, 9}, {len(ids) - 1, 1}} {
					got := readCut(t, whole, newCache(t, whole, len(ids)), ids, cuts...)
					c.compareWays(t, rounding, fmt.Sprintf("logits in steps of %v", cuts), got, want)
					if whole.cfg.ModelType == "deepseek_v4" && !slices.Equal(got, want) {
						t.Errorf("%slogits in steps of %v: other bits", roundings[rounding], cuts)
					}
				}
				for _, chunk := range []int{1, 5, 32, 100} {
					n := open(t, dir, Options{Rounding: rounding, MaxTokens: chunk})
					got := readCut(t, n, newCache(t, n, len(ids)), ids, len(ids))
					c.compareWays(t, rounding, fmt.Sprintf("logits in chunks of %d", chunk), got, want)
				}
			}
		})
	}
}

// TestSparseReturns takes sequences back to every length, and saves and restores them there; what is
// read afterwards gives the same logits.
func TestSparseReturns(t *testing.T) {
	for _, dir := range sparseCases(t) {
		t.Run(dir, func(t *testing.T) {
			c := openSparse(t, dir)
			for rounding := range roundings {
				c.returns(t, open(t, dir, Options{Rounding: rounding}))
			}
		})
	}
}

func (c *sparseCase) returns(t *testing.T, n *Net) {
	t.Helper()
	ids := c.ids[0]
	T, V := len(ids), n.cfg.VocabSize
	want := readCut(t, n, newCache(t, n, T), ids, T)
	whole, single := newCache(t, n, T), newCache(t, n, T)
	readCut(t, n, whole, ids, T)
	readCut(t, n, single, ids, T/3, 1)
	for back := T; back >= 0; back -= 1 + back/20 {
		for name, cache := range map[string]*Cache{"read at once": whole, "read one by one": single} {
			kept := cache.Truncate(back)
			if kept > back || kept != cache.Len() {
				t.Fatalf("%s: Truncate(%d) = %d, Len %d", name, back, kept, cache.Len())
			}
			if (n.cfg.ModelType == "deepseek_v32" || T-back <= recentSlack && cache == single) && kept != back {
				t.Fatalf("%s: Truncate(%d) kept %d", name, back, kept)
			}
			var buf bytes.Buffer
			if err := cache.Save(&buf); err != nil {
				t.Fatal(err)
			}
			restored, err := n.LoadCache(&buf, T)
			if err != nil || buf.Len() != 0 {
				t.Fatalf("%s: restored at %d: %v, %d bytes left", name, kept, err, buf.Len())
			}
			if kept == T {
				continue
			}
			end := min(T, kept+9)
			got := readCut(t, n, restored, ids[kept:end], 2, 1)
			c.compareWays(t, n.opt.Rounding, fmt.Sprintf("%s, restored at %d: logits", name, kept), got, want[kept*V:end*V])
			got = readCut(t, n, cache, ids[kept:], 3, 11, 1)
			c.compareWays(t, n.opt.Rounding, fmt.Sprintf("%s, taken back to %d of %d: logits", name, kept, T), got, want[kept*V:])
		}
	}
}

// TestSparseNeighbours runs sequences of different lengths beside each other, token by token: each gets
// the bits that it gets alone.
func TestSparseNeighbours(t *testing.T) {
	for _, dir := range sparseCases(t) {
		t.Run(dir, func(t *testing.T) {
			c := openSparse(t, dir)
			ids := c.ids[0]
			n := open(t, dir, Options{})
			var alone, together [][]float32
			starts := []int{0, 1, len(ids) / 2, len(ids) - 8}
			for run := range 2 {
				var steps []*Step
				for _, s := range starts {
					cache := newCache(t, n, len(ids))
					if s > 0 {
						readCut(t, n, cache, ids[:s], s)
					}
					steps = append(steps, &Step{Cache: cache})
				}
				for k := range 6 {
					for i, s := range starts {
						steps[i].Tokens = ids[s+k : s+k+1]
						if run == 0 {
							if err := n.Run(context.Background(), steps[i:i+1]); err != nil {
								t.Fatal(err)
							}
							alone = append(alone, slices.Clone(steps[i].Logits))
						}
					}
					if run == 1 {
						if err := n.Run(context.Background(), steps); err != nil {
							t.Fatal(err)
						}
						for _, s := range steps {
							together = append(together, slices.Clone(s.Logits))
						}
					}
				}
			}
			for i := range alone {
				if !slices.Equal(alone[i], together[i]) {
					t.Fatalf("step %d of sequence %d differs beside others", i/len(starts), i%len(starts))
				}
			}
		})
	}
}

// hideIndexer renames the tensors of the indexer out of the layers: V3 has none, and would refuse them.
func hideIndexer(t *testing.T, dir string) {
	t.Helper()
	path := filepath.Join(dir, "model.safetensors")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data = regexp.MustCompile(`"model(\.layers\.\d+\.self_attn\.indexer\.)`).ReplaceAll(data, []byte(`"other$1`))
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
}

// TestDenseBelowTopK compares V3.2 with V3 over the same weights: while no query sees more tokens than it
// may choose, they are the same bit for bit.
func TestDenseBelowTopK(t *testing.T) {
	for _, dir := range sparseCases(t) {
		if filepath.Base(dir) != "deepseek_v32" {
			continue
		}
		t.Run(dir, func(t *testing.T) {
			c := openSparse(t, dir)
			ids := c.ids[0]
			var logits [2][][]float32
			for i, edit := range []map[string]any{{"index_topk": len(ids)}, {"model_type": "deepseek_v3", "architectures": []string{"DeepseekV3ForCausalLM"}}} {
				variant := edited(t, dir, edit)
				if i == 1 {
					hideIndexer(t, variant)
				}
				n := open(t, variant, Options{})
				logits[i] = append(logits[i], readCut(t, n, newCache(t, n, len(ids)), ids, len(ids)), readCut(t, n, newCache(t, n, len(ids)), ids, 20, 1))
			}
			for i := range logits[0] {
				if !slices.Equal(logits[0][i], logits[1][i]) {
					t.Errorf("V3.2 differs from V3 (run %d)", i)
				}
			}
		})
	}
}

// edited is a copy of a checkpoint with other values in config.json.
func edited(t *testing.T, dir string, values map[string]any) string {
	t.Helper()
	to := t.TempDir()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if f.Name() == "config.json" {
			var m map[string]any
			if err := json.Unmarshal(b, &m); err != nil {
				t.Fatal(err)
			}
			for k, v := range values {
				m[k] = v
			}
			if b, err = json.Marshal(m); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(to, f.Name()), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return to
}

// TestSparseSteps checks that single tokens allocate nothing once the caches have grown.
func TestSparseSteps(t *testing.T) {
	for _, dir := range sparseCases(t) {
		t.Run(dir, func(t *testing.T) {
			c := openSparse(t, dir)
			n := open(t, dir, Options{})
			cache := newCache(t, n, 4096)
			readCut(t, n, cache, c.ids[0], 16)
			for _, l := range cache.layers {
				l.reserve(4096)
			}
			cache.room = 4096
			step := &Step{Cache: cache, Tokens: c.ids[0][:1]}
			steps := []*Step{step}
			run := func() {
				if err := n.Run(context.Background(), steps); err != nil {
					t.Fatal(err)
				}
			}
			for range 600 { // snapshots have found their memory
				run()
			}
			if a := testing.AllocsPerRun(300, run); a > 0 {
				t.Errorf("%.2f allocations a token", a)
			}
		})
	}
}

// TestSparseGGUF compares GGUF files, whose reference rounds nothing.
func TestSparseGGUF(t *testing.T) {
	for name, labels := range map[string][]string{"deepseek32": {"f32", "q8_0"}, "deepseek4": {"f32", "mxfp4"}} {
		for _, label := range labels {
			path := goldenPath(t, "gguf/models/"+name+"-"+label+".gguf")
			if path == "" {
				continue
			}
			t.Run(name+"-"+label, func(t *testing.T) {
				x := openExpected(t, goldenPath(t, "gguf/models/"+name+".expected.safetensors"))
				n := open(t, path, Options{Rounding: None})
				ids, _ := x.ints("input_ids")
				positions, _ := x.ints(label + ".positions")
				V := n.cfg.VocabSize
				for _, cuts := range [][]int{{len(ids)}, {1}, {7}} {
					logits := readCut(t, n, newCache(t, n, len(ids)), ids, cuts...)
					var got []float32
					for _, at := range positions {
						got = append(got, logits[int(at)*V:][:V]...)
					}
					wantNear(t, fmt.Sprintf("logits in steps of %v", cuts), got, x.floats(label+".reference"), 1e-4)
				}
			})
		}
	}
}

// TestSparseMTP compares the MTP layers of V3.2 and V4.
func TestSparseMTP(t *testing.T) {
	for _, c := range []struct {
		name, logits string
		options      Options
	}{
		{"deepseek_v4_mtp", "mtp.logits", Options{}},
		{"deepseek_v32", "mtp.logits_h_after_final_norm", Options{}},
		{"deepseek_v32", "mtp.logits_h_before_final_norm", Options{MTPBeforeNorm: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := filepath.Join("testdata", c.name)
			x := openExpected(t, filepath.Join(dir, "expected.safetensors"))
			ids, _ := x.ints("input_ids")
			o := c.options
			o.Rounding, o.MTP = None, true
			for _, o.MaxTokens = range []int{0, 1, 10, 50} {
				got := must[[]float32](t)(open(t, dir, o).MTPLogits(context.Background(), ids))
				wantNear(t, fmt.Sprintf("logits in chunks of %d", o.MaxTokens), got, x.floats(c.logits), goldenLimit(t, dir))
			}
		})
	}
}

// TestSparseStates cuts and damages saved states: an error, or a cache.
func TestSparseStates(t *testing.T) {
	for _, dir := range sparseCases(t) {
		t.Run(dir, func(t *testing.T) {
			c := openSparse(t, dir)
			n := open(t, dir, Options{})
			cache := newCache(t, n, 200)
			readCut(t, n, cache, c.ids[0][:30], 9, 1)
			var buf bytes.Buffer
			if err := cache.Save(&buf); err != nil {
				t.Fatal(err)
			}
			state := buf.Bytes()
			for cut := 0; cut < len(state); cut += 1 + len(state)/300 {
				if _, err := n.LoadCache(bytes.NewReader(state[:cut]), 200); err == nil {
					t.Fatalf("a state cut to %d of %d bytes was loaded", cut, len(state))
				}
			}
			for at := 0; at+8 <= len(state); at += 8 * (1 + len(state)/8000) {
				bad := slices.Clone(state)
				copy(bad[at:], "\xff\xff\xff\xff\xff\xff\xff\x7f")
				if c, err := n.LoadCache(bytes.NewReader(bad), 200); err == nil && c.Len() != 30 {
					t.Fatalf("damaged at %d: %d tokens", at, c.Len())
				}
			}
		})
	}
}

// TestExpertTable gives a hash layer an expert that does not exist.
func TestExpertTable(t *testing.T) {
	dir := edited(t, filepath.Join("testdata", "deepseek_v4"), nil)
	file := filepath.Join(dir, "model.safetensors")
	x := openExpected(t, file)
	name := "layers.0.ffn.gate.tid2eid"
	b := must[[]byte](t)(os.ReadFile(file))
	at := bytes.Index(b, x.tensor(name).Data)
	copy(b[at+8:], []byte{99, 0, 0, 0})
	if err := os.WriteFile(file, b, 0o644); err != nil {
		t.Fatal(err)
	}
	src := must[*weights.Source](t)(weights.Open(dir))
	defer src.Close()
	_, err := New(src, newEngine(t, 1), Options{})
	if err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "expert 99") {
		t.Errorf("error %v, want one that names %s and expert 99", err, name)
	}
}

// What an indexer only compares must not hide that weights are no numbers.
func TestNaNIndexer(t *testing.T) {
	for _, dir := range sparseCases(t) {
		src := must[*weights.Source](t)(weights.Open(dir))
		defer src.Close()
		n := must[*Net](t)(New(src, newEngine(t, 1), Options{}))
		spoil := func(w *kernel.Stored) {
			good := *w
			w.Decode = func(dst []float32, lo, hi int) {
				good.Rows(dst, lo, hi)
				dst[len(dst)-1] = float32(math.NaN())
			}
		}
		for _, l := range n.layers {
			switch l := l.(type) {
			case *block:
				if a, ok := l.attention.(*dsa); ok {
					spoil(a.wk)
				}
			case *hyperBlock:
				if a, ok := l.attention.(*windowAttention); ok && a.indexKeys != nil {
					spoil(a.indexKeys.wgate)
				}
			}
		}
		err := n.Run(context.Background(), []*Step{{Cache: newCache(t, n, 40), Tokens: randomTokens(3, 40, n.cfg.VocabSize)}})
		if err == nil || !strings.Contains(err.Error(), "NaN") {
			t.Errorf("%s: %v", dir, err)
		}
	}
}
