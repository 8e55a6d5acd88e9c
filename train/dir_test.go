package train

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/haenyeo/haenyeo/kernel"
	"github.com/haenyeo/haenyeo/model"
	"github.com/haenyeo/haenyeo/optim"
)

// rewriteState changes the state of a checkpoint, with its checksum.
func rewriteState(t *testing.T, dir, step string, change func(map[string]any)) {
	t.Helper()
	c := filepath.Join(dir, checkpointsDir, step)
	b, err := os.ReadFile(filepath.Join(c, stateFile))
	if err != nil {
		t.Fatal(err)
	}
	var s map[string]any
	if err := json.Unmarshal(b, &s); err != nil {
		t.Fatal(err)
	}
	change(s)
	b, _ = json.Marshal(s)
	if err := os.WriteFile(filepath.Join(c, stateFile), b, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := writeSums(c, (&run{Job: Job{Model: newFake()}}).files()); err != nil {
		t.Fatal(err)
	}
}

func TestFilesOfOthersAreNotTouched(t *testing.T) {
	for name, text := range map[string]string{
		"a log of somebody else": "{\"event\":\"steps\"}\n{\"loss\":1}\n",
		"prose":                  "my diary\n",
		"a line that goes on":    strings.Repeat("x", 2<<20),
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, LogName)
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		if HasRun(dir) {
			t.Errorf("%s: taken for a run", name)
		}
		job, _ := fakeJob(t, dir)
		if _, err := Run(context.Background(), job); err == nil || !strings.Contains(err.Error(), "not the log of a run") {
			t.Errorf("%s: %v", name, err)
		}
		if b, _ := os.ReadFile(path); string(b) != text {
			t.Errorf("%s: %d bytes are left of %d", name, len(b), len(text))
		}
	}
}

func TestVacant(t *testing.T) {
	dir := t.TempDir()
	for _, f := range []string{"", LogName, ".run.json.0123abcd.partial"} {
		if f != "" {
			if err := os.WriteFile(filepath.Join(dir, f), nil, 0o666); err != nil {
				t.Fatal(err)
			}
		}
		if ok, other, err := Vacant(dir); !ok || err != nil || HasRun(dir) {
			t.Errorf("with %q: %q, %v", f, other, err)
		}
	}
	job, _ := fakeJob(t, dir)
	job.Resume = false
	if _, err := Run(context.Background(), job); err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) > 0 {
		t.Errorf("left %v", left)
	}
	if ok, _, _ := Vacant(dir); ok || !HasRun(dir) {
		t.Error("a run is not seen")
	}
	if ok, _, err := Vacant(filepath.Join(dir, "none")); !ok || err != nil {
		t.Error(err)
	}
	lost := filepath.Join(dir, "lost")
	if err := os.Symlink(filepath.Join("nowhere", "deep"), lost); err == nil { // Windows may refuse
		if _, _, err := Vacant(lost); err == nil || !strings.Contains(err.Error(), "leads nowhere") {
			t.Errorf("a link to nothing: %v", err)
		}
	}
	if _, _, err := Vacant(filepath.Join(dir, LogName)); err == nil {
		t.Error("a file is a directory")
	}
}

// TestFailedStartLeavesNothing: the corrected command must find the directory as it was.
func TestFailedStartLeavesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	fail := errors.New("no room")
	for _, change := range []func(*Job, *fakeModel){
		func(j *Job, m *fakeModel) {
			j.Start = func() error { m.start(); m.table.Data[3] = float32(math.Inf(1)); return nil }
		},
		func(j *Job, _ *fakeModel) { j.Begin = func() error { return fail } },
	} {
		job, m := fakeJob(t, dir)
		job.Resume = false
		change(&job, m)
		if _, err := Run(context.Background(), job); err == nil {
			t.Fatal("a run began")
		}
		if _, err := os.Stat(dir); err == nil {
			t.Error("something was left behind")
		}
	}
	job, m := fakeJob(t, dir)
	job.Resume = false
	// Large, but finite: their squares are not.
	job.Start = func() error { m.start(); m.table.Data[fakeVocab*fakeVocab-1] = 3e38; return nil }
	job.Options.Steps, job.Options.Warmup = 1, 0
	if _, err := Run(context.Background(), job); err != nil && strings.Contains(err.Error(), "holds") {
		t.Error(err)
	}
}

