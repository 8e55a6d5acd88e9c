package train

// This file takes up a run where a checkpoint left it. A damaged checkpoint is passed over, with a
// warning, for the one before; one that is whole but of another run, or of a newer program, is an
// error: going on from an older one would throw work away without asking.

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/haenyeo/haenyeo/format/safetensors"
	"github.com/haenyeo/haenyeo/internal/regular"
	"github.com/haenyeo/haenyeo/kernel"
)

// damaged is the error of a checkpoint whose files are not what was written.
type damaged struct{ error }

// restoreNewest loads the newest checkpoint that is whole. It returns false when there is none at
// all, and an error when there are only damaged ones.
func (r *run) restoreNewest() (bool, error) {
	steps := r.checkpoints()
	var broken []string
	for _, step := range steps {
		path := r.checkpointPath(step)
		err := r.restore(path)
		if err == nil {
			return true, nil
		}
		if !errors.As(err, new(damaged)) {
			return false, fmt.Errorf("train: checkpoint %q: %w", path, err)
		}
		r.Logger.Warn("train: a checkpoint is damaged and is passed over", "path", path, "error", err)
		broken = append(broken, fmt.Sprintf("step %d: %v", step, err))
	}
	if len(broken) > 0 {
		return false, fmt.Errorf("train: no checkpoint in %q is whole; delete them to start again from the beginning (%s)", filepath.Join(r.Dir, checkpointsDir), strings.Join(broken, "; "))
	}
	return false, nil
}

// restore loads one checkpoint. Everything is checked before anything changes.
func (r *run) restore(path string) error {
	s, err := readState(path)
	if err != nil {
		return err
	}
	if err := r.sameKind(path); err != nil {
		return err
	}
	if err := checkSums(path, r.files()); err != nil {
		return err
	}
	if err := r.sameRun(path, s); err != nil {
		return err
	}
	if err := r.sameFrozen(s); err != nil {
		return err
	}
	if len(s.RecentLoss) != len(r.recent) || s.Step < 0 || s.Step > r.opt.Steps || !(s.LRScale > 0 && s.LRScale <= 1) {
		return damaged{fmt.Errorf("%s holds impossible numbers", stateFile)}
	}
	if !s.loadOf(r.Model.ExpertLoads()) {
		return damaged{fmt.Errorf("%s holds loads of other experts than the model has", stateFile)}
	}
	type target struct {
		name  string
		shape []int
		data  []float32
	}
	var weights, moments []target
	for _, p := range r.stored() {
		weights = append(weights, target{p.Name, p.Shape, p.Data})
	}
	for _, t := range r.optimizer.State() {
		moments = append(moments, target{t.Name, t.Shape, t.Data})
	}
	for _, f := range []struct {
		name    string
		targets []target
	}{{r.weightsFile(), weights}, {optimizerFile, moments}} {
		file, err := safetensors.Open(filepath.Join(path, f.name))
		if err != nil {
			return damaged{err}
		}
		for _, t := range f.targets {
			tensor, ok := file.Tensor(t.name)
			if !ok || tensor.DType != safetensors.F32 || !slices.Equal(tensor.Shape, t.shape) {
				file.Close()
				return fmt.Errorf("%s holds no tensor %q of shape %v: it is not of this run", f.name, t.name, t.shape)
			}
			if _, err := tensor.Float32(t.data); err != nil {
				file.Close()
				return err
			}
		}
		file.Close()
	}
	if err := r.Source.Seek(s.Cursor); err != nil {
		return err
	}
	r.optimizer.Restore(s.OptimSteps)
	r.Model.Sync()
	r.step, r.tokens, r.lrScale, r.retries, r.val = s.Step, s.Tokens, s.LRScale, s.Retries, s.ValBPB
	r.measured, r.load = s.Measured, s.Load
	r.before, r.tierBefore = s.Seconds, s.Tier
	copy(r.recent[:], s.RecentLoss)
	return nil
}

// loadOf says whether the loads, if there are any, are of experts like these.
func (s *state) loadOf(experts [][]int64) bool {
	if s.Load == nil {
		return true
	}
	return slices.EqualFunc(s.Load, experts, func(a, b []int64) bool { return len(a) == len(b) })
}

