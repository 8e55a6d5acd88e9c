package serve

import (
	"encoding/base64"
	"encoding/binary"
	"math"
	"testing"
)

func TestEmbeddings(t *testing.T) {
	s := play(t, "v3", "ok")
	a := s.post("/v1/embeddings", `{"input":["The haenyeo","x"]}`)
	if len(at(t, a, "data").([]any)) != 2 || at(t, a, "data", 1, "index") != 1.0 || at(t, a, "usage", "prompt_tokens").(float64) < 4 {
		t.Errorf("%v", a)
	}
	floats := at(t, a, "data", 0, "embedding").([]any)
	raw, err := base64.StdEncoding.DecodeString(at(t, s.post("/v1/embeddings", `{"input":"The haenyeo","encoding_format":"base64"}`), "data", 0, "embedding").(string))
	if err != nil || len(raw) != 4*len(floats) {
		t.Fatalf("%d bytes, %v", len(raw), err)
	}
	for i, v := range floats {
		if got := math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:])); got != float32(v.(float64)) {
			t.Errorf("%d: %v, %v", i, got, v)
		}
	}
	short := at(t, s.post("/v1/embeddings", `{"input":[5,6,7],"dimensions":2}`), "data", 0, "embedding").([]any)
	if x, y := short[0].(float64), short[1].(float64); len(short) != 2 || math.Abs(x*x+y*y-1) > 1e-6 {
		t.Errorf("%v", short)
	}
	if a := s.post("/api/embed", `{"model":"actor:latest","input":"x"}`); len(at(t, a, "embeddings", 0).([]any)) != 3 || at(t, a, "prompt_eval_count") == 0.0 {
		t.Errorf("%v", a)
	}
	if a := s.post("/api/embeddings", `{"model":"actor","prompt":"x"}`); len(at(t, a, "embedding").([]any)) != 3 {
		t.Errorf("%v", a)
	}
	for body, want := range map[string]int{
		`{}`: 400, `{"input":[]}`: 400, `{"input":7}`: 400, `{"input":[[]]}`: 400, `{"input":[99999]}`: 400, `{"input":[-1]}`: 400,
		`{"input":"x","model":"gone"}`: 404, `{"input":"x","dimensions":0}`: 400, `{"input":"x","dimensions":9}`: 400, `{"input":"x","encoding_format":"hex"}`: 400,
	} {
		if status, e := s.refused("/v1/embeddings", body); status != want {
			t.Errorf("%s: %d %v", body, status, e)
		}
	}
	s = play(t, "v3", "ok", func(_ *Options, m *Model) { m.Engine = gambler{m.Tokenizer} })
	if status, e := s.refused("/v1/embeddings", `{"input":"x"}`); status != 501 {
		t.Errorf("%d %v", status, e)
	}
}
