package bench

import (
	"context"
	"strings"
	"testing"

	"github.com/haenyeo/haenyeo/internal/machine"
	"github.com/haenyeo/haenyeo/kernel"
	"github.com/haenyeo/haenyeo/optim"
)

// What does not fit is refused before any memory is taken.
func TestTrainThatDoesNotFit(t *testing.T) {
	if total, _ := machine.Memory(); total == 0 {
		t.Skip("this system does not say how much memory it has")
	}
	e, err := kernel.New(1, "portable")
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	_, err = Train(context.Background(), e, Training{Preset: "nano", Batch: 1_000_000, Seq: 100_000, Steps: 3, Optimizer: optim.AdamW})
	if err == nil || !strings.Contains(err.Error(), "--batch") {
		t.Errorf("error %v", err)
	}
}
