package export

// What would keep a model from loading, found from names, shapes and types alone.

import (
	"errors"
	"slices"

	"github.com/haenyeo/haenyeo/format/safetensors"
	"github.com/haenyeo/haenyeo/model"
	"github.com/haenyeo/haenyeo/weights"
)

// maxProblems bounds a list that one mistake can make as long as the model.
const maxProblems = 10

// CheckSafetensors returns what keeps weights from being those of a model of shape c, joined.
func CheckSafetensors(c *model.Config, weights *safetensors.Reader) error {
	arch, err := architecture(c)
	if err != nil {
		arch = deepseek2 // a file format's limits do not matter here
		if c.KVLoraRank == 0 {
			arch = llama
		}
	}
	var problems []error
	ts := layout(arch, c)
	for i := range ts {
		w := writing{t: &ts[i]}
		if err := w.find(weights); err != nil && !slices.ContainsFunc(problems, func(p error) bool { return p.Error() == err.Error() }) {
			if problems = append(problems, err); len(problems) == maxProblems {
				break
			}
		}
	}
	return errors.Join(problems...)
}

// CheckGGUF returns what keeps the file at path from being opened by OpenGGUF, or from being run.
func CheckGGUF(path string) error {
	src, err := weights.Open(path)
	if err != nil {
		return err
	}
	defer src.Close()
	_, err = Tokenizer(&src.GGUF().Metadata)
	return err
}
