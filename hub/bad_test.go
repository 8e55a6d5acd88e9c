package hub

// Servers that misbehave, and disks. Each test says what the server does and what comes of it.

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/haenyeo/haenyeo/internal/diskspace"
)

func itoa(n int) string { return strconv.Itoa(n) }

func logged(c *Client) (*Client, *bytes.Buffer) {
	var b bytes.Buffer
	c.Log = slog.New(slog.NewTextHandler(&b, nil))
	return c, &b
}

// What a pull gets over.
func TestServersThatRecover(t *testing.T) {
	cases := map[string]func(h *fakeHub){
		"ignores ranges": func(h *fakeHub) {
			h.body = func(w http.ResponseWriter, r *http.Request, name string) bool {
				r.Header.Del("Range")
				return false
			}
		},
		"ignores ranges and says no length": func(h *fakeHub) {
			h.body = func(w http.ResponseWriter, r *http.Request, name string) bool {
				w.WriteHeader(http.StatusOK)
				w.(http.Flusher).Flush()
				w.Write(h.files[name])
				return true
			}
		},
		"ignores ranges and breaks off once": func(h *fakeHub) {
			var n atomic.Int64
			h.body = func(w http.ResponseWriter, r *http.Request, name string) bool {
				w.Header().Set("Content-Length", itoa(bigSize))
				if n.Add(1) < 6 {
					w.Write(h.files[name][:2*pieceSize+100])
				} else {
					w.Write(h.files[name])
				}
				return true
			}
		},
		"ignores ranges sometimes": func(h *fakeHub) {
			var n atomic.Int64
			h.body = func(w http.ResponseWriter, r *http.Request, name string) bool {
				if n.Add(1)%2 == 0 {
					r.Header.Del("Range")
				}
				return false
			}
		},
		"breaks every connection off": func(h *fakeHub) {
			h.body = func(w http.ResponseWriter, r *http.Request, name string) bool {
				from, to := span(r, bigSize)
				partial(w, from, to, bigSize, `"x"`, h.files[name][from:min(to, from+1<<20)])
				return true
			}
		},
		"sends at most 1 MiB a range": func(h *fakeHub) {
			h.body = func(w http.ResponseWriter, r *http.Request, name string) bool {
				from, to := span(r, bigSize)
				to = min(to, from+1<<20)
				partial(w, from, to, bigSize, `"x"`, h.files[name][from:to])
				return true
			}
		},
		"answers 503 at first": func(h *fakeHub) {
			var n atomic.Int64
			h.body = func(w http.ResponseWriter, r *http.Request, name string) bool {
				if n.Add(1) > 5 {
					return false
				}
				http.Error(w, "busy", http.StatusServiceUnavailable)
				return true
			}
			var m atomic.Int64
			h.api = func(w http.ResponseWriter, r *http.Request) bool {
				if m.Add(1)%2 == 0 {
					return false
				}
				http.Error(w, "busy", http.StatusBadGateway)
				return true
			}
		},
		"stalls at first": func(h *fakeHub) {
			var n atomic.Int64
			h.body = func(w http.ResponseWriter, r *http.Request, name string) bool {
				if n.Add(1) > 2 {
					return false
				}
				from, to := span(r, bigSize)
				partial(w, from, to, bigSize, `"cdn-1"`, h.files[name][from:from+1000])
				w.(http.Flusher).Flush()
				<-r.Context().Done()
				return true
			}
		},
		"changes the file midway, once": func(h *fakeHub) {
			var n atomic.Int64
			h.body = func(w http.ResponseWriter, r *http.Request, name string) bool {
				from, to := span(r, bigSize)
				if n.Add(1) > 2 {
					return false
				}
				partial(w, from, to, bigSize, `"old"`, make([]byte, to-from))
				return true
			}
		},
		"has a new ETag for every request": func(h *fakeHub) {
			var n atomic.Int64
			h.body = func(w http.ResponseWriter, r *http.Request, name string) bool {
				from, to := span(r, bigSize)
				partial(w, from, to, bigSize, fmt.Sprintf(`"%d"`, n.Add(1)), h.files[name][from:to])
				return true
			}
		},
		"redirects a few times": func(h *fakeHub) {
			h.body = func(w http.ResponseWriter, r *http.Request, name string) bool {
				n, _ := strconv.Atoi(r.URL.Query().Get("n"))
				if n == 5 {
					return false
				}
				w.Header().Set("Location", "?n="+itoa(n+1))
				w.WriteHeader(http.StatusTemporaryRedirect)
				return true
			}
		},
	}
	for name, spoil := range cases {
		t.Run(name, func(t *testing.T) {
			h := newHub(t)
			spoil(h)
			c := h.client()
			if strings.HasPrefix(name, "stalls") {
				c.hooks.idle = time.Second
			}
			var last Progress
			if _, err := pull(t, c, Options{Progress: func(p Progress) { last = p }}); err != nil {
				t.Fatal(err)
			}
			h.intact(c)
			if last.Done < last.Total {
				t.Errorf("progress ends at %+v", last)
			}
			if left := leftovers(c); len(left) > 0 {
				t.Errorf("left over: %v", left)
			}
		})
	}
}

