package train

// This file writes checkpoints: directories checkpoints/step-N that hold
//
//	config.json            of the model, so that the directory is itself a model
//	model.safetensors      weights and routing biases, F32 (adapters.safetensors: see frozen.go)
//	optimizer.safetensors  moments, F32
//	state.json             step, schedule position, cursor of the data, what the run was
//	SHA256SUMS             of the four; `sha256sum -c` checks them
//
// A checkpoint is made under a hidden name, every file synced, and renamed when complete: a name
// without a dot in front is a whole checkpoint. The last two are kept.

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/haenyeo/haenyeo/format/safetensors"
	"github.com/haenyeo/haenyeo/internal/atomicfile"
	"github.com/haenyeo/haenyeo/internal/regular"
)

const (
	checkpointVersion = 2 // of state.json and of what the files mean; raised when an older program must not read them
	checkpointsKept   = 2

	checkpointsDir = "checkpoints"
	configFile     = "config.json"
	optimizerFile  = "optimizer.safetensors"
	stateFile      = "state.json"
	sumsFile       = "SHA256SUMS"
	partialSuffix  = ".partial"
)

// state is state.json.
type state struct {
	Version    int             `json:"version"` // 2: with an objective or frozen parameters
	Step       int             `json:"step"`
	Tokens     int64           `json:"tokens"`
	OptimSteps int64           `json:"optimizer_steps"`
	LRScale    float64         `json:"lr_scale"`
	Retries    int             `json:"retries"`
	Options    Options         `json:"options"`
	Data       string          `json:"data"`                 // Source.Fingerprint
	Validation string          `json:"validation,omitempty"` // Evaluation.Fingerprint; "": none, or kept by an older program
	Frozen     string          `json:"frozen,omitempty"`     // names what does not train; "": everything trains
	Cursor     json.RawMessage `json:"cursor"`
	Measured   bool            `json:"measured"` // what was due at this step
	ValBPB     float64         `json:"val_bpb"`
	RecentLoss []float64       `json:"recent_loss"`
	Load       [][]int64       `json:"load,omitempty"` // [MoE layer][expert] tokens since the last Eval
	Seconds    float64         `json:"seconds"`        // of training, all processes together
	Tier       string          `json:"tier"`           // of kernels: others round differently
	Batch      int             `json:"batch"`          // rows
	Seq        int             `json:"seq"`            // tokens of a row
}

// save writes a checkpoint of the present step. When it fails, for want of room say, the checkpoints
// that were there are untouched and the run must stop.
func (r *run) save() error {
	began := time.Now()
	path := r.checkpointPath(r.step)
	if err := r.log.sync(); err != nil {
		return r.saveFailed(err)
	}
	bytes, err := r.writeCheckpoint(path)
	if err != nil {
		return r.saveFailed(err)
	}
	r.prune()
	return r.emit(Checkpoint{Step: r.step, Path: path, Bytes: bytes, Seconds: time.Since(began).Seconds()})
}

func (r *run) saveFailed(err error) error {
	return fmt.Errorf("train: checkpoint of step %d could not be written to %q, so the run stopped; make room and try again (%s): %w", r.step, r.Dir, r.kept(), err)
}

// kept says what a run that stops leaves.
func (r *run) kept() string {
	if steps := r.checkpoints(); len(steps) > 0 {
		return fmt.Sprintf("the checkpoint of step %d is intact: --resume continues from it", steps[0])
	}
	return "no earlier checkpoint exists"
}

func (r *run) checkpointPath(step int) string {
	return filepath.Join(r.Dir, checkpointsDir, "step-"+strconv.Itoa(step))
}

func (r *run) writeCheckpoint(path string) (bytes int64, err error) {
	parent, name := filepath.Split(path)
	temp := filepath.Join(parent, "."+name+partialSuffix)
	if err := os.RemoveAll(temp); err != nil {
		return 0, err
	}
	if err := os.MkdirAll(temp, 0o777); err != nil {
		return 0, err
	}
	defer os.RemoveAll(temp) // nothing is there after the rename

	config, err := r.Model.Config().JSON()
	if err != nil {
		return 0, err
	}
	if err := atomicfile.WriteFile(filepath.Join(temp, configFile), config); err != nil {
		return 0, err
	}
	meta := map[string]string{"format": "pt"}
	if err := safetensors.Write(filepath.Join(temp, r.weightsFile()), r.weights(), meta); err != nil {
		return 0, err
	}
	if err := safetensors.Write(filepath.Join(temp, optimizerFile), r.moments(), meta); err != nil {
		return 0, err
	}
	state, err := r.state()
	if err != nil {
		return 0, err
	}
	if err := atomicfile.WriteFile(filepath.Join(temp, stateFile), state); err != nil {
		return 0, err
	}
	bytes, err = writeSums(temp, r.files())
	if err != nil {
		return 0, err
	}
	// A damaged checkpoint of the same step may be in the way.
	if err := os.RemoveAll(path); err != nil {
		return 0, err
	}
	if err := os.Rename(temp, path); err != nil {
		return 0, err
	}
	return bytes, syncDir(parent)
}

