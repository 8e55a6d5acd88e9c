package haenyeo

// generation_config.json: how the makers of a model recommend to sample it.

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/haenyeo/haenyeo/infer"
	"github.com/haenyeo/haenyeo/internal/regular"
)

// maxGenerationConfig is far above any real file.
const maxGenerationConfig = 1 << 20

// readGenerationConfig returns the recommended sampling, greedy unless do_sample is set, and the ids
// that end a text. A missing file recommends nothing.
func readGenerationConfig(dir string) (infer.Sampling, []int32, error) {
	path := filepath.Join(dir, "generation_config.json")
	text, err := regular.ReadFile(path, maxGenerationConfig)
	if errors.Is(err, fs.ErrNotExist) {
		return infer.Sampling{}, nil, nil
	}
	if err != nil {
		return infer.Sampling{}, nil, fmt.Errorf("haenyeo: %w", err)
	}
	var c struct {
		DoSample    bool            `json:"do_sample"`
		Temperature *float64        `json:"temperature"`
		TopK        int             `json:"top_k"`
		TopP        float64         `json:"top_p"`
		MinP        float64         `json:"min_p"`
		TypicalP    float64         `json:"typical_p"`
		Repetition  float64         `json:"repetition_penalty"`
		NoRepeat    int             `json:"no_repeat_ngram_size"`
		EOS         json.RawMessage `json:"eos_token_id"`
	}
	err = json.Unmarshal(text, &c)
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &kind) && kind.Field == "":
		return infer.Sampling{}, nil, fmt.Errorf("haenyeo: %q holds a JSON %s, not an object: repair or remove it", path, kind.Value)
	case errors.As(err, &kind):
		return infer.Sampling{}, nil, fmt.Errorf("haenyeo: %q: %s cannot be a %s: repair or remove it", path, kind.Field, kind.Value)
	case err != nil:
		return infer.Sampling{}, nil, fmt.Errorf("haenyeo: %q: %w: repair or remove it", path, err)
	}
	var end []int32
	if len(c.EOS) > 0 && c.EOS[0] == '[' {
		err = json.Unmarshal(c.EOS, &end)
	} else if len(c.EOS) > 0 && string(c.EOS) != "null" {
		end = make([]int32, 1)
		err = json.Unmarshal(c.EOS, &end[0])
	}
	if err != nil {
		return infer.Sampling{}, nil, fmt.Errorf("haenyeo: %q: eos_token_id: %w", path, err)
	}
	s := infer.Sampling{Temperature: 1, TopK: c.TopK, TopP: c.TopP, MinP: c.MinP, TypicalP: c.TypicalP, RepetitionPenalty: c.Repetition}
	s.NoRepeat.N = c.NoRepeat
	if c.Temperature != nil {
		s.Temperature = *c.Temperature
	}
	if err := s.Validate(); err != nil {
		return infer.Sampling{}, nil, fmt.Errorf("%w (in %q): repair or remove it", err, path)
	}
	if !c.DoSample {
		s = infer.Sampling{RepetitionPenalty: s.RepetitionPenalty, NoRepeat: s.NoRepeat} // the rest is not in use
	}
	return s, end, nil
}