// What a pull refuses: the error says so, nothing of it is used, and it ends.
func TestServersThatDoNot(t *testing.T) {
	cdn := func(f func(w http.ResponseWriter, r *http.Request, from, to int)) func(h *fakeHub) {
		return func(h *fakeHub) {
			h.body = func(w http.ResponseWriter, r *http.Request, name string) bool {
				from, to := span(r, bigSize)
				f(w, r, from, to)
				return true
			}
		}
	}
	cases := map[string]struct {
		spoil func(h *fakeHub)
		says  string
	}{
		"wrong bytes": {cdn(func(w http.ResponseWriter, r *http.Request, from, to int) {
			partial(w, from, to, bigSize, `"x"`, make([]byte, to-from))
		}), "set aside as"},
		"another range": {cdn(func(w http.ResponseWriter, r *http.Request, from, to int) {
			partial(w, from+1, to, bigSize, `"x"`, make([]byte, to-from-1))
		}), "the server is broken"},
		"a range beyond the one asked": {cdn(func(w http.ResponseWriter, r *http.Request, from, to int) {
			partial(w, from, bigSize, bigSize, `"x"`, make([]byte, 10))
		}), "the server is broken"},
		"no Content-Range": {cdn(func(w http.ResponseWriter, r *http.Request, from, to int) {
			w.WriteHeader(http.StatusPartialContent)
			w.Write(make([]byte, to-from))
		}), "answers with the range"},
		"another total": {cdn(func(w http.ResponseWriter, r *http.Request, from, to int) {
			partial(w, from, to, bigSize+1, `"x"`, make([]byte, to-from))
		}), "changed on the server"},
		"another length": {cdn(func(w http.ResponseWriter, r *http.Request, from, to int) {
			w.Header().Set("Content-Length", "77")
			w.Write(make([]byte, 77))
		}), "changed on the server"},
		"endless range": {cdn(func(w http.ResponseWriter, r *http.Request, from, to int) {
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to-1, bigSize))
			w.WriteHeader(http.StatusPartialContent)
			endless(w)
		}), "sends more than"},
		"endless file": {cdn(func(w http.ResponseWriter, r *http.Request, from, to int) { endless(w) }), "sends more than"},
		"range not satisfiable": {cdn(func(w http.ResponseWriter, r *http.Request, from, to int) {
			w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
		}), "changed on the server"},
		"nothing": {cdn(func(w http.ResponseWriter, r *http.Request, from, to int) { w.WriteHeader(http.StatusNoContent) }), "status 204"},
		"404":     {cdn(func(w http.ResponseWriter, r *http.Request, from, to int) { http.NotFound(w, r) }), "404"},
		"503 for ever": {cdn(func(w http.ResponseWriter, r *http.Request, from, to int) {
			w.WriteHeader(http.StatusServiceUnavailable)
		}), "tried 8 times"},
		"429 with a long wait": {cdn(func(w http.ResponseWriter, r *http.Request, from, to int) {
			w.Header().Set("Retry-After", "3600")
			w.WriteHeader(http.StatusTooManyRequests)
		}), "asks to wait 1h"},
		"one byte a connection": {cdn(func(w http.ResponseWriter, r *http.Request, from, to int) {
			partial(w, from, to, bigSize, `"x"`, make([]byte, 1))
		}), "tried 8 times"},
		"one byte a range": {cdn(func(w http.ResponseWriter, r *http.Request, from, to int) {
			partial(w, from, from+1, bigSize, `"x"`, make([]byte, 1))
		}), "tried 8 times"},
		"a new ETag at every request, and no checksum": {func(h *fakeHub) {
			var n atomic.Int64
			h.api = func(w http.ResponseWriter, r *http.Request) bool {
				if strings.Contains(r.URL.Path, "/tree/") {
					http.NotFound(w, r)
					return true
				}
				return false
			}
			h.direct = func(w http.ResponseWriter, r *http.Request, name string) bool {
				w.Header().Set("ETag", `"v1"`)
				if r.Method == http.MethodGet {
					w.Header().Set("ETag", fmt.Sprintf(`"v%d"`, n.Add(1)))
				}
				http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(h.files[name]))
				return true
			}
		}, "goes on changing"},
		"a circle": {cdn(func(w http.ResponseWriter, r *http.Request, from, to int) {
			w.Header().Set("Location", "/b"+strings.TrimPrefix(r.URL.Path, "/b"))
			w.WriteHeader(http.StatusFound)
		}), "circle"},
		"redirects without end": {cdn(func(w http.ResponseWriter, r *http.Request, from, to int) {
			w.Header().Set("Location", r.URL.Path+"/x")
			w.WriteHeader(http.StatusFound)
		}), "more than 10 redirects"},
		"a redirect to a file": {cdn(func(w http.ResponseWriter, r *http.Request, from, to int) {
			w.Header().Set("Location", "file:///etc/passwd")
			w.WriteHeader(http.StatusFound)
		}), "no web address"},
		"another ETag than the list": {func(h *fakeHub) {
			h.direct = func(w http.ResponseWriter, r *http.Request, name string) bool {
				w.Header().Set("X-Linked-Etag", strings.Repeat("a", 64))
				w.Write(h.files[name])
				return true
			}
		}, "its ETag is"},
		"another commit": {func(h *fakeHub) {
			h.direct = func(w http.ResponseWriter, r *http.Request, name string) bool {
				w.Header().Set("X-Repo-Commit", strings.Repeat("a", 40))
				w.Write(h.files[name])
				return true
			}
		}, "of commit"},
		"a small file that differs": {func(h *fakeHub) {
			h.direct = func(w http.ResponseWriter, r *http.Request, name string) bool {
				if name != "config.json" {
					return false
				}
				w.Write(bytes.ToUpper(h.files[name]))
				return true
			}
		}, "its git hash is"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			h := newHub(t)
			c.spoil(h)
			client := h.client()
			_, err := pull(t, client, Options{})
			if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "secret") {
				t.Fatalf("%v", err)
			}
			if path, err := client.Resolve(testRepo); err == nil {
				t.Errorf("it opens: %s", path)
			}
			h.heal()
			if _, err := pull(t, client, Options{}); err != nil {
				t.Fatalf("when the server is well again: %v", err)
			}
			h.intact(client)
		})
	}
}

