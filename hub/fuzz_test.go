package hub

import (
	"path/filepath"
	"strings"
	"testing"
)

// Whatever a server lists: what is chosen of it stays inside the directory.
func FuzzListing(f *testing.F) {
	hash := strings.Repeat("a", 64)
	for _, s := range []string{
		`{"sha":"` + testCommit + `","siblings":[{"rfilename":"model.safetensors","size":5,"blobId":"x","lfs":{"sha256":"` + hash + `","size":5}}]}`,
		`[{"type":"file","path":"a-Q8_0-00001-of-00002.gguf","size":5,"oid":"x","lfs":{"oid":"` + hash + `","size":7}},{"type":"directory","path":"d"}]`,
		`[{"type":"file","path":"../x.json","size":-1}]`, `{"sha":null,"siblings":null}`, `[null]`, `{}`, `[`, `{"sha":"..","siblings":[{}]}`,
	} {
		f.Add([]byte(s), "Q8_0", "*.json")
	}
	f.Fuzz(func(t *testing.T, b []byte, want, pattern string) {
		l, _ := parseModel(b)
		files, _ := parseTree(b)
		for _, files := range [][]remote{l.files, files} {
			if checkList(files) != nil {
				continue
			}
			for _, include := range [][]string{nil, {pattern}} {
				for _, want := range []string{"", want} {
					chosen, err := choose(files, want, include, nil)
					if err == nil && len(chosen) == 0 {
						t.Fatal("nothing is chosen, and no error")
					}
					for _, f := range chosen {
						if !filepath.IsLocal(filepath.FromSlash(f.name)) || f.size > maxSize || f.size < -1 {
							t.Fatalf("%+v is chosen", f)
						}
					}
					if opens("d", chosen) == "" {
						t.Fatal("nothing to open")
					}
				}
			}
		}
		if l.commit != "" && checkCommit(l.commit) == nil && (!filepath.IsLocal(l.commit) || strings.ContainsAny(l.commit, `/\`)) {
			t.Fatalf("commit %q", l.commit)
		}
	})
}

// A name that is read is written as one that reads the same, and names files inside the cache only.
func FuzzParseName(f *testing.F) {
	for _, s := range []string{"a/b", "a/b@main:Q4_K_M", "hf.co/a/b", "../..", "a/b@refs/pr/1", "a:b:c", "https://huggingface.co/x"} {
		f.Add(s)
	}
	c := &Client{Cache: "cache"}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := ParseName(s)
		if err != nil {
			return
		}
		again, err := ParseName(n.String())
		if err != nil || again.revision() != n.revision() || again.Repo != n.Repo || again.File != n.File {
			t.Fatalf("%q: %+v, then %+v, %v", s, n, again, err)
		}
		for _, path := range []string{c.folder(n.Repo), c.ref(n.Repo, n.revision())} {
			if rel, err := filepath.Rel("cache", path); err != nil || !filepath.IsLocal(rel) || rel == "." {
				t.Fatalf("%q leads to %q", s, path)
			}
		}
	})
}

// A record that is accepted claims no more than the file has.
func FuzzRecord(f *testing.F) {
	f.Add([]byte(`{"form":1,"etag":"x","size":9000000,"piece":4194304,"body":"b","done":"BQ=="}`), int64(9000000))
	f.Add([]byte(`{"form":1,"etag":"x","size":0,"piece":4194304,"done":""}`), int64(0))
	f.Add([]byte(`{`), int64(5))
	f.Fuzz(func(t *testing.T, b []byte, size int64) {
		if size < 0 || size > 1<<40 {
			return
		}
		p, _, err := parseRecord(b, "x", size)
		if err == nil && (p.size != size || p.bytes() > size) {
			t.Fatalf("%d of %d bytes", p.bytes(), size)
		}
	})
}

func FuzzHeaders(f *testing.F) {
	f.Add("bytes 0-99/1000", `<https://x/y?cursor=a>; rel="next", <z>; rel="last"`)
	f.Add("bytes 5-4/*", "<")
	f.Add("bytes -1-1/1", ">;<")
	f.Fuzz(func(t *testing.T, contents, link string) {
		from, to, total, err := contentRange(contents)
		if err == nil && (from < 0 || to <= from || total >= 0 && to > total) {
			t.Fatalf("%q: %d to %d of %d", contents, from, to, total)
		}
		if next := nextPage([]string{link}); !strings.Contains(link, next) {
			t.Fatalf("%q in %q", next, link)
		}
		if retryAfter(contents) < 0 || retryAfter(link) < 0 {
			t.Fatal("a wait in the past")
		}
	})
}

func TestNextPage(t *testing.T) {
	for header, want := range map[string]string{
		`<https://x/y?a=1,2;3>; rel="next"`:                       "https://x/y?a=1,2;3",
		`<https://x/first>; rel="first", <https://x/n>; rel=next`: "https://x/n",
		`<https://x/p>; rel="prev"`:                               "",
		"":                                                        "",
	} {
		if got := nextPage([]string{header}); got != want {
			t.Errorf("%s: %q", header, got)
		}
	}
}

// A manifest that is accepted names layers by checksums alone.
func FuzzManifest(f *testing.F) {
	digest := "sha256:" + strings.Repeat("a", 64)
	f.Add([]byte(`{"config":{"digest":"`+digest+`","size":5},"layers":[{"mediaType":"application/vnd.ollama.image.model","digest":"sha256:`+strings.Repeat("b", 64)+`","size":7}]}`), "oci://h:5000/a/b:c")
	f.Add([]byte(`{"layers":[{"mediaType":"application/vnd.ollama.image.model","digest":"sha256:../../x","size":-7}]}`), "ollama.com/x")
	f.Add([]byte(`{"layers":null}`), "oci://../..:x")
	c := &Client{Images: "images"}
	f.Fuzz(func(t *testing.T, b []byte, name string) {
		if layers, model, err := parseManifest(b); err == nil {
			if len(layers) == 0 || !modelMimes[model.MediaType] {
				t.Fatalf("no model in %v", layers)
			}
			for _, l := range layers {
				if rel, err := filepath.Rel("images", c.layerPath(l)); err != nil || !filepath.IsLocal(rel) || !isSHA256(l.hash()) {
					t.Fatalf("layer %+v", l)
				}
			}
		}
		if i, ok, err := ParseImage(name); ok && err == nil {
			if rel, err := filepath.Rel("images", c.manifest(i)); err != nil || !filepath.IsLocal(rel) {
				t.Fatalf("%q leads to %q", name, c.manifest(i))
			}
			if again, ok, err := ParseImage(i.String()); !ok || err != nil || again != i {
				t.Fatalf("%q: %+v, then %+v", name, i, again)
			}
		}
	})
}
