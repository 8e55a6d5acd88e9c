package tune

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/haenyeo/haenyeo/model"
	"github.com/haenyeo/haenyeo/train"
)

// Preferences are learned: no margin before the first step, a good one at the end.
func TestDPO(t *testing.T) {
	e := newEngine(t)
	var lines []string
	for i := range 8 {
		lines = append(lines, fmt.Sprintf(`{"prompt":"%d?","chosen":"it is %d","rejected":"no"}`, i, i%3))
	}
	for shape, cfg := range shapes() {
		t.Run(shape, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out")
			r := request(e, newModel(t, e, cfg), writeLines(t, lines...), out)
			if shape == "llama" {
				r.LoRA = &model.LoRA{Rank: 4, Alpha: 8}
			}
			var steps []train.Step
			r.Emit = func(e train.Event) {
				if s, ok := e.(train.Step); ok {
					steps = append(steps, s)
				}
			}
			if _, err := DPO(t.Context(), r, 0.1); err != nil {
				t.Fatal(err)
			}
			first, last := steps[0], steps[len(steps)-1]
			if m := first.Stats["margin"]; m != 0 {
				t.Errorf("before the first step the margin is %g", m)
			}
			if last.Stats["margin"] < 0.2 || last.Stats["accuracy"] != 1 || last.Loss >= first.Loss {
				t.Errorf("at the end %+v, loss %g after %g", last.Stats, last.Loss, first.Loss)
			}
			card, err := os.ReadFile(filepath.Join(out, "README.md"))
			if err != nil || !strings.Contains(string(card), "## Stage: dpo") {
				t.Errorf("the card: %v", err)
			}
		})
	}
	r := request(e, "", "", "")
	if _, err := DPO(t.Context(), r, 0); err == nil {
		t.Error("beta 0 was taken")
	}
}
