package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/haenyeo/haenyeo/infer"
)

// Every flag of sampling reaches the sampler: it changes what is written, or is refused.
func TestSamplingFlags(t *testing.T) {
	write := func(args ...string) (ids []int32) {
		t.Helper()
		var out struct{ Tokens []int32 }
		args = append([]string{"generate", tinyGGUF, "--json", "--max-tokens=40", "--tokens=5,6,7,8,5,6,7,8,5,6,7"}, args...)
		if err := json.Unmarshal([]byte(works(t, "", args...)), &out); err != nil {
			t.Fatal(err)
		}
		return out.Tokens
	}
	greedy, hot := write(), write("--temperature=2")
	for _, flag := range []string{"--repetition-penalty=1.5", "--presence-penalty=2", "--frequency-penalty=2", "--dry=3", "--no-repeat=2", "--logit-bias=77=50"} {
		if slices.Equal(write(flag), greedy) {
			t.Errorf("%s changes nothing", flag)
		}
	}
	for _, flag := range []string{"--top-k=2", "--top-p=0.2", "--min-p=0.7", "--typical-p=0.2", "--seed=2", "--repetition-penalty=1.5"} {
		if slices.Equal(write("--temperature=2", flag), hot) {
			t.Errorf("%s changes nothing at temperature 2", flag)
		}
	}
	for _, flag := range []string{"--top-p=0", "--typical-p=0"} {
		if !slices.Equal(write("--temperature=2", flag), write("--temperature=2", strings.TrimSuffix(flag, "0")+"1e-30")) {
			t.Errorf("%s leaves more than its limit does", flag)
		}
	}
	if banned := write("--logit-bias", "5=-inf", "--logit-bias=6=-inf"); slices.Contains(banned, 5) || slices.Contains(banned, 6) {
		t.Errorf("a banned id was written: %v", banned)
	}
	for _, c := range [][2][]string{
		{{"--presence-penalty=2", "--penalty-window=2"}, {"--presence-penalty=2"}}, {{"--dry=3", "--dry-window=4"}, {"--dry=3"}},
		{{"--dry=3", "--dry-allowed=1"}, {"--dry=3"}}, {{"--dry=0.1", "--dry-allowed=1", "--dry-base=40"}, {"--dry=0.1", "--dry-allowed=1"}}, {{"--no-repeat=1", "--no-repeat-window=3"}, {"--no-repeat=1"}},
	} {
		if slices.Equal(write(c[0]...), write(c[1]...)) {
			t.Errorf("%v does what %v does", c[0], c[1])
		}
	}
	for _, flag := range []string{"--logit-bias=5", "--logit-bias=x=1", "--logit-bias=5=nan", "--logit-bias=-1=1", "--dry=-1", "--dry=1 --dry-base=0", "--typical-p=2", "--repetition-penalty=-1", "--repetition-penalty=0", "--no-repeat=-1",
		"--dry-base=2", "--dry-window=9", "--no-repeat-window=3", "--penalty-window=4"} {
		args := append([]string{"generate", tinyGGUF, "--tokens=1"}, strings.Fields(flag)...)
		if status, _, complaint := execute(t, "", args...); status != exitUsage {
			t.Errorf("%s: status %d, %s", flag, status, complaint)
		}
	}
}

// A model's own rule against repetition holds, and a flag takes it back.
func TestRecommendedNoRepeat(t *testing.T) {
	f := samplingFlags{}
	s := infer.Sampling{NoRepeat: infer.NoRepeat{N: 3}}
	if err := f.apply(&s, true); err != nil || s.NoRepeat.N != 3 {
		t.Errorf("%+v, %v", s.NoRepeat, err)
	}
	none := 0
	f.NoRepeat = &none
	if err := f.apply(&s, true); err != nil || s.NoRepeat.N != 0 {
		t.Errorf("%+v, %v", s.NoRepeat, err)
	}
}

// Cuts without anything to cut are told of.
func TestCutsOfNothing(t *testing.T) {
	_, _, said := execute(t, "", "generate", tinyGGUF, "--tokens=1", "--max-tokens=1", "--top-k=5", "--seed=3")
	if !strings.Contains(said, "--temperature") || !strings.Contains(said, "--top-k") {
		t.Errorf("said %q", said)
	}
	if _, _, said := execute(t, "", "generate", tinyGGUF, "--tokens=1", "--max-tokens=1", "--top-k=5", "--temperature=0"); strings.Contains(said, "--top-k") {
		t.Errorf("temperature 0 was asked for, and %q said", said)
	}
}