// A server that sends a byte now and then is as good as one that sends none.
func TestDripping(t *testing.T) {
	h := newHub(t)
	h.body = func(w http.ResponseWriter, r *http.Request, name string) bool {
		from, to := span(r, bigSize)
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to-1, bigSize))
		w.WriteHeader(http.StatusPartialContent)
		for r.Context().Err() == nil {
			w.Write([]byte("x"))
			w.(http.Flusher).Flush()
			time.Sleep(5 * time.Millisecond)
		}
		return true
	}
	c := h.client()
	c.hooks.idle = 200 * time.Millisecond
	if _, err := pull(t, c, Options{}); err == nil || !strings.Contains(err.Error(), "tried 8 times") {
		t.Error(err) // stalled; on a busy machine even before the first byte
	}
}

// Lists that would do harm, or have no end.
func TestListsThatAreRefused(t *testing.T) {
	tree := func(entries string) func(h *fakeHub) {
		return func(h *fakeHub) {
			h.api = func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.Contains(r.URL.Path, "/tree/") {
					return false
				}
				io.WriteString(w, entries)
				return true
			}
		}
	}
	file := func(name string) func(h *fakeHub) {
		return tree(`[{"type":"file","path":"` + name + `","size":2,"oid":"` + gitHash([]byte("{}")) + `"}]`)
	}
	model := func(answer string) func(h *fakeHub) {
		return func(h *fakeHub) {
			h.api = func(w http.ResponseWriter, r *http.Request) bool { io.WriteString(w, answer); return true }
		}
	}
	cases := map[string]struct {
		spoil func(h *fakeHub)
		says  string
	}{
		"up":            {file("../../evil.json"), "leads out"},
		"up inside":     {file("a/../../../evil.json"), "leads out"},
		"absolute":      {file("/etc/evil.json"), "absolute"},
		"backslash":     {file(`..\\evil.json`), "backslash"},
		"NUL":           {file(`a\u0000.json`), "control"},
		"drive":         {file("C:evil.safetensors"), "Windows"},
		"device":        {file("NUL.safetensors"), "device"},
		"dot":           {file("./config.json"), "empty part"},
		"long":          {file(strings.Repeat("a", 300) + ".json"), "255"},
		"longer":        {file(strings.Repeat("a/", 900) + ".json"), "1024"},
		"negative size": {tree(`[{"type":"file","path":"x.safetensors","size":-5,"oid":"1"}]`), "404"},
		"absurd size":   {tree(`[{"type":"file","path":"x.safetensors","size":1152921504606846976}]`), "cannot be"},
		"overflow":      {tree(`[{"type":"file","path":"x.safetensors","size":1e40}]`), "no list"},
		"twice":         {tree(`[{"type":"file","path":"a.json","size":1},{"type":"file","path":"a.json","size":2}]`), "twice"},
		"case":          {tree(`[{"type":"file","path":"a.safetensors","size":1},{"type":"file","path":"A.safetensors","size":2}]`), "case"},
		"no list":       {tree(`{"error":"x"}`), "no list"},
		"deep":          {tree(strings.Repeat("[", 1<<20)), "no list"},
		"HTML":          {model("<html>welcome</html>"), "laid out as"},
		"no commit":     {model(`{"siblings":[]}`), "no commit"},
		"bad commit":    {model(`{"sha":"../../x"}`), "commit"},
		"pickles":       {tree(`[{"type":"file","path":"pytorch_model.bin","size":1}]`), "safetensors or GGUF"},
		"nothing":       {tree(`[{"type":"file","path":"README.md","size":1}]`), "README.md"},
		"endless answer": {func(h *fakeHub) {
			h.api = func(w http.ResponseWriter, r *http.Request) bool { endless(w); return true }
		}, "more than 32 MB"},
		"endless pages": {func(h *fakeHub) {
			n := 0
			h.api = func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.Contains(r.URL.Path, "/tree/") {
					return false
				}
				n++
				w.Header().Set("Link", fmt.Sprintf(`<%s?cursor=%d>; rel="next"`, r.URL.Path, n))
				fmt.Fprintf(w, `[{"type":"file","path":"%d.json","size":1}]`, n)
				return true
			}
		}, "does not end"},
		"a page elsewhere": {func(h *fakeHub) {
			h.api = func(w http.ResponseWriter, r *http.Request) bool {
				w.Header().Set("Link", `<http://127.0.0.2:1/x>; rel="next"`)
				return false
			}
		}, "another server"},
		"gated": {func(h *fakeHub) {
			h.api = func(w http.ResponseWriter, r *http.Request) bool {
				w.Header().Set("X-Error-Code", "GatedRepo")
				w.WriteHeader(http.StatusForbidden)
				io.WriteString(w, `{"error":"Access to model org/tiny is \u001b[31mrestricted"}`)
				return true
			}
		}, "accept the conditions"},
		"private": {func(h *fakeHub) {
			h.api = func(w http.ResponseWriter, r *http.Request) bool {
				w.WriteHeader(http.StatusUnauthorized)
				io.WriteString(w, `{"error":"Invalid username or password."}`)
				return true
			}
		}, "Invalid username or password.: no such model"},
		"absent": {func(h *fakeHub) {
			h.api = func(w http.ResponseWriter, r *http.Request) bool { http.NotFound(w, r); return true }
		}, "check both names"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			h := newHub(t)
			c.spoil(h)
			client := h.client()
			_, err := pull(t, client, Options{})
			if err == nil || !strings.Contains(err.Error(), c.says) || strings.ContainsAny(err.Error(), "\x00\x1b") {
				t.Fatalf("%v", err)
			}
			if entries, _ := os.ReadDir(filepath.Join(client.folder(testRepo), "snapshots")); len(entries) > 0 {
				t.Errorf("it made %v", entries)
			}
		})
	}
}

