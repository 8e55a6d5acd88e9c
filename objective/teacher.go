package objective

// This file holds teachers that are models. Of a batch only the states before their heads are kept; logits
// are made for the rows that come next. Source: DeepSeek-V4 report, on-policy distillation.

import (
	"fmt"
	"slices"

	"github.com/haenyeo/haenyeo/model"
)

// Models are teachers of one batch, each of its own rows.
type Models struct {
	models []*model.Model
	rows   int         // tokens of a row
	of     []int32     // [B] teacher of a row
	place  []int32     // [B] the row's place among the rows of its teacher
	states [][]float32 // of each teacher [rows,T,D]

	v        int
	slot     []int32   // [B,T] row of logits, of the present chunk
	logits   []float32 // [chunk,V]
	gathered []float32 // [chunk,D]
}

// NewModels reads b with every teacher that has rows of it. of [B] says which model teaches a row; nil: the
// first. vocab is the student's. The models must not be the student, nor be used elsewhere meanwhile.
func NewModels(b *model.Batch, models []*model.Model, of []int32, vocab int) (*Models, error) {
	if len(models) == 0 {
		return nil, fmt.Errorf("objective: no teacher")
	}
	for i, m := range models {
		if v := m.Config().VocabSize; v != vocab {
			return nil, fmt.Errorf("objective: teacher %d has a vocabulary of %d, the student one of %d: they must share a tokenizer", i, v, vocab)
		}
	}
	if of == nil {
		of = make([]int32, b.B)
	}
	if len(of) != b.B {
		return nil, fmt.Errorf("objective: teachers of %d rows given, the batch has %d", len(of), b.B)
	}
	t := &Models{models: models, rows: b.T, of: of, place: make([]int32, b.B), states: make([][]float32, len(models)), v: vocab}
	lists := make([][]int, len(models))
	for r, i := range of {
		if i < 0 || int(i) >= len(models) {
			return nil, fmt.Errorf("objective: row %d has teacher %d of %d", r, i, len(models))
		}
		t.place[r] = int32(len(lists[i]))
		lists[i] = append(lists[i], r)
	}
	for i, rows := range lists {
		if len(rows) == 0 {
			continue
		}
		part := rowsOf(b, rows)
		t.states[i] = make([]float32, part.B*part.T*models[i].Config().HiddenSize)
		if err := models[i].States(part, t.states[i]); err != nil {
			return nil, fmt.Errorf("objective: teacher %d: %w", i, err)
		}
	}
	t.slot = make([]int32, b.B*b.T)
	return t, nil
}

// rowsOf is the part of b that a teacher reads.
func rowsOf(b *model.Batch, rows []int) *model.Batch {
	part := &model.Batch{B: len(rows), T: b.T}
	for _, r := range rows {
		part.Tokens = append(part.Tokens, b.Tokens[r*(b.T+1):][:b.T+1]...)
		if b.First != nil {
			part.First = append(part.First, b.First[r*b.T:][:b.T]...)
		}
	}
	return part
}

// Chunk makes the logits of positions.
func (t *Models) Chunk(positions []int32) {
	t.logits = slices.Grow(t.logits[:0], len(positions)*t.v)[:len(positions)*t.v]
	for lo := 0; lo < len(positions); {
		who := t.of[int(positions[lo])/t.rows]
		d := t.models[who].Config().HiddenSize
		t.gathered = t.gathered[:0]
		hi := lo
		for ; hi < len(positions) && t.of[int(positions[hi])/t.rows] == who; hi++ {
			row, at := int(positions[hi])/t.rows, int(positions[hi])%t.rows
			t.gathered = append(t.gathered, t.states[who][(int(t.place[row])*t.rows+at)*d:][:d]...)
			t.slot[positions[hi]] = int32(hi)
		}
		t.models[who].HeadLogits(t.logits[lo*t.v:], t.gathered, hi-lo)
		lo = hi
	}
}

// Logits are those of a position of the present chunk.
func (t *Models) Logits(position int) []float32 {
	return t.logits[int(t.slot[position])*t.v:][:t.v]
}
