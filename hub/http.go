package hub

// Requests: redirects followed by hand, because what each hop says counts and where the token may go is
// decided at each; bodies that stall are cut; failures that pass are tried again.

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	maxRedirects  = 10
	maxHeader     = 1 << 20
	maxJSON       = 32 << 20 // of one answer; a page of 1000 files has less than 1 MB
	idleTime      = 30 * time.Second
	leastPerIdle  = 1 << 10 // bytes; a body slower than this per idleTime stalls
	tries         = 8       // in a row without progress: about 90 seconds
	firstTries    = 3       // before the server has answered anything
	firstWait     = time.Second
	longestWait   = 30 * time.Second
	mostPatience  = 2 * time.Minute // longer waits that a server asks for are an error
	errorBodySize = 4 << 10
)

var errStalled = errors.New("the server sends nothing any more")

// statusError is an answer that is none.
type statusError struct {
	url     string // without its query, which may hold a signature
	status  int
	code    string        // X-Error-Code of the hub
	message string        // what the server says
	after   time.Duration // what it asks to wait
}

func (e *statusError) Error() string {
	s := fmt.Sprintf("%s: %d %s", e.url, e.status, http.StatusText(e.status))
	if e.message != "" {
		s += ": " + e.message
	}
	switch {
	case e.code == "GatedRepo":
		s += ": accept the conditions on the model's page, then set HF_TOKEN to a token of yours"
	case e.status == http.StatusUnauthorized || e.status == http.StatusForbidden:
		s += ": no such model, or it is private: check the name, or set HF_TOKEN to a token that may read it"
	}
	return s
}

// session is the client during one call: its connections end with it.
type session struct {
	c       *Client
	base    *url.URL
	http    *http.Client
	idle    time.Duration
	reached atomic.Bool // the server has answered something
	accept  string      // media types, "" for any
	login   bool        // answer challenges, as registries make them

	mu    sync.Mutex
	token string
}

