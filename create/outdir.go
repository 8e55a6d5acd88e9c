package create

// This file looks after the output directory: what it may hold before a run, and run.json, which
// says that it is ours and what was decided.

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"

	"github.com/haenyeo/haenyeo/internal/atomicfile"
	"github.com/haenyeo/haenyeo/internal/regular"
	"github.com/haenyeo/haenyeo/model"
	"github.com/haenyeo/haenyeo/train"
)

const (
	recordFile    = "run.json"
	recordVersion = 1
)

// record is run.json: the run as it was begun.
type record struct {
	Version int             `json:"version"`
	Request Request         `json:"request"`
	Plan    plan            `json:"plan"`
	Config  json.RawMessage `json:"config"` // of the model, as config.json
	Corpus  string          `json:"corpus"` // fingerprint of the text
}

// lookAt says what is in dir: nothing (nil, nil), or a run of ours that Resume continues. Anything
// else is an error.
func lookAt(dir string, resume bool) (*record, error) {
	if dir == "" {
		return nil, train.Misusef("create: no output directory was given (--out)")
	}
	vacant, other, err := train.Vacant(dir)
	if vacant {
		if resume {
			return nil, fmt.Errorf("create: %q holds no run to resume: leave out --resume, or give the --out of the run", dir)
		}
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("create: output directory: %w: choose another --out", err)
	}
	b, err := regular.ReadFile(filepath.Join(dir, recordFile), 64<<20)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("create: %q holds something else (%q, for one): choose another --out, or empty it", dir, other)
	}
	if err != nil {
		return nil, fmt.Errorf("create: %w", err)
	}
	finished, err := isFinished(dir)
	switch {
	case err != nil:
		return nil, err
	case finished:
		return nil, fmt.Errorf("create: %q holds a finished model: use it, or choose another --out", dir)
	case !resume:
		return nil, fmt.Errorf("create: %q holds a run that is not finished: --resume continues it; or choose another --out", dir)
	}
	var rec record
	// The version comes first: a newer record need not parse as ours.
	var version struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(b, &version); err == nil && version.Version > recordVersion {
		return nil, fmt.Errorf("create: the run in %q was begun by a newer version of the program: continue with that version", dir)
	}
	if err := json.Unmarshal(b, &rec); err != nil {
		return nil, fmt.Errorf("create: %s in %q: %w: it cannot be resumed; choose another --out", recordFile, dir, err)
	}
	cfg, err := model.ParseConfig(rec.Config)
	if err != nil {
		return nil, fmt.Errorf("create: %s in %q: %w: it cannot be resumed; choose another --out", recordFile, dir, err)
	}
	rec.Plan.config = *cfg
	return &rec, nil
}

// absolute makes the paths of a record good in every working directory.
func absolute(paths []string) ([]string, error) {
	var all []string
	for _, p := range paths {
		abs, err := filepath.Abs(p)
		if err != nil {
			return nil, fmt.Errorf("create: data: %w", err)
		}
		all = append(all, abs)
	}
	return all, nil
}

// isFinished says whether the run in dir came to its end.
func isFinished(dir string) (bool, error) {
	events, err := train.ReadLog(filepath.Join(dir, train.LogName))
	if err != nil || len(events) == 0 {
		return false, err
	}
	_, done := events[len(events)-1].(train.Done)
	return done, nil
}

// write makes run.json in dir.
func (rec *record) write(dir string) error {
	b, err := json.MarshalIndent(rec, "", "\t")
	if err != nil {
		return fmt.Errorf("create: %w", err)
	}
	if err := atomicfile.WriteFile(filepath.Join(dir, recordFile), append(b, '\n')); err != nil {
		return fmt.Errorf("create: %w", err)
	}
	return nil
}

// agrees refuses a resumed run whose flags ask for something else than it was begun with. Flags that
// were not given agree with everything.
func (rec *record) agrees(r *Request) error {
	was := rec.Request
	differs := func(what string, was, now any) error {
		return fmt.Errorf("create: the run in %q was begun with %s %v, not %v: leave the flag out to resume it, or choose another --out", r.Out, what, was, now)
	}
	p := &rec.Plan
	switch {
	case r.Budget > 0 && was.Steps > 0:
		return differs("a number of steps,", was.Steps, fmt.Sprintf("a budget of %v", r.Budget))
	case r.Budget > 0 && r.Budget != was.budget():
		return differs("a budget of", was.budget(), r.Budget)
	case r.Steps > 0 && r.Steps != p.Options.Steps: // those of a budget are as good when named
		return differs("steps", p.Options.Steps, r.Steps)
	case r.Size != "" && r.Size != p.Preset: // auto chose one
		return differs("size", p.Preset, r.Size)
	case r.Vocab > 0 && r.Vocab != p.Vocab && r.Vocab != p.config.VocabSize:
		return differs("a vocabulary of", p.config.VocabSize, r.Vocab)
	case (r.Seed > 0 || r.SeedGiven) && r.Seed != was.Seed:
		return differs("seed", was.Seed, r.Seed)
	case (!r.Mixture.Even() || r.Mixture.Temperature != 0) && !r.Mixture.Equal(was.Mixture):
		return differs("the mixture", strconv.Quote(was.Mixture.String()), strconv.Quote(r.Mixture.String()))
	case r.Config != nil:
		return fmt.Errorf("create: the run in %q has its configuration: leave --config out to resume it", r.Out)
	}
	return nil
}
