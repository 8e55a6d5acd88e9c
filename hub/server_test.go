package hub

// A hub on this machine for the tests: the API, the files, and a second server that large files are
// redirected to. What it does wrong is a function of the test.

import (
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	testRepo   = "org/tiny"
	testCommit = "0123456789abcdef0123456789abcdef01234567"
	bigSize    = 5*pieceSize + 1234
)

// bigFile is the same random bytes in every test.
var bigFile = sync.OnceValue(func() []byte {
	b := make([]byte, bigSize)
	rand.NewChaCha8([32]byte{1}).Read(b)
	return b
})

type fakeHub struct {
	t      *testing.T
	hub    *httptest.Server
	cdn    *httptest.Server
	commit string
	files  map[string][]byte
	lfs    map[string]bool

	page   int                                               // files a page of the tree, 0: all
	api    func(w http.ResponseWriter, r *http.Request) bool // true: has answered
	direct func(w http.ResponseWriter, r *http.Request, name string) bool
	body   func(w http.ResponseWriter, r *http.Request, name string) bool // of the second server
	sent   atomic.Int64                                                   // bytes of large files
	gets   atomic.Int64                                                   // requests to the second server
	heads  atomic.Int64
	mu     sync.Mutex // of body and direct, once requests are made
}

// heal makes the server well again.
func (h *fakeHub) heal() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.body, h.direct = nil, nil
}

func (h *fakeHub) wrongs() (direct, body func(w http.ResponseWriter, r *http.Request, name string) bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.direct, h.body
}

func newHub(t *testing.T) *fakeHub {
	h := &fakeHub{t: t, commit: testCommit, files: map[string][]byte{
		"config.json":           []byte(`{"model_type":"llama"}`),
		"tokenizer.json":        []byte(`{}`),
		"README.md":             []byte("# tiny\n"),
		"model.safetensors":     bigFile(),
		"original/weights.data": []byte("no one needs this"),
	}, lfs: map[string]bool{"model.safetensors": true}}
	h.hub = httptest.NewServer(http.HandlerFunc(h.serveHub))
	h.cdn = httptest.NewServer(http.HandlerFunc(h.serveCDN))
	t.Cleanup(func() { h.hub.Close(); h.cdn.Close() })
	return h
}

// client returns a client of h with an empty cache that does not really wait.
func (h *fakeHub) client() *Client {
	c := &Client{Base: h.hub.URL, Cache: filepath.Join(h.t.TempDir(), "hub"), Connections: 4}
	c.hooks.idle = 10 * time.Second
	c.hooks.wait = func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
	return c
}

func gitHash(b []byte) string {
	h := sha1.New()
	fmt.Fprintf(h, "blob %d\x00", len(b))
	h.Write(b)
	return hex.EncodeToString(h.Sum(nil))
}

