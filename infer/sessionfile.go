package infer

// Sessions on disk: one file, written whole or not at all, checked whole before any of it is believed.
//
//	offset  bytes
//	     0      8  "haenyeoS"
//	     8      4  version, 2
//	    12      4  n, tokens in the context
//	    16     32  fingerprint of the model
//	    48     32  fingerprint of the tokenizer, zero without one
//	    80    4·n  the tokens
//	         rest  what the layers keep, as forward.Cache.Save writes it
//	           32  SHA-256 of everything before
//
// All numbers are little-endian.

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/haenyeo/haenyeo/forward"
	"github.com/haenyeo/haenyeo/internal/atomicfile"
	"github.com/haenyeo/haenyeo/internal/regular"
)

// Identity names the model and the tokenizer that a context belongs to, so that a session is never continued with
// others: weights.Source.Fingerprint and TokenizerFingerprint.
type Identity struct {
	Model, Tokenizer [sha256.Size]byte
}

const (
	sessionMagic   = "haenyeoS"
	sessionVersion = 2 // 1 did not say how keys and values are kept
	sessionHeader  = 80
)

// Save writes the session to path. A file that stands there is replaced once the new one is complete.
func (s *Session) Save(path string, id Identity) error {
	f, err := atomicfile.Create(path)
	if err != nil {
		return fmt.Errorf("infer: saving a session: %w", err)
	}
	defer f.Abort()
	sum := sha256.New()
	w := io.MultiWriter(f, sum)
	head := append(make([]byte, 0, sessionHeader), sessionMagic...)
	head = binary.LittleEndian.AppendUint32(head, sessionVersion)
	head = binary.LittleEndian.AppendUint32(head, uint32(len(s.tokens)))
	head = append(head, id.Model[:]...)
	head = append(head, id.Tokenizer[:]...)
	for _, t := range s.tokens {
		head = binary.LittleEndian.AppendUint32(head, uint32(t))
	}
	if _, err := w.Write(head); err != nil {
		return fmt.Errorf("infer: saving a session: %w", err)
	}
	if err := s.cache.Save(w); err != nil {
		return fmt.Errorf("infer: saving a session: %w", err)
	}
	if _, err := f.Write(sum.Sum(nil)); err != nil {
		return fmt.Errorf("infer: saving a session: %w", err)
	}
	return f.Commit()
}

// OpenSession reads the session at path into a new context of at most limit tokens. It belongs to the model and the
// tokenizer of id or is refused.
func OpenSession(path string, net *forward.Net, limit int, id Identity) (*Session, error) {
	f, info, err := regular.Open(path)
	if err != nil {
		return nil, fmt.Errorf("infer: session: %w", err)
	}
	defer f.Close()
	s, err := readSession(f, info.Size(), net, limit, id)
	if err != nil {
		return nil, fmt.Errorf("infer: session %q: %w", path, err)
	}
	return s, nil
}

var errDamaged = errors.New("the file is cut short or damaged: begin a new session")

// readSession reads a session file of size bytes.
func readSession(f io.ReadSeeker, size int64, net *forward.Net, limit int, id Identity) (*Session, error) {
	head, err := checkSession(f, size)
	if err != nil {
		return nil, err
	}
	// From here on the bytes are those that Save wrote, or were made by hand.
	if !bytes.Equal(head[16:48], id.Model[:]) {
		return nil, errors.New("it was made with another model: open that one, or begin a new session")
	}
	if !bytes.Equal(head[48:80], id.Tokenizer[:]) {
		return nil, errors.New("it was made with another tokenizer: its tokens would mean something else; begin a new session")
	}
	n := int64(binary.LittleEndian.Uint32(head[12:]))
	body := size - sessionHeader - sha256.Size
	if n > body/4 {
		return nil, errDamaged
	}
	if n > int64(limit) {
		return nil, fmt.Errorf("it holds %d tokens, but the context is %d: ask for a longer one", n, limit)
	}
	if _, err := f.Seek(sessionHeader, io.SeekStart); err != nil {
		return nil, err
	}
	r := bufio.NewReaderSize(io.LimitReader(f, body), 1<<16)
	tokens := make([]int32, n)
	for i := range tokens {
		var b [4]byte
		if _, err := io.ReadFull(r, b[:]); err != nil {
			return nil, err
		}
		tokens[i] = int32(binary.LittleEndian.Uint32(b[:]))
	}
	if err := checkTokens(tokens, net.Config().VocabSize); err != nil {
		return nil, err
	}
	cache, err := net.LoadCache(r, limit)
	if err != nil {
		return nil, err
	}
	if rest, err := io.Copy(io.Discard, r); err != nil || rest != 0 || cache.Len() != len(tokens) {
		return nil, fmt.Errorf("its parts disagree (%d tokens, %d in the cache, %d bytes too many): begin a new session", n, cache.Len(), rest)
	}
	return newSession(net, cache, tokens), nil
}

// checkSession reads all of a session file and returns its header if the file is whole and of a known version.
func checkSession(f io.ReadSeeker, size int64) (head []byte, err error) {
	if size < sessionHeader+sha256.Size {
		return nil, errDamaged
	}
	head = make([]byte, sessionHeader)
	if _, err := io.ReadFull(f, head); err != nil {
		return nil, err
	}
	if string(head[:8]) != sessionMagic {
		return nil, errors.New("it is not a session of this program")
	}
	if v := binary.LittleEndian.Uint32(head[8:]); v != sessionVersion {
		return nil, fmt.Errorf("it has version %d, this program reads version %d: use the program that wrote it, or begin a new session", v, sessionVersion)
	}
	sum := sha256.New()
	sum.Write(head)
	if _, err := io.CopyN(sum, f, size-sessionHeader-sha256.Size); err != nil {
		return nil, err
	}
	var want [sha256.Size]byte
	if _, err := io.ReadFull(f, want[:]); err != nil {
		return nil, err
	}
	if !bytes.Equal(sum.Sum(nil), want[:]) {
		return nil, errDamaged
	}
	return head, nil
}
