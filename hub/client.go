package hub

// Client and what the environment says about it. The variables and their order are those of
// huggingface_hub, so that both find the same cache and the same token.

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/haenyeo/haenyeo/internal/regular"
)

// DefaultBase is the server of names without another one.
const DefaultBase = "https://huggingface.co"

// Client fetches from one server into one cache. Its methods may be used by several goroutines.
type Client struct {
	Base        string       // address of the server; "": DefaultBase
	Token       string       // sent to Base alone, and in the clear only to this machine
	Cache       string       // directory of the cache
	Images      string       // directory of images from registries
	Offline     bool         // use the cache alone
	Connections int          // at a time; 0: 8
	Log         *slog.Logger // of warnings; nil: none

	hooks hooks
}

// hooks are what tests exchange. The zero value is the real thing.
type hooks struct {
	transport http.RoundTripper
	idle      time.Duration                              // a body may send nothing for so long
	wait      func(context.Context, time.Duration) error // before another try
	free      func(dir string) (int64, bool)
	open      func(path string) (partFile, error)
	symlink   func(target, link string) error
}

// FromEnv returns the client that the environment describes, of the server at base ("": of HF_ENDPOINT):
//
//	HF_ENDPOINT                        Base
//	HF_TOKEN, HUGGING_FACE_HUB_TOKEN   Token; without them the file that `hf auth login` wrote, for DefaultBase alone
//	HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE, HF_HOME/hub, XDG_CACHE_HOME/huggingface/hub,
//	~/.cache/huggingface/hub           Cache: the first that is set
//	HF_HUB_OFFLINE, TRANSFORMERS_OFFLINE   Offline
//	OLLAMA_MODELS, ~/.ollama/models        Images
func FromEnv(base string) (*Client, error) {
	c := &Client{Base: DefaultBase, Offline: isTrue(first("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"))}
	if env := os.Getenv("HF_ENDPOINT"); env != "" {
		c.Base = strings.TrimRight(env, "/")
	}
	if base != "" {
		c.Base = strings.TrimRight(base, "/")
		if _, err := c.address(); err != nil {
			return nil, err
		}
	}
	home := os.Getenv("HF_HOME")
	if home == "" {
		if xdg := os.Getenv("XDG_CACHE_HOME"); xdg != "" {
			home = filepath.Join(xdg, "huggingface")
		} else {
			home = "~/.cache/huggingface"
		}
	}
	c.Cache = first("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE")
	if c.Cache == "" {
		c.Cache = filepath.Join(home, "hub")
	}
	var err error
	if c.Cache, err = expand(c.Cache); err != nil {
		return nil, err
	}
	c.Images = os.Getenv("OLLAMA_MODELS")
	if c.Images == "" {
		c.Images = "~/.ollama/models"
	}
	if c.Images, err = expand(c.Images); err != nil {
		return nil, err
	}
	c.Token = strings.TrimSpace(first("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"))
	if c.Token == "" && c.Base == DefaultBase {
		path := os.Getenv("HF_TOKEN_PATH")
		if path == "" {
			path = filepath.Join(home, "token")
		}
		if path, err = expand(path); err != nil {
			return nil, err
		}
		if b, err := regular.ReadFile(path, 4096); err == nil { // most people have none
			c.Token = strings.TrimSpace(string(b))
		}
	}
	if !isToken(c.Token) {
		return nil, errors.New("hub: the token of HF_TOKEN or of the token file holds spaces or other characters that no token has: log in again, or unset it")
	}
	return c, nil
}

// first returns the first of these variables that is set.
func first(names ...string) string {
	for _, n := range names {
		if v := os.Getenv(n); v != "" {
			return v
		}
	}
	return ""
}

func isTrue(v string) bool {
	switch strings.ToUpper(v) {
	case "1", "ON", "YES", "TRUE":
		return true
	}
	return false
}

// expand resolves a leading ~ and the variables in a path, as huggingface_hub does.
func expand(path string) (string, error) {
	if path == "~" || strings.HasPrefix(path, "~/") || runtime.GOOS == "windows" && strings.HasPrefix(path, `~\`) {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("hub: %w: set HF_HUB_CACHE to a directory for models", err)
		}
		path = home + path[1:]
	}
	return os.Expand(path, func(name string) string {
		if v, ok := os.LookupEnv(name); ok {
			return v
		}
		return "$" + name
	}), nil
}

// address parses Base.
func (c *Client) address() (*url.URL, error) {
	base := c.Base
	if base == "" {
		base = DefaultBase
	}
	u, err := url.Parse(strings.TrimRight(base, "/"))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return nil, fmt.Errorf("hub: server %q is not an address: give one such as %s or http://127.0.0.1:8000", base, DefaultBase)
	}
	return u, nil
}

func (c *Client) connections() int {
	if c.Connections <= 0 {
		return 8
	}
	return c.Connections
}

func (c *Client) warn(message string, args ...any) {
	if c.Log != nil {
		c.Log.Warn(message, args...)
	}
}

// isToken says whether a token may stand in a header.
func isToken(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

// isLoopback says whether host is this machine.
func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