func TestDoneOfAResumedRun(t *testing.T) {
	whole, _ := fakeJob(t, t.TempDir())
	want, err := Run(context.Background(), whole)
	if err != nil {
		t.Fatal(err)
	}
	dir := stopped(t)
	rewriteState(t, dir, "step-12", func(s map[string]any) { s["seconds"] = 1000 })
	job, _ := fakeJob(t, dir)
	got, err := Run(context.Background(), job)
	if err != nil || got.Loss != want.Loss || got.ValBPB != want.ValBPB || got.Seconds < 1000 || got.Seconds > 2000 {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
	log, err := os.ReadFile(filepath.Join(dir, LogName))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		again, m := fakeJob(t, dir)
		again.Finish = func(Done) error { t.Error("made again"); return nil }
		var names []string
		again.Emit = func(e Event) { names = append(names, e.Name()) }
		if d, err := Run(context.Background(), again); err != nil || d != got || strings.Join(names, " ") != "plan done" {
			t.Errorf("a finished run: %+v, %v, %v", d, names, err)
		}
		if result(t, again, m) != result(t, whole, whole.Model) {
			t.Error("the weights of a finished run are others")
		}
	}
	if now, _ := os.ReadFile(filepath.Join(dir, LogName)); !bytes.Equal(now, log) {
		t.Error("the log of a finished run was changed")
	}
	if err := os.RemoveAll(filepath.Join(dir, checkpointsDir)); err != nil {
		t.Fatal(err)
	}
	again, _ := fakeJob(t, dir)
	if _, err := Run(context.Background(), again); err == nil || !strings.Contains(err.Error(), "finished run") {
		t.Errorf("a finished run without checkpoints: %v", err)
	}
}

func TestOtherKernelsAreTold(t *testing.T) {
	dir := stopped(t)
	e, err := EngineFor(dir, 1, "")
	if err != nil {
		t.Fatal(err)
	}
	e.Close()
	if first, _ := fakeJob(t, dir); e.Tier() != first.Engine.Tier() {
		t.Errorf("%s, the run has %s", e.Tier(), first.Engine.Tier())
	}
	rewriteState(t, dir, "step-12", func(s map[string]any) { s["tier"] = "portable" })
	t.Setenv("HAENYEO_CPU", "")
	for tier, want := range map[string]string{"": "portable", kernel.Tiers()[0]: kernel.Tiers()[0]} {
		if e, err = EngineFor(dir, 1, tier); err != nil {
			t.Fatal(err)
		}
		e.Close()
		if e.Tier() != want {
			t.Errorf("tier %q: %s, want %s", tier, e.Tier(), want)
		}
	}
	rewriteState(t, dir, "step-12", func(s map[string]any) { s["tier"] = "abacus" })
	job, _ := fakeJob(t, dir)
	var said bytes.Buffer
	job.Logger = slog.New(slog.NewTextHandler(&said, nil))
	if _, err := Run(context.Background(), job); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(said.String(), "abacus") || !strings.Contains(said.String(), job.Engine.Tier()) || !strings.Contains(said.String(), "bit-identical") {
		t.Errorf("said %q", said.String())
	}
}

func TestDifferenceNamesTheCause(t *testing.T) {
	a := Defaults(optim.AdamW, 100, &model.Config{})
	b := Defaults(optim.Muon, 50, &model.Config{})
	if got := a.difference(b, 16, 8, 1, 1); got != "--optimizer was adamw and is now muon" {
		t.Error(got)
	}
	b = Defaults(optim.AdamW, 50, &model.Config{})
	for want, s := range map[string][4]int{
		"--batch was 16 and is now 8":   {16, 8, 32, 64},
		"--seq was 32 and is now 64":    {8, 8, 32, 64},
		"--steps was 100 and is now 50": {0, 8, 0, 64}, // an old checkpoint
	} {
		if got := a.difference(b, s[0], s[1], s[2], s[3]); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := a.difference(a, 1, 1, 2, 2); got != "" {
		t.Error(got)
	}
	// A run whose only log is its plan is compared with that.
	dir := t.TempDir()
	job, _ := fakeJob(t, dir)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	job.Plan.Batch = 2
	if _, err := Run(ctx, job); !errors.As(err, new(*Interrupted)) {
		t.Fatal(err)
	}
	job, _ = fakeJob(t, dir)
	job.Plan.Batch = 3
	if _, err := Run(context.Background(), job); err == nil || !strings.Contains(err.Error(), "--batch was 2 and is now 3") {
		t.Errorf("%v", err)
	}
}

func TestMemoryOfImpossibleBatches(t *testing.T) {
	c := &model.Config{HiddenSize: 64, NumHiddenLayers: 2, NumAttentionHeads: 4, IntermediateSize: 128, VocabSize: 512}
	small, large := Memory(c, 16, 256), Memory(c, 1e6, 1e6)
	if small < 1<<18 || small > 1<<27 || large < 1<<40 || Memory(c, math.MaxInt, math.MaxInt) < large {
		t.Errorf("%d, %d", small, large)
	}
}

// A run that was killed before its first checkpoint goes on with its own data only: the log says what it is trained on.
func TestLogKnowsItsData(t *testing.T) {
	dir := t.TempDir()
	job, _ := fakeJob(t, dir)
	job.Emit = func(e Event) {
		if s, ok := e.(Step); ok && s.Step == 3 {
			panic("killed")
		}
	}
	func() {
		defer func() { recover() }()
		Run(context.Background(), job)
	}()
	job, _ = fakeJob(t, dir)
	job.Source = &fakeSource{name: " changed"}
	if _, err := Run(context.Background(), job); err == nil || !strings.Contains(err.Error(), "the data has changed") {
		t.Errorf("other data: %v", err)
	}
	job, _ = fakeJob(t, dir)
	if _, err := Run(context.Background(), job); err != nil {
		t.Errorf("its own data: %v", err)
	}
}
