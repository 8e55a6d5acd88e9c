package infer

// PrefixStore keeps beginnings of prompts on disk, so that they outlive the process. A file holds what the layers keep of
// one chunk of tokens. Its name is the hash of everything that its bits depend on: the model, the tokenizer, how is
// computed, and all tokens up to its end.
//
//	DIR/KEY/LO-HASH.kv    KEY  model, tokenizer, arithmetic, size of chunks
//	                      LO   position of the first token, 8 hexadecimal digits
//	                      HASH SHA-256 of the hash of the chunk before and of the tokens
//
// # Several servers, and accidents
//
// A file is written under another name and renamed when it is complete; what stands at a name can be one thing only, so
// servers that share a directory need no lock. Files hold a checksum, which is compared before a byte is believed: one
// that is cut short or damaged is removed and its tokens are read again. A directory that cannot be written serves those
// who read.
//
// # How much
//
// The files that were not used for longest go first. Those of one prompt are marked together when the prompt was read,
// and of equals the end of a prompt goes before its beginning, without which it would be useless.
//
// A file, little-endian:
//
//	offset  bytes
//	     0      8  "haenyeoP"
//	     8      4  version, 1
//	    12      4  lo, 4 bytes of hi behind it
//	    20      8  n, bytes of the layers
//	    28     32  HASH
//	    60      n  what the layers keep, as forward.Part.Data gives it
//	            32  SHA-256 of everything before

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/haenyeo/haenyeo/forward"
	"github.com/haenyeo/haenyeo/internal/regular"
)

// PrefixStore is a directory of beginnings of prompts. Many schedulers, of this process and of others, may use a
// directory; a PrefixStore belongs to one scheduler.
type PrefixStore struct {
	dir   string // DIR
	own   string // DIR/KEY
	key   [sha256.Size]byte
	limit int64
	log   *slog.Logger

	jobs chan storeJob
	done chan struct{}

	mu     sync.Mutex
	queued int64 // bytes in jobs

	// Of the writer alone.
	size    int64 // bytes of all files, as far as is known
	written int64 // since they were counted
	rests   time.Time
	now     func() time.Time
}

// storeJob is a chunk to be written, or chunks to be marked as used.
type storeJob struct {
	link link
	part *forward.Part
	used []link
}

// link is a chunk in its chain.
type link struct {
	lo, hi int
	hash   [sha256.Size]byte
}

const (
	storeMagic   = "haenyeoP"
	storeVersion = 1
	storeHeader  = 60
	storeQueue   = 1024
	storeBytes   = 256 << 20 // waiting to be written; what is more is not kept
	storeRest    = time.Minute
	partialName  = ".partial"
)

// OpenPrefixStore opens a directory, which it makes if there is none, for the contexts of a model and a tokenizer. how
// says everything else that the bits of a context depend on: kernels, arithmetic, the program itself. All files of the
// directory together take limit bytes, and up to an eighth more for every server that writes to it. Close it after the
// scheduler that uses it.
func OpenPrefixStore(dir string, limit int64, id Identity, how string, log *slog.Logger) (*PrefixStore, error) {
	if limit < 1 {
		return nil, fmt.Errorf("infer: a store of prefixes of %d bytes: must be 1 or more", limit)
	}
	h := sha256.New()
	h.Write(id.Model[:])
	h.Write(id.Tokenizer[:])
	fmt.Fprintf(h, "%d %q", storeVersion, how)
	s := &PrefixStore{dir: dir, limit: limit, log: log, jobs: make(chan storeJob, storeQueue), done: make(chan struct{}), now: time.Now}
	h.Sum(s.key[:0])
	s.own = filepath.Join(dir, hex.EncodeToString(s.key[:16]))
	if err := os.MkdirAll(s.own, 0o700); err != nil {
		return nil, fmt.Errorf("infer: a store of prefixes: %w", err)
	}
	go s.write()
	return s, nil
}

// Close waits until what was given is written.
func (s *PrefixStore) Close() {
	close(s.jobs)
	<-s.done
}

// root is the chain of no tokens, of those who share a salt, in chunks of a size.
func (s *PrefixStore) root(chunk int, salt string) link {
	var b []byte
	b = append(b, s.key[:]...)
	b = binary.LittleEndian.AppendUint64(b, uint64(chunk))
	return link{hash: sha256.Sum256(append(b, salt...))}
}

// follow is the chain with the next chunk.
func (l link) follow(chunk []int32) link {
	b := make([]byte, 0, sha256.Size+4*len(chunk))
	b = append(b, l.hash[:]...)
	for _, id := range chunk {
		b = binary.LittleEndian.AppendUint32(b, uint32(id))
	}
	return link{l.hi, l.hi + len(chunk), sha256.Sum256(b)}
}

func (s *PrefixStore) path(l link) string {
	return filepath.Join(s.own, fmt.Sprintf("%08x-%x.kv", l.lo, l.hash))
}

// get reads a chunk, or gives nil.
func (s *PrefixStore) get(net *forward.Net, l link) *forward.Part {
	path := s.path(l)
	f, info, err := regular.Open(path)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			s.log.Warn("a kept beginning of a prompt cannot be read", "why", err)
		}
		return nil
	}
	defer f.Close()
	data, err := readPart(f, info.Size(), s.limit, l)
	if err != nil {
		s.log.Warn("a kept beginning of a prompt is removed", "path", path, "why", err)
		os.Remove(path)
		return nil
	}
	return net.PartOf(l.lo, l.hi, data)
}

var errPart = errors.New("it is cut short or damaged, or not of this program")

