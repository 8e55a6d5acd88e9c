package tune

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/haenyeo/haenyeo/model"
)

// PEFT loads the adapters, and computes with them what the merged model computes. HAENYEO_PYTHON names an interpreter with
// torch, transformers and peft.
func TestPEFTLoadsAdapters(t *testing.T) {
	python := os.Getenv("HAENYEO_PYTHON")
	if python == "" {
		t.Skip("HAENYEO_PYTHON is not set")
	}
	e := newEngine(t)
	for shape, want := range map[string]int{"llama": 14, "v3": 10} { // 2 layers of 7 and of 5 matrices
		cfg := shapes()[shape]
		cfg.NumNextnPredictLayers = 0
		dir, out := newModel(t, e, cfg), filepath.Join(t.TempDir(), "out")
		r := request(e, dir, talk(t), out)
		r.LoRA = &model.LoRA{Rank: 4, Alpha: 8}
		if _, err := SFT(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		var errors bytes.Buffer
		c := exec.Command(python, "testdata/peft_check.py", dir, out)
		c.Stderr = &errors
		text, err := c.Output()
		var got struct {
			Adapters      int
			BaseAdapter   float64 `json:"base_adapter"`
			AdapterMerged float64 `json:"adapter_merged"`
		}
		if err == nil {
			err = json.Unmarshal(text, &got)
		}
		if err != nil {
			t.Fatalf("%s: %v: %s%s", shape, err, text, errors.String())
		}
		t.Logf("%s: %+v", shape, got)
		if got.Adapters != want || got.BaseAdapter < 1e-2 || got.AdapterMerged > 1e-4 {
			t.Errorf("%s: %+v, want %d adapters that change something and are what was merged", shape, got, want)
		}
	}
}
