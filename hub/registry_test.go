package hub

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// registry is an OCI registry that asks for a token and redirects layers to another server.
type registry struct {
	server, cdn *httptest.Server
	layers      map[string][]byte // by digest
	manifest    []byte
	tokens      int // given out
	valid       string
	expire      bool // every token is good for one request
	mu          sync.Mutex
}

func newRegistry(t *testing.T) *registry {
	g := &registry{layers: map[string][]byte{}}
	put := func(mime string, data []byte) map[string]any {
		digest := "sha256:" + shaHash(data)
		g.layers[digest] = data
		return map[string]any{"mediaType": mime, "digest": digest, "size": len(data)}
	}
	g.manifest, _ = json.Marshal(map[string]any{
		"schemaVersion": 2, "config": put("application/vnd.docker.container.image.v1+json", []byte(`{"model_format":"gguf"}`)),
		"layers": []any{put("application/vnd.ollama.image.model", bigFile()), put("application/vnd.ollama.image.template", []byte("{{ .Prompt }}"))},
	})
	g.cdn = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Error("the token went to another server")
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(g.layers[r.URL.Path[1:]]))
	}))
	g.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		defer g.mu.Unlock()
		switch {
		case r.URL.Path == "/token" && r.URL.Query().Get("scope") == "repository:library/tiny:pull":
			g.tokens++
			g.valid = fmt.Sprintf("token-%d", g.tokens)
			fmt.Fprintf(w, `{"token":%q}`, g.valid)
			return
		case r.Header.Get("Authorization") != "Bearer "+g.valid || g.valid == "":
			w.Header().Set("WWW-Authenticate", `Bearer realm="`+g.server.URL+`/token",service="x",scope="repository:library/tiny:pull"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if g.expire {
			g.valid = ""
		}
		digest, isBlob := strings.CutPrefix(r.URL.Path, "/v2/library/tiny/blobs/")
		switch {
		case isBlob && g.layers[digest] != nil:
			http.Redirect(w, r, g.cdn.URL+"/"+digest, http.StatusTemporaryRedirect)
		case r.URL.Path == "/v2/library/tiny/manifests/latest" && strings.Contains(r.Header.Get("Accept"), "manifest.v1+json"):
			w.Write(g.manifest)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(func() { g.server.Close(); g.cdn.Close() })
	return g
}

func (g *registry) image() string {
	return "oci://" + strings.TrimPrefix(g.server.URL, "http://") + "/library/tiny"
}

func pullImage(t *testing.T, c *Client, name string, o Options) (Snapshot, error) {
	t.Helper()
	i, ok, err := ParseImage(name)
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	return c.PullImage(context.Background(), i, o)
}

func TestPullImage(t *testing.T) {
	g := newRegistry(t)
	c := &Client{Images: t.TempDir(), Connections: 1, Token: "hf_secret"}
	g.expire = true // each request needs a new token
	if _, err := c.Resolve(g.image()); !errors.Is(err, ErrNotCached) {
		t.Errorf("before: %v", err)
	}
	var done []string
	snap, err := pullImage(t, c, g.image(), Options{Done: func(f File) { done = append(done, f.Name) }})
	if err != nil {
		t.Fatal(err)
	}
	path, err := c.Resolve(g.image() + ":latest")
	if err != nil || path != snap.Path || path != filepath.Join(c.Images, "blobs", "sha256-"+shaHash(bigFile())) {
		t.Errorf("%s, %v", path, err)
	}
	if b, err := os.ReadFile(path); err != nil || !bytes.Equal(b, bigFile()) {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	host := strings.TrimPrefix(g.server.URL, "http://")
	if b, err := os.ReadFile(filepath.Join(c.Images, "manifests", host, "library", "tiny", "latest")); err != nil || !bytes.Equal(b, g.manifest) {
		t.Errorf("the manifest: %s, %v", b, err)
	}
	entries, _ := os.ReadDir(filepath.Join(c.Images, "blobs"))
	if len(entries) != 3 || len(done) != 3 {
		t.Errorf("blobs %v, done %v", entries, done)
	}
	tokens := g.tokens
	if snap, err = pullImage(t, c, g.image(), Options{}); err != nil || g.tokens != tokens+1 || slices.ContainsFunc(snap.Files, func(f File) bool { return !f.Cached }) {
		t.Errorf("again: %v, %d requests", err, g.tokens-tokens)
	}
	c.Offline = true
	if snap, err = pullImage(t, c, g.image(), Options{}); err != nil || snap.Path != path || len(snap.Files) != 1 {
		t.Errorf("offline: %+v, %v", snap, err)
	}
	if _, err := pullImage(t, c, g.image()+":other", Options{}); !errors.Is(err, ErrNotCached) {
		t.Errorf("offline, another tag: %v", err)
	}
	// A layer that went away is missed.
	os.Remove(path)
	if _, err := c.Resolve(g.image()); err == nil || errors.Is(err, ErrNotCached) {
		t.Errorf("without its layer: %v", err)
	}
}

func TestImagesThatAreRefused(t *testing.T) {
	digest := "sha256:" + strings.Repeat("a", 64)
	for manifest, says := range map[string]string{
		`{"layers":[]}`: "0 layers that are a GGUF",
		`<html>`:        "no manifest",
		`{"layers":[{"mediaType":"application/vnd.ollama.image.model","digest":"sha256:../../../x","size":5}]}`: "only SHA-256",
		`{"layers":[{"mediaType":"application/vnd.ollama.image.model","digest":"md5:abc","size":5}]}`:           "only SHA-256",
		`{"layers":[{"mediaType":"application/vnd.ollama.image.model","digest":"` + digest + `","size":-5}]}`:   "sizes that can be",
		`{"layers":[{"mediaType":"application/vnd.ollama.image.model","digest":"` + digest + `","size":5}]}`:    "404",
	} {
		g := newRegistry(t)
		g.manifest = []byte(manifest)
		c := &Client{Images: t.TempDir()}
		if _, err := pullImage(t, c, g.image(), Options{}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", manifest, err)
		}
		if _, err := c.Resolve(g.image()); !errors.Is(err, ErrNotCached) {
			t.Errorf("%s: %v", manifest, err)
		}
	}
	g := newRegistry(t)
	for d := range g.layers {
		if d == "sha256:"+shaHash(bigFile()) {
			g.layers[d] = make([]byte, bigSize)
		}
	}
	c := &Client{Images: t.TempDir()}
	if _, err := pullImage(t, c, g.image(), Options{}); err == nil || !strings.Contains(err.Error(), "set aside") {
		t.Errorf("wrong bytes: %v", err)
	}
	if _, err := pullImage(t, c, g.image()+":other", Options{}); err == nil || !strings.Contains(err.Error(), "check name and tag") {
		t.Errorf("another tag: %v", err)
	}
	if _, err := pullImage(t, c, g.image(), Options{Dir: "x"}); err == nil {
		t.Error("an image in a directory")
	}
}

// A login that would send us anywhere is refused.
func TestLogins(t *testing.T) {
	for _, challenge := range []string{"", "Basic realm=x", `Bearer realm="http://example.com/token"`, `Bearer realm="file:///etc/passwd"`, `Bearer service="x"`} {
		c := &Client{Images: t.TempDir()}
		asked := 0
		c.hooks.transport = tripper(func(r *http.Request) (*http.Response, error) {
			asked++
			return &http.Response{StatusCode: 401, Header: http.Header{"Www-Authenticate": {challenge}}, Body: http.NoBody, Request: r}, nil
		})
		if _, err := pullImage(t, c, "oci://registry.example/x", Options{}); err == nil || !strings.Contains(err.Error(), "login") || asked != 1 {
			t.Errorf("%q: %d requests, %v", challenge, asked, err)
		}
	}
}

func TestParseImage(t *testing.T) {
	for s, want := range map[string]string{
		"oci://127.0.0.1:5000/a/b:c":       "oci://127.0.0.1:5000/a/b:c",
		"oci://example.com/ai/smollm2":     "oci://example.com/ai/smollm2:latest",
		"ollama.com/deepseek-r1:1.5b":      "oci://registry.ollama.ai/library/deepseek-r1:1.5b",
		"https://ollama.com/library/x":     "oci://registry.ollama.ai/library/x:latest",
		"registry.ollama.ai/me/Model:q4_0": "oci://registry.ollama.ai/me/Model:q4_0",
	} {
		if i, ok, err := ParseImage(s); !ok || err != nil || i.String() != want {
			t.Errorf("%s: %s, %v, %v", s, i, ok, err)
		}
	}
	for _, s := range []string{"oci://", "oci://h", "oci://h/", "oci://h/../x", "oci://h/a:", "oci://h/a:b:c", "oci://u@h/a", "oci://h/a//b", "oci://h/nul:x", `oci://h/a\b`, "oci://-h/a"} {
		if i, ok, err := ParseImage(s); !ok || err == nil {
			t.Errorf("%s: %+v", s, i)
		}
	}
	if _, ok, err := ParseImage("a/b:c"); ok || err != nil {
		t.Error("a repository is taken for an image")
	}
}