func shaHash(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

func (h *fakeHub) tag(name string) string {
	if h.lfs[name] {
		return shaHash(h.files[name])
	}
	return gitHash(h.files[name])
}

func (h *fakeHub) serveHub(w http.ResponseWriter, r *http.Request) {
	if h.api != nil && strings.HasPrefix(r.URL.Path, "/api/") && h.api(w, r) {
		return
	}
	names := slices.Sorted(maps.Keys(h.files))
	if rev, ok := strings.CutPrefix(r.URL.Path, "/api/models/"+testRepo+"/revision/"); ok && (rev == "main" || rev == h.commit || rev == "refs/pr/1") {
		var siblings []map[string]any
		for _, n := range names {
			siblings = append(siblings, map[string]any{"rfilename": n})
		}
		json.NewEncoder(w).Encode(map[string]any{"id": testRepo, "sha": h.commit, "siblings": siblings})
		return
	}
	if r.URL.Path == "/api/models/"+testRepo+"/tree/"+h.commit {
		from, _ := strconv.Atoi(r.URL.Query().Get("cursor"))
		to := len(names)
		if h.page > 0 && from+h.page < to {
			to = from + h.page
			w.Header().Set("Link", fmt.Sprintf(`<%s%s?recursive=true&cursor=%d>; rel="next"`, h.hub.URL, r.URL.Path, to))
		}
		entries := []map[string]any{{"type": "directory", "path": "original", "oid": strings.Repeat("0", 40), "size": 0}}
		for _, n := range names[from:to] {
			e := map[string]any{"type": "file", "path": n, "size": len(h.files[n]), "oid": gitHash(h.files[n])}
			if h.lfs[n] {
				e["oid"] = strings.Repeat("1", 40) // of the pointer
				e["lfs"] = map[string]any{"oid": shaHash(h.files[n]), "size": len(h.files[n]), "pointerSize": 134}
			}
			entries = append(entries, e)
		}
		json.NewEncoder(w).Encode(entries)
		return
	}
	rest, ok := strings.CutPrefix(r.URL.Path, "/"+testRepo+"/resolve/")
	rev, name, ok2 := strings.Cut(rest, "/")
	data, ok3 := h.files[name]
	if !ok || !ok2 || !ok3 || rev != h.commit && rev != "main" {
		w.Header().Set("X-Error-Code", "EntryNotFound")
		http.Error(w, "Entry not found", http.StatusNotFound)
		return
	}
	if direct, _ := h.wrongs(); direct != nil && direct(w, r, name) {
		return
	}
	if r.Method == http.MethodHead {
		h.heads.Add(1)
	}
	w.Header().Set("X-Repo-Commit", h.commit)
	if h.lfs[name] {
		w.Header().Set("X-Linked-Etag", `"`+h.tag(name)+`"`)
		w.Header().Set("X-Linked-Size", strconv.Itoa(len(data)))
		http.Redirect(w, r, h.cdn.URL+"/blob/"+name+"?signature=secret", http.StatusFound)
		return
	}
	w.Header().Set("ETag", `"`+h.tag(name)+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
}

func (h *fakeHub) serveCDN(w http.ResponseWriter, r *http.Request) {
	h.gets.Add(1)
	if r.Header.Get("Authorization") != "" {
		h.t.Error("the token went to another server")
	}
	name := strings.TrimPrefix(r.URL.Path, "/blob/")
	if _, body := h.wrongs(); body != nil && body(w, r, name) {
		return
	}
	w.Header().Set("ETag", `"cdn-1"`)
	http.ServeContent(&counter{w, h}, r, "", time.Time{}, bytes.NewReader(h.files[name]))
}

type counter struct {
	http.ResponseWriter
	h *fakeHub
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.ResponseWriter.Write(b)
	c.h.sent.Add(int64(n))
	return n, err
}

// span is the range of a request: the first byte and the one behind the last.
func span(r *http.Request, size int) (from, to int) {
	if n, _ := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &from, &to); n != 2 {
		return 0, size
	}
	return from, to + 1
}

// partial answers a range with what the test wants said of it.
func partial(w http.ResponseWriter, from, to, size int, tag string, data []byte) {
	w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to-1, size))
	w.Header().Set("Content-Length", strconv.Itoa(to-from))
	w.Header().Set("ETag", tag)
	w.WriteHeader(http.StatusPartialContent)
	w.Write(data)
}

func pull(t *testing.T, c *Client, o Options) (Snapshot, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return c.Pull(ctx, Name{Repo: testRepo}, o)
}

// intact checks that the cache of c opens as the model of h.
func (h *fakeHub) intact(c *Client) {
	h.t.Helper()
	dir, err := c.Resolve(testRepo)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, name := range []string{"config.json", "tokenizer.json", "model.safetensors"} {
		if b, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !bytes.Equal(b, h.files[name]) {
			h.t.Errorf("%s: %d bytes, %v", name, len(b), err)
		}
	}
}

// leftovers are the files of the cache that are neither blobs nor links to them.
func leftovers(c *Client) []string {
	entries, _ := os.ReadDir(filepath.Join(c.folder(testRepo), "blobs"))
	var out []string
	for _, e := range entries {
		if strings.Contains(e.Name(), ".") {
			out = append(out, e.Name()[strings.Index(e.Name(), "."):])
		}
	}
	return out
}

// endless is a body without end.
func endless(w io.Writer) {
	b := make([]byte, 1<<16)
	for {
		if _, err := w.Write(b); err != nil {
			return
		}
	}
}
