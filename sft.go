package haenyeo

import (
	"context"

	"github.com/haenyeo/haenyeo/train"
	"github.com/haenyeo/haenyeo/tune"
)

// TuneRequest says which model to train further on which data.
type TuneRequest = tune.Request

// SFT trains a model on conversations and leaves it in r.Out. When ctx is cancelled the state is kept there
// for Resume. An engine is made unless r has one.
func SFT(ctx context.Context, r TuneRequest) (train.Done, error) {
	return withEngine(r, func(r TuneRequest) (train.Done, error) { return tune.SFT(ctx, r) })
}

// DPO trains a model on preferences, of strength beta (tune.DefaultBeta), otherwise as SFT.
func DPO(ctx context.Context, r TuneRequest, beta float64) (train.Done, error) {
	return withEngine(r, func(r TuneRequest) (train.Done, error) { return tune.DPO(ctx, r, beta) })
}

func withEngine(r TuneRequest, run func(TuneRequest) (train.Done, error)) (train.Done, error) {
	if r.Engine == nil {
		dir := ""
		if r.Resume {
			dir = r.Out
		}
		e, err := train.EngineFor(dir, 0, "")
		if err != nil {
			return train.Done{}, err
		}
		defer e.Close()
		r.Engine = e
	}
	return run(r)
}
