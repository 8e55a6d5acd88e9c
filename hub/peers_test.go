package hub

// The cache that huggingface_hub reads is ours, and the other way round. Runs with
//
//	HAENYEO_PYTHON=/path/to/python3    an interpreter with huggingface_hub
//
// and talks to the server of server_test.go on this machine alone.

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// python runs a script with huggingface_hub against h and the cache of c, and reads the JSON that it prints.
func python(t *testing.T, h *fakeHub, c *Client, offline, script string) map[string]any {
	t.Helper()
	interpreter := os.Getenv("HAENYEO_PYTHON")
	if interpreter == "" {
		t.Skip("NOT TESTED: whether huggingface_hub and we read each other's cache. Set HAENYEO_PYTHON (see peers_test.go)")
	}
	cmd := exec.Command(interpreter, "-c", "import json, huggingface_hub as hub\n"+script)
	home := t.TempDir()
	cmd.Env = append(os.Environ(), "HF_HUB_CACHE="+c.Cache, "HF_HOME="+home, "HOME="+home, "HF_ENDPOINT="+h.hub.URL, "HF_HUB_OFFLINE="+offline,
		"HF_TOKEN=", "HF_HUB_DISABLE_XET=1", "HF_HUB_DISABLE_TELEMETRY=1", "HF_HUB_DISABLE_UPDATE_CHECK=1", "HF_HUB_DISABLE_PROGRESS_BARS=1", "HF_HUB_VERBOSITY=error")
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, complaints.String())
	}
	var got map[string]any
	if err := json.Unmarshal(bytes.TrimSpace(out), &got); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return got
}

// huggingface_hub opens what we fetched, without a network, and finds nothing to fetch with one.
func TestPeerReadsOurCache(t *testing.T) {
	h := newHub(t)
	c := h.client()
	snap, err := pull(t, c, Options{})
	if err != nil {
		t.Fatal(err)
	}
	got := python(t, h, c, "1", `
info = hub.scan_cache_dir()
repo = next(iter(info.repos))
print(json.dumps({
    "snapshot": hub.snapshot_download("org/tiny", local_files_only=True),
    "file": hub.hf_hub_download("org/tiny", "model.safetensors", local_files_only=True),
    "found": hub.try_to_load_from_cache("org/tiny", "config.json"),
    "warnings": [str(w) for w in info.warnings],
    "repo": repo.repo_id, "size": repo.size_on_disk, "files": repo.nb_files,
    "refs": {k: v.commit_hash for k, v in repo.refs.items()},
}))`)
	var size float64
	for _, f := range snap.Files {
		size += float64(f.Size)
	}
	same := func(what string, want any) {
		if g, w := mustJSON(t, got[what]), mustJSON(t, want); g != w {
			t.Errorf("%s: %s, want %s", what, g, w)
		}
	}
	same("snapshot", snap.Path)
	same("file", filepath.Join(snap.Path, "model.safetensors"))
	same("found", filepath.Join(snap.Path, "config.json"))
	same("warnings", []string{})
	same("repo", testRepo)
	same("size", size)
	same("files", 3)
	same("refs", map[string]string{"main": testCommit})

	sent := h.sent.Load()
	got = python(t, h, c, "0", `
print(json.dumps({"snapshot": hub.snapshot_download("org/tiny", allow_patterns=["*.json", "*.safetensors"])}))`)
	same("snapshot", snap.Path)
	if h.sent.Load() != sent {
		t.Error("huggingface_hub fetched the tensors again")
	}
	h.intact(c)
}

// We open what huggingface_hub fetched, and find nothing to fetch.
func TestPeerCacheIsRead(t *testing.T) {
	h := newHub(t)
	h.page = 2
	c := h.client()
	got := python(t, h, c, "0", `print(json.dumps({"snapshot": hub.snapshot_download("org/tiny")}))`)
	h.intact(c)
	if dir, err := c.Resolve(testRepo); err != nil || dir != got["snapshot"] {
		t.Errorf("%q, %v; huggingface_hub says %v", dir, err, got["snapshot"])
	}
	sent := h.sent.Load()
	snap, err := pull(t, c, Options{})
	if err != nil || h.sent.Load() != sent {
		t.Errorf("%v, fetched %d bytes of tensors", err, h.sent.Load()-sent)
	}
	for _, f := range snap.Files {
		if !f.Cached || f.SHA256 != shaHash(h.files[f.Name]) {
			t.Errorf("%+v", f)
		}
	}
}

// A lock of theirs keeps us waiting.
func TestPeerLocks(t *testing.T) {
	h := newHub(t)
	c := h.client()
	interpreter := os.Getenv("HAENYEO_PYTHON")
	if interpreter == "" {
		t.Skip("NOT TESTED: whether the locks of huggingface_hub are ours. Set HAENYEO_PYTHON (see peers_test.go)")
	}
	path := filepath.Join(c.Cache, ".locks", "models--org--tiny", h.tag("model.safetensors")+".lock")
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(interpreter, "-c", `
import sys
from huggingface_hub.utils import WeakFileLock
with WeakFileLock(sys.argv[1]):
    print("locked", flush=True)
    sys.stdin.read()`, path)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(out, make([]byte, len("locked"))); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
	defer cancel()
	if _, err := c.Pull(ctx, Name{Repo: testRepo}, Options{}); !errors.Is(err, context.DeadlineExceeded) || h.gets.Load() > 0 {
		t.Errorf("while it is locked: %v, %d requests", err, h.gets.Load())
	}
	in.Close()
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if _, err := pull(t, c, Options{}); err != nil {
		t.Fatal(err)
	}
	h.intact(c)
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
