package hub

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// write puts files into a snapshot of a cache.
func write(t *testing.T, c *Client, repo, commit string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(c.snapshot(repo, commit), filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

func TestResolve(t *testing.T) {
	c := &Client{Cache: t.TempDir()}
	write(t, c, "a/dense", "c1", map[string]string{"config.json": "{}", "model.safetensors": "x"})
	write(t, c, "a/two", "c1", map[string]string{"config.json": "{}", "model.safetensors": "x"})
	write(t, c, "a/two", "c2", map[string]string{"config.json": "{}", "model.safetensors": "y"})
	if err := c.writeRef("a/two", "v1", "c1"); err != nil {
		t.Fatal(err)
	}
	write(t, c, "a/part", "c1", map[string]string{"config.json": "{}", "model-1.safetensors": "x", "model.safetensors.index.json": `{"weight_map":{"a":"model-1.safetensors","b":"model-2.safetensors"}}`})
	write(t, c, "a/config", "c1", map[string]string{"config.json": "{}"})
	write(t, c, "a/gguf", "c1", map[string]string{"m-Q4_K_M.gguf": "x", "big/m-Q8_0-00001-of-00002.gguf": "x", "big/m-Q8_0-00002-of-00002.gguf": "y", "s-Q6_K-00001-of-00002.gguf": ""})
	write(t, c, "a/evil", "c1", map[string]string{"config.json": "{}", "model.safetensors": "x"})
	if err := c.writeRef("a/evil", "main", "../../../x"); err != nil {
		t.Fatal(err)
	}
	in := func(repo, commit string, parts ...string) string {
		return filepath.Join(append([]string{c.snapshot(repo, commit)}, parts...)...)
	}
	for name, want := range map[string]string{
		"a/dense": in("a/dense", "c1"), "a/dense@c1": in("a/dense", "c1"), "a/two@v1": in("a/two", "c1"), "a/two@c2": in("a/two", "c2"),
		"a/dense:config.json": in("a/dense", "c1", "config.json"),
		"a/gguf":              in("a/gguf", "c1", "m-Q4_K_M.gguf"), "a/gguf:q8_0": in("a/gguf", "c1", "big", "m-Q8_0-00001-of-00002.gguf"),
		"a/gguf:m-Q4_K_M.gguf": in("a/gguf", "c1", "m-Q4_K_M.gguf"),
	} {
		if got, err := c.Resolve(name); err != nil || got != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	for name, says := range map[string]string{
		"a/two": "haenyeo pull a/two", "a/dense@v1": "haenyeo pull a/dense@v1", "b/none": "haenyeo pull b/none", // not in the cache
		"a/part": "model-2.safetensors", "a/config": "haenyeo pull a/config", "a/gguf:Q5_K_M": "there are", "a/gguf:Q6_K": "is not there",
		"a/evil": "directory",
	} {
		got, err := c.Resolve(name)
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		if absent := strings.HasPrefix(says, "haenyeo pull") && name != "a/config"; errors.Is(err, ErrNotCached) != absent {
			t.Errorf("%s: absent %v: %v", name, !absent, err)
		}
	}
}

func TestNoCache(t *testing.T) {
	c := new(Client)
	for _, name := range []string{"a/b", "oci://h/x"} {
		if _, err := c.Resolve(name); !errors.Is(err, errNoCache) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := pull(t, c, Options{}); !errors.Is(err, errNoCache) {
		t.Error(err)
	}
	if _, err := pullImage(t, c, "oci://127.0.0.1:1/x", Options{}); !errors.Is(err, errNoCache) {
		t.Error(err)
	}
}

func TestFromEnv(t *testing.T) {
	home := t.TempDir()
	all := []string{"HF_ENDPOINT", "HF_HOME", "XDG_CACHE_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"}
	saved := filepath.Join(home, ".cache", "huggingface", "token")
	if err := os.MkdirAll(filepath.Dir(saved), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(saved, []byte("hf_saved\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		env  map[string]string
		want Client
	}{
		{nil, Client{Base: DefaultBase, Cache: filepath.Join(home, ".cache", "huggingface", "hub"), Token: "hf_saved"}},
		{map[string]string{"XDG_CACHE_HOME": "/xdg"}, Client{Base: DefaultBase, Cache: filepath.Join("/xdg", "huggingface", "hub")}},
		{map[string]string{"XDG_CACHE_HOME": "/xdg", "HF_HOME": "~/hf", "HF_TOKEN": "t"}, Client{Base: DefaultBase, Cache: filepath.Join(home, "hf", "hub"), Token: "t"}},
		{map[string]string{"HF_HOME": "/hf", "HUGGINGFACE_HUB_CACHE": "/old"}, Client{Base: DefaultBase, Cache: "/old"}},
		{map[string]string{"HUGGINGFACE_HUB_CACHE": "/old", "HF_HUB_CACHE": "$HOME/new"}, Client{Base: DefaultBase, Cache: home + "/new", Token: "hf_saved"}},
		// The saved token is for the usual server.
		{map[string]string{"HF_ENDPOINT": "https://mirror.example/", "HF_HUB_OFFLINE": "yes"}, Client{Base: "https://mirror.example", Cache: filepath.Join(home, ".cache", "huggingface", "hub"), Offline: true}},
		{map[string]string{"HF_ENDPOINT": "https://mirror.example", "HUGGING_FACE_HUB_TOKEN": "t", "TRANSFORMERS_OFFLINE": "1"}, Client{Base: "https://mirror.example", Cache: filepath.Join(home, ".cache", "huggingface", "hub"), Offline: true, Token: "t"}},
	} {
		for _, v := range all {
			t.Setenv(v, test.env[v])
		}
		t.Setenv("HOME", home)
		t.Setenv("USERPROFILE", home)
		c, err := FromEnv("")
		if err != nil || c.Base != test.want.Base || c.Cache != test.want.Cache || c.Token != test.want.Token || c.Offline != test.want.Offline {
			t.Errorf("%v: %+v, %v", test.env, c, err)
		}
	}
	t.Setenv("HF_TOKEN", "two words")
	if _, err := FromEnv(""); err == nil {
		t.Error("a token of two words")
	}
	t.Setenv("HF_TOKEN", "")
	t.Setenv("HUGGING_FACE_HUB_TOKEN", "")
	t.Setenv("HF_ENDPOINT", "https://mirror.example")
	if c, err := FromEnv(DefaultBase + "/"); err != nil || c.Base != DefaultBase || c.Token != "hf_saved" {
		t.Errorf("%+v, %v", c, err)
	}
	for _, base := range []string{"ftp://x", "huggingface.co", "http://", "https://user:pass@x", "https://x?y"} {
		if _, err := FromEnv(base); err == nil || !strings.Contains(err.Error(), "address") {
			t.Errorf("%s: %v", base, err)
		}
		c := &Client{Base: base, Cache: t.TempDir()}
		if _, err := pull(t, c, Options{}); err == nil || !strings.Contains(err.Error(), "address") {
			t.Errorf("%s: %v", base, err)
		}
	}
}