func (r *run) weights() []safetensors.Source {
	var s []safetensors.Source
	for _, p := range r.stored() {
		s = append(s, safetensors.Floats(p.Name, safetensors.F32, p.Shape, p.Data))
	}
	return s
}

func (r *run) moments() []safetensors.Source {
	var s []safetensors.Source
	for _, t := range r.optimizer.State() {
		s = append(s, safetensors.Floats(t.Name, safetensors.F32, t.Shape, t.Data))
	}
	return s
}

func (r *run) state() ([]byte, error) {
	cursor, err := r.Source.Cursor()
	if err != nil {
		return nil, err
	}
	s := state{
		Version: 1, Frozen: r.frozen, Step: r.step, Tokens: r.tokens, OptimSteps: r.optimizer.Steps(),
		LRScale: r.lrScale, Retries: r.retries, Options: r.opt, Data: r.Source.Fingerprint(), Validation: r.validation, Cursor: cursor,
		Measured: r.measured, ValBPB: r.val, RecentLoss: r.recent[:], Load: r.load,
		Seconds: r.seconds(), Tier: r.Engine.Tier(), Batch: r.Plan.Batch, Seq: r.Plan.Seq,
	}
	if s.Frozen != "" || s.Options.Objective != "" {
		s.Version = checkpointVersion
	}
	b, err := json.MarshalIndent(s, "", "\t")
	return append(b, '\n'), err
}

// files are those of a checkpoint that SHA256SUMS lists.
func (r *run) files() []string {
	return []string{configFile, r.weightsFile(), optimizerFile, stateFile}
}

// writeSums lists the checksums of the files in dir and returns their size together.
func writeSums(dir string, files []string) (int64, error) {
	var list strings.Builder
	var bytes int64
	for _, name := range files {
		sum, n, err := hashFile(filepath.Join(dir, name))
		if err != nil {
			return 0, err
		}
		fmt.Fprintf(&list, "%s  %s\n", sum, name)
		bytes += n
	}
	return bytes, atomicfile.WriteFile(filepath.Join(dir, sumsFile), []byte(list.String()))
}

func hashFile(path string) (sum string, bytes int64, err error) {
	f, _, err := regular.Open(path)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, f)
	return hex.EncodeToString(h.Sum(nil)), n, err
}

// checkpoints lists the steps of the complete checkpoints, newest first.
func (r *run) checkpoints() []int {
	entries, err := os.ReadDir(filepath.Join(r.Dir, checkpointsDir))
	if err != nil {
		return nil
	}
	var steps []int
	for _, e := range entries {
		if s, ok := strings.CutPrefix(e.Name(), "step-"); ok && e.IsDir() {
			if n, err := strconv.Atoi(s); err == nil && n > 0 && strconv.Itoa(n) == s {
				steps = append(steps, n)
			}
		}
	}
	slices.Sort(steps)
	slices.Reverse(steps)
	return steps
}

// prune deletes checkpoints beyond the last two. Failing to is no reason to stop.
func (r *run) prune() {
	for i, step := range r.checkpoints() {
		if i >= checkpointsKept {
			if err := os.RemoveAll(r.checkpointPath(step)); err != nil {
				r.Logger.Warn("train: an old checkpoint could not be deleted", "error", err)
			}
		}
	}
}

// clean deletes what a killed run left half-written. Only who took the directory may.
func (r *run) clean() error {
	if err := atomicfile.RemovePartial(r.Dir); err != nil {
		return fmt.Errorf("train: %w", err)
	}
	left, err := filepath.Glob(filepath.Join(r.Dir, checkpointsDir, ".step-*"+partialSuffix))
	if err != nil {
		return fmt.Errorf("train: %w", err)
	}
	for _, path := range left {
		if err := os.RemoveAll(path); err != nil {
			return fmt.Errorf("train: %w", err)
		}
	}
	return nil
}

// roomFor refuses to start a run whose checkpoints will not fit: two are kept while a third is
// written, and the finished model takes the room of its weights.
func (r *run) roomFor() error {
	var model, weights, moments uint64
	for _, p := range r.Model.Params() {
		model += 4 * uint64(len(p.Data))
	}
	for _, p := range r.stored() {
		weights += 4 * uint64(len(p.Data))
	}
	for _, t := range r.optimizer.State() {
		moments += 4 * uint64(len(t.Data))
	}
	there := uint64(min(len(r.checkpoints()), checkpointsKept))
	need := (checkpointsKept+1-there)*(weights+moments) + model + 1<<20
	free, err := freeBytes(existing(r.Dir))
	if err != nil {
		r.Logger.Debug("train: free space is unknown", "error", err)
		return nil
	}
	if free < need {
		return fmt.Errorf("train: %q has %d MB free and this run needs %d MB for its checkpoints and model: make room or choose another --out", r.Dir, free>>20, need>>20+1)
	}
	return nil
}

// existing is dir, or the directory nearest to it that exists.
func existing(dir string) string {
	for {
		parent := filepath.Dir(dir)
		if _, err := os.Stat(dir); err == nil || parent == dir {
			return dir
		}
		dir = parent
	}
}

// syncDir makes a rename inside dir survive a power cut, where the system has a way to say so.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
