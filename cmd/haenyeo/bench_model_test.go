package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// bench MODEL says all of a model, doctor MODEL too.
func TestBenchModel(t *testing.T) {
	if testing.Short() {
		t.Skip("measures this machine")
	}
	dir := testModel(t)
	flags := []string{"--prompt=6", "--new=3", "--together=2", "--runs=1"}
	lines := jsonLines(t, works(t, "", append([]string{"bench", dir, "--json"}, flags...)...))
	if len(lines) != 4 {
		t.Fatalf("%d lines, want three phases and the rest", len(lines))
	}
	for i, name := range []string{"prefill", "2 together", "decode"} {
		has(t, lines[i], "name", "best", "median", "unit", "of_peak", "threads", "rss_mb", "bytes", "ns", "tokens", "parts", "cache_bytes")
		if got := lines[i]["name"].(string); !strings.HasPrefix(got, name) {
			t.Errorf("phase %d is %q, want %q", i, got, name)
		}
		has(t, lines[i]["parts"].([]any)[0].(map[string]any), "kind", "ns", "bytes", "ops")
	}
	has(t, lines[3], "name", "load_ms", "first_token_ms", "limits", "pauses", "memory")
	has(t, lines[3]["memory"].(map[string]any), "peak_mb", "weights_mb", "caches_mb", "allowed_mb")
	text := works(t, "", append([]string{"bench", "model", dir}, flags...)...)
	for _, want := range []string{"load", "to the first token", "prefill 6", "2 together", "decode 3", "attention", "ffn", "projections", "head", "norm", "sampling", "pauses", "memory"} {
		if !strings.Contains(text, want) {
			t.Errorf("bench model does not say %q:\n%s", want, text)
		}
	}
	has(t, jsonLines(t, works(t, "", "doctor", dir, "--json"))[0]["model"].(map[string]any), "load_ms", "phases", "limits", "pauses", "memory")
	if status, _, says := execute(t, "", "bench", dir, "--together=0"); status != exitUsage || !strings.Contains(says, "together") {
		t.Errorf("--together 0: %d, %s", status, says)
	}
}

// A profile is two files in a directory of its own; nothing is left of one that failed.
func TestProfile(t *testing.T) {
	model, dir := testModel(t), t.TempDir()
	for i, args := range [][]string{{"generate", model, "--tokens=5,6", "--max-tokens=3"}, {"bench", "decode", model, "--new=2", "--runs=1"}} {
		to := filepath.Join(dir, "profile"+string(rune('a'+i)))
		works(t, "", append(args, "--profile", to)...)
		page, err := os.ReadFile(filepath.Join(to, "timeline.html"))
		if err != nil || !strings.Contains(string(page), "<svg") || !strings.Contains(string(page), "attention") {
			t.Errorf("%v: the picture: %v", args, err)
		}
		if cpu, err := os.ReadFile(filepath.Join(to, "cpu.pprof")); err != nil || len(cpu) < 2 || cpu[0] != 0x1f || cpu[1] != 0x8b {
			t.Errorf("%v: the profile: %v", args, err)
		}
		if status, _, says := execute(t, "", append(args, "--profile", to)...); status != exitFailed || !strings.Contains(says, "not empty") {
			t.Errorf("the same directory again: status %d, %s", status, says)
		}
	}
	failed := filepath.Join(dir, "failed")
	if status, _, _ := execute(t, "", "generate", model, "--tokens=999999", "--profile", failed); status != exitFailed {
		t.Errorf("a token that is none: status %d", status)
	}
	if _, err := os.Lstat(failed); err == nil {
		t.Error("a profile of nothing was left")
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if status, _, says := execute(t, "", "generate", model, "--tokens=1", "--profile", file); status != exitFailed || !strings.Contains(says, "no directory") {
		t.Errorf("a file in the way: status %d, %s", status, says)
	}
}
