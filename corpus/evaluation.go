// This file makes fixed batches of validation documents and turns their losses into bits per byte,
// by language.
//
// Documents are scored whole: the first token of a text is predicted from the mark of beginning,
// and the mark of end is predicted too, so the bits are those it would take to send the documents.
// A document longer than a row is cut as in training, without context across the cut.

package corpus

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
)

// Evaluation is a fixed sequence of batches, each row of one language. It is read-only.
type Evaluation struct {
	tokens *Tokens
	b, t   int
	pieces []piece
	rows   []evalRow
	langs  []evalLang
}

type evalRow struct {
	first int32 // piece
	lang  int32
}

type evalLang struct {
	lang           string
	bytes, targets int64
	docs           int
}

// NewEvaluation takes documents of each language until they have limit tokens (0: all), whole
// documents and at least one. Which ones depends on the data alone.
func NewEvaluation(t *Tokens, b, rowTokens int, limit int64) (*Evaluation, error) {
	if b < 1 || rowTokens < 1 || rowTokens > maxT {
		return nil, fmt.Errorf("corpus: batches of %d rows of %d tokens: both must be positive", b, rowTokens)
	}
	e := &Evaluation{tokens: t, b: b, t: rowTokens}
	index := map[string]int{}
	byLang := [][]int{}
	for i := range t.docs {
		lang := t.strata[t.docs[i].stratum].Lang
		k, ok := index[lang]
		if !ok {
			k = len(byLang)
			index[lang] = k
			byLang = append(byLang, nil)
			e.langs = append(e.langs, evalLang{lang: lang})
		}
		byLang[k] = append(byLang[k], i)
	}
	for k, docs := range byLang {
		// Files hold one source after another: a limit must not mean the first source.
		slices.SortFunc(docs, func(a, b int) int {
			ha, hb := mix(0, 0, uint64(a)), mix(0, 0, uint64(b))
			if ha < hb {
				return -1
			}
			return 1
		})
		var p packer
		l := &e.langs[k]
		for _, i := range docs {
			from, to := t.span(i)
			if limit > 0 && l.docs > 0 && l.targets+to-from-1 > limit {
				continue
			}
			p.pieces = pieces(p.pieces, from, to, rowTokens+1, rowTokens)
			l.docs++
			l.targets += to - from - 1
			l.bytes += int64(t.docs[i].bytes)
		}
		p.pack(rowTokens)
		base := int32(len(e.pieces))
		for _, q := range p.pieces {
			if q.next >= 0 {
				q.next += base
			}
			e.pieces = append(e.pieces, q)
		}
		for _, r := range p.rows {
			e.rows = append(e.rows, evalRow{base + r, int32(k)})
		}
	}
	return e, nil
}

// Len returns the number of batches.
func (e *Evaluation) Len() int { return (len(e.rows) + e.b - 1) / e.b }

// Fingerprint names the batches: equal for equal tokens in equal rows.
func (e *Evaluation) Fingerprint() string {
	h := sha256.New()
	var b Batch
	for i := range e.Len() {
		e.Fill(i, &b)
		for _, ids := range [][]int32{b.Tokens, b.First, b.Targets} {
			binary.Write(h, binary.LittleEndian, ids) // a hash takes everything
		}
	}
	for _, r := range e.rows {
		fmt.Fprintln(h, e.langs[r.lang].lang)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// Fill makes b batch i. The last one has fewer rows than the others.
func (e *Evaluation) Fill(i int, b *Batch) {
	rows := e.rows[i*e.b : min((i+1)*e.b, len(e.rows))]
	b.reshape(len(rows), e.t)
	for r, row := range rows {
		tokens, first, targets := b.row(r)
		e.tokens.fill(e.pieces, row.first, tokens, first, targets, e.tokens.start)
	}
}

// Score adds up the losses of one pass over an Evaluation.
type Score struct {
	e   *Evaluation
	nll []float64 // by language, in nats
}

// Score begins a pass.
func (e *Evaluation) Score() *Score { return &Score{e: e, nll: make([]float64, len(e.langs))} }

// Add takes the losses of batch i: nll [B*T], in nats, 0 where there is no target.
func (s *Score) Add(i int, nll []float32) {
	t := s.e.t
	for r, row := range s.e.rows[i*s.e.b : min((i+1)*s.e.b, len(s.e.rows))] {
		for _, x := range nll[r*t:][:t] {
			s.nll[row.lang] += float64(x)
		}
	}
}

// LangScore is the result for one language.
type LangScore struct {
	Lang      string
	BPB       float64 // bits per byte of text
	Bytes     int64
	Tokens    int64 // predicted
	Documents int
}

// Result returns the total, whose Lang is "", and every language in order of appearance. Call it
// when every batch was added.
func (s *Score) Result() (total LangScore, langs []LangScore) {
	var nll float64
	for k, l := range s.e.langs {
		langs = append(langs, LangScore{l.lang, s.nll[k] / math.Ln2 / float64(max(l.bytes, 1)), l.bytes, l.targets, l.docs})
		nll += s.nll[k]
		total.Bytes += l.bytes
		total.Tokens += l.targets
		total.Documents += l.docs
	}
	total.BPB = nll / math.Ln2 / float64(max(total.Bytes, 1))
	return total, langs
}
