package tune

// This file makes batches of examples, in an order that a seed and a cursor name.

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/haenyeo/haenyeo/corpus"
	"github.com/haenyeo/haenyeo/model"
)

// Source gives packed examples to train.Run, every example once an epoch, the rows of each epoch in another order. The last
// batch of an epoch is filled from the next.
type Source struct {
	*order
	examples []Example
	rows     [][]int32 // of examples
	b, t     int
	print    string
}

// NewSource packs examples of 2 to t+1 tokens into batches of b rows of t.
func NewSource(examples []Example, b, t int, seed uint64) (*Source, error) {
	if b < 1 || t < 1 || b > 1<<20 || t > 1<<24 {
		return nil, fmt.Errorf("tune: batches of %d rows of %d tokens: both must be positive", b, t)
	}
	if len(examples) == 0 {
		return nil, errors.New("tune: no examples")
	}
	lengths := make([]int, len(examples))
	for i, e := range examples {
		if lengths[i] = len(e.Tokens); lengths[i] < 2 || lengths[i] > t+1 || len(e.Answer) != lengths[i] {
			return nil, fmt.Errorf("tune: example %d has %d tokens, rows are for 2 to %d", i, lengths[i], t+1)
		}
	}
	s := &Source{examples: examples, rows: corpus.Pack(lengths, t), b: b, t: t}
	s.order = newOrder(len(s.rows), seed)
	s.print = fmt.Sprintf("%s-%d-%d-%d", fingerprint(examples), b, t, seed)
	return s, nil
}

// fingerprint names examples.
func fingerprint(examples []Example) string {
	h := sha256.New()
	for _, e := range examples {
		binary.Write(h, binary.LittleEndian, int64(len(e.Tokens)))
		binary.Write(h, binary.LittleEndian, e.Tokens)
		binary.Write(h, binary.LittleEndian, e.Answer)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// Rows is the number of rows of an epoch.
func (s *Source) Rows() int { return len(s.rows) }

// Waste is the share of positions that teach nothing.
func (s *Source) Waste() float64 {
	n := 0
	for i := range s.examples {
		n += s.examples[i].answers()
	}
	return 1 - float64(n)/(float64(len(s.rows))*float64(s.t))
}

// Next fills b with the next rows.
func (s *Source) Next(b *model.Batch) error {
	makeBatch(b, s.b, s.t)
	for i := range s.b {
		fill(b, i, s.examples, s.rows[s.next()])
	}
	return nil
}

func makeBatch(b *model.Batch, rows, t int) {
	n := rows * t
	b.B, b.T = rows, t
	b.Tokens, b.First, b.Targets = make([]int32, n+rows), make([]int32, n), make([]int32, n)
}

// fill writes row i: the examples of these numbers, one behind the other.
func fill(b *model.Batch, i int, examples []Example, numbers []int32) {
	t := b.T
	tokens, first, targets := b.Tokens[i*(t+1):][:t+1], b.First[i*t:][:t], b.Targets[i*t:][:t]
	n := 0
	for _, k := range numbers {
		e := &examples[k]
		copy(tokens[n:], e.Tokens)
		for j := range min(len(e.Tokens), t-n) {
			first[n+j], targets[n+j] = int32(n), -1
			if j+1 < len(e.Tokens) && e.Answer[j+1] {
				targets[n+j] = e.Tokens[j+1]
			}
		}
		n += len(e.Tokens)
	}
	for ; n < t; n++ {
		first[n], targets[n] = int32(n), -1
	}
}

// Fingerprint names the examples and their order.
func (s *Source) Fingerprint() string { return s.print }
