package infer

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/haenyeo/haenyeo/forward"
	"github.com/haenyeo/haenyeo/kernel"
	"github.com/haenyeo/haenyeo/weights"
)

// goldenNets are tiny models whose layers keep different things: keys and values, latents, indexer keys, and windows
// with compressed entries, which cannot be cut back token by token.
var goldenNets = []string{"llama-q8_0", "deepseek2-q8_0", "deepseek32-q8_0", "deepseek4-mxfp4"}

func openNet(t testing.TB, name string) *forward.Net {
	t.Helper()
	e, err := kernel.New(1, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	src, err := weights.Open(filepath.Join("testdata", name+".gguf"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	net, err := forward.New(src, e, forward.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return net
}

func newTestSession(t testing.TB, net *forward.Net, limit int) *Session {
	t.Helper()
	s, err := NewSession(net, limit)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// prompt makes n ids of a model's vocabulary.
func prompt(net *forward.Net, n, seed int) []int32 {
	p := make([]int32, n)
	for i := range p {
		p[i] = int32((i*i*7 + i*seed + 11*seed) % net.Config().VocabSize)
	}
	return p
}

func answer(t *testing.T, s Stepper, prompt []int32, n int) Result {
	t.Helper()
	r, err := Generate(context.Background(), s, Request{Tokens: prompt, MaxTokens: n}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A conversation in one session says what fresh sessions say, and reads only what is new.
func TestSessionReusesWhatIsCommon(t *testing.T) {
	for _, name := range goldenNets {
		t.Run(name, func(t *testing.T) {
			net := openNet(t, name)
			s := newTestSession(t, net, 400)
			first := prompt(net, 90, 5)
			turn := answer(t, s, first, 12)
			longer := slices.Concat(first, turn.Tokens, prompt(net, 20, 9))
			other := slices.Concat(longer[:70], prompt(net, 30, 11))
			for _, c := range []struct {
				name   string
				prompt []int32
				common int // most that can be kept
			}{
				{"goes on", longer, 101}, // the answer's last token was not read
				{"the same again", longer, len(longer) - 1},
				{"another branch", other, 70},
				{"shorter", first[:40], 39},
				{"nothing in common", prompt(net, 25, 13), 0},
			} {
				want := answer(t, newTestSession(t, net, 400), c.prompt, 12)
				got := answer(t, s, c.prompt, 12)
				if !slices.Equal(got.Tokens, want.Tokens) {
					t.Errorf("%s: %v, a fresh session says %v", c.name, got.Tokens, want.Tokens)
				}
				if got.Reused > c.common || name != "deepseek4-mxfp4" && got.Reused != c.common {
					t.Errorf("%s: kept %d tokens of %d that are common", c.name, got.Reused, c.common)
				}
				if have := slices.Concat(c.prompt, got.Tokens[:len(got.Tokens)-1]); !slices.Equal(s.Tokens(), have) {
					t.Errorf("%s: the session holds %d tokens, want %d", c.name, len(s.Tokens()), len(have))
				}
			}
		})
	}
}

// A cancelled prompt leaves a session that can be used.
func TestSessionSurvivesCancelling(t *testing.T) {
	net := openNet(t, "llama-q8_0")
	s := newTestSession(t, net, 2000)
	p := prompt(net, 1100, 3)
	ctx, cancel := context.WithCancel(context.Background())
	_, err := Generate(ctx, s, Request{Tokens: p, MaxTokens: 4, Progress: func(done, _ int) {
		if done >= 512 {
			cancel()
		}
	}}, nil)
	if !errors.Is(err, context.Canceled) || len(s.Tokens()) < 512 || !slices.Equal(s.Tokens(), p[:len(s.Tokens())]) {
		t.Fatalf("%v, %d tokens", err, len(s.Tokens()))
	}
	got, want := answer(t, s, p, 6), answer(t, newTestSession(t, net, 2000), p, 6)
	if got.Reused < 512 || !slices.Equal(got.Tokens, want.Tokens) {
		t.Errorf("kept %d; %v, want %v", got.Reused, got.Tokens, want.Tokens)
	}
}

// lateCancel is a context that ends when it has been asked often enough.
type lateCancel struct {
	context.Context
	asks int
}

func (c *lateCancel) Err() error {
	if c.asks--; c.asks < 0 {
		return context.Canceled
	}
	return nil
}

// A cancelled ctx ends a step between two layers, wherever that is, and the session knows what it holds.
func TestSessionCancelledWithinAStep(t *testing.T) {
	for _, name := range goldenNets {
		net := openNet(t, name)
		p := prompt(net, 140, 3)
		want := answer(t, newTestSession(t, net, 200), p, 3)
		whole := &lateCancel{context.Background(), 1 << 30}
		if _, err := newTestSession(t, net, 200).Step(whole, p); err != nil {
			t.Fatal(err)
		}
		asked := 1<<30 - whole.asks
		if asked < net.Config().NumHiddenLayers {
			t.Errorf("%s: ctx was asked %d times in a step through %d layers", name, asked, net.Config().NumHiddenLayers)
		}
		for asks := range asked {
			s := newTestSession(t, net, 200)
			if _, err := s.Step(context.Background(), p[:30]); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Step(&lateCancel{context.Background(), asks}, p[30:]); !errors.Is(err, context.Canceled) {
				t.Fatalf("%s: asked %d times: %v", name, asks, err)
			}
			if got := answer(t, s, p, 3); !slices.Equal(got.Tokens, want.Tokens) {
				t.Errorf("%s: after %d layers or so: %v, want %v", name, asks, got.Tokens, want.Tokens)
			}
		}
	}
}

func TestSessionRefusesMoreThanItsLimit(t *testing.T) {
	net := openNet(t, "llama-q8_0")
	s := newTestSession(t, net, 16)
	if _, err := Generate(context.Background(), s, Request{Tokens: prompt(net, 17, 3), MaxTokens: 1}, nil); err == nil {
		t.Error("a prompt beyond the limit was read")
	}
	if r := answer(t, s, prompt(net, 10, 3), 7); len(r.Tokens) != 7 { // the last one is not read
		t.Errorf("%+v", r)
	}
}

var testIdentity = Identity{Model: sha256.Sum256([]byte("model")), Tokenizer: sha256.Sum256([]byte("tokenizer"))}

func saved(t testing.TB, s *Session) (path string, data []byte) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "session")
	if err := s.Save(path, testIdentity); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return path, data
}

// A restored session goes on with the text of the one that was saved, and its logits are the same bits.
func TestRestoredSessionGoesOn(t *testing.T) {
	for _, name := range goldenNets {
		t.Run(name, func(t *testing.T) {
			net := openNet(t, name)
			s := newTestSession(t, net, 400)
			p := prompt(net, 150, 5)
			said := answer(t, s, p, 10)
			path, _ := saved(t, s)
			back, err := OpenSession(path, net, 400, testIdentity)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(back.Tokens(), s.Tokens()) {
				t.Fatalf("restored %d tokens, saved %d", len(back.Tokens()), len(s.Tokens()))
			}
			p = slices.Concat(p, said.Tokens, prompt(net, 9, 2))
			copyOf := func(logits []float32, err error) []float32 {
				if err != nil {
					t.Fatal(err)
				}
				return slices.Clone(logits)
			}
			more := p[len(s.Tokens()):]
			a, b := copyOf(s.Step(context.Background(), more)), copyOf(back.Step(context.Background(), more))
			if !slices.Equal(a, b) {
				t.Error("logits differ after restoring")
			}
			if got, want := answer(t, back, p, 40), answer(t, s, p, 40); !slices.Equal(got.Tokens, want.Tokens) {
				t.Errorf("goes on with %v, want %v", got.Tokens, want.Tokens)
			}
		})
	}
}

func TestEmptySessionIsKept(t *testing.T) {
	net := openNet(t, "llama-q8_0")
	path, _ := saved(t, newTestSession(t, net, 10))
	s, err := OpenSession(path, net, 10, testIdentity)
	if err != nil || len(s.Tokens()) != 0 {
		t.Fatalf("%v", err)
	}
	if r := answer(t, s, prompt(net, 3, 1), 2); len(r.Tokens) != 2 {
		t.Errorf("%+v", r)
	}
}

// Every byte counts: whatever is cut or changed, the file is refused.
func TestDamagedSessions(t *testing.T) {
	net := openNet(t, "llama-q8_0")
	s := newTestSession(t, net, 64)
	answer(t, s, prompt(net, 20, 3), 3)
	path, data := saved(t, s)
	refused := func(what string, data []byte, net *forward.Net, limit int, id Identity, say string) {
		t.Helper()
		if err := os.WriteFile(path, data, 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenSession(path, net, limit, id); err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("%s: error %v, want one that says %q", what, err, say)
		}
	}
	for i := 0; i < len(data); i += 1 + i/97 {
		flipped := slices.Clone(data)
		flipped[i] ^= 1 << (i % 8)
		say := "damaged"
		if i < 8 {
			say = "not a session"
		} else if i < 12 {
			say = "version"
		}
		refused("flipped bit", flipped, net, 64, testIdentity, say)
		refused("cut", data[:i], net, 64, testIdentity, "session")
	}
	refused("longer", append(slices.Clone(data), 0), net, 64, testIdentity, "damaged")
	refused("limit", data, net, 10, testIdentity, "ask for a longer")
	id := testIdentity
	id.Model[3]++
	refused("model", data, net, 64, id, "another model")
	id = testIdentity
	id.Tokenizer[31]++
	refused("tokenizer", data, net, 64, id, "another tokenizer")
	for _, version := range []byte{1, 3} {
		other := slices.Clone(data)
		other[8] = version
		refused("of another version", other, net, 64, testIdentity, fmt.Sprintf("it has version %d, this program reads version 2", version))
	}
	refused("of other layers", data, openNet(t, "deepseek2-q8_0"), 64, testIdentity, "session")
	refused("a count beyond the file", sign(func(b []byte) []byte { binary.LittleEndian.PutUint32(b[12:], math.MaxUint32); return b }, data), net, 64, testIdentity, "damaged")
	refused("a token that is none", sign(func(b []byte) []byte { binary.LittleEndian.PutUint32(b[80:], 1<<31); return b }, data), net, 64, testIdentity, "vocabulary")
	refused("more tokens than the cache", sign(func(b []byte) []byte {
		binary.LittleEndian.PutUint32(b[12:], binary.LittleEndian.Uint32(b[12:])+1)
		return slices.Insert(b, sessionHeader, 0, 0, 0, 0)
	}, data), net, 64, testIdentity, "disagree")
	refused("bytes behind the cache", sign(func(b []byte) []byte { return append(b, 0) }, data), net, 64, testIdentity, "disagree")

	dir := t.TempDir()
	if _, err := OpenSession(dir, net, 64, testIdentity); err == nil {
		t.Error("a directory was opened")
	}
	if _, err := OpenSession(filepath.Join(dir, "none"), net, 64, testIdentity); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	if err := s.Save(filepath.Join(dir, "no", "where"), testIdentity); err == nil {
		t.Error("saved to where no directory is")
	}
}

// sign changes what a session file says and makes its checksum right again.
func sign(change func(body []byte) []byte, data []byte) []byte {
	body := change(slices.Clone(data[:len(data)-sha256.Size]))
	sum := sha256.Sum256(body)
	return append(body, sum[:]...)
}

// A file that stood at the path is there until the new one is whole.
func TestSaveReplacesAtOnce(t *testing.T) {
	net := openNet(t, "llama-q8_0")
	s := newTestSession(t, net, 64)
	answer(t, s, prompt(net, 20, 3), 3)
	path, old := saved(t, s)
	answer(t, s, prompt(net, 30, 3), 3)
	if err := s.Save(path, testIdentity); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil || bytes.Equal(data, old) {
		t.Errorf("the file was not replaced (%v)", err)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("%d files are left (%v)", len(entries), err)
	}
}

// Whatever a file says, with its checksum right: an error or a session that works, never a panic or memory that the
// file does not account for.
func FuzzSession(f *testing.F) {
	nets := []*forward.Net{openNet(f, "llama-q8_0"), openNet(f, "deepseek4-mxfp4")}
	for _, net := range nets {
		s := newTestSession(f, net, 64)
		if _, err := s.Step(context.Background(), prompt(net, 20, 3)); err != nil {
			f.Fatal(err)
		}
		_, data := saved(f, s)
		f.Add(data[:len(data)-sha256.Size])
		f.Add(data[:200])
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		data := sign(func(b []byte) []byte { return b }, append(slices.Clone(body), make([]byte, sha256.Size)...))
		for _, net := range nets {
			id := Identity{}
			if len(body) >= sessionHeader {
				id = Identity{[32]byte(body[16:]), [32]byte(body[48:])}
			}
			s, err := readSession(bytes.NewReader(data), int64(len(data)), net, 64, id)
			if err != nil {
				continue
			}
			if len(s.Tokens()) < 64 {
				if _, err := s.Step(context.Background(), []int32{1}); err != nil {
					t.Logf("step: %v", err) // keys may be infinite: an error is an answer
				}
			}
		}
	})
}
