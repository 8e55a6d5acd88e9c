package export

// Tiny models of every shape that is exported, with weights that leave nothing at its default.

import (
	"context"
	"log/slog"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"github.com/haenyeo/haenyeo/forward"
	"github.com/haenyeo/haenyeo/kernel"
	"github.com/haenyeo/haenyeo/model"
	"github.com/haenyeo/haenyeo/tokenizer"
	"github.com/haenyeo/haenyeo/weights"
)

const testVocab = 480 // more than the tokenizer has, as in published models

// shapes are the models of these tests.
func shapes() map[string]model.Config {
	v3 := model.Config{
		ModelType: "deepseek_v3", VocabSize: testVocab, HiddenSize: 64, IntermediateSize: 96, NumHiddenLayers: 3, NumAttentionHeads: 4,
		MaxPositionEmbeddings: 256, QLoraRank: 48, KVLoraRank: 32, QKNopeHeadDim: 24, QKRopeHeadDim: 16, VHeadDim: 20,
		MoEIntermediateSize: 32, NRoutedExperts: 8, NSharedExperts: 1, NumExpertsPerTok: 3, FirstKDenseReplace: 1,
		NGroup: 4, TopKGroup: 2, RoutedScalingFactor: 2.5, NormTopKProb: true, InitializerRange: 0.25, BOSTokenID: 0, EOSTokenID: []int{1},
	}
	plain := v3
	plain.QLoraRank, plain.NGroup, plain.TopKGroup, plain.NSharedExperts, plain.RoutedScalingFactor = 0, 1, 1, 2, 1
	plain.TieWordEmbeddings = true
	yarn := v3
	yarn.MaxPositionEmbeddings, yarn.RopeTheta = 640, 10000
	yarn.RopeScaling = model.RopeScaling{Type: "yarn", Factor: 40, OriginalMaxPosition: 16, BetaFast: 32, BetaSlow: 1, MScale: 1, MScaleAllDim: 1}
	mtp := v3
	mtp.NumNextnPredictLayers = 1
	llama := model.Config{
		ModelType: "llama", VocabSize: testVocab, HiddenSize: 64, IntermediateSize: 96, NumHiddenLayers: 2, NumAttentionHeads: 4,
		NumKeyValueHeads: 2, MaxPositionEmbeddings: 256, RMSNormEps: 1e-5, InitializerRange: 0.25, BOSTokenID: 0, EOSTokenID: []int{1},
	}
	llama3 := llama
	llama3.HeadDim, llama3.TieWordEmbeddings = 32, true
	llama3.RopeScaling = model.RopeScaling{Type: "llama3", Factor: 8, OriginalMaxPosition: 32, LowFreqFactor: 1, HighFreqFactor: 4}
	llamaYarn := llama
	llamaYarn.RopeScaling = model.RopeScaling{Type: "yarn", Factor: 8, OriginalMaxPosition: 32}
	qwen2 := llama
	qwen2.ModelType = "qwen2"
	qwen3 := llama
	qwen3.ModelType, qwen3.HeadDim = "qwen3", 32
	return map[string]model.Config{"v3": v3, "v3 plain": plain, "v3 yarn": yarn, "v3 mtp": mtp, "llama": llama, "llama3 rope": llama3,
		"llama yarn": llamaYarn, "qwen2": qwen2, "qwen3": qwen3}
}

// texts are what the tokenizer of these models learns from, and what it must encode alike elsewhere.
var texts = []string{
	"The diver holds her breath, counts to 120 and brings up 3 abalones, 14 conches and a smile.",
	"해녀는 숨을 참고 바다로 들어가 전복과 소라를 캔다. 물 밖으로 나오면 숨비소리를 낸다.",
	"Penyelam menahan napas, lalu muncul dengan 27 kerang; laut itu dingin & dalam.",
	"Người thợ lặn nín thở, xuống biển và mang lên bào ngư.",
	"นักดำน้ำกลั้นหายใจแล้วดำลงไปในทะเลเพื่อเก็บหอยเป๋าฮื้อ",
	"تحبس الغوّاصة أنفاسها وتنزل إلى البحر لتجمع أذن البحر.",
	"La buceadora contiene la respiración ¿y después? ¡Vuelve con 1.234 caracolas!",
	"A mergulhadora prende a respiração e desce ao mar; não há tanque de oxigénio.",
	"海女は息を止めて海に潜り、アワビを採る。潜水员屏住呼吸。",
	"func main() {\n\tfmt.Println(\"숨비소리\", 3.14e-10)\n}\n\n  // two  spaces\t\r\n🦭🌊 e\u0301 ½ Ⅳ",
}