func TestDowngradeIsRefused(t *testing.T) {
	c := &Client{Base: "https://hub.example", Cache: t.TempDir()}
	asked := 0
	c.hooks.transport = tripper(func(r *http.Request) (*http.Response, error) {
		asked++
		return &http.Response{StatusCode: 302, Header: http.Header{"Location": {"http://hub.example/x"}}, Body: http.NoBody, Request: r}, nil
	})
	if _, err := pull(t, c, Options{}); err == nil || !strings.Contains(err.Error(), "https to http") || asked != 1 {
		t.Errorf("after %d requests: %v", asked, err)
	}
}

// Waits grow, follow Retry-After, and end.
func TestWaits(t *testing.T) {
	h := newHub(t)
	c := h.client()
	var waits []time.Duration
	c.hooks.wait = func(_ context.Context, d time.Duration) error { waits = append(waits, d); return nil }
	h.api = func(w http.ResponseWriter, r *http.Request) bool {
		if len(waits) == 2 {
			w.Header().Set("Retry-After", "90")
		}
		w.WriteHeader(http.StatusTooManyRequests)
		return true
	}
	if _, err := pull(t, c, Options{}); err == nil || !strings.Contains(err.Error(), "429") {
		t.Fatal(err)
	}
	if len(waits) != tries-1 || waits[0] < time.Second || waits[1] < 2*time.Second || waits[2] != 90*time.Second || waits[6] < longestWait || waits[6] > 2*longestWait {
		t.Errorf("%v", waits)
	}
	if retryAfter(time.Now().Add(time.Minute).UTC().Format(http.TimeFormat)) < 50*time.Second || retryAfter("soon") != 0 || retryAfter("-5") != 0 {
		t.Error("Retry-After is misread")
	}
}

