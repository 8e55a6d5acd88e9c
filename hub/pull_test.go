package hub

// What a pull leaves behind when all goes well, and what the next one makes of it.

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestPull(t *testing.T) {
	h := newHub(t)
	h.page = 2
	c := h.client()
	var last Progress
	var done []string
	snap, err := pull(t, c, Options{Progress: func(p Progress) { last = p }, Done: func(f File) { done = append(done, f.Name) }})
	if err != nil {
		t.Fatal(err)
	}
	h.intact(c)
	var names []string
	for _, f := range snap.Files {
		names = append(names, f.Name)
		if f.SHA256 != shaHash(h.files[f.Name]) || f.Size != int64(len(h.files[f.Name])) || f.Cached {
			t.Errorf("%+v", f)
		}
	}
	want := []string{"config.json", "model.safetensors", "tokenizer.json"}
	slices.Sort(done)
	if !slices.Equal(names, want) || !slices.Equal(done, want) || snap.Commit != testCommit {
		t.Errorf("files %v, done %v, commit %s", names, done, snap.Commit)
	}
	if last.Done != last.Total || last.Fetched != last.Total || last.Total < bigSize {
		t.Errorf("progress ends at %+v", last)
	}
	root := filepath.Join(c.Cache, "models--org--tiny")
	if b, err := os.ReadFile(filepath.Join(root, "refs", "main")); err != nil || string(b) != testCommit {
		t.Errorf("refs/main is %q, %v", b, err)
	}
	for _, n := range want {
		target, err := os.Readlink(filepath.Join(root, "snapshots", testCommit, n))
		if err != nil || target != filepath.Join("..", "..", "blobs", h.tag(n)) {
			t.Errorf("%s links to %q, %v", n, target, err)
		}
	}
	if left := leftovers(c); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
	if h.heads.Load() > 0 {
		t.Error("asked for what the list says already")
	}

	// Again: nothing is fetched.
	sent := h.sent.Load()
	snap, err = pull(t, c, Options{})
	if err != nil || h.sent.Load() != sent || slices.ContainsFunc(snap.Files, func(f File) bool { return !f.Cached || f.SHA256 == "" }) {
		t.Errorf("the second pull: %v, %d bytes, %+v", err, h.sent.Load()-sent, snap.Files)
	}

	// A new commit shares what did not change.
	h.commit = strings.Repeat("b", 40)
	h.files["config.json"] = []byte(`{"model_type":"qwen2"}`)
	if snap, err = pull(t, c, Options{}); err != nil || h.sent.Load() != sent {
		t.Errorf("the new commit: %v, %d bytes of tensors", err, h.sent.Load()-sent)
	}
	h.intact(c)
	if old, err := c.Resolve(testRepo + "@" + testCommit); err != nil || !strings.Contains(old, testCommit) {
		t.Errorf("the old commit: %s, %v", old, err)
	}
}

// What a disk or a program changed since is found, set aside, and fetched again.
func TestPullFindsChangedBytes(t *testing.T) {
	h := newHub(t)
	c := h.client()
	if _, err := pull(t, c, Options{}); err != nil {
		t.Fatal(err)
	}
	blob := filepath.Join(c.Cache, "models--org--tiny", "blobs", h.tag("model.safetensors"))
	b, err := os.ReadFile(blob)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.Chmod(blob, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(blob, b, 0o600); err != nil {
		t.Fatal(err)
	}
	c.Offline = true
	if _, err := pull(t, c, Options{}); err == nil || !strings.Contains(err.Error(), "changed since") {
		t.Errorf("offline: %v", err)
	}
	c.Offline = false
	if _, err := pull(t, c, Options{}); err == nil || !strings.Contains(err.Error(), "set aside as "+blob+".corrupt") {
		t.Errorf("the changed file: %v", err)
	}
	if _, err := pull(t, c, Options{}); err != nil {
		t.Errorf("pulled again: %v", err)
	}
	h.intact(c)
}

// A mirror may know one form of the API only, list no sizes, and answer no HEAD.
func TestSmallMirrors(t *testing.T) {
	h := newHub(t)
	h.api = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/api/models/"+testRepo {
			http.NotFound(w, r)
			return true
		}
		r.URL.Path += "/revision/main"
		return false
	}
	for _, noHead := range []bool{false, true} {
		h.direct = func(w http.ResponseWriter, r *http.Request, name string) bool {
			if noHead && r.Method == http.MethodHead {
				w.WriteHeader(http.StatusNotImplemented)
				return true
			}
			return false
		}
		c := h.client()
		if _, err := pull(t, c, Options{}); err != nil {
			t.Fatal(err)
		}
		h.intact(c)
	}
}

