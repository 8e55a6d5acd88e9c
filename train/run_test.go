package train

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/haenyeo/haenyeo/optim"
)

// fakeJob is a run of 30 steps that keeps a checkpoint every 7.
func fakeJob(t testing.TB, dir string) (Job, *fakeModel) {
	m := newFake()
	opt := Defaults(optim.AdamW, 30, m.config)
	opt.LR, opt.BiasGamma, opt.BiasDecay, opt.EMA = 0.05, 0.01, 0.1, 0.5
	return Job{
		Model: m, Engine: engine(t, 1), Source: &fakeSource{}, Options: opt,
		Pace:  Pace{EvalEvery: 10, SampleEvery: 15, CheckpointEvery: 7, Retries: 2},
		Start: m.start, Dir: dir, Resume: true,
		Validation: evaluation(t),
		Sample: func(_ context.Context, step int) ([]Sample, error) {
			return []Sample{{Prompt: "a", Text: fmt.Sprint("text of step ", step)}}, nil
		},
		Logger: slog.New(slog.DiscardHandler),
	}, m
}

// result is what must not depend on how a run came about: weights, and the log without timings.
func result(t *testing.T, job Job, m Model) string {
	t.Helper()
	var s strings.Builder
	h := sha256.New()
	for _, p := range m.Params() {
		for _, w := range p.Data {
			fmt.Fprintf(h, "%08x ", math.Float32bits(w))
		}
	}
	fmt.Fprintf(&s, "weights %x", h.Sum(nil))
	events, err := ReadLog(filepath.Join(job.Dir, LogName))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		switch e := e.(type) {
		case Step:
			e.TokS = 0
			fmt.Fprintf(&s, "\n%+v", e)
		case Eval:
			fmt.Fprintf(&s, "\n%+v", e)
		case Sample:
			fmt.Fprintf(&s, "\n%+v", e)
		}
	}
	return s.String()
}

func whole(t *testing.T) string {
	t.Helper()
	job, m := fakeJob(t, t.TempDir())
	if _, err := Run(context.Background(), job); err != nil {
		t.Fatal(err)
	}
	return result(t, job, m)
}

func TestRunLearnsAndTells(t *testing.T) {
	job, _ := fakeJob(t, t.TempDir())
	var seen []Event
	job.Emit = func(e Event) { seen = append(seen, e) }
	done, err := Run(context.Background(), job)
	if err != nil {
		t.Fatal(err)
	}
	var steps []Step
	count := map[string]int{}
	for _, e := range seen {
		count[e.Name()]++
		if s, ok := e.(Step); ok {
			steps = append(steps, s)
		}
	}
	want := map[string]int{"plan": 1, "step": 30, "eval": 3, "sample": 2, "checkpoint": 5, "done": 1}
	if fmt.Sprint(count) != fmt.Sprint(want) {
		t.Errorf("events %v, want %v", count, want)
	}
	if first, last := steps[0], steps[29]; !(last.Loss < first.Loss-0.2) || last.Step != 30 || last.Tokens != 30*18 || last.LR >= job.Options.LR {
		t.Errorf("from %+v to %+v", first, last)
	}
	if done.ValBPB <= 0 || done.Step != 30 || done.Tokens != 540 {
		t.Errorf("%+v", done)
	}
	logged, err := ReadLog(filepath.Join(job.Dir, LogName))
	if err != nil || len(logged) != len(seen) {
		t.Fatalf("log has %d events (%v), %d were seen", len(logged), err, len(seen))
	}
	for i := range seen {
		a, _ := Line(seen[i])
		b, _ := Line(logged[i])
		if !bytes.Equal(a, b) {
			t.Errorf("log line %d is %s, seen was %s", i, b, a)
		}
	}
	// The last two checkpoints are kept and each is whole.
	found, _ := filepath.Glob(filepath.Join(job.Dir, checkpointsDir, "*"))
	if len(found) != 2 || !strings.HasSuffix(found[0], "step-28") || !strings.HasSuffix(found[1], "step-30") {
		t.Errorf("checkpoints: %v", found)
	}
	for _, c := range found {
		if err := checkSums(c, (&run{Job: job}).files()); err != nil {
			t.Error(err)
		}
	}
}

