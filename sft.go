package haenyeo

import (
	"context"

	"github.com/haenyeo/haenyeo/train"
	"github.com/haenyeo/haenyeo/tune"
)

// SFTRequest says which model to train further on which conversations.
type SFTRequest = tune.Request

// SFT trains a model on conversations and leaves it in r.Out. When ctx is cancelled the state is kept there
// for Resume. An engine is made unless r has one.
func SFT(ctx context.Context, r SFTRequest) (train.Done, error) {
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
	return tune.SFT(ctx, r)
}
