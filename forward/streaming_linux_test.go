package forward

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/haenyeo/haenyeo/format/safetensors"
	"github.com/haenyeo/haenyeo/kernel"
	"github.com/haenyeo/haenyeo/model"
	"github.com/haenyeo/haenyeo/quant"
	"github.com/haenyeo/haenyeo/weights"
)

// streamedConfig is V4 with 384 fp4 experts of 3.3 MB in six layers, six for a token, and little else.
const streamedConfig = `{"architectures": ["DeepseekV4ForCausalLM"], "model_type": "deepseek_v4", "vocab_size": 1024,
"hidden_size": 2048, "moe_intermediate_size": 1024, "num_hidden_layers": 6, "num_attention_heads": 16,
"num_key_value_heads": 1, "head_dim": 256, "qk_rope_head_dim": 64, "q_lora_rank": 512, "o_groups": 4, "o_lora_rank": 256,
"n_routed_experts": 64, "n_shared_experts": 1, "num_experts_per_tok": 6, "num_hash_layers": 1,
"scoring_func": "sqrtsoftplus", "topk_method": "noaux_tc", "norm_topk_prob": true, "routed_scaling_factor": 1.5,
"swiglu_limit": 10.0, "sliding_window": 128, "compress_ratios": [0, 0, 4, 128, 4, 128], "index_n_heads": 8,
"index_head_dim": 64, "index_topk": 64, "hc_mult": 4, "hc_sinkhorn_iters": 20, "hc_eps": 1e-06, "rms_norm_eps": 1e-06,
"rope_theta": 10000, "compress_rope_theta": 160000, "max_position_embeddings": 65536, "num_nextn_predict_layers": 0,
"hidden_act": "silu", "initializer_range": 0.02, "tie_word_embeddings": false, "bos_token_id": 0, "eos_token_id": 1}`

// streamedModel writes it, with random numbers that experts have in common, and returns its bytes.
func streamedModel(t testing.TB, dir string) (size int64) {
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(streamedConfig), 0o600); err != nil {
		t.Fatal(err)
	}
	c := must[*model.Config](t)(model.ReadConfig(dir))
	rng := rand.New(rand.NewPCG(4, 4))
	codes, numbers := make([]byte, 32<<20), make([]byte, 64<<20)
	for i := range codes {
		codes[i] = byte(rng.Uint32())
	}
	for i := 0; i < len(numbers); i += 2 {
		b := quant.ToBF16(float32(rng.NormFloat64()) / 45) // sqrt(D)
		numbers[i], numbers[i+1] = byte(b), byte(b>>8)
	}
	take := func(from []byte, n int) []byte { return from[rng.IntN(len(from)-n)&^63:][:n] }
	scales := slices.Repeat([]byte{118}, 1<<20) // 2^-9: of numbers with a deviation of 1/45 too
	var all []safetensors.Source
	for e := range weights.Expected(c) {
		n := 1
		for _, s := range e.Shape {
			n *= s
		}
		switch {
		case e.Ints:
			table := make([]byte, 8*n)
			for i := range n {
				table[8*i] = byte((i%c.NumExpertsPerTok*11 + i/c.NumExpertsPerTok*7) % c.NRoutedExperts)
			}
			all = append(all, safetensors.Raw(e.Name, safetensors.I64, e.Shape, table))
		case strings.Contains(e.Name, ".experts."):
			rows, k := e.Shape[0], e.Shape[1]
			all = append(all, safetensors.Raw(e.Name, safetensors.I8, []int{rows, k / 2}, take(codes, n/2)),
				safetensors.Raw(strings.TrimSuffix(e.Name, "weight")+"scale", safetensors.F8_E8M0, []int{rows, k / 32}, scales[:n/32]))
		case strings.HasSuffix(e.Name, "norm.weight"):
			all = append(all, safetensors.Floats(e.Name, safetensors.F32, e.Shape, slices.Repeat([]float32{1}, n)))
		default:
			all = append(all, safetensors.Raw(e.Name, safetensors.BF16, e.Shape, take(numbers, 2*n)))
		}
	}
	path := filepath.Join(dir, "model.safetensors")
	if err := safetensors.Write(path, all, nil); err != nil {
		t.Fatal(err)
	}
	return must[os.FileInfo](t)(os.Stat(path)).Size()
}

// forgetFile takes a file out of the page cache.
func forgetFile(t testing.TB, path string) {
	f := must[*os.File](t)(os.Open(path))
	defer f.Close()
	if err := unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED); err != nil {
		t.Fatal(err)
	}
}