// What the evaluations and Done say is true of the weights that are left: the moving average.
func TestEvaluationIsOfWhatIsLeft(t *testing.T) {
	job, m := fakeJob(t, t.TempDir())
	job.Options.EMA = 0.9
	sampled := 0.0
	sample := job.Sample
	job.Sample = func(ctx context.Context, step int) ([]Sample, error) {
		total, _, err := Measure(ctx, m, job.Validation)
		sampled = total.BPB
		if err != nil {
			return nil, err
		}
		return sample(ctx, step)
	}
	var last Eval
	job.Emit = func(e Event) {
		if e, ok := e.(Eval); ok {
			last = e
		}
	}
	done, err := Run(context.Background(), job)
	if err != nil {
		t.Fatal(err)
	}
	left, _, err := Measure(context.Background(), m, job.Validation)
	if err != nil {
		t.Fatal(err)
	}
	if last.ValBPB != left.BPB || done.ValBPB != left.BPB || sampled != left.BPB {
		t.Errorf("evaluated %v, sampled %v, done says %v; the weights that are left have %v", last.ValBPB, sampled, done.ValBPB, left.BPB)
	}
}

func TestEventShapes(t *testing.T) {
	line, err := Line(Step{Step: 1, Tokens: 2, Loss: 3, LR: 4, GradNorm: 5, TokS: 6, LoadMaxOverMean: 7})
	if want := `{"event":"step","step":1,"tokens":2,"loss":3,"lr":4,"grad_norm":5,"tok_s":6,"load_max_over_mean":7}` + "\n"; string(line) != want || err != nil {
		t.Errorf("%s, %v", line, err)
	}
	line, _ = Line(Eval{Step: 1, ValBPB: 2})
	if !strings.HasPrefix(string(line), `{"event":"eval","step":1,"val_bpb":2,`) {
		t.Errorf("%s", line)
	}
	line, _ = Line(Plan{Preset: "S"})
	for _, key := range []string{"preset", "params", "active", "tokens"} {
		if !strings.Contains(string(line), `"`+key+`":`) {
			t.Errorf("plan without %s: %s", key, line)
		}
	}
}

func TestInterruptedRunsResumeToTheSameBits(t *testing.T) {
	want := whole(t)
	for _, stops := range [][]int{{1}, {6}, {7}, {8, 9}, {13, 20, 29}, {30}} {
		dir := t.TempDir()
		for _, stop := range stops {
			ctx, cancel := context.WithCancel(context.Background())
			job, _ := fakeJob(t, dir)
			job.Emit = func(e Event) {
				if s, ok := e.(Step); ok && s.Step == stop {
					cancel()
				}
			}
			_, err := Run(ctx, job)
			var in *Interrupted
			if stop < 30 && (!errors.As(err, &in) || in.Step != stop || !in.Saved || !errors.Is(err, context.Canceled)) {
				t.Fatalf("stopped at %d: %v", stop, err)
			}
		}
		job, m := fakeJob(t, dir)
		if _, err := Run(context.Background(), job); err != nil {
			t.Fatal(err)
		}
		if got := result(t, job, m); got != want {
			t.Errorf("stopped at %v: the resumed run differs:\n%s\nwant\n%s", stops, got, want)
		}
	}
}

