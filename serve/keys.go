package serve

// API keys: who may ask, for what, and how much.

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"math"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Keys are the API keys that are let in, as hashes. The zero value lets everybody in.
type Keys struct{ list []*key }

// key is one of them.
type key struct {
	sum      [sha256.Size]byte
	name     string
	priority int
	admin    bool   // may load and unload models
	requests bucket // a minute
	tokens   bucket // a minute, of prompts and answers
}

// Limits of a file of keys.
const (
	maxKeys     = 10000
	maxKey      = 512
	minKey      = 8
	maxName     = 64
	maxPriority = 10
	hashedKey   = "sha256:"
)

// ParseKeys reads a key a line: as it is, or as sha256: and the hexadecimal hash of it. Behind it may stand name=NAME, for
// the log; priority=N, from -10 to 10, 0 without; scope=admin, for who may load and unload models; requests=N and tokens=N, the most in a minute. Empty lines, and lines
// that begin with #, say nothing.
func ParseKeys(text string) (Keys, error) {
	var k Keys
	for i, line := range strings.Split(text, "\n") {
		words := strings.Fields(line)
		if len(words) == 0 || words[0][0] == '#' {
			continue
		}
		if len(k.list) == maxKeys {
			return Keys{}, fmt.Errorf("serve: API keys: line %d: there are more than %d", i+1, maxKeys)
		}
		one, err := parseKey(words)
		if err != nil {
			return Keys{}, fmt.Errorf("serve: API keys: line %d: %w", i+1, err)
		}
		k.list = append(k.list, one)
	}
	if len(k.list) == 0 {
		return Keys{}, fmt.Errorf("serve: API keys: the file holds none: write one a line")
	}
	return k, nil
}

func parseKey(words []string) (*key, error) {
	k := &key{}
	if sum, hashed := strings.CutPrefix(words[0], hashedKey); hashed {
		raw, err := hex.DecodeString(sum)
		if err != nil || len(raw) != sha256.Size {
			return nil, fmt.Errorf("after %s stand %d hexadecimal digits", hashedKey, 2*sha256.Size)
		}
		k.sum = [sha256.Size]byte(raw)
	} else {
		if len(words[0]) < minKey || len(words[0]) > maxKey {
			return nil, fmt.Errorf("a key has %d to %d characters and no blanks", minKey, maxKey)
		}
		k.sum = sha256.Sum256([]byte(words[0]))
	}
	for _, word := range words[1:] {
		name, value, _ := strings.Cut(word, "=")
		n, err := strconv.Atoi(value)
		switch {
		case name == "name" && value != "" && len(value) <= maxName:
			k.name = value
		case name == "priority" && err == nil && n >= -maxPriority && n <= maxPriority:
			k.priority = n
		case word == "scope=admin":
			k.admin = true
		case name == "requests" && err == nil && n > 0:
			k.requests.most = float64(n)
		case name == "tokens" && err == nil && n > 0:
			k.tokens.most = float64(n)
		default:
			return nil, fmt.Errorf("%q is none of name=NAME, scope=admin, priority=N (-%d to %d), requests=N and tokens=N (1 or more); a key has no blanks", word, maxPriority, maxPriority)
		}
	}
	return k, nil
}

// find compares with every key, so that the time tells nothing.
func (k Keys) find(text string) (found *key) {
	sum := sha256.Sum256([]byte(text))
	for _, one := range k.list {
		if subtle.ConstantTimeCompare(one.sum[:], sum[:]) == 1 {
			found = one
		}
	}
	return found
}

// bucket lets most through in a minute: it fills evenly, and holds a minute's worth. What takes more than is there is let
// through and paid for later.
type bucket struct {
	most float64 // 0: no limit

	mu    sync.Mutex
	level float64
	at    time.Time // when level was right; zero: the bucket is full
}

// wait says how long until something is there; 0: now.
func (b *bucket) wait(now time.Time) time.Duration {
	if b.most == 0 {
		return 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fill(now)
	if b.level >= 1 {
		return 0
	}
	return time.Duration(math.Ceil((1 - b.level) / b.most * float64(time.Minute)))
}

// take pays.
func (b *bucket) take(now time.Time, n int) {
	if b.most == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fill(now)
	b.level -= float64(n)
}

func (b *bucket) fill(now time.Time) {
	if b.at.IsZero() {
		b.level = b.most
	} else if passed := now.Sub(b.at); passed > 0 {
		b.level = min(b.most, b.level+b.most*passed.Minutes())
	}
	b.at = now
}

// authorize checks the key of a request, and says who asks.
func (s *Server) authorize(x *exchange) error {
	if len(s.options.Keys.list) == 0 {
		return nil
	}
	text := x.request.Header.Get("X-Api-Key")
	if bearer, ok := strings.CutPrefix(x.request.Header.Get("Authorization"), "Bearer "); ok {
		text = bearer
	}
	if text == "" {
		return fail(unauthorized, "", "an API key is needed: send it as Authorization: Bearer KEY")
	}
	k := s.options.Keys.find(text)
	if k == nil {
		return fail(unauthorized, "", "the API key is not known here")
	}
	x.key, x.client, x.priority, x.access.Key = k, "key "+hex.EncodeToString(k.sum[:8]), k.priority, k.name
	return nil
}

// spend lets a request of a key begin that makes tokens, or says when to come again.
func (x *exchange) spend() error {
	if x.key == nil {
		return nil
	}
	now := time.Now()
	if wait := max(x.key.requests.wait(now), x.key.tokens.wait(now)); wait > 0 {
		f := fail(busy, "", "this API key has used what it may in a minute: try again later")
		f.retry = wait
		return f
	}
	x.key.requests.take(now, 1)
	return nil
}

// clientOf is who asks where there are no keys: an address.
func clientOf(remote string) string {
	if host, _, err := net.SplitHostPort(remote); err == nil {
		return host
	}
	return remote
}