// diskBandwidth is the bytes per second at which path can be read past the page cache: the best of some ways.
func diskBandwidth(t testing.TB, path string) (best float64) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_DIRECT, 0)
	if err != nil {
		t.Skip("this file system has no direct reads:", err)
	}
	defer f.Close()
	const all = 512 << 20
	for _, readers := range []int{2, 4, 8} {
		for _, part := range []int64{512 << 10, 2 << 20} {
			var at atomic.Int64
			var group sync.WaitGroup
			begin := time.Now()
			for range readers {
				group.Go(func() {
					b := make([]byte, part+4096)
					b = b[-uintptr(unsafe.Pointer(&b[0]))&4095:][:part]
					for o := at.Add(part) - part; o < all; o = at.Add(part) - part {
						if _, err := f.ReadAt(b, o); err != nil {
							t.Error(err)
							return
						}
					}
				})
			}
			group.Wait()
			best = max(best, all/time.Since(begin).Seconds())
		}
	}
	return best
}

// TestStreamingChild is the program that BenchmarkStreaming looks at from outside.
func TestStreamingChild(t *testing.T) {
	dir := os.Getenv("HAENYEO_TEST_RAM_MODEL")
	if dir == "" {
		t.Skip("runs as a child of BenchmarkStreaming")
	}
	ram, _ := strconv.ParseInt(os.Getenv("HAENYEO_TEST_RAM"), 10, 64)
	path := filepath.Join(dir, "model.safetensors")
	disk := 0.
	if ram > 0 {
		disk = diskBandwidth(t, path)
		forgetFile(t, path)
	}
	n := open(t, dir, Options{RAM: ram, DType: kernel.BF16})
	if ram > 0 {
		readDirect(t, n)
	}
	const tokens, before = 160, 80
	c := newCache(t, n, 2*tokens)
	seq := randomTokens(3, tokens, n.cfg.VocabSize)
	var reads ExpertReads
	var begin time.Time
	var each []time.Duration
	round := func() {
		for i := range seq {
			if i == before {
				reads, begin = n.ExpertReads(), time.Now()
			}
			at := time.Now()
			if err := n.Run(context.Background(), []*Step{{Cache: c, Tokens: seq[i : i+1]}}); err != nil {
				t.Fatal(err)
			}
			each = append(each, time.Since(at))
		}
	}
	round()
	if ram == 0 { // again, now that everything is in memory
		c.Truncate(0)
		each = each[:0]
		round()
	}
	took := time.Since(begin).Seconds() / (tokens - before)
	slices.Sort(each)
	after := n.ExpertReads()
	missing := float64(after.Bytes-reads.Bytes-after.WastedBytes+reads.WastedBytes) / (tokens - before)
	if ram > 0 {
		disk = max(disk, diskBandwidth(t, path))
	}
	fmt.Printf("\nanswer %g %g %g %g %+v\n", took, each[len(each)/2].Seconds(), missing, disk, after)
	os.Stdin.Read(make([]byte, 1)) // until the parent has looked
}

// BenchmarkStreaming decodes with a model of V4's kind that is three times as large as the memory that it may take,
// and compares with what the slower of disk and processor allows: missing bytes over the bandwidth of direct reads,
// and the time of a token when everything is in memory. Experts are drawn at random, the worst that can be.
func BenchmarkStreaming(b *testing.B) {
	dir := b.TempDir()
	size := streamedModel(b, dir)
	ram := size / 3
	for b.Loop() {
		_, whole := childOf(b, "TestStreamingChild", dir, 0)
		var compute, median, took, x, missing, disk float64
		if _, err := fmt.Sscan(whole, &x, &compute); err != nil {
			b.Fatal(err)
		}
		peak, part := childOf(b, "TestStreamingChild", dir, ram)
		if _, err := fmt.Sscan(part, &took, &median, &missing, &disk); err != nil {
			b.Fatal(err)
		}
		b.Logf("budget %d MB of %d: peak %d MB; %s", ram>>20, size>>20, peak>>20, part)
		if peak > ram {
			b.Errorf("budget %d MB: peak %d MB", ram>>20, peak>>20)
		}
		bound := max(compute, missing/disk)
		b.ReportMetric(1/took, "tok/s")
		b.ReportMetric(1/compute, "tok/s-in-memory")
		b.ReportMetric(missing/1e6, "missing-MB/tok")
		b.ReportMetric(disk/1e9, "disk-GB/s")
		b.ReportMetric(100*bound/took, "%-of-bound")
		b.ReportMetric(float64(peak>>20), "peak-MB")
	}
}
