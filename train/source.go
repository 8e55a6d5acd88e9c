package train

// This file makes a Source of a corpus.Stream: sampled data or recorded batches.

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/haenyeo/haenyeo/corpus"
	"github.com/haenyeo/haenyeo/model"
)

type stream struct {
	s     corpus.Stream
	batch *corpus.Batch
	start corpus.State
}

// FromStream draws batches of b rows of t tokens from s, which stands at its beginning.
func FromStream(s corpus.Stream, b, t int) Source {
	return &stream{s: s, batch: corpus.NewBatch(b, t), start: s.State()}
}

func (s *stream) Next(b *model.Batch) error {
	switch err := s.s.Next(s.batch); {
	case errors.Is(err, io.EOF):
		return fmt.Errorf("the recorded batches end after %d: ask for at most as many steps", s.s.State().Row)
	case err != nil:
		return err
	}
	c := s.batch
	b.B, b.T, b.Tokens, b.First, b.Targets = c.B, c.T, c.Tokens, c.First, c.Targets
	return nil
}

func (s *stream) Cursor() ([]byte, error) { return json.Marshal(s.s.State()) }

func (s *stream) Seek(cursor []byte) error {
	at := s.start
	if cursor != nil {
		at = corpus.State{}
		if err := json.Unmarshal(cursor, &at); err != nil {
			return fmt.Errorf("the cursor of the data: %w", err)
		}
	}
	return s.s.Restore(at)
}

// Fingerprint names data, row length, mixture, seed and batch size.
func (s *stream) Fingerprint() string {
	return fmt.Sprintf("%s-%d-%d", s.start.Plan, s.start.Seed, s.batch.B)
}
