package train

// This file holds one step (items 2 to 6 of the package comment).

import (
	"fmt"
	"maps"
	"math"
	"time"
)

// one takes a step. On *NonFinite nothing was applied, but the source has moved on.
func (r *run) one() (Step, error) {
	began := time.Now()
	if err := r.Source.Next(&r.batch); err != nil {
		return Step{}, fmt.Errorf("train: step %d: %w", r.step+1, err)
	}
	o := r.opt.loss()
	if r.Objective != nil {
		var err error
		if o.Objective, err = r.Objective(&r.batch); err != nil {
			return Step{}, fmt.Errorf("train: step %d: %w", r.step+1, err)
		}
	}
	loss, err := r.Model.LossGrad(&r.batch, o)
	if err != nil {
		return Step{}, fmt.Errorf("train: step %d: %w", r.step+1, err)
	}
	if !finite(loss.Total) {
		return Step{}, &NonFinite{Step: r.step + 1, What: "loss", Value: loss.Total}
	}
	norm := r.optimizer.Norm()
	if !finite(norm) {
		return Step{}, &NonFinite{Step: r.step + 1, What: "gradient norm", Value: norm}
	}
	lr := r.opt.schedule().At(r.step) * r.lrScale
	r.optimizer.Step(lr, norm)
	imbalance := r.count()
	r.Model.UpdateBias(r.opt.gamma(r.step))
	r.Model.SyncTrained()

	r.recent[r.step%len(r.recent)] = loss.CE
	r.step++
	tokens := r.batch.B * r.batch.T
	r.tokens += int64(tokens)
	var stats map[string]float64
	if r.Stats != nil {
		stats = r.Stats()
		maps.DeleteFunc(stats, func(_ string, x float64) bool { return !finite(x) }) // JSON has no such numbers
	}
	return Step{
		Step: r.step, Tokens: r.tokens, Loss: loss.CE, LR: lr, GradNorm: norm,
		TokS: float64(tokens) / time.Since(began).Seconds(), LoadMaxOverMean: imbalance,
		Balance: loss.Balance, MTP: loss.MTP, Stats: stats,
	}, nil
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// count adds the expert loads of this step to those since the last Eval, and returns the largest
// load over the mean load of the worst layer; 0 without experts.
func (r *run) count() float64 {
	worst := 0.0
	loads := r.Model.ExpertLoads()
	if r.load == nil {
		r.load = make([][]int64, len(loads))
	}
	for l, layer := range loads {
		if r.load[l] == nil {
			r.load[l] = make([]int64, len(layer))
		}
		var sum, most int64
		for e, n := range layer {
			r.load[l][e] += n
			sum += n
			most = max(most, n)
		}
		if sum > 0 {
			worst = max(worst, float64(most)*float64(len(layer))/float64(sum))
		}
	}
	return worst
}

// shares is the share of each expert over the mean share, since the last Eval.
func (r *run) shares() [][]float64 {
	shares := make([][]float64, len(r.load))
	for l, layer := range r.load {
		var sum int64
		for _, n := range layer {
			sum += n
		}
		shares[l] = make([]float64, len(layer))
		for e, n := range layer {
			if sum > 0 {
				shares[l][e] = math.Round(1000*float64(n)*float64(len(layer))/float64(sum)) / 1000
			}
		}
	}
	return shares
}
