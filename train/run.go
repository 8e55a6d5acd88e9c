package train

// This file holds Run, the loop over steps, with everything that happens around a step. One step is
// in step.go.

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"path/filepath"
	"time"

	"github.com/haenyeo/haenyeo/corpus"
	"github.com/haenyeo/haenyeo/kernel"
	"github.com/haenyeo/haenyeo/model"
	"github.com/haenyeo/haenyeo/optim"
)

// Model is what the loop needs of a model; *model.Model is one.
type Model interface {
	Params() []*model.Param
	Config() *model.Config
	Sync()
	SyncTrained()
	LossGrad(b *model.Batch, o model.LossOptions) (model.Loss, error)
	Loss(b *model.Batch, nll []float32) (model.Loss, error)
	ExpertLoads() [][]int64
	UpdateBias(gamma float32)
}

// Source gives the batches of a run in an order that depends on nothing but itself and, where batches are
// what the model wrote, the weights at the time: Next is called once a step, after the one before was applied.
type Source interface {
	// Next fills b with the next batch.
	Next(b *model.Batch) error
	// Cursor says where the next batch starts, as JSON, and Seek goes there. What is made once for several
	// steps from weights that are gone (rollouts) is part of it. A checkpoint has room for some 60 MB.
	Cursor() ([]byte, error)
	Seek(cursor []byte) error
	// Fingerprint names the data and its order: equal for equal batches, at any time.
	Fingerprint() string
}

// Job is one run.
type Job struct {
	Model   Model
	Engine  *kernel.Engine
	Source  Source
	Options Options
	Pace    Pace

	// Objective makes the loss of a batch, which Source has just filled; Options.Objective names it. It may
	// use Model to read the batch. nil: cross-entropy.
	Objective func(b *model.Batch) (model.Objective, error)
	// Stats is asked after every applied step for numbers of its event; those that are not finite are
	// left out. nil: none.
	Stats func() map[string]float64

	// Start puts the starting weights into Model. It is called when there is no checkpoint to continue
	// from, and again when a run fails before its first; and, of a model with adapters, before a
	// checkpoint is taken up, because that holds only what trains.
	Start func() error
	// Dir is the output directory; it is made. Empty: nothing is kept.
	Dir string
	// Resume continues from the newest good checkpoint in Dir.
	Resume bool
	// Plan is the first event; its Steps and Options are set by Run. The log has it once.
	Plan Plan
	// Begin writes what Dir holds from the start, when nothing stands in the way of the run and
	// nobody else is there. nil: nothing.
	Begin func() error

	Validation *corpus.Evaluation                                    // nil: none
	Sample     func(ctx context.Context, step int) ([]Sample, error) // nil: none
	Emit       func(Event)                                           // nil: nobody watches
	// Finish makes what the run leaves behind, when Model has its last weights and before Done is
	// emitted: Done means that everything is there. nil: nothing.
	Finish func(Done) error
	Logger *slog.Logger // nil: slog.Default
}

// Interrupted is the error of a run that was asked to stop. The state at Step is kept when Saved.
type Interrupted struct {
	Step, Steps int
	Saved       bool
}

// Error says how far the run came and whether it can go on.
func (e *Interrupted) Error() string {
	if !e.Saved {
		return fmt.Sprintf("train: interrupted after step %d of %d; nothing was kept", e.Step, e.Steps)
	}
	return fmt.Sprintf("train: interrupted after step %d of %d; the state is kept: --resume continues", e.Step, e.Steps)
}

// Unwrap makes errors.Is(err, context.Canceled) true.
func (e *Interrupted) Unwrap() error { return context.Canceled }

// NonFinite is the error of a run whose loss or gradient stayed NaN or infinite.
type NonFinite struct {
	Step    int
	What    string // "loss" or "gradient norm"
	Value   float64
	Retries int
}

