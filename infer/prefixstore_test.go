package infer

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/haenyeo/haenyeo/forward"
)

func openStore(t testing.TB, dir string, limit int64, how string) *PrefixStore {
	t.Helper()
	s, err := OpenPrefixStore(dir, limit, Identity{Model: [32]byte{1}, Tokenizer: [32]byte{2}}, how, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// keptFiles lists the files of a store.
func keptFiles(t testing.TB, dir string) (list []string) {
	t.Helper()
	if err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			list = append(list, path)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return list
}

// restarted answers requests with a new scheduler over a store in dir, as a process would that was started again.
func restarted(t testing.TB, net *forward.Net, dir, how string, prefixBytes int64, requests []Request) []Result {
	t.Helper()
	store := openStore(t, dir, 1<<30, how)
	s, err := NewScheduler(net, SchedulerOptions{Chunk: 32, PrefixBytes: prefixBytes, Prefixes: store})
	if err != nil {
		t.Fatal(err)
	}
	var all []Result
	for _, q := range requests {
		r, err := s.Generate(context.Background(), q, 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	closeScheduler(t, s)
	store.Close()
	return all
}

// A beginning that another process has read has the bits of one that is read now; it is found only where everything
// that the bits depend on is the same, and where its file is whole.
func TestPrefixStore(t *testing.T) {
	for _, name := range goldenNets {
		t.Run(name, func(t *testing.T) {
			net := openNet(t, name)
			dir := t.TempDir()
			request := Request{Tokens: prompt(net, 150, 3), MaxTokens: 20, Logprobs: true, TopLogprobs: 2}
			want := alone(t, net, 32, []Request{request})[0]
			check := func(what string, got Result, reused int) {
				t.Helper()
				if !same(got, want) || got.Reused != reused {
					t.Errorf("%s: %d tokens reused, not %d\n got %v\nwant %v", what, got.Reused, reused, got, want)
				}
			}
			check("cold", restarted(t, net, dir, "a", 0, []Request{request})[0], 0)
			if n := len(keptFiles(t, dir)); n != 4 {
				t.Fatalf("%d files", n)
			}
			check("again", restarted(t, net, dir, "a", 0, []Request{request})[0], 128)
			check("again, with memory", restarted(t, net, dir, "a", 64<<20, []Request{request})[0], 128)
			check("again, with too little memory", restarted(t, net, dir, "a", 1000, []Request{request})[0], 128)
			check("other arithmetic", restarted(t, net, dir, "b", 0, []Request{request})[0], 0)
			salted := request
			salted.Salt = "mine"
			check("salted", restarted(t, net, dir, "a", 64<<20, []Request{request, salted, salted})[1], 0)

			longer := request
			longer.Tokens = append(slices.Clone(request.Tokens[:100]), prompt(net, 60, 9)...)
			wantLonger := alone(t, net, 32, []Request{longer})[0]
			if got := restarted(t, net, dir, "a", 0, []Request{longer})[0]; !same(got, wantLonger) || got.Reused != 96 {
				t.Errorf("another end: %d reused\n got %v\nwant %v", got.Reused, got, wantLonger)
			}
		})
	}
}

// What is damaged is removed, read again and written again.
func TestPrefixStoreDamage(t *testing.T) {
	net := openNet(t, goldenNets[0])
	dir := t.TempDir()
	request := Request{Tokens: prompt(net, 150, 3), MaxTokens: 5, Logprobs: true}
	want := restarted(t, net, dir, "a", 0, []Request{request})[0]
	files := keptFiles(t, dir)
	slices.Sort(files)
	third := files[2] // by position
	whole, err := os.ReadFile(third)
	if err != nil {
		t.Fatal(err)
	}
	other, err := os.ReadFile(files[1])
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{
		"cut": whole[:len(whole)-1], "empty": {}, "header": whole[:40], "longer": append(slices.Clone(whole), 0), "another": other,
		"bit": append(append(slices.Clone(whole[:100]), whole[100]^4), whole[101:]...),
	} {
		if err := os.WriteFile(third, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if got := restarted(t, net, dir, "a", 0, []Request{request})[0]; !same(got, want) || got.Reused != 96 { // all but the chunk itself
			t.Errorf("%s: %d reused, %v", name, got.Reused, got)
		}
		if now, err := os.ReadFile(third); err != nil || !bytes.Equal(now, whole) {
			t.Errorf("%s: the file was not written again: %v", name, err)
		}
	}
}

// Two servers on one directory, whose files are taken away while they work.
func TestPrefixStoreShared(t *testing.T) {
	dir := t.TempDir()
	var group sync.WaitGroup
	for server := range 2 {
		net := openNet(t, goldenNets[0])
		var requests []Request
		for i := range 8 {
			requests = append(requests, Request{Tokens: prompt(net, 100+i, i%3), MaxTokens: 2, Logprobs: true})
		}
		want := alone(t, net, 32, requests)
		group.Go(func() {
			for round := range 3 {
				for i, got := range restarted(t, net, dir, "a", 0, requests) {
					if !same(got, want[i]) {
						t.Errorf("server %d, round %d, request %d: %v", server, round, i, got)
					}
				}
			}
		})
	}
	end := time.Now().Add(200 * time.Millisecond)
	for i := 0; time.Now().Before(end); i++ {
		if files, _ := filepath.Glob(filepath.Join(dir, "*", "*.kv")); len(files) > 0 {
			os.Remove(files[i%len(files)])
		}
	}
	group.Wait()
}

// The files that were not used for longest go, ends of prompts before their beginnings; of other models too.
func TestPrefixStoreLimit(t *testing.T) {
	dir := t.TempDir()
	net := openNet(t, goldenNets[0])
	part := net.PartOf(0, 32, make([]byte, 1000-storeHeader-32))
	s := openStore(t, dir, 10_000, "old")
	var now time.Time
	chain := func(s *PrefixStore, seed int32) (chain []link) {
		l := s.root(32, "")
		for i := range int32(4) {
			l = l.follow([]int32{seed, i})
			chain = append(chain, l)
			s.put(l, part)
		}
		s.mark(chain)
		return chain
	}
	s.now = func() time.Time { now = now.Add(time.Second); return now }
	now = time.Unix(1_000_000, 0)
	chain(s, 1)
	s.Close()
	s = openStore(t, dir, 10_000, "new")
	s.now = func() time.Time { now = now.Add(time.Second); return now }
	second := chain(s, 2)
	third := chain(s, 3)
	s.mark(second)
	s.Close()
	files := keptFiles(t, dir)
	if len(files) > 10 {
		t.Errorf("%d files of 1000 bytes", len(files))
	}
	has := func(l link) bool {
		return slices.ContainsFunc(files, func(f string) bool { return strings.Contains(f, fmt.Sprintf("%x", l.hash)) })
	}
	for i := range 4 {
		if !has(second[i]) {
			t.Errorf("chunk %d of the prompt that was used last is gone", i)
		}
		if i > 0 && has(third[i]) && !has(third[i-1]) {
			t.Errorf("chunk %d is there without the one before", i)
		}
	}
	for _, f := range files {
		if info, err := os.Stat(f); err != nil || info.Size() != 1000 || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v %v", f, info, err)
		}
	}
}

// A directory that is gone, or full, keeps nobody from an answer.
func TestPrefixStoreWithoutDisk(t *testing.T) {
	net := openNet(t, goldenNets[0])
	dir := filepath.Join(t.TempDir(), "kept")
	store := openStore(t, dir, 1<<30, "a")
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	s := newTestScheduler(t, net, SchedulerOptions{Chunk: 32, Prefixes: store})
	request := Request{Tokens: prompt(net, 150, 3), MaxTokens: 5}
	for range 2 {
		if r, err := s.Generate(context.Background(), request, 0, nil); err != nil || r.Reused != 0 {
			t.Fatalf("%v %v", r, err)
		}
	}
	closeScheduler(t, s)
	store.Close()
	if store.rests.IsZero() {
		t.Error("no write has failed")
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenPrefixStore(file, 1, Identity{}, "", slog.Default()); err == nil {
		t.Error("a file is taken for a directory")
	}
	if _, err := OpenPrefixStore(dir, 0, Identity{}, "", slog.Default()); err == nil {
		t.Error("nothing is taken for a limit")
	}
}

func FuzzReadPart(f *testing.F) {
	l := link{lo: 32, hi: 64, hash: [32]byte{1, 2, 3}}
	path := filepath.Join(f.TempDir(), "x.kv")
	if _, err := writePart(path, l, []byte("what the layers keep")); err != nil {
		f.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add(whole[:50])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, text []byte) {
		data, err := readPart(bytes.NewReader(text), int64(len(text)), 1<<20, l)
		if err == nil && !bytes.Equal(text, whole) {
			t.Fatalf("%q is taken for a part: %q", text, data)
		}
	})
}
