package model

import (
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/haenyeo/haenyeo/kernel"
)

// residentMB is the peak resident memory of this process, where /proc tells it.
func residentMB() float64 {
	text, _ := os.ReadFile("/proc/self/status")
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	kb, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	n, _ := strconv.Atoi(kb)
	return float64(n) / 1024
}

// BenchmarkStep is forward and backward of preset S at batch 16×256: tokens/s, FLOP/s counted as
// 6·N_active, and peak resident memory (optimiser not included).
func BenchmarkStep(b *testing.B) {
	for _, dt := range []kernel.DType{kernel.BF16, kernel.F32} {
		b.Run(dt.String(), func(b *testing.B) {
			c := presetS()
			m := must[*Model](b)(New(c, newEngine(b, 0), Options{DType: dt, Train: true}))
			m.Init(1)
			batch := &Batch{B: 16, T: 256}
			r := rand.New(rand.NewPCG(1, 1))
			for range batch.B * (batch.T + 1) {
				batch.Tokens = append(batch.Tokens, int32(r.IntN(c.VocabSize)))
			}
			must[Loss](b)(m.LossGrad(batch, LossOptions{BalanceAlpha: 1e-4}))
			b.ResetTimer()
			b.ReportAllocs()
			for b.Loop() {
				must[Loss](b)(m.LossGrad(batch, LossOptions{BalanceAlpha: 1e-4}))
			}
			tokens := float64(b.N*batch.B*batch.T) / b.Elapsed().Seconds()
			_, active := c.Sizes()
			b.ReportMetric(tokens, "tokens/s")
			b.ReportMetric(tokens*6*float64(active)/1e9, "GFLOP/s")
			b.ReportMetric(residentMB(), "MB-resident")
		})
	}
}

// BenchmarkParts is a step of the shape of SmolLM2-135M, of fewer layers: whole, with adapters beside every
// matrix, and with a loss on a quarter of the positions.
func BenchmarkParts(b *testing.B) {
	for _, x := range []struct {
		name string
		lora *LoRA
		some bool
	}{{"whole", nil, false}, {"lora", &LoRA{Rank: 16, Alpha: 32, Targets: []string{"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}}, false}, {"quarter", nil, true}} {
		b.Run(x.name, func(b *testing.B) {
			c := &Config{ModelType: llama, VocabSize: 49152, HiddenSize: 576, IntermediateSize: 1536, NumHiddenLayers: 4, NumAttentionHeads: 9, NumKeyValueHeads: 3, TieWordEmbeddings: true}
			m := must[*Model](b)(New(c, newEngine(b, 0), Options{DType: kernel.BF16, Train: true, LoRA: x.lora}))
			m.Init(1)
			batch := &Batch{B: 4, T: 256}
			r := rand.New(rand.NewPCG(1, 1))
			for i := range batch.B * (batch.T + 1) {
				batch.Tokens = append(batch.Tokens, int32(r.IntN(c.VocabSize)))
				if x.some && i < batch.B*batch.T {
					batch.Targets = append(batch.Targets, []int32{7, -1, -1, -1}[i/32%4])
				}
			}
			must[Loss](b)(m.LossGrad(batch, LossOptions{}))
			b.ResetTimer()
			b.ReportAllocs()
			for b.Loop() {
				must[Loss](b)(m.LossGrad(batch, LossOptions{}))
				m.SyncTrained()
			}
			b.ReportMetric(float64(b.N*batch.B*batch.T)/b.Elapsed().Seconds(), "tokens/s")
		})
	}
}