// Error says what was not finite, and what to try.
func (e *NonFinite) Error() string {
	return fmt.Sprintf("train: step %d: %s is %g after %d retries from the last checkpoint, each at half the learning rate: lower --lr, or look at the data around this step", e.Step, e.What, e.Value, e.Retries)
}

// Run trains until Options.Steps steps are done and returns the last event. When ctx is cancelled it
// finishes the step, writes a checkpoint and returns *Interrupted. Model is left with the weights of
// the last step, or their moving average if the options ask for one.
func Run(ctx context.Context, job Job) (Done, error) {
	r, err := prepare(job)
	if err != nil {
		return Done{}, err
	}
	defer r.release()
	if err := r.begin(); err != nil {
		return Done{}, err
	}
	for {
		if !r.measured {
			if err := r.measure(ctx); err != nil {
				return Done{}, err
			}
		}
		if r.step == r.opt.Steps {
			return r.finish()
		}
		if ctx.Err() != nil {
			return Done{}, r.interrupt()
		}
		step, err := r.one()
		var bad *NonFinite
		if errors.As(err, &bad) {
			if err = r.retry(bad); err == nil {
				continue
			}
		}
		if err != nil {
			return Done{}, err
		}
		if err := r.emit(step); err != nil {
			return Done{}, err
		}
		if err := r.after(ctx); err != nil {
			return Done{}, err
		}
	}
}

// run is a Job under way. step counts finished steps.
type run struct {
	Job
	opt       Options
	optimizer *optim.Optimizer
	batch     model.Batch
	log       *runLog // nil without Dir

	validation string // names the validation text, "" without one
	frozen     string // names what does not train; "" when everything does, or before that is known

	step    int
	tokens  int64
	lrScale float64 // halved by every retry
	retries int

	madeDir    bool      // Dir was not there
	started    time.Time // when this process began to train
	before     float64   // seconds of training in the processes before
	tierBefore string    // of kernels, in the checkpoint
	firstNow   int       // step at started
	complete   *Done     // the log of a run that was already finished says so

	recent   [50]float64 // losses of the last steps, by step modulo 50
	val      float64     // bits per byte at the last Eval
	load     [][]int64   // since the last Eval
	measured bool        // what was due after this step to be measured was
	slow     bool        // said that the plan cannot be kept
}

func prepare(job Job) (*run, error) {
	r := &run{Job: job, opt: job.Options, lrScale: 1}
	if r.Logger == nil {
		r.Logger = slog.Default()
	}
	if err := r.opt.Validate(); err != nil {
		return nil, err
	}
	var params []optim.Param
	for _, p := range r.Model.Params() {
		if p.Kind == model.Bias || p.Frozen {
			continue
		}
		if p.Grad == nil {
			return nil, fmt.Errorf("train: parameter %q has no gradient: open the model for training", p.Name)
		}
		params = append(params, optim.Param{Name: p.Name, Shape: p.Shape, W: p.Data, G: p.Grad, Hidden: p.Kind == model.Matrix})
	}
	var err error
	if r.optimizer, err = optim.New(r.Engine, params, r.opt.optim()); err != nil {
		return nil, err
	}
	if r.Dir != "" && r.Validation != nil {
		r.validation = r.Validation.Fingerprint()
	}
	return r, nil
}

// begin brings the run to where it starts: the newest checkpoint, or step 0.
func (r *run) begin() error {
	resumed := false
	if r.Dir != "" {
		err := r.take()
		if err != nil {
			return err
		}
		if resumed, err = r.restoreNewest(); err != nil {
			return err
		}
	}
	r.Plan.Options, r.Plan.Steps, r.Plan.Data = r.opt, r.opt.Steps, r.Source.Fingerprint()
	if resumed {
		r.compareTier()
	} else {
		if err := r.sameLog(); err != nil {
			return err
		}
		if err := r.startOver(); err != nil {
			return err
		}
	}
	if err := r.checkWeights(); err != nil {
		return err
	}
	if r.complete = r.logDone(); r.log != nil && r.complete == nil {
		if r.Begin != nil {
			if err := r.Begin(); err != nil {
				return err
			}
		}
		if err := r.log.cut(r.step, r.measured); err != nil {
			return err
		}
	}
	if r.log == nil || r.log.empty {
		if err := r.emit(r.Plan); err != nil {
			return err
		}
	} else if r.Emit != nil {
		r.Emit(r.Plan) // the log has it
	}
	r.started, r.firstNow = time.Now(), r.step
	return nil
}

