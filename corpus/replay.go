// This file gives back recorded batches: the tensor `tokens` [N,B,T+1] of a safetensors file.

package corpus

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math"

	"github.com/haenyeo/haenyeo/format/safetensors"
)

// Recorded is the Stream of the batches in a file. Documents are not told apart: every position
// sees its row from the start, and predicts the next token.
type Recorded struct {
	N, B, T int
	tokens  []int32
	plan    string
	at      int64
}

// OpenRecorded reads the batches and checks every id against the vocabulary.
func OpenRecorded(path string, vocab int) (*Recorded, error) {
	f, err := safetensors.Open(path)
	if err != nil {
		return nil, fmt.Errorf("corpus: recorded batches: %w", err)
	}
	defer f.Close()
	x, ok := f.Tensor("tokens")
	if !ok {
		return nil, fmt.Errorf("corpus: recorded batches %q: there is no tensor \"tokens\" of shape [N,B,T+1]", path)
	}
	if len(x.Shape) != 3 || x.Shape[0] < 1 || x.Shape[1] < 1 || x.Shape[2] < 2 {
		return nil, fmt.Errorf("corpus: recorded batches %q: \"tokens\" has shape %v, want [N,B,T+1]", path, x.Shape)
	}
	ids, err := x.Int64s()
	if err != nil {
		return nil, fmt.Errorf("corpus: recorded batches %q: %w", path, err)
	}
	r := &Recorded{N: x.Shape[0], B: x.Shape[1], T: x.Shape[2] - 1, tokens: make([]int32, len(ids))}
	for i, id := range ids {
		if id < 0 || id >= int64(vocab) || id > math.MaxInt32 {
			return nil, fmt.Errorf("corpus: recorded batches %q: batch %d holds token %d, outside the vocabulary of %d", path, i/(r.B*(r.T+1)), id, vocab)
		}
		r.tokens[i] = int32(id)
	}
	sum := sha256.Sum256(x.Data)
	r.plan = hex.EncodeToString(sum[:16])
	return r, nil
}

// Next copies the next batch; io.EOF after the last.
func (r *Recorded) Next(b *Batch) error {
	if b.B != r.B || b.T != r.T {
		return fmt.Errorf("corpus: a batch of %d×%d for recorded batches of %d×%d", b.B, b.T, r.B, r.T)
	}
	if r.at == int64(r.N) {
		return io.EOF
	}
	copy(b.Tokens, r.tokens[int(r.at)*len(b.Tokens):])
	clear(b.First)
	for i := range b.B {
		tokens, _, targets := b.row(i)
		copy(targets, tokens[1:])
	}
	r.at++
	return nil
}

// State says where Next will go on; Row counts batches.
func (r *Recorded) State() State { return State{Row: r.at, Plan: r.plan} }

// Restore goes to a State of the same recording.
func (r *Recorded) Restore(s State) error {
	if s.Plan != r.plan || s.Row < 0 || s.Row > int64(r.N) {
		return fmt.Errorf("corpus: the saved position belongs to other recorded batches: resume with those of the run")
	}
	r.at = s.Row
	return nil
}