func (c *Client) newSession() (*session, error) {
	base, err := c.address()
	if err != nil {
		return nil, err
	}
	s := &session{c: c, base: base, idle: idleTime, token: c.Token}
	if c.hooks.idle > 0 {
		s.idle = c.hooks.idle
	}
	t := c.hooks.transport
	if t == nil {
		t = &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DialContext:            (&net.Dialer{Timeout: 15 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
			TLSHandshakeTimeout:    15 * time.Second,
			ResponseHeaderTimeout:  s.idle,
			MaxResponseHeaderBytes: maxHeader,
			MaxIdleConnsPerHost:    c.connections(),
			IdleConnTimeout:        time.Minute,
			DisableCompression:     true, // sizes and ranges are those of the file
			// No HTTP/2: all ranges would share one connection and its window.
		}
	}
	s.http = &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return s, nil
}

func (s *session) close() { s.http.CloseIdleConnections() }

// reply is the answer at the end of the redirects.
type reply struct {
	status int
	header http.Header
	url    *url.URL // that answered
	moved  bool     // by a redirect to another server
	commit string   // X-Repo-Commit, of any answer of the base server
	etag   string   // X-Linked-Etag of the base server, else the ETag where it answered itself; without quotes
	size   int64    // X-Linked-Size, else Content-Length where the base server answered itself; -1 unknown
	length int64    // Content-Length, -1 unknown
	body   io.ReadCloser
}

// send makes one request and follows its redirects. ranges is the value of Range, "" for none.
func (s *session) send(ctx context.Context, method, address, ranges string) (*reply, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	r := &reply{size: -1}
	seen, loggedIn := map[string]bool{}, false
	for hops := 0; ; hops++ {
		if seen[u.String()] {
			cancel(nil)
			return nil, fmt.Errorf("%s: the server redirects in a circle", plain(u))
		}
		if hops > maxRedirects {
			cancel(nil)
			return nil, fmt.Errorf("%s: more than %d redirects", plain(u), maxRedirects)
		}
		seen[u.String()] = true
		resp, err := s.hop(ctx, method, u, ranges)
		if err != nil {
			cancel(nil)
			return nil, err
		}
		s.reached.Store(true)
		atBase := s.isBase(u)
		if resp.StatusCode == http.StatusUnauthorized && atBase && s.login && !loggedIn {
			loggedIn = true // once a request: tokens of registries end after minutes
			resp.Body.Close()
			token, err := s.logIn(ctx, resp.Header.Get("WWW-Authenticate"))
			if err != nil {
				cancel(nil)
				return nil, fmt.Errorf("%s: %w", plain(u), err)
			}
			s.mu.Lock()
			s.token = token
			s.mu.Unlock()
			delete(seen, u.String())
			continue
		}
		if atBase {
			r.note(resp)
		}
		if next := resp.Header.Get("Location"); next != "" && isRedirect(resp.StatusCode) {
			resp.Body.Close()
			to, err := redirect(u, next)
			if err != nil {
				cancel(nil)
				return nil, err
			}
			if method == http.MethodHead && atBase && !s.isBase(to) && r.etag != "" && r.size >= 0 {
				cancel(nil) // the base server has said everything
				r.status, r.header, r.url, r.length, r.body = http.StatusOK, resp.Header, u, -1, http.NoBody
				return r, nil
			}
			u = to
			continue
		}
		if atBase && r.etag == "" {
			r.etag = bareTag(resp.Header.Get("ETag"))
		}
		if atBase && r.size < 0 && resp.StatusCode == http.StatusOK {
			r.size = resp.ContentLength
		}
		r.status, r.header, r.url, r.moved, r.length = resp.StatusCode, resp.Header, u, !atBase, resp.ContentLength
		r.body = watch(ctx, cancel, resp.Body, s.idle)
		if resp.StatusCode >= 300 {
			return nil, r.failure()
		}
		return r, nil
	}
}

// hop makes one request, without following a redirect.
func (s *session) hop(ctx context.Context, method string, u *url.URL, ranges string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, u.String(), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", "haenyeo")
	req.Header.Set("Accept-Encoding", "identity")
	if ranges != "" {
		req.Header.Set("Range", ranges)
	}
	if s.accept != "" {
		req.Header.Set("Accept", s.accept)
	}
	s.mu.Lock()
	token := s.token
	s.mu.Unlock()
	if token != "" && s.isBase(u) && (u.Scheme == "https" || isLoopback(u.Hostname())) {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := s.http.Do(req)
	if err != nil {
		var e *url.Error
		if errors.As(err, &e) {
			err = e.Err // its text repeats the address with the query
		}
		return nil, fmt.Errorf("%s: %w", plain(u), err)
	}
	return resp, nil
}

func (s *session) isBase(u *url.URL) bool { return u.Scheme == s.base.Scheme && u.Host == s.base.Host }

// note keeps what the base server says about the file behind an address.
func (r *reply) note(resp *http.Response) {
	if v := resp.Header.Get("X-Repo-Commit"); v != "" {
		r.commit = v
	}
	if v := resp.Header.Get("X-Linked-Etag"); v != "" {
		r.etag = bareTag(v)
	}
	if n, err := strconv.ParseInt(resp.Header.Get("X-Linked-Size"), 10, 64); err == nil && n >= 0 {
		r.size = n
	}
}

// failure reads what a server says in place of an answer, and closes it.
func (r *reply) failure() error {
	defer r.body.Close()
	e := &statusError{url: plain(r.url), status: r.status, code: r.header.Get("X-Error-Code"), message: r.header.Get("X-Error-Message"), after: retryAfter(r.header.Get("Retry-After"))}
	b, _ := io.ReadAll(io.LimitReader(r.body, errorBodySize)) // a reason that cannot be read is no reason
	var said struct {
		Error string `json:"error"`
	}
	if e.message == "" && json.Unmarshal(b, &said) == nil {
		e.message = said.Error
	}
	e.message = oneLine(e.message)
	return e
}

// oneLine makes a stranger's text fit for a terminal.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if r := []rune(s); len(r) > 200 {
		s = string(r[:200]) + "…"
	}
	return strings.TrimSpace(s)
}

func isRedirect(status int) bool {
	switch status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return false
}

// redirect is where an answer of from sends us.
func redirect(from *url.URL, location string) (*url.URL, error) {
	to, err := from.Parse(location)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: redirect to an address that is none", plain(from))
	case to.Scheme != "http" && to.Scheme != "https" || to.Host == "":
		return nil, fmt.Errorf("%s: redirect to %q, which is no web address", plain(from), to.Scheme+"://"+to.Host)
	case from.Scheme == "https" && to.Scheme == "http":
		return nil, fmt.Errorf("%s: redirect from https to http at %s is refused: anyone on the way could change the file", plain(from), to.Host)
	}
	to.User, to.Fragment = nil, ""
	return to, nil
}

// plain is an address without its query.
func plain(u *url.URL) string { return u.Scheme + "://" + u.Host + u.EscapedPath() }