// compareTier says when the run goes on with other kernels than before.
func (r *run) compareTier() {
	if now := r.Engine.Tier(); r.step < r.opt.Steps && r.tierBefore != "" && r.tierBefore != now {
		r.Logger.Warn("train: the run goes on with other kernels, which round differently: its results will not be bit-identical to those of an uninterrupted run; --cpu chooses the old ones where the machine has them",
			"was", r.tierBefore, "now", now)
	}
}

// logDone is the last event of a run that is finished, nil if it is not.
func (r *run) logDone() *Done {
	if r.log == nil || r.step != r.opt.Steps || !r.measured {
		return nil
	}
	events, err := ReadLog(filepath.Join(r.Dir, LogName))
	if err != nil || len(events) == 0 {
		return nil
	}
	if d, ok := events[len(events)-1].(Done); ok && d.Step == r.step {
		d.Out = r.Dir
		return &d
	}
	return nil
}

// startOver is step 0, with the starting weights.
func (r *run) startOver() error {
	if err := r.Start(); err != nil {
		return err
	}
	r.nameFrozen()
	r.optimizer.Reset()
	r.optimizer.ClearGrads()
	r.Model.Sync()
	r.step, r.tokens, r.measured, r.load = 0, 0, true, nil
	return r.Source.Seek(nil)
}

// checkWeights refuses weights from which no finite loss can come.
func (r *run) checkWeights() error {
	for _, p := range r.Model.Params() {
		if finite(r.Engine.SumSquares([][]float32{p.Data})) {
			continue
		}
		for i, w := range p.Data { // squares of large values may be what is not finite
			if !finite(float64(w)) {
				return fmt.Errorf("train: weight %q holds %g at %d: start from another model", p.Name, w, i)
			}
		}
	}
	return nil
}

// after does what is due after a step. The checkpoint comes last.
func (r *run) after(ctx context.Context) error {
	r.measured = false
	r.checkPace()
	if err := r.measure(ctx); err != nil {
		return err
	}
	if r.Dir != "" && r.due(r.Pace.CheckpointEvery) {
		return r.save()
	}
	return nil
}

// due says whether what happens every so many steps happens after this one; all does after the last.
func (r *run) due(every int) bool {
	return r.step == r.opt.Steps || every > 0 && r.step > 0 && r.step%every == 0
}

// measure evaluates and samples when due. If ctx ends before it is done, the state is kept without,
// and the run that continues measures first.
func (r *run) measure(ctx context.Context) error {
	eval := r.Validation != nil && r.due(r.Pace.EvalEvery)
	sample := r.Sample != nil && r.due(r.Pace.SampleEvery)
	if eval || sample {
		if err := r.look(ctx, eval, sample); err != nil {
			return r.orInterrupt(ctx, err)
		}
	}
	if eval { // the loads were told
		for _, layer := range r.load {
			clear(layer)
		}
	}
	// Measuring routed tokens too; they are no reason to move the biases.
	r.Model.UpdateBias(0)
	r.measured = true
	return nil
}