// writeModel makes the model and its tokenizer in a new directory.
func writeModel(t testing.TB, cfg model.Config) string {
	t.Helper()
	e, err := kernel.New(1, "")
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	m, err := model.New(&cfg, e, model.Options{MTP: cfg.NumNextnPredictLayers > 0})
	if err != nil {
		t.Fatal(err)
	}
	m.Init(7)
	rng := rand.New(rand.NewPCG(1, 1))
	for _, p := range m.Params() {
		if p.Kind != model.Vector && p.Kind != model.Bias {
			continue
		}
		for i := range p.Data {
			p.Data[i] += 0.2 * float32(rng.NormFloat64())
		}
	}
	dir := t.TempDir()
	if err := m.Save(dir, kernel.F32); err != nil {
		t.Fatal(err)
	}
	docs := func(yield func(string, error) bool) {
		for range 3 { // pairs must occur twice to be merged
			for _, s := range texts {
				if !yield(s, nil) {
					return
				}
			}
		}
	}
	tok, err := tokenizer.Train(context.Background(), docs, tokenizer.TrainOptions{
		VocabSize: testVocab - 10, ChatTemplate: "{% for m in messages %}<｜User｜>{{ m['content'] }}{% endfor %}<｜Assistant｜>",
	})
	if err != nil {
		t.Fatal(err)
	}
	config := tok.Config()
	config.AddBOS = true
	if err := tok.SetConfig(config); err != nil {
		t.Fatal(err)
	}
	if err := tok.Save(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// opened is the model at path, ready to run in float32 throughout.
type opened struct {
	src *weights.Source
	net *forward.Net
	e   *kernel.Engine
}

// open opens the model at path until the test ends.
func open(t testing.TB, path string) *opened {
	t.Helper()
	src, err := weights.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	e := engine(t)
	net, err := forward.New(src, e, forward.Options{Rounding: forward.None, MTP: hasMTP(src)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	return &opened{src, net, e}
}

// engine is stopped when the test ends.
func engine(t testing.TB) *kernel.Engine {
	t.Helper()
	e, err := kernel.New(2, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

// logits are those after every id, [len(ids),V].
func (m *opened) logits(t testing.TB, ids []int32) []float32 {
	t.Helper()
	c, err := m.net.NewCache(len(ids))
	if err != nil {
		t.Fatal(err)
	}
	var all []float32
	step := &forward.Step{Cache: c, Tokens: ids, Each: func(_ int, logits []float32) error {
		all = append(all, logits...)
		return nil
	}}
	if err := m.net.Run(context.Background(), []*forward.Step{step}); err != nil {
		t.Fatal(err)
	}
	return all
}

// greedy continues tokens by n ids, none of which ends the text, and says how far each was above the next.
func (m *opened) greedy(t testing.TB, tokens []int32, n int) (ids []int32, margins []float32) {
	t.Helper()
	v := m.src.Config().VocabSize
	seq := slices.Clone(tokens)
	for range n {
		logits := m.logits(t, seq)
		logits = logits[len(logits)-v:]
		best, second := -1, -1
		for i, l := range logits {
			switch {
			case slices.Contains(m.src.Config().EOSTokenID, i):
			case best < 0 || l > logits[best]:
				best, second = i, best
			case second < 0 || l > logits[second]:
				second = i
			}
		}
		seq = append(seq, int32(best))
		margins = append(margins, logits[best]-logits[second])
	}
	return seq[len(tokens):], margins
}

// difference is the largest difference, and the largest number of want.
func difference(t testing.TB, got, want []float32) (worst, top float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d numbers, want %d", len(got), len(want))
	}
	for i, w := range want {
		d := math.Abs(float64(w - got[i]))
		if !(d <= worst) {
			worst = d
		}
		top = max(top, math.Abs(float64(w)))
	}
	return worst, top
}

// same compares logits of two forms of one model.
func same(t testing.TB, what string, got, want []float32) {
	t.Helper()
	if d, top := difference(t, got, want); !(d <= 2e-5*max(1, top)) {
		t.Errorf("%s: logits differ by %.3g (largest %.3g)", what, d, top)
	}
}

func convert(t testing.TB, path, out, typ string) Summary {
	t.Helper()
	s, err := tryConvert(t, context.Background(), path, out, typ, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// tryConvert writes the model at path to out, a GGUF if it is called so.
func tryConvert(t testing.TB, ctx context.Context, path, out, typ string, opt Options) (Summary, error) {
	t.Helper()
	src, err := weights.Open(path)
	if err != nil {
		return Summary{}, err
	}
	defer src.Close()
	kind, err := ParseType(typ)
	if err != nil {
		t.Fatal(err)
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	if filepath.Ext(out) == ".gguf" {
		return WriteGGUF(ctx, src, engine(t), out, kind, opt)
	}
	return WriteDirectory(ctx, src, engine(t), out, kind, opt)
}

// numbers are all tensors of the model at path under their published names, decoded.
func numbers(t testing.TB, path string) map[string][]float32 {
	t.Helper()
	src, err := weights.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	o := origin{src: src, c: src.Config(), mtp: hasMTP(src)}
	ts, err := o.published()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]float32{}
	for i := range ts {
		x := []float32{}
		for _, p := range ts[i].parts {
			part := make([]float32, p.n*p.k)
			p.read(part, 0, p.n)
			x = append(x, part...)
		}
		for _, n := range ts[i].ints {
			x = append(x, float32(n))
		}
		all[ts[i].name] = x
	}
	return all
}

// random draws a prompt.
func random(seed uint64, n int) []int32 {
	rng := rand.New(rand.NewPCG(seed, 5))
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = int32(rng.IntN(testVocab))
	}
	return ids
}
