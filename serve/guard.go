package serve

// Who may ask: API keys, and the Host and Origin of browsers.

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Keys are the API keys that are let in, as hashes. The zero value lets everybody in.
type Keys struct{ sums [][sha256.Size]byte }

// Limits of a file of keys.
const (
	maxKeys   = 10000
	maxKey    = 512
	minKey    = 8
	hashedKey = "sha256:"
)

// ParseKeys reads a key a line: as it is, or as sha256: and the hexadecimal hash of it. Empty lines, and lines that begin
// with #, say nothing.
func ParseKeys(text string) (Keys, error) {
	var k Keys
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if len(k.sums) == maxKeys {
			return Keys{}, fmt.Errorf("serve: API keys: line %d: there are more than %d", i+1, maxKeys)
		}
		if sum, hashed := strings.CutPrefix(line, hashedKey); hashed {
			raw, err := hex.DecodeString(sum)
			if err != nil || len(raw) != sha256.Size {
				return Keys{}, fmt.Errorf("serve: API keys: line %d: after %s stand %d hexadecimal digits", i+1, hashedKey, 2*sha256.Size)
			}
			k.sums = append(k.sums, [sha256.Size]byte(raw))
			continue
		}
		if len(line) < minKey || len(line) > maxKey || strings.ContainsAny(line, " \t") {
			return Keys{}, fmt.Errorf("serve: API keys: line %d: a key has %d to %d characters and no blanks", i+1, minKey, maxKey)
		}
		k.sums = append(k.sums, sha256.Sum256([]byte(line)))
	}
	if len(k.sums) == 0 {
		return Keys{}, fmt.Errorf("serve: API keys: the file holds none: write one a line")
	}
	return k, nil
}

// has compares with every key, so that the time tells nothing.
func (k Keys) has(key string) bool {
	sum := sha256.Sum256([]byte(key))
	found := 0
	for i := range k.sums {
		found |= subtle.ConstantTimeCompare(k.sums[i][:], sum[:])
	}
	return found == 1
}

// authorize checks the key of a request.
func (s *Server) authorize(r *http.Request) error {
	if len(s.options.Keys.sums) == 0 {
		return nil
	}
	key := r.Header.Get("X-Api-Key")
	if bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		key = bearer
	}
	if key == "" {
		return fail(unauthorized, "", "an API key is needed: send it as Authorization: Bearer KEY")
	}
	if !s.options.Keys.has(key) {
		return fail(unauthorized, "", "the API key is not known here")
	}
	return nil
}

// admitHost refuses names that a web page made to point here, where no key protects the server: a browser would take
// this server for a part of that page.
func (s *Server) admitHost(r *http.Request) error {
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	switch {
	case len(s.options.Keys.sums) > 0, host == "", host == "localhost", strings.HasSuffix(host, ".localhost"), net.ParseIP(host) != nil,
		slices.Contains(s.options.Hosts, host):
		return nil
	}
	return fail(forbidden, "", "the name %q is not one of this server's: it is asked by address, or by a name that it was told", host)
}

// admitOrigin refuses pages of other servers, and lets those that it was told of read the answers.
func (s *Server) admitOrigin(w http.Header, r *http.Request) error {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return nil
	}
	if u, err := url.Parse(origin); err == nil && u.Host == r.Host && u.Host != "" {
		return nil
	}
	w.Add("Vary", "Origin")
	if !slices.Contains(s.options.Origins, origin) {
		return fail(forbidden, "", "pages of %q may not ask this server", origin)
	}
	w.Set("Access-Control-Allow-Origin", origin)
	w.Set("Access-Control-Expose-Headers", "X-Request-Id, Retry-After")
	return nil
}

// preflight answers a browser that asks what a page may do.
func preflight(w http.ResponseWriter, methods []string) {
	h := w.Header()
	h.Set("Access-Control-Allow-Methods", strings.Join(methods, ", "))
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, X-Api-Key, Anthropic-Version, Anthropic-Beta")
	h.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
}