// look evaluates and samples the weights that the run would leave if it ended here: the moving
// average, if the options ask for one.
func (r *run) look(ctx context.Context, eval, sample bool) error {
	if r.swapEMA() {
		defer r.swapEMA()
	}
	if eval {
		if err := r.evaluate(ctx); err != nil {
			return err
		}
	}
	if !sample {
		return nil
	}
	samples, err := r.Sample(ctx, r.step)
	if err != nil {
		return err
	}
	for _, s := range samples {
		s.Step = r.step
		if err := r.emit(s); err != nil {
			return err
		}
	}
	return nil
}

// swapEMA exchanges the weights with their moving average, if there is one.
func (r *run) swapEMA() bool {
	if !r.optimizer.SwapEMA() {
		return false
	}
	r.Model.Sync()
	return true
}

func (r *run) orInterrupt(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return r.interrupt()
	}
	return err
}

func (r *run) interrupt() error {
	e := &Interrupted{Step: r.step, Steps: r.opt.Steps}
	if r.Dir == "" || r.step == 0 {
		return e
	}
	if err := r.save(); err != nil {
		return err
	}
	e.Saved = true
	return e
}

// retry goes back to the last checkpoint with half the learning rate.
func (r *run) retry(bad *NonFinite) error {
	r.optimizer.ClearGrads()
	if r.retries >= r.Pace.Retries {
		bad.Retries = r.retries
		return bad
	}
	retries, scale, before := r.retries+1, r.lrScale/2, r.before
	resumed := false
	if r.Dir != "" {
		var err error
		if resumed, err = r.restoreNewest(); err != nil {
			return err
		}
	}
	if !resumed {
		if err := r.startOver(); err != nil {
			return err
		}
	}
	r.retries, r.lrScale, r.before = retries, scale, before
	r.Model.UpdateBias(0) // forget where the tokens of the failed step went
	r.Logger.Warn("train: a step was not finite and was not applied: trying again from the last checkpoint",
		"step", bad.Step, "what", bad.What, "value", bad.Value, "from_step", r.step, "lr_scale", r.lrScale)
	if r.log != nil {
		return r.log.cut(r.step, r.measured)
	}
	return nil
}

// checkPace says, once, that the run takes longer than was planned. The number of steps stays: the
// schedule and every bit of the result depend on it.
func (r *run) checkPace() {
	done := r.step - r.firstNow
	if r.slow || r.Pace.PlannedSeconds <= 0 || done < max(5, r.opt.Steps/10) {
		return
	}
	per := time.Since(r.started).Seconds() / float64(done)
	if total := per * float64(r.opt.Steps); total > 1.25*r.Pace.PlannedSeconds {
		r.slow = true
		r.Logger.Warn("train: the machine is slower than planned; the run goes on to its last step",
			"planned_seconds", math.Round(r.Pace.PlannedSeconds), "now_expected_seconds", math.Round(total))
	}
}

func (r *run) finish() (Done, error) {
	r.swapEMA()
	if r.complete != nil {
		if r.Emit != nil {
			r.Emit(*r.complete)
		}
		return *r.complete, nil
	}
	d := Done{Step: r.step, Tokens: r.tokens, Loss: r.recentLoss(), ValBPB: r.val, Seconds: r.seconds(), Retries: r.retries, Out: r.Dir}
	if r.Finish != nil {
		if err := r.Finish(d); err != nil {
			return Done{}, err
		}
	}
	return d, r.emit(d)
}

// seconds is how long the run has been trained, by this process and those before.
func (r *run) seconds() float64 { return r.before + time.Since(r.started).Seconds() }

func (r *run) recentLoss() float64 {
	n := min(len(r.recent), r.step)
	var sum float64
	for i := range n {
		sum += r.recent[(r.step-1-i)%len(r.recent)]
	}
	return sum / float64(n) // Steps is at least 1
}

func (r *run) emit(e Event) error {
	if r.log != nil {
		if err := r.log.write(e); err != nil {
			return fmt.Errorf("%w: the run stopped; make room and try again (%s)", err, r.kept())
		}
	}
	if r.Emit != nil {
		r.Emit(e)
	}
	return nil
}
