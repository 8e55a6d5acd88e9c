package main

// pull from a server on this machine, and the commands that find what it fetched by its name.

import (
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/haenyeo/haenyeo/hub"
)

// mirror serves the files of dir as org/tiny.
func mirror(t *testing.T, dir string) *httptest.Server {
	const commit = "0123456789abcdef0123456789abcdef01234567"
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/models/org/tiny/revision/main" {
			entries, _ := os.ReadDir(dir)
			var files []map[string]string
			for _, e := range entries {
				files = append(files, map[string]string{"rfilename": e.Name()})
			}
			json.NewEncoder(w).Encode(map[string]any{"sha": commit, "siblings": files})
			return
		}
		name, ok := strings.CutPrefix(r.URL.Path, "/org/tiny/resolve/"+commit+"/")
		b, err := os.ReadFile(filepath.Join(dir, name))
		if !ok || err != nil {
			http.NotFound(w, r)
			return
		}
		sum := sha1.Sum(append(fmt.Appendf(nil, "blob %d\x00", len(b)), b...))
		w.Header().Set("X-Repo-Commit", commit)
		w.Header().Set("ETag", `"`+hex.EncodeToString(sum[:])+`"`)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(b))
	}))
	t.Cleanup(s.Close)
	return s
}

func TestPullThenUseByName(t *testing.T) {
	dir := testModel(t)
	server := mirror(t, dir)
	t.Setenv("HF_HUB_CACHE", t.TempDir())
	t.Setenv("HF_TOKEN", "")
	t.Setenv("HF_HUB_OFFLINE", "")

	for _, command := range []string{"generate", "inspect", "logits"} {
		args := map[string][]string{"generate": {"--prompt", "x"}, "logits": {"--tokens", "5"}}[command]
		status, out, says := execute(t, "", append([]string{command, "org/tiny"}, args...)...)
		if status != exitFailed || out != "" || !strings.Contains(says, "haenyeo pull org/tiny") {
			t.Errorf("%s before the pull: status %d, %s", command, status, says)
		}
	}
	lines := jsonLines(t, works(t, "", "pull", "org/tiny", "--base", server.URL, "--json"))
	found := 0
	for _, o := range lines {
		has(t, o, "file", "bytes", "sha256")
		b, err := os.ReadFile(filepath.Join(dir, o["file"].(string)))
		sum := sha256.Sum256(b)
		if err != nil || o["bytes"] != float64(len(b)) || o["sha256"] != hex.EncodeToString(sum[:]) {
			t.Errorf("%v, %v", o, err)
		}
		if strings.HasSuffix(o["file"].(string), ".safetensors") {
			found++
		}
	}
	if found == 0 || len(lines) < 3 {
		t.Errorf("%v", lines)
	}
	server.Close()
	want := works(t, "", "generate", dir, "--prompt", testText()[:20], "--max-tokens", "8")
	if got := works(t, "", "generate", "org/tiny", "--prompt", testText()[:20], "--max-tokens", "8"); got != want {
		t.Errorf("by name %q, by path %q", got, want)
	}
	works(t, "", "inspect", "org/tiny")
	works(t, "", "convert", "org/tiny", "--out", filepath.Join(t.TempDir(), "m.gguf"))
	t.Setenv("HF_HUB_OFFLINE", "1")
	if out := works(t, "", "pull", "org/tiny"); !strings.Contains(out, "models--org--tiny") {
		t.Errorf("offline: %s", out)
	}
}

func TestPullOneQuantisation(t *testing.T) {
	dir := t.TempDir()
	for _, typ := range []string{"f16", "q8_0"} {
		works(t, "", "convert", testModel(t), "--out", filepath.Join(dir, "tiny-"+strings.ToUpper(typ)+".gguf"), "--type", typ)
	}
	server := mirror(t, dir)
	t.Setenv("HF_HUB_CACHE", t.TempDir())
	t.Setenv("HF_ENDPOINT", server.URL)
	lines := jsonLines(t, works(t, "", "pull", "org/tiny:q8_0", "--json"))
	if len(lines) != 1 || lines[0]["file"] != "tiny-Q8_0.gguf" {
		t.Errorf("%v", lines)
	}
	for _, name := range []string{"org/tiny:Q8_0", "org/tiny", "org/tiny:tiny-Q8_0.gguf"} {
		works(t, "", "inspect", name)
	}
	for _, command := range []string{"inspect", "pull"} {
		if status, _, says := execute(t, "", command, "org/tiny:Q4_K_M"); status != exitFailed || !strings.Contains(says, "there are") {
			t.Errorf("%s: status %d, %s", command, status, says)
		}
	}
}

func TestPullRefusesWrongUse(t *testing.T) {
	for _, args := range [][]string{
		{"a/b/c"}, {"../x"}, {"a/b@x", "--revision", "y"}, {"a/b", "--connections", "0"}, {"a/b", "--base", "ftp://x"},
		{"oci://h/x", "--dir", "d"}, {"oci://h"}, {},
	} {
		if status, out, says := execute(t, "", append([]string{"pull"}, args...)...); status != exitUsage || out != "" {
			t.Errorf("%v: status %d, %s", args, status, says)
		}
	}
}

func TestPullInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	}))
	defer server.Close()
	t.Setenv("HF_HUB_CACHE", t.TempDir())
	var out, complaints bytes.Buffer
	status := run(ctx, []string{"pull", "a/b", "--base", server.URL}, nil, &out, &complaints)
	if status != exitInterrupted || !strings.Contains(complaints.String(), "the same command goes on") {
		t.Errorf("status %d, %s", status, complaints.String())
	}
}

func TestRateText(t *testing.T) {
	var r rate
	at := time.Unix(0, 0)
	const mb = 1_000_000
	for i := range 100 {
		text := r.text(hub.Progress{Done: int64(5*mb + i*mb), Total: 105 * mb, Fetched: int64(i * mb), File: "x"}, at)
		switch {
		case i == 0 && text != "5.0 MB of 105.0 MB  x":
			t.Errorf("at first: %s", text)
		case i == 50 && text != "55.0 MB of 105.0 MB, 2.0 MB/s, 25s left  x":
			t.Errorf("midway: %s", text)
		}
		at = at.Add(500 * time.Millisecond)
	}
}