// A file with a wrong checksum is set aside.
func TestCorruptIsKeptApart(t *testing.T) {
	h := newHub(t)
	h.body = func(w http.ResponseWriter, r *http.Request, name string) bool {
		from, to := span(r, bigSize)
		partial(w, from, to, bigSize, `"x"`, make([]byte, to-from))
		return true
	}
	c := h.client()
	_, err := pull(t, c, Options{})
	corrupt := filepath.Join(c.folder(testRepo), "blobs", h.tag("model.safetensors")+".corrupt")
	if err == nil || !strings.Contains(err.Error(), corrupt) {
		t.Fatal(err)
	}
	if info, err := os.Stat(corrupt); err != nil || info.Size() != bigSize {
		t.Errorf("the corrupt file: %v", err)
	}
	if left := leftovers(c); len(left) != 1 {
		t.Errorf("left over: %v", left)
	}
}

// The disk is asked before the first byte comes.
func TestRoom(t *testing.T) {
	h := newHub(t)
	c := h.client()
	c.hooks.free = func(string) (int64, bool) { return bigSize - 1, true }
	if _, err := pull(t, c, Options{}); err == nil || !strings.Contains(err.Error(), "make room") || h.gets.Load() > 0 {
		t.Fatalf("%v, after %d requests", err, h.gets.Load())
	}
	if _, err := os.Stat(c.Cache); err == nil {
		t.Error("the cache was begun")
	}
	// What is here already needs no room.
	h.slow(60 * time.Millisecond)
	c.hooks.free = nil
	ctx, cancel := context.WithCancel(context.Background())
	c.Pull(ctx, Name{Repo: testRepo}, Options{Progress: func(p Progress) {
		if p.Done > 4*pieceSize {
			cancel()
		}
	}})
	h.heal()
	c.hooks.free = func(dir string) (int64, bool) { return 4 * pieceSize, true }
	if _, err := pull(t, c, Options{}); err != nil {
		t.Error(err)
	}
	if free, known := diskspace.Free(t.TempDir()); known && free <= 0 {
		t.Errorf("%d bytes free", free)
	}
}

