package infer

import (
	"encoding/json"
	"errors"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
)

// What is drawn from equals what transformers and llama.cpp draw from (testdata/make_sampling.py).
func TestSamplingGolden(t *testing.T) {
	data, err := os.ReadFile("testdata/sampling.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Sampling      json.RawMessage
		Prompt, Made  []int32
		Logits        []float32
		IDs           []int32
		Probabilities []float64
	}
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) < 80 {
		t.Fatalf("%d cases", len(cases))
	}
	for _, c := range cases {
		got := drawnFrom(t, goldenSampling(t, c.Sampling), c.Prompt, c.Made, c.Logits)
		if ids := slices.Sorted(maps.Keys(got)); !slices.Equal(ids, c.IDs) {
			t.Errorf("%s: keeps %v\nwant %v", c.Sampling, ids, c.IDs)
			continue
		}
		for i, id := range c.IDs {
			if want := c.Probabilities[i]; math.Abs(got[id]/want-1) > 2e-5 {
				t.Errorf("%s: id %d has probability %.9g, want %.9g", c.Sampling, id, got[id], want)
			}
		}
	}
}

// goldenSampling reads the fields of Sampling; in a bias null stands for -Inf.
func goldenSampling(t *testing.T, raw json.RawMessage) (s Sampling) {
	t.Helper()
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		t.Fatal(err)
	}
	if b, ok := fields["Bias"]; ok {
		var bias map[int32]*float64
		if err := json.Unmarshal(b, &bias); err != nil {
			t.Fatal(err)
		}
		s.Bias = map[int32]float64{}
		for id, v := range bias {
			s.Bias[id] = math.Inf(-1)
			if v != nil {
				s.Bias[id] = *v
			}
		}
		delete(fields, "Bias")
	}
	rest, err := json.Marshal(fields)
	if err == nil {
		d := json.NewDecoder(strings.NewReader(string(rest)))
		d.DisallowUnknownFields()
		err = d.Decode(&s)
	}
	if err == nil {
		err = s.Validate()
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The matches that DRY and the no-repeat rule look at, against comparing every place.
func TestMatches(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	var r rules
	for range 2000 {
		w := make([]int32, 1+rng.IntN(40))
		kinds := 1 + rng.IntN(4)
		for i := range w {
			w[i] = int32(rng.IntN(kinds))
		}
		limit := rng.IntN(len(w) + 2)
		z := r.matches(w, limit)
		n := len(w)
		for k := 1; k <= n; k++ {
			m := 0
			for m < limit && k+m < n && w[n-1-m] == w[n-1-k-m] {
				m++
			}
			if int(z[k]) != m {
				t.Fatalf("%v, limit %d: %d tokens before the end match %d, want %d", w, limit, k, z[k], m)
			}
		}
	}
}

// Texts break repetitions wherever tokens cut them.
func TestDRYBreakerTexts(t *testing.T) {
	spell := func(id int32) []byte { return []byte{byte(id)} }
	for _, c := range []struct {
		text   string
		breaks []string
		hit    byte    // the character that is made less likely
		by     float64 // 0: none is
	}{
		{"abcab", nil, 'c', 2},                   // "ab" stood before c
		{"a\nbca\nb", []string{"\n"}, 'c', 1},    // only "b" counts
		{"a--bca--b", []string{"--"}, 'c', 1},    // the same across two tokens
		{"a-bca-b", []string{"--"}, 'c', 4},      // not a breaker
		{"xab\nyab", []string{"\n"}, '\n', 0},    // a breaker itself is never made less likely
		{"abcab\n", []string{"\n", "q"}, 'x', 0}, // nothing since the last breaker
		{"abc-ab", []string{"ab"}, 'c', 0},
	} {
		s := Sampling{DRY: DRY{Multiplier: 1, Base: 2, Allowed: 1, BreakerTexts: c.breaks}}
		r := newRules(s, ids(c.text), spell)
		x, err := r.apply(make([]float32, 256))
		if err != nil {
			t.Fatal(err)
		}
		for id, v := range x {
			want := 0.0
			if byte(id) == c.hit {
				want = -c.by
			}
			if float64(v) != want {
				t.Errorf("%q with breakers %q: %q gets %v, want %v", c.text, c.breaks, rune(id), v, want)
			}
		}
	}
}

// The rule of DeepSeek-OCR: <td> and </td> may repeat for ever, other runs may not, and only the window counts.
func TestNoRepeat(t *testing.T) {
	for _, c := range []struct {
		context string
		rule    NoRepeat
		banned  string
	}{
		{"abcab", NoRepeat{N: 3}, "c"},
		{"abcab", NoRepeat{N: 3, Exempt: []int32{'c'}}, ""},
		{"abcab", NoRepeat{N: 3, Exempt: []int32{'b', 'x'}}, "c"},
		{"abcab", NoRepeat{N: 3, Window: 5}, "c"},
		{"abcab", NoRepeat{N: 3, Window: 4}, ""}, // "abc" is not in "bcab"
		{"abcadab", NoRepeat{N: 2, Window: 90}, "c"},
		{"abcadaba", NoRepeat{N: 2, Window: 90}, "bd"},
		{"abab", NoRepeat{N: 1, Window: 3}, "ab"},
		{"ab", NoRepeat{N: 3}, ""},
		{"", NoRepeat{N: 1}, ""},
		{strings.Repeat("<td></td>", 5) + "<td", NoRepeat{N: 3, Window: 90, Exempt: []int32{'>'}}, ""},
		{strings.Repeat("<td></td>", 5) + "<td", NoRepeat{N: 3, Window: 90}, ">"},
	} {
		r := newRules(Sampling{NoRepeat: c.rule}, ids(c.context), nil)
		x, err := r.apply(make([]float32, 256))
		if err != nil {
			t.Fatal(err)
		}
		var banned []byte
		for id, v := range x {
			if math.IsInf(float64(v), -1) {
				banned = append(banned, byte(id))
			} else if v != 0 {
				t.Errorf("%q: %q gets %v", c.context, rune(id), v)
			}
		}
		if string(banned) != c.banned {
			t.Errorf("%q, %+v: bans %q, want %q", c.context, c.rule, banned, c.banned)
		}
	}
}

func TestDRYStaysFinite(t *testing.T) {
	s := Sampling{DRY: DRY{Multiplier: 1e6, Base: 1e6, Allowed: 1}, Allowed: func([]int32) []uint64 { return []uint64{1 << 7} }}
	id, err := newSampler(s, slices.Repeat([]int32{7}, 500), nil).next(make([]float32, 10))
	if err != nil || id != 7 {
		t.Errorf("got %d, %v", id, err)
	}
}

func TestAllowedTokens(t *testing.T) {
	var asked [][]int32
	s := Sampling{Temperature: 1, Allowed: func(made []int32) []uint64 {
		asked = append(asked, slices.Clone(made))
		set := make([]uint64, 3)
		set[2] = 1<<1 | 1<<2 // 129, 130
		return set
	}}
	sm := newSampler(s, []int32{1, 2}, nil)
	var made []int32
	for range 3 {
		id, err := sm.next(make([]float32, 300))
		if err != nil || id != 129 && id != 130 {
			t.Fatalf("drew %d, %v", id, err)
		}
		made = append(made, id)
	}
	if len(asked) != 3 || len(asked[0]) != 0 || !slices.Equal(asked[2], made[:2]) {
		t.Errorf("asked with %v, made %v", asked, made)
	}
	s.Allowed = func([]int32) []uint64 { return []uint64{} }
	if _, err := newSampler(s, nil, nil).next(make([]float32, 300)); !errors.Is(err, ErrNothingAllowed) {
		t.Errorf("nothing allowed: %v", err)
	}
}

func TestBiasOutsideTheVocabulary(t *testing.T) {
	s := Sampling{Bias: map[int32]float64{10: 1}}
	if _, err := newSampler(s, nil, nil).next(make([]float32, 10)); err == nil || !strings.Contains(err.Error(), "10") {
		t.Errorf("error %v", err)
	}
}

// The logits belong to the model: rules work on a copy.
func TestRulesLeaveLogitsAlone(t *testing.T) {
	logits := []float32{1, 2, 3}
	s := Sampling{RepetitionPenalty: 2, Bias: map[int32]float64{2: -9}, NoRepeat: NoRepeat{N: 1}}
	if id, err := newSampler(s, []int32{1}, nil).next(logits); err != nil || id != 0 {
		t.Errorf("got %d, %v", id, err)
	}
	if !slices.Equal(logits, []float32{1, 2, 3}) {
		t.Errorf("logits are %v now", logits)
	}
}

// Any sampling that Validate lets through draws an id or says why not, whatever the logits and the context.
func FuzzSample(f *testing.F) {
	f.Add([]byte{1, 2, 3, 1, 2}, uint64(1), 1.0, 5, 0.9, 0.1, 0.5, 1.1, 0.5, 2, 3)
	f.Add([]byte{7}, uint64(2), 0.0, 0, 0.0, 0.0, 0.0, 0.0, 0.0, 0, 0)
	f.Add([]byte{255, 0, 128}, uint64(3), 1e-320, 1, 1e-300, 1.0, 1e-9, 100.0, 1e6, 1, 1)
	f.Fuzz(func(t *testing.T, context []byte, seed uint64, temperature float64, k int, topP, minP, typical, repetition, dry float64, allowed, n int) {
		s := Sampling{
			Temperature: temperature, TopK: k, TopP: topP, MinP: minP, TypicalP: typical, RepetitionPenalty: repetition, PresencePenalty: minP, Seed: seed,
			DRY: DRY{Multiplier: dry, Base: 1.5, Allowed: allowed}, NoRepeat: NoRepeat{N: n},
		}
		if s.Validate() != nil {
			return
		}
		rng := rand.New(rand.NewPCG(seed, 0))
		logits := make([]float32, 1+rng.IntN(300))
		for i := range logits {
			logits[i] = math.Float32frombits(rng.Uint32())
			if v := logits[i]; v != v || v > 1e30 {
				logits[i] = float32(math.Inf(-1))
			}
		}
		logits[0] = -1
		prompt := ids(string(context))
		sm := newSampler(s, prompt, nil)
		for range 4 {
			id, err := sm.next(logits)
			if err != nil {
				if !errors.Is(err, ErrNothingAllowed) {
					t.Fatal(err)
				}
				return
			}
			if int(id) >= len(logits) || math.IsInf(float64(logits[id]), -1) {
				t.Fatalf("drew %d of %d logits", id, len(logits))
			}
		}
	})
}
