package model

import (
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/haenyeo/haenyeo/format/safetensors"
	"github.com/haenyeo/haenyeo/kernel"
)

// Loss and gradients of adapters are those of Hugging Face PEFT, for the dense line and for MLA.
func TestLoRAAgainstPEFT(t *testing.T) {
	python := os.Getenv("HAENYEO_PYTHON")
	if python == "" {
		t.Skip("HAENYEO_PYTHON is not set: no PEFT to compare with")
	}
	dense := Config{ModelType: llama, VocabSize: 40, HiddenSize: 24, IntermediateSize: 36, NumHiddenLayers: 2, NumAttentionHeads: 4, NumKeyValueHeads: 2, MaxPositionEmbeddings: 64}
	latent := gradientCases[0].c
	latent.RopeScaling = RopeScaling{}
	latent.HiddenSize, latent.MoEIntermediateSize = 16, 8 // torch groups products of whole 16 bytes
	for name, x := range map[string]struct {
		c    Config
		lora *LoRA
	}{
		"llama":       {dense, &LoRA{Rank: 4, Alpha: 6, Targets: []string{"q_proj", "v_proj", "o_proj", "gate_proj", "down_proj", "lm_head"}}},
		"deepseek_v3": {latent, &LoRA{Rank: 2, Alpha: 6, Targets: []string{"q_a_proj", "q_b_proj", "kv_a_proj_with_mqa", "kv_b_proj", "o_proj"}}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := testModel(t, &x.c, newEngine(t, 2), Options{}).Save(dir, kernel.F32); err != nil {
				t.Fatal(err)
			}
			m := must[*Model](t)(Open(dir, newEngine(t, 2), Options{Train: true, LoRA: x.lora}))
			b := testBatch(x.c.VocabSize, 3, 7)
			b.First, b.Targets = nil, nil
			var in []safetensors.Source
			tokens := make([]float32, len(b.Tokens))
			for i, id := range b.Tokens {
				tokens[i] = float32(id)
			}
			in = append(in, safetensors.Floats("tokens", safetensors.F32, []int{b.B, b.T + 1}, tokens))
			for _, p := range m.Params() {
				if p.Kind != Adapter {
					continue
				}
				for i := range p.Data {
					p.Data[i] += 0.2 * float32(math.Sin(float64(i*i+len(p.Name))))
				}
				in = append(in, safetensors.Floats(p.Name, safetensors.F32, p.Shape, p.Data))
			}
			m.Sync()
			if err := safetensors.Write(filepath.Join(dir, "in.safetensors"), in, nil); err != nil {
				t.Fatal(err)
			}
			args := append([]string{filepath.Join("testdata", "peft_lora.py"), dir, dir, strconv.Itoa(x.lora.Rank), strconv.Itoa(int(x.lora.Alpha))}, x.lora.Targets...)
			if text, err := exec.Command(python, args...).CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			out, err := safetensors.Open(filepath.Join(dir, "out.safetensors"))
			if err != nil {
				t.Fatal(err)
			}
			defer out.Close()
			floats := func(name string) []float32 {
				x, ok := out.Tensor(name)
				if !ok {
					t.Fatalf("PEFT has no gradient of %s", name)
				}
				return must[[]float32](t)(x.Float32(nil))
			}
			l := must[Loss](t)(m.LossGrad(b, LossOptions{}))
			if want := float64(floats("loss")[0]); math.Abs(l.CE-want) > 1e-5*want {
				t.Errorf("loss %.8g, PEFT has %.8g", l.CE, want)
			}
			for _, p := range m.Params() {
				if p.Kind == Adapter {
					close32(t, p.Name, p.Grad, floats(p.Name), 2e-5)
				}
			}
		})
	}
}
