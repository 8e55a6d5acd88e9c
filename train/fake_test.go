package train

// This file holds the smallest model that can be trained: a table of next-token scores and a scale.
// It lets the loop be tested in milliseconds, and made to fail where a test wants it to.

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/haenyeo/haenyeo/corpus"
	"github.com/haenyeo/haenyeo/kernel"
	"github.com/haenyeo/haenyeo/model"
)

const fakeVocab = 24

type fakeModel struct {
	table, scale, bias *model.Param
	config             *model.Config
	loads              []int64
	calls              int
	nan                func(call int) bool // LossGrad call, counted from 1, that gives NaN
	synced             bool
}

func newFake() *fakeModel {
	param := func(name string, kind model.Kind, shape ...int) *model.Param {
		p := &model.Param{Name: name, Kind: kind, Shape: shape}
		p.Data = make([]float32, p.Len())
		if kind != model.Bias {
			p.Grad = make([]float32, p.Len())
		}
		return p
	}
	return &fakeModel{
		table: param("table.weight", model.Matrix, fakeVocab, fakeVocab),
		scale: param("scale.weight", model.Vector, fakeVocab),
		bias:  param("router.bias", model.Bias, 3),
		loads: make([]int64, 3),
		config: &model.Config{ModelType: "llama", VocabSize: fakeVocab, HiddenSize: 4, IntermediateSize: 4,
			NumHiddenLayers: 1, NumAttentionHeads: 1, BOSTokenID: -1},
	}
}

func (m *fakeModel) Params() []*model.Param { return []*model.Param{m.table, m.scale, m.bias} }
func (m *fakeModel) Config() *model.Config  { return m.config }
func (m *fakeModel) Sync()                  { m.synced = true }
func (m *fakeModel) SyncTrained()           { m.synced = true }

func (m *fakeModel) ExpertLoads() [][]int64 { return [][]int64{m.loads} }

func (m *fakeModel) UpdateBias(gamma float32) {
	var sum int64
	for _, n := range m.loads {
		sum += n
	}
	for e, n := range m.loads {
		switch {
		case 3*n < sum:
			m.bias.Data[e] += gamma
		case 3*n > sum:
			m.bias.Data[e] -= gamma
		}
	}
	clear(m.loads)
}

func (m *fakeModel) Loss(b *model.Batch, nll []float32) (model.Loss, error) {
	l := m.loss(b, false)
	for i := range nll {
		if nll[i] = 0; b.Targets[i] >= 0 {
			nll[i] = float32(l.CE)
		}
	}
	return l, nil
}

func (m *fakeModel) LossGrad(b *model.Batch, _ model.LossOptions) (model.Loss, error) {
	if !m.synced {
		return model.Loss{}, fmt.Errorf("weights changed without Sync")
	}
	m.calls++
	l := m.loss(b, true)
	if m.nan != nil && m.nan(m.calls) {
		l.Total = math.NaN()
	}
	return l, nil
}

// loss of the scores table[a,:]·scale for the token after a. The bias takes part, so that a resumed
// run that lost it goes wrong.
func (m *fakeModel) loss(b *model.Batch, grad bool) model.Loss {
	n := b.B * b.T
	var sum float64
	var p [fakeVocab]float64
	for i := range b.B {
		row := b.Tokens[i*(b.T+1):][:b.T+1]
		for t := range b.T {
			a, want := int(row[t]), int(row[t+1])
			m.loads[a%3]++
			w := m.table.Data[a*fakeVocab:][:fakeVocab]
			var total float64
			for v := range p {
				p[v] = math.Exp(float64(w[v]*m.scale.Data[v] + m.bias.Data[v%3]))
				total += p[v]
			}
			sum -= math.Log(p[want] / total)
			if !grad {
				continue
			}
			for v := range p {
				d := p[v] / total
				if v == want {
					d--
				}
				m.table.Grad[a*fakeVocab+v] += float32(d/float64(n)) * m.scale.Data[v]
				m.scale.Grad[v] += float32(d/float64(n)) * w[v]
			}
		}
	}
	if grad {
		m.synced = false
	}
	ce := sum / float64(n)
	return model.Loss{Total: ce, CE: ce, Tokens: n}
}

// start is the Start of a Job.
func (m *fakeModel) start() error {
	rng := rand.New(rand.NewPCG(7, 7))
	for i := range m.table.Data {
		m.table.Data[i] = float32(rng.NormFloat64()) * 0.1
	}
	for i := range m.scale.Data {
		m.scale.Data[i] = 1
	}
	clear(m.bias.Data)
	return nil
}

// fakeSource draws tokens with a pattern to learn.
type fakeSource struct {
	at   int
	name string
}

func (s *fakeSource) Next(b *model.Batch) error {
	rng := rand.New(rand.NewPCG(1, uint64(s.at)))
	s.at++
	b.B, b.T = 2, 9
	b.Tokens = b.Tokens[:0]
	for range b.B {
		tok := int32(rng.IntN(fakeVocab))
		for range b.T + 1 {
			b.Tokens = append(b.Tokens, tok)
			if rng.IntN(4) == 0 {
				tok = int32(rng.IntN(fakeVocab))
			}
			tok = (tok*5 + 1) % fakeVocab
		}
	}
	return nil
}

func (s *fakeSource) Cursor() ([]byte, error) { return json.Marshal(s.at) }

func (s *fakeSource) Seek(cursor []byte) error {
	if s.at = 0; cursor == nil {
		return nil
	}
	return json.Unmarshal(cursor, &s.at)
}

func (s *fakeSource) Fingerprint() string { return "fake" + s.name }

// evaluation is two texts in two languages, of which every byte is a token.
func evaluation(t testing.TB) *corpus.Evaluation { return evaluationOf(t, "abcabcabc") }

func evaluationOf(t testing.TB, korean string) *corpus.Evaluation {
	docs := func(yield func(corpus.Document, error) bool) {
		_ = yield(corpus.Document{Text: korean, Lang: "ko"}, nil) && yield(corpus.Document{Text: "bbb", Lang: "id"}, nil)
	}
	tokens, err := corpus.Tokenize(t.Context(), docs, corpus.TokenOptions{
		Vocab: fakeVocab, BOS: 0, EOS: 1,
		Encode: func(dst []int32, text string) []int32 {
			for _, c := range []byte(text) {
				dst = append(dst, int32(c-'a'+2))
			}
			return dst
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ev, err := corpus.NewEvaluation(tokens, 2, 8, 0)
	if err != nil {
		t.Fatal(err)
	}
	return ev
}

func engine(t testing.TB, threads int) *kernel.Engine {
	e, err := kernel.New(threads, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}