// TestKilledRuns copies the directory at every event, as a power cut would leave it, with half a
// line and half a checkpoint added.
func TestKilledRuns(t *testing.T) {
	want := whole(t)
	job, _ := fakeJob(t, t.TempDir())
	var copies []string
	job.Emit = func(Event) {
		c := filepath.Join(t.TempDir(), "copy")
		if err := os.CopyFS(c, os.DirFS(job.Dir)); err != nil {
			t.Fatal(err)
		}
		copies = append(copies, c)
	}
	if _, err := Run(context.Background(), job); err != nil {
		t.Fatal(err)
	}
	for i, c := range copies {
		if i%5 != 0 && i < len(copies)-3 {
			continue
		}
		f, err := os.OpenFile(filepath.Join(c, LogName), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(f, `{"event":"step","step":2`)
		f.Close()
		half := filepath.Join(c, checkpointsDir, ".step-99.partial")
		if err := os.MkdirAll(half, 0o777); err != nil {
			t.Fatal(err)
		}
		again, m := fakeJob(t, c)
		if _, err := Run(context.Background(), again); err != nil {
			t.Fatal(err)
		}
		if got := result(t, again, m); got != want {
			t.Errorf("killed at event %d: the resumed run differs", i)
		}
		if _, err := os.Stat(half); err == nil {
			t.Error("half a checkpoint was left behind")
		}
	}
}

// stopped is a directory with checkpoints of steps 7 and 12.
func stopped(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	job, _ := fakeJob(t, dir)
	job.Emit = func(e Event) {
		if s, ok := e.(Step); ok && s.Step == 12 {
			cancel()
		}
	}
	if _, err := Run(ctx, job); !errors.As(err, new(*Interrupted)) {
		t.Fatal(err)
	}
	return dir
}

func TestDamagedCheckpointFallsBack(t *testing.T) {
	want := whole(t)
	damage := map[string]func(dir string) error{
		"truncated weights": func(d string) error { return os.Truncate(filepath.Join(d, "model.safetensors"), 700) },
		"missing moments":   func(d string) error { return os.Remove(filepath.Join(d, optimizerFile)) },
		"flipped bit": func(d string) error {
			p := filepath.Join(d, optimizerFile)
			b, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			b[len(b)-5] ^= 1
			return os.WriteFile(p, b, 0o666)
		},
		"empty state":  func(d string) error { return os.Truncate(filepath.Join(d, stateFile), 0) },
		"missing sums": func(d string) error { return os.Remove(filepath.Join(d, sumsFile)) },
	}
	for name, f := range damage {
		t.Run(name, func(t *testing.T) {
			dir := stopped(t)
			if err := f(filepath.Join(dir, checkpointsDir, "step-12")); err != nil {
				t.Fatal(err)
			}
			job, m := fakeJob(t, dir)
			var warned bytes.Buffer
			job.Logger = slog.New(slog.NewTextHandler(&warned, nil))
			if _, err := Run(context.Background(), job); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(warned.String(), "damaged") || !strings.Contains(warned.String(), "step-12") {
				t.Errorf("no warning: %s", warned.String())
			}
			if got := result(t, job, m); got != want {
				t.Error("the run from the older checkpoint differs")
			}
			// With both damaged there is an error, and nothing starts again by itself.
			dir = stopped(t)
			for _, c := range []string{"step-7", "step-12"} {
				if err := f(filepath.Join(dir, checkpointsDir, c)); err != nil {
					t.Fatal(err)
				}
			}
			job, _ = fakeJob(t, dir)
			if _, err := Run(context.Background(), job); err == nil || !strings.Contains(err.Error(), "delete them to start again") || strings.Contains(err.Error(), "\n") {
				t.Errorf("two damaged checkpoints: %v", err)
			}
		})
	}
}

func TestCheckpointOfAnotherRunIsRefused(t *testing.T) {
	for name, change := range map[string]func(*Job, *fakeModel){
		"lr was 0.05 and is now 0.06": func(j *Job, _ *fakeModel) { j.Options.LR = 0.06 },
		"another configuration":       func(_ *Job, m *fakeModel) { m.config.RopeTheta = 77 },
		"the validation text has":     func(j *Job, _ *fakeModel) { j.Validation = evaluationOf(t, "abcabcabd") },
		"the data has changed":        func(j *Job, _ *fakeModel) { j.Source = &fakeSource{name: "2"} },
		"newer version": func(j *Job, _ *fakeModel) {
			p := filepath.Join(j.Dir, checkpointsDir, "step-12", stateFile)
			b, _ := os.ReadFile(p)
			var s map[string]any
			json.Unmarshal(b, &s)
			s["version"], s["step"] = 99, "a number no longer"
			b, _ = json.Marshal(s)
			os.WriteFile(p, b, 0o666)
		},
	} {
		job, m := fakeJob(t, stopped(t))
		change(&job, m)
		_, err := Run(context.Background(), job)
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("want an error about %q, got %v", name, err)
		}
		if _, err := os.Stat(filepath.Join(job.Dir, checkpointsDir, "step-12")); err != nil {
			t.Error(err)
		}
	}
}

func TestNonFiniteStepIsRetriedFromTheCheckpoint(t *testing.T) {
	job, m := fakeJob(t, t.TempDir())
	m.nan = func(call int) bool { return call == 3 || call == 14 } // step 3, then step 11 of the second try
	var rates []float64
	job.Emit = func(e Event) {
		if s, ok := e.(Step); ok {
			rates = append(rates, s.LR)
		}
	}
	job.Options.Schedule, job.Options.Warmup = optim.Constant, 0
	done, err := Run(context.Background(), job)
	if err != nil || done.Retries != 2 {
		t.Fatalf("%+v, %v", done, err)
	}
	// Steps 1-2 at the full rate, from 0 again at half, from the checkpoint of step 7 at a quarter.
	want := slices.Concat(slices.Repeat([]float64{0.05}, 2), slices.Repeat([]float64{0.025}, 10), slices.Repeat([]float64{0.0125}, 23))
	if !slices.Equal(rates, want) {
		t.Errorf("rates %v", rates)
	}
	events, _ := ReadLog(filepath.Join(job.Dir, LogName))
	step := 0
	for _, e := range events {
		if s, ok := e.(Step); ok {
			if step++; s.Step != step {
				t.Fatalf("log: step %d where %d was expected", s.Step, step)
			}
		}
	}
}

