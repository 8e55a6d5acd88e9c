package tokenizer

// Speed. HAENYEO_BENCH_TEXT may name a file of one JSON string a line (what tokenizer_bench.py --write keeps); otherwise
// the text is the small multilingual corpus in testdata.

import (
	"context"
	"os"
	"testing"
)

func benchTexts(b *testing.B) (list []string, bytes int64) {
	b.Helper()
	if path := os.Getenv("HAENYEO_BENCH_TEXT"); path != "" {
		list = readLines[string](b, path)
	} else {
		list = goldenCorpus(b)
	}
	for _, s := range list {
		bytes += int64(len(s))
	}
	return list, bytes
}

func BenchmarkEncodeDeepSeekV3(b *testing.B) {
	list, bytes := benchTexts(b)
	tok := deepSeekV3(b)
	ids := make([]int32, 0, 1<<20)
	for _, s := range list { // one thread, warm, as the peer's script measures
		ids = tok.Encode(ids[:0], s, EncodeOptions{})
	}
	b.SetBytes(bytes)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		n = 0
		for _, s := range list {
			ids = tok.Encode(ids[:0], s, EncodeOptions{})
			n += len(ids)
		}
	}
	b.ReportMetric(float64(n), "tokens")
}

func BenchmarkScanDeepSeekV3(b *testing.B) {
	list, bytes := benchTexts(b)
	c := unicodeClasses()
	b.SetBytes(bytes)
	for b.Loop() {
		for _, s := range list {
			for i := 0; i < len(s); {
				i = c.nextV3(s, i)
			}
		}
	}
}

func BenchmarkParseDeepSeekV3(b *testing.B) {
	raw := readFileT(b, "testdata/deepseek-v3.tokenizer.json.zst")
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		if _, err := Parse(raw, nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkTrain8192(b *testing.B) {
	list, bytes := benchTexts(b)
	b.SetBytes(bytes)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Train(context.Background(), texts(list...), TrainOptions{VocabSize: 8192}); err != nil {
			b.Fatal(err)
		}
	}
}