// readPart reads a file of size bytes that must be the chunk l.
func readPart(r io.Reader, size, limit int64, l link) ([]byte, error) {
	n := size - storeHeader - sha256.Size
	if n < 0 || n > limit {
		return nil, errPart
	}
	all := make([]byte, size)
	if _, err := io.ReadFull(r, all); err != nil {
		return nil, err
	}
	body := all[:len(all)-sha256.Size]
	sum := sha256.Sum256(body)
	if !bytes.Equal(body[:storeHeader], partHead(l, n)) || !bytes.Equal(sum[:], all[len(body):]) {
		return nil, errPart
	}
	return body[storeHeader:], nil
}

func partHead(l link, n int64) []byte {
	b := append(make([]byte, 0, storeHeader), storeMagic...)
	b = binary.LittleEndian.AppendUint32(b, storeVersion)
	b = binary.LittleEndian.AppendUint32(b, uint32(l.lo))
	b = binary.LittleEndian.AppendUint32(b, uint32(l.hi))
	b = binary.LittleEndian.AppendUint64(b, uint64(n))
	return append(b, l.hash[:]...)
}

// put has a chunk written, if the disk is not too far behind.
func (s *PrefixStore) put(l link, part *forward.Part) {
	s.mu.Lock()
	room := s.queued == 0 || s.queued+part.Bytes() <= storeBytes
	if room {
		s.queued += part.Bytes()
	}
	s.mu.Unlock()
	if room && !s.give(storeJob{link: l, part: part}) {
		s.took(part)
	}
}

// mark has the chunks of a prompt marked as used.
func (s *PrefixStore) mark(chain []link) { s.give(storeJob{used: chain}) }

func (s *PrefixStore) give(j storeJob) bool {
	select {
	case s.jobs <- j:
		return true
	default:
		return false
	}
}

func (s *PrefixStore) took(part *forward.Part) {
	s.mu.Lock()
	s.queued -= part.Bytes()
	s.mu.Unlock()
}

// write does what is asked for until the store is closed.
func (s *PrefixStore) write() {
	defer close(s.done)
	s.sweep()
	for j := range s.jobs {
		if j.part != nil {
			s.keep(j)
			s.took(j.part)
			continue
		}
		now := s.now()
		for _, l := range j.used {
			os.Chtimes(s.path(l), now, now) // of a file that went meanwhile there is nothing to mark
		}
	}
}

// keep writes a chunk. When that fails, nothing is tried for a while.
func (s *PrefixStore) keep(j storeJob) {
	if s.now().Before(s.rests) {
		return
	}
	path := s.path(j.link)
	if _, err := os.Lstat(path); err == nil {
		return // another server was faster
	}
	n, err := writePart(path, j.link, j.part.Data())
	if err != nil {
		s.log.Warn("beginnings of prompts cannot be kept for now", "why", err)
		s.rests = s.now().Add(storeRest)
		s.sweep() // perhaps the disk is full
		return
	}
	s.size += n
	if s.written += n; s.size > s.limit || s.written > s.limit/8 {
		s.sweep()
	}
}

// writePart writes a file and returns its size.
func writePart(path string, l link, data []byte) (n int64, err error) {
	temp := fmt.Sprintf("%s.%08x%s", path, rand.Uint32(), partialName)
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return 0, err
	}
	head := partHead(l, int64(len(data)))
	sum := sha256.New()
	sum.Write(head)
	sum.Write(data)
	for _, b := range [][]byte{head, data, sum.Sum(nil)} {
		if _, err = f.Write(b); err != nil {
			break
		}
		n += int64(len(b))
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		os.Remove(temp)
		return 0, err
	}
	return n, nil
}

// storedFile is a file of the directory, of any model.
type storedFile struct {
	path string
	name string
	size int64
	used time.Time
}

// sweep counts the files and removes those that were not used for longest, and what broken writers left.
func (s *PrefixStore) sweep() {
	files := s.files()
	s.size, s.written = 0, 0
	for _, f := range files {
		s.size += f.size
	}
	if s.size <= s.limit {
		return
	}
	slices.SortFunc(files, func(a, b storedFile) int { // who was not used for longest goes first; of equals the end of a prompt
		return cmp.Or(a.used.Compare(b.used), strings.Compare(b.name, a.name))
	})
	for _, f := range files {
		if s.size <= s.limit-s.limit/8 {
			return
		}
		if err := os.Remove(f.path); err == nil || errors.Is(err, fs.ErrNotExist) {
			s.size -= f.size
		}
	}
}

// files lists the files that are chunks, and removes partial ones of an hour ago.
func (s *PrefixStore) files() (list []storedFile) {
	keys, err := os.ReadDir(s.dir)
	if err != nil {
		s.log.Warn("the directory of kept beginnings cannot be read", "why", err)
	}
	for _, k := range keys {
		if !k.IsDir() || len(k.Name()) != 32 {
			continue
		}
		entries, err := os.ReadDir(filepath.Join(s.dir, k.Name()))
		if err != nil {
			continue // another server's, or gone
		}
		for _, e := range entries {
			info, err := e.Info()
			if err != nil || !info.Mode().IsRegular() {
				continue
			}
			path := filepath.Join(s.dir, k.Name(), e.Name())
			switch {
			case strings.HasSuffix(e.Name(), ".kv"):
				list = append(list, storedFile{path, e.Name(), info.Size(), info.ModTime()})
			case strings.HasSuffix(e.Name(), partialName) && s.now().Sub(info.ModTime()) > time.Hour:
				os.Remove(path)
			}
		}
	}
	return list
}