func TestNonFiniteForeverIsAnError(t *testing.T) {
	job, m := fakeJob(t, t.TempDir())
	m.nan = func(call int) bool { return call >= 9 }
	_, err := Run(context.Background(), job)
	var bad *NonFinite
	if !errors.As(err, &bad) || bad.Retries != 2 || bad.What != "loss" {
		t.Fatalf("%v", err)
	}
	// NaN in the starting weights is found before the first step.
	job, m = fakeJob(t, t.TempDir())
	job.Start = func() error { m.start(); m.table.Data[5] = float32(math.NaN()); return nil }
	if _, err := Run(context.Background(), job); err == nil || !strings.Contains(err.Error(), "table.weight") {
		t.Errorf("NaN weight: %v", err)
	}
}

func TestBadOptions(t *testing.T) {
	for name, change := range map[string]func(*Options){
		"steps":         func(o *Options) { o.Steps = 0 },
		"dtype":         func(o *Options) { o.DType = "fp8" },
		"bias-gamma":    func(o *Options) { o.BiasGamma = -1 },
		"balance-alpha": func(o *Options) { o.BalanceAlpha = math.NaN() },
		"schedule":      func(o *Options) { o.Schedule = "x" },
		"betas":         func(o *Options) { o.Beta1 = 1 },
	} {
		job, _ := fakeJob(t, t.TempDir())
		change(&job.Options)
		if _, err := Run(context.Background(), job); !errors.As(err, new(Misuse)) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
		if left, _ := os.ReadDir(job.Dir); len(left) > 0 {
			t.Errorf("%s: left %v behind", name, left)
		}
	}
}

func TestWithoutDirectoryNothingIsKept(t *testing.T) {
	job, _ := fakeJob(t, "")
	if _, err := Run(context.Background(), job); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var in *Interrupted
	if _, err := Run(ctx, job); !errors.As(err, &in) || in.Saved {
		t.Errorf("%v", err)
	}
}

func TestTwoRunsDoNotShareADirectory(t *testing.T) {
	dir := stopped(t)
	job, _ := fakeJob(t, dir)
	tried := false
	job.Emit = func(e Event) {
		if s, ok := e.(Step); ok && !tried {
			tried = true
			second, _ := fakeJob(t, dir)
			if _, err := Run(context.Background(), second); err == nil || !strings.Contains(err.Error(), "another process") {
				t.Errorf("second run at step %d: %v", s.Step, err)
			}
		}
	}
	if _, err := Run(context.Background(), job); err != nil {
		t.Fatal(err)
	}
	again, _ := fakeJob(t, dir)
	again.Resume = false
	if _, err := Run(context.Background(), again); err == nil || !strings.Contains(err.Error(), "earlier run") {
		t.Errorf("a new run over an old one: %v", err)
	}
}

// FuzzRestore gives hostile state files: an error or a good state, never a panic.
func FuzzRestore(f *testing.F) {
	f.Add([]byte(`{"version":1,"step":3,"options":{"steps":30},"cursor":3,"lr_scale":1}`))
	f.Add([]byte(`{"version":2}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, stateFile), b, 0o666); err != nil {
			t.Fatal(err)
		}
		if s, err := readState(dir); err == nil && s.Version > checkpointVersion {
			t.Errorf("version %d was accepted", s.Version)
		}
		log := filepath.Join(dir, LogName)
		if err := os.WriteFile(log, b, 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadLog(log); err != nil {
			t.Error(err)
		}
		l, err := openLog(log)
		if err != nil {
			if now, _ := os.ReadFile(log); !bytes.Equal(now, b) {
				t.Error("the file of somebody else was changed")
			}
			return
		}
		defer l.close()
		if err := l.cut(5, true); err != nil {
			t.Error(err)
		}
	})
}