// bareTag is an ETag without its quotes and the mark of a weak one.
func bareTag(tag string) string { return strings.Trim(strings.TrimPrefix(tag, "W/"), `"`) }

// retryAfter reads the header of that name: seconds or a date.
func retryAfter(v string) time.Duration {
	if n, err := strconv.Atoi(v); err == nil && n >= 0 {
		return time.Duration(min(n, 1<<20)) * time.Second
	}
	if t, err := http.ParseTime(v); err == nil {
		return max(0, time.Until(t))
	}
	return 0
}

// watched is a body that must go on sending.
type watched struct {
	ctx     context.Context
	cancel  context.CancelCauseFunc
	body    io.ReadCloser
	n       atomic.Int64
	reading atomic.Bool // a slow disk of ours is no stall of theirs
	timer   *time.Timer
}

func watch(ctx context.Context, cancel context.CancelCauseFunc, body io.ReadCloser, idle time.Duration) io.ReadCloser {
	w := &watched{ctx: ctx, cancel: cancel, body: body}
	var before int64
	w.timer = time.AfterFunc(time.Hour, func() {
		n := w.n.Load()
		switch {
		case ctx.Err() != nil: // closed
		case w.reading.Load() && n-before < leastPerIdle:
			cancel(errStalled)
		default:
			before = n
			w.timer.Reset(idle)
		}
	})
	w.timer.Reset(idle) // after timer is set, which the function reads
	return w
}

func (w *watched) Read(p []byte) (int, error) {
	w.reading.Store(true)
	n, err := w.body.Read(p)
	w.reading.Store(false)
	w.n.Add(int64(n))
	if err != nil && err != io.EOF && errors.Is(context.Cause(w.ctx), errStalled) {
		err = errStalled
	}
	return n, err
}

func (w *watched) Close() error {
	w.timer.Stop()
	w.cancel(nil)
	return w.body.Close()
}

// passing says whether an error may be gone at the next try.
func passing(err error) bool {
	var status *statusError
	if errors.As(err, &status) {
		switch status.status {
		case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests, http.StatusInternalServerError,
			http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			return true
		}
		return status.status >= 520 && status.status < 530 // of a well known proxy
	}
	var cert *tls.CertificateVerificationError
	var dns *net.DNSError
	var network net.Error
	switch {
	case errors.As(err, &cert):
		return false
	case errors.As(err, &dns):
		return !dns.IsNotFound
	}
	return errors.Is(err, errStalled) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) || errors.As(err, &network)
}

// persist calls try until it succeeds, fails for good, or has failed too often in a row without progress.
func (s *session) persist(ctx context.Context, try func() (progress bool, err error)) error {
	for failed := 0; ; {
		progress, err := try()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if !passing(err) {
			return err
		}
		if progress {
			failed = 0
		}
		failed++
		limit := tries
		if !s.reached.Load() {
			limit = firstTries
		}
		if failed >= limit {
			return fmt.Errorf("%w (tried %d times)", err, failed)
		}
		pause := min(longestWait, firstWait<<(failed-1))
		pause += time.Duration(rand.Int64N(int64(pause)/4 + 1)) // so that many clients do not come back together
		var status *statusError
		if errors.As(err, &status) && status.after > pause {
			if pause = status.after; pause > mostPatience {
				return fmt.Errorf("%w: the server asks to wait %s: try again then, what is here is kept", err, pause.Round(time.Second))
			}
		}
		s.c.warn("the server failed, trying again", "in", pause.Round(100*time.Millisecond), "error", err)
		if err := s.wait(ctx, pause); err != nil {
			return err
		}
	}
}

func (s *session) wait(ctx context.Context, d time.Duration) error {
	if s.c.hooks.wait != nil {
		return s.c.hooks.wait(ctx, d)
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

// document fetches one bounded answer.
func (s *session) document(ctx context.Context, address string) (body []byte, header http.Header, commit string, err error) {
	err = s.persist(ctx, func() (bool, error) {
		r, err := s.send(ctx, http.MethodGet, address, "")
		if err != nil {
			return false, err
		}
		defer r.body.Close()
		body, err = io.ReadAll(io.LimitReader(r.body, maxJSON+1))
		if err != nil {
			return false, fmt.Errorf("%s: %w", plain(r.url), err)
		}
		if len(body) > maxJSON {
			return false, fmt.Errorf("%s: the answer has more than %d MB: this is no list of files", plain(r.url), maxJSON>>20)
		}
		header, commit = r.header, r.commit
		return false, nil
	})
	return body, header, commit, err
}
