package export

// What would keep a model from loading, found from names, shapes and types alone.

import (
	"errors"
	"fmt"
	"slices"

	"github.com/haenyeo/haenyeo/format/gguf"
	"github.com/haenyeo/haenyeo/format/safetensors"
	"github.com/haenyeo/haenyeo/model"
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

// CheckGGUF returns what keeps the file from being opened by OpenGGUF.
func CheckGGUF(f *gguf.File) error {
	if err := f.CheckModel(); err != nil {
		return err
	}
	arch, err := f.Metadata.String("general.architecture")
	if err != nil {
		return err
	}
	t, err := readTokenizer(&f.Metadata)
	if err != nil {
		return err
	}
	c, err := readConfig(f, arch, t)
	if err != nil {
		return err
	}
	ts, err := expected(f, arch, c)
	if err != nil {
		return err
	}
	for _, want := range ts {
		g, _ := f.Tensor(want.name)
		g.Data = g.Data[:g.Type.BlockBytes()]
		if _, err := g.Float32(nil); err != nil { // one block says whether the type is known
			return fmt.Errorf("export: %w", err)
		}
	}
	return nil
}
