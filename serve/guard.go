package serve

// The Host and Origin of browsers. keys.go has the API keys.

import (
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// admitHost refuses names that a web page made to point here, where no key protects the server: a browser would take
// this server for a part of that page.
func (s *Server) admitHost(r *http.Request) error {
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	switch {
	case len(s.options.Keys.list) > 0, host == "", host == "localhost", strings.HasSuffix(host, ".localhost"), net.ParseIP(host) != nil,
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
