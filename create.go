package haenyeo

import (
	"context"

	"github.com/haenyeo/haenyeo/create"
	"github.com/haenyeo/haenyeo/train"
)

// CreateRequest says what model to make of what text. Its zero value but for Out makes one of the
// embedded corpus in five minutes.
type CreateRequest = create.Request

// Create trains a model and leaves it in r.Out. When ctx is cancelled the state is kept there for
// Resume. An engine is made unless r has one.
func Create(ctx context.Context, r CreateRequest) error {
	if r.Engine == nil {
		dir := ""
		if r.Resume {
			dir = r.Out
		}
		e, err := train.EngineFor(dir, 0, "")
		if err != nil {
			return err
		}
		defer e.Close()
		r.Engine = e
	}
	_, err := create.Run(ctx, r)
	return err
}