// failing is a file on a disk that fills up.
type failing struct {
	partFile
	left *atomic.Int64
}

func (f failing) WriteAt(b []byte, at int64) (int, error) {
	if f.left.Add(-int64(len(b))) < 0 {
		return 0, &os.PathError{Op: "write", Path: "partial", Err: syscall.ENOSPC}
	}
	return f.partFile.WriteAt(b, at)
}

func TestDiskFull(t *testing.T) {
	h := newHub(t)
	c := h.client()
	c.Connections = 1
	var left atomic.Int64
	left.Store(3*pieceSize + pieceSize/2)
	c.hooks.open = func(path string) (partFile, error) {
		f, err := openPart(path)
		return failing{f, &left}, err
	}
	_, err := pull(t, c, Options{})
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "make room") {
		t.Fatal(err)
	}
	h.sent.Store(0)
	c.hooks.open = nil
	if _, err := pull(t, c, Options{}); err != nil {
		t.Fatal(err)
	}
	h.intact(c)
	if n := h.sent.Load(); n > bigSize-3*pieceSize {
		t.Errorf("%d bytes came again", n-(bigSize-3*pieceSize))
	}
}

// Records that lie, and partial files that somebody cut.
func TestBadRecords(t *testing.T) {
	for name, spoil := range map[string]func(partial, record string) error{
		"nonsense":     func(_, record string) error { return os.WriteFile(record, []byte("{"), 0o666) },
		"partial cut":  func(partial, _ string) error { return os.Truncate(partial, 100) },
		"partial gone": func(partial, _ string) error { return os.Remove(partial) },
		"partial long": func(partial, _ string) error { return os.Truncate(partial, bigSize+5000) },
		"mixed up":     func(partial, record string) error { return os.Rename(partial, record) },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHub(t)
			h.slow(60 * time.Millisecond)
			c := h.client()
			ctx, cancel := context.WithCancel(context.Background())
			c.Pull(ctx, Name{Repo: testRepo}, Options{Progress: func(p Progress) {
				if p.Done > 3*pieceSize {
					cancel()
				}
			}})
			h.heal()
			blob := filepath.Join(c.folder(testRepo), "blobs", h.tag("model.safetensors"))
			if err := spoil(blob+".haenyeo.incomplete", blob+".haenyeo.ranges"); err != nil {
				t.Fatal(err)
			}
			if _, err := pull(t, c, Options{}); err != nil {
				t.Fatal(err)
			}
			h.intact(c)
			if info, err := os.Stat(blob); err != nil || info.Size() != bigSize {
				t.Errorf("%v", err)
			}
		})
	}
}

// A cache that cannot be written is an error that says where.
func TestCacheThatIsAFile(t *testing.T) {
	h := newHub(t)
	c := h.client()
	if err := os.WriteFile(c.Cache, []byte("x"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := pull(t, c, Options{}); err == nil || !strings.Contains(err.Error(), c.Cache) {
		t.Error(err)
	}
}