// EngineFor makes the engine that continues the run in dir, if there is one: with the kernels of its
// newest checkpoint, because others round differently, unless tier or HAENYEO_CPU asks for some.
func EngineFor(dir string, threads int, tier string) (*kernel.Engine, error) {
	e, err := kernel.New(threads, tier)
	if err != nil || tier != "" || os.Getenv("HAENYEO_CPU") != "" {
		return e, err
	}
	r := run{Job: Job{Dir: dir}}
	for _, step := range r.checkpoints() {
		s, err := readState(r.checkpointPath(step))
		if err != nil || s.Tier == "" {
			continue
		}
		if s.Tier == e.Tier() || !slices.Contains(kernel.Tiers(), s.Tier) {
			break
		}
		e.Close()
		return kernel.New(threads, s.Tier)
	}
	return e, nil
}

// maxRecord bounds the small files of a checkpoint.
const maxRecord = 64 << 20

func readState(path string) (state, error) {
	var s state
	b, err := regular.ReadFile(filepath.Join(path, stateFile), maxRecord)
	if err != nil {
		return s, damaged{err}
	}
	// The version comes first: a newer state need not parse as ours.
	var version struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(b, &version); err != nil {
		return s, damaged{fmt.Errorf("%s: %w", stateFile, err)}
	}
	if version.Version > checkpointVersion {
		return s, fmt.Errorf("it was written by a newer version of the program (format %d, this one knows %d): continue with that version", version.Version, checkpointVersion)
	}
	if err := json.Unmarshal(b, &s); err != nil {
		return s, damaged{fmt.Errorf("%s: %w", stateFile, err)}
	}
	return s, nil
}

// checkSums compares the files with the checksums written beside them.
func checkSums(path string, files []string) error {
	b, err := regular.ReadFile(filepath.Join(path, sumsFile), maxRecord)
	if err != nil {
		return damaged{err}
	}
	want := map[string]string{}
	for line := range strings.Lines(string(b)) {
		if sum, name, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "  "); ok {
			want[name] = sum
		}
	}
	for _, name := range files {
		sum, _, err := hashFile(filepath.Join(path, name))
		if err != nil {
			return damaged{err}
		}
		if sum != want[name] {
			return damaged{fmt.Errorf("%s is not what was written: checksum is %s, %s says %q", name, sum, sumsFile, want[name])}
		}
	}
	return nil
}

// sameRun refuses to continue a run as another.
func (r *run) sameRun(path string, s state) error {
	config, err := r.Model.Config().JSON()
	if err != nil {
		return err
	}
	was, err := regular.ReadFile(filepath.Join(path, configFile), maxRecord)
	if err != nil {
		return damaged{err}
	}
	const anew = "; start a new run in another --out, from this checkpoint as its --model if you like"
	if !bytes.Equal(was, config) {
		return fmt.Errorf("it holds a model of another configuration than this run's: compare its %s%s", configFile, anew)
	}
	d := s.Options.difference(r.opt, s.Batch, r.Plan.Batch, s.Seq, r.Plan.Seq)
	// The number of steps may follow from the data, so the data comes before it.
	if now := r.Source.Fingerprint(); s.Data != now && (d == "" || strings.HasPrefix(d, "--steps ")) {
		which := ""
		if was, now := fmt.Sprintf("%.12s", s.Data), fmt.Sprintf("%.12s", now); was != now {
			which = fmt.Sprintf(" (fingerprint %s, now %s)", was, now)
		}
		return fmt.Errorf("the data has changed since%s: bring back the old files, mixed (--mix) as they were%s", which, anew)
	}
	if s.Validation != "" && s.Validation != r.validation && d == "" {
		return fmt.Errorf("the validation text has changed since: bring back the old files%s", anew)
	}
	if d != "" {
		return fmt.Errorf("it belongs to a run with other options: %s%s", d, anew)
	}
	return nil
}

// sameKind refuses to continue a run with adapters without, or the other way round.
func (r *run) sameKind(path string) error {
	other := adaptersFile
	if r.adapted() {
		other = safetensors.FileName
	}
	if _, err := os.Stat(filepath.Join(path, other)); err == nil {
		return errors.New(otherParts)
	}
	return nil
}

const otherParts = "it belongs to a run in which other parameters were frozen, or one had adapters; start a new run in another --out"

// sameFrozen refuses to continue a run in which other parameters were frozen, or with adapters of another
// base. It puts the base weights in their place, which adapters' checkpoints lack.
func (r *run) sameFrozen(s state) error {
	if r.frozen == "" {
		if r.adapted() {
			if err := r.Start(); err != nil {
				return err
			}
		}
		r.nameFrozen()
	}
	if s.Frozen == r.frozen {
		return nil
	}
	if r.adapted() {
		return errors.New("it belongs to a run in which other parameters were frozen, adapters had another shape, or the base model was another; start a new run in another --out")
	}
	return errors.New(otherParts)
}