// Without checksums a length is all there is to check, and that is said.
func TestOpaqueETags(t *testing.T) {
	h := newHub(t)
	h.files["tokenizer.json"], h.files["config.json"] = []byte(`{"a":1}`), []byte(`{"a":2}`)
	h.api = func(w http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.URL.Path, "/tree/") {
			http.NotFound(w, r)
			return true
		}
		return false
	}
	h.direct = func(w http.ResponseWriter, r *http.Request, name string) bool {
		w.Header().Set("ETag", fmt.Sprintf(`W/"5f3a-%x"`, len(h.files[name]))) // time and size
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(h.files[name]))
		return true
	}
	c, log := logged(h.client())
	if _, err := pull(t, c, Options{}); err != nil {
		t.Fatal(err)
	}
	h.intact(c)
	if !strings.Contains(log.String(), "no checksum") {
		t.Errorf("log: %s", log.String())
	}
}

func TestPullToDirectory(t *testing.T) {
	h := newHub(t)
	c, dir := h.client(), filepath.Join(t.TempDir(), "model")
	for range 2 {
		snap, err := pull(t, c, Options{Dir: dir})
		if err != nil || snap.Path != dir {
			t.Fatalf("%s, %v", snap.Path, err)
		}
		if b, _ := os.ReadFile(filepath.Join(dir, "model.safetensors")); !bytes.Equal(b, bigFile()) {
			t.Error("the file differs")
		}
	}
	if n := h.sent.Load(); n != bigSize {
		t.Errorf("%d bytes came", n)
	}
	if _, err := os.Stat(c.Cache); !errors.Is(err, fs.ErrNotExist) {
		t.Error("the cache was touched")
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte("mine"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := pull(t, c, Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), "config.json") {
		t.Errorf("over a file that differs: %v", err)
	}
	if b, _ := os.ReadFile(filepath.Join(dir, "config.json")); string(b) != "mine" {
		t.Error("written over")
	}
}

// slow makes the second server slow enough to be interrupted.
func (h *fakeHub) slow(perMiB time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.body = func(w http.ResponseWriter, r *http.Request, name string) bool {
		data := h.files[name]
		from, to := span(r, len(data))
		w.Header().Set("ETag", `"cdn-1"`)
		w.Header().Set("Content-Range", "bytes "+strings.TrimPrefix(r.Header.Get("Range"), "bytes=")+"/"+itoa(len(data)))
		w.Header().Set("Content-Length", itoa(to-from))
		w.WriteHeader(http.StatusPartialContent)
		for from < to {
			n := min(to-from, 1<<20)
			if _, err := w.Write(data[from : from+n]); err != nil {
				return true
			}
			h.sent.Add(int64(n))
			from += n
			time.Sleep(perMiB)
		}
		return true
	}
}

// An interrupted pull is continued: pieces that are recorded do not come again.
func TestInterruptAndResume(t *testing.T) {
	h := newHub(t)
	h.slow(60 * time.Millisecond)
	c := h.client()
	c.Connections = 1
	ctx, cancel := context.WithCancel(context.Background())
	_, err := c.Pull(ctx, Name{Repo: testRepo}, Options{Progress: func(p Progress) {
		if p.Done > 3*pieceSize {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("interrupted: %v", err)
	}
	if got, err := c.Resolve(testRepo); err == nil {
		t.Errorf("an incomplete model opens: %s", got)
	}
	h.heal()
	h.sent.Store(0)
	var first Progress
	if _, err := pull(t, c, Options{Progress: func(p Progress) {
		if first.Total == 0 {
			first = p
		}
	}}); err != nil {
		t.Fatal(err)
	}
	h.intact(c)
	if n := h.sent.Load(); n > bigSize-3*pieceSize {
		t.Errorf("%d bytes came again", n-(bigSize-3*pieceSize))
	}
	if first.Done < 3*pieceSize {
		t.Errorf("progress begins at %+v", first)
	}
}

// The same after a process was killed: what the record says is there, is there.
func TestKillAndResume(t *testing.T) {
	h := newHub(t)
	if cache := os.Getenv("HAENYEO_HUB_KILL"); cache != "" {
		c := &Client{Base: os.Getenv("HAENYEO_HUB_BASE"), Cache: cache, Connections: 2}
		c.Pull(context.Background(), Name{Repo: testRepo}, Options{})
		return
	}
	theirs := newHub(t) // requests that the dead process made may still be answered
	theirs.slow(300 * time.Millisecond)
	c := h.client()
	cmd := exec.Command(os.Args[0], "-test.run=^TestKillAndResume$")
	cmd.Env = append(os.Environ(), "HAENYEO_HUB_KILL="+c.Cache, "HAENYEO_HUB_BASE="+theirs.hub.URL)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	record := filepath.Join(c.folder(testRepo), "blobs", h.tag("model.safetensors")+".haenyeo.ranges")
	for begin := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(record); err == nil {
			break
		}
		if time.Since(begin) > 30*time.Second {
			t.Error("no record appeared")
			break
		}
	}
	cmd.Process.Kill()
	cmd.Wait()
	if _, err := os.Stat(record); err != nil {
		t.Fatalf("the pull was over before it was killed: %v", err)
	}
	p, _, _ := readRecord(record, strings.TrimSuffix(record, ".ranges")+".incomplete", h.tag("model.safetensors"), bigSize)
	if p.bytes() == 0 {
		t.Fatal("the record is empty")
	}
	if _, err := pull(t, c, Options{}); err != nil {
		t.Fatal(err)
	}
	h.intact(c)
	if n := h.sent.Load(); n > bigSize-p.bytes() {
		t.Errorf("%d bytes came, of %d that were missing", n, bigSize-p.bytes())
	}
}

// Two at once fetch each byte once.
func TestTwoPullsAtOnce(t *testing.T) {
	h := newHub(t)
	h.slow(60 * time.Millisecond)
	c := h.client()
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			if _, err := pull(t, c, Options{}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	h.intact(c)
	if n := h.sent.Load(); n != bigSize {
		t.Errorf("%d bytes came of %d", n, bigSize)
	}
}

// Where there are no symbolic links, and where there are no links at all.
func TestNoLinks(t *testing.T) {
	h := newHub(t)
	h.files["generation_config.json"] = h.files["tokenizer.json"] // one content, two names
	for _, hard := range []bool{true, false} {
		c := h.client()
		c.hooks.symlink = func(string, string) error { return errors.New("not supported") }
		if hard {
			c.hooks.symlink = func(target, link string) error {
				if filepath.IsAbs(target) {
					return os.Link(target, link)
				}
				return errors.New("not supported")
			}
		}
		for range 2 {
			if _, err := pull(t, c, Options{}); err != nil {
				t.Fatal(err)
			}
			h.intact(c)
		}
		if b, err := os.ReadFile(filepath.Join(c.snapshot(testRepo, testCommit), "generation_config.json")); err != nil || string(b) != "{}" {
			t.Errorf("the second name: %q, %v", b, err)
		}
	}
	if n := h.sent.Load(); n != 2*bigSize {
		t.Errorf("%d bytes came", n)
	}
}

func TestOffline(t *testing.T) {
	h := newHub(t)
	c := h.client()
	c.Offline = true
	if _, err := pull(t, c, Options{}); !errors.Is(err, ErrNotCached) || !strings.Contains(err.Error(), "HF_HUB_OFFLINE") {
		t.Errorf("nothing is here: %v", err)
	}
	c.Offline = false
	if _, err := pull(t, c, Options{}); err != nil {
		t.Fatal(err)
	}
	h.hub.Close()
	if _, err := pull(t, c, Options{}); err == nil || !strings.Contains(err.Error(), "can still be used") {
		t.Errorf("the server is gone: %v", err)
	}
	c.Offline = true
	snap, err := pull(t, c, Options{})
	if err != nil || len(snap.Files) != 3 {
		t.Fatalf("%+v, %v", snap, err)
	}
	for _, f := range snap.Files {
		if f.SHA256 != shaHash(h.files[f.Name]) {
			t.Errorf("%+v", f)
		}
	}
}

// The token goes to the server it is for, and in the clear to this machine only.
func TestToken(t *testing.T) {
	h := newHub(t)
	c := h.client()
	c.Token = "hf_secret"
	seen := 0
	h.api = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Authorization") == "Bearer hf_secret" {
			seen++
		}
		return false
	}
	if _, err := pull(t, c, Options{}); err != nil { // the second server complains if it sees one
		t.Fatal(err)
	}
	if seen == 0 {
		t.Error("the token was not sent")
	}
	var got []string
	c.Base = "http://hub.example"
	c.hooks.transport = tripper(func(r *http.Request) (*http.Response, error) {
		got = append(got, r.Header.Get("Authorization"))
		return nil, errors.New("enough")
	})
	pull(t, c, Options{})
	if !slices.Equal(got, []string{""}) {
		t.Errorf("over http: %q", got)
	}
}

type tripper func(*http.Request) (*http.Response, error)

func (f tripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
