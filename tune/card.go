package tune

// This file tells of the stage in README.md, behind what that of the base model says.

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/haenyeo/haenyeo/internal/atomicfile"
	"github.com/haenyeo/haenyeo/internal/regular"
	"github.com/haenyeo/haenyeo/train"
)

// maxCard is far above any real README.
const maxCard = 1 << 20

func (j *job) writeCard(opt train.Options, d train.Done) error {
	old, err := regular.ReadFile(filepath.Join(j.Model, "README.md"), maxCard)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("tune: the card of the base model: %w", err)
	}
	var b bytes.Buffer
	if len(old) == 0 {
		fmt.Fprintf(&b, "# %s\n", filepath.Base(j.Out))
	} else {
		fmt.Fprintf(&b, "%s\n", bytes.TrimRight(old, "\n"))
	}
	fmt.Fprintf(&b, "\n## Stage: %s\n\nTrained further from `%s` on %d sequences in the chat format %q: %d steps of %d rows of %d tokens.\n\n",
		j.stage, filepath.Base(j.Model), j.examples, j.format.Name(), d.Step, j.batch, j.seq)
	switch {
	case j.LoRA != nil:
		fmt.Fprintf(&b, "Adapters of rank %d, alpha %g, beside %v; merged into the weights, and alone in `%s`.\n\n", j.LoRA.Rank, j.LoRA.Alpha, j.LoRA.Targets, AdapterDir)
	case j.experts != nil:
		fmt.Fprintf(&b, "Only the experts that the data uses were trained:")
		for _, x := range j.experts {
			fmt.Fprintf(&b, " %d/%d", x.Layer, x.Expert)
		}
		b.WriteString(" (layer/expert).\n\n")
	}
	b.WriteString("| data | records | bytes | SHA-256 |\n|---|---|---|---|\n")
	for _, f := range j.files {
		fmt.Fprintf(&b, "| %s | %d | %d | `%s` |\n", filepath.Base(f.Path), f.Records, f.Bytes, f.SHA256)
	}
	options, err := json.Marshal(opt)
	if err != nil {
		return fmt.Errorf("tune: %w", err)
	}
	fmt.Fprintf(&b, "\nSeed and options: `%s`.\n\n", options)
	if err := j.writeCurve(&b); err != nil {
		return err
	}
	if err := atomicfile.WriteFile(filepath.Join(j.Out, "README.md"), b.Bytes()); err != nil {
		return fmt.Errorf("tune: %w", err)
	}
	return nil
}

// writeCurve writes the loss at up to twenty steps, from the log.
func (j *job) writeCurve(b *bytes.Buffer) error {
	events, err := train.ReadLog(filepath.Join(j.Out, train.LogName))
	if err != nil {
		return err
	}
	var steps []train.Step
	for _, e := range events {
		if s, ok := e.(train.Step); ok {
			steps = append(steps, s)
		}
	}
	const points = 20
	b.WriteString("| step | loss |\n|---|---|\n")
	for i := range min(points, len(steps)) {
		s := steps[(i+1)*len(steps)/min(points, len(steps))-1]
		fmt.Fprintf(b, "| %d | %.4f |\n", s.Step, s.Loss)
	}
	return nil
}

// copyGeneration takes over how the model is to be sampled, if the base says it.
func copyGeneration(from, to string) error {
	const name = "generation_config.json"
	text, err := regular.ReadFile(filepath.Join(from, name), maxCard)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = atomicfile.WriteFile(filepath.Join(to, name), text)
	}
	if err != nil {
		return fmt.Errorf("tune: %w", err)
	}
	return nil
}
