// This file keeps Tokens in a file: written once, whole or not at all, then mapped, and found again by
// a run that goes on. Layout, little endian:
//
//	tokens   width bytes each
//	docs     16 bytes each: end u64, bytes u32, stratum u16, 0 u16
//	strata   JSON
//	trailer  128 bytes: see trailer
//
// The trailer is last because the file is written in one pass.

package corpus

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash"
	"slices"

	"github.com/haenyeo/haenyeo/internal/atomicfile"
	"github.com/haenyeo/haenyeo/internal/mmap"
	"github.com/haenyeo/haenyeo/internal/regular"
)

const (
	tokenMagic   = "haenyeo-tokens\x00\x02" // the last byte is the version
	docBytes     = 16
	trailerBytes = 128
)

// trailer has trailerBytes bytes.
type trailer struct {
	Tokens, Docs, Strata int64 // counts, and the size of the JSON
	Width, Start         int32
	Fingerprint          [32]byte
	Sum                  [32]byte // SHA-256 of all before the trailer
	_                    [16]byte
	Magic                [16]byte
}

type tokenFile struct {
	path string
	f    *atomicfile.File
	sum  hash.Hash // of what was written
}

func createTokenFile(path string) (*tokenFile, error) {
	f, err := atomicfile.Create(path)
	if err != nil {
		return nil, fmt.Errorf("corpus: token file: %w", err)
	}
	return &tokenFile{path: path, f: f, sum: sha256.New()}, nil
}

func (f *tokenFile) write(b []byte) error {
	f.sum.Write(b) // a hash takes everything
	if _, err := f.f.Write(b); err != nil {
		return fmt.Errorf("corpus: token file: %w", err)
	}
	return nil
}

func (f *tokenFile) abort() { f.f.Abort() }

// commit writes what follows the tokens.
func (f *tokenFile) commit(t *Tokens) error {
	var b []byte
	for _, d := range t.docs {
		b = binary.LittleEndian.AppendUint64(b, uint64(d.end))
		b = binary.LittleEndian.AppendUint32(b, uint32(d.bytes))
		b = binary.LittleEndian.AppendUint16(b, d.stratum)
		b = binary.LittleEndian.AppendUint16(b, 0)
		if len(b) >= streamBuffer {
			if err := f.write(b); err != nil {
				return err
			}
			b = b[:0]
		}
	}
	strata, err := json.Marshal(t.strata)
	if err != nil {
		return fmt.Errorf("corpus: token file: %w", err)
	}
	if err := f.write(append(b, strata...)); err != nil {
		return err
	}
	end := trailer{Docs: int64(len(t.docs)), Strata: int64(len(strata)), Width: int32(t.width), Start: t.start, Fingerprint: t.print}
	end.Tokens = t.length
	copy(end.Sum[:], f.sum.Sum(nil))
	copy(end.Magic[:], tokenMagic)
	if b, err = binary.Append(b[:0], binary.LittleEndian, &end); err != nil {
		return fmt.Errorf("corpus: token file: %w", err)
	}
	if err := f.write(b); err != nil {
		return err
	}
	if err := f.f.Commit(); err != nil {
		return fmt.Errorf("corpus: token file: %w", err)
	}
	return nil
}

// OpenTokens maps a file that Tokenize wrote. It is an error if the file was made of another
// corpus or by another tokenizer.
func OpenTokens(path string, vocab int, fingerprint [32]byte) (*Tokens, error) {
	m, err := mmap.Open(path)
	if err != nil {
		return nil, fmt.Errorf("corpus: token file: %w", err)
	}
	t, err := parseTokens(m.Bytes(), vocab, fingerprint)
	if err == nil {
		err = checkSum(m.Bytes())
	}
	if err != nil {
		m.Close()
		return nil, fmt.Errorf("corpus: token file %q: %w: delete it, it will be made again", path, err)
	}
	t.close = m.Close
	return t, nil
}

// IsTokenFile says whether Tokenize wrote the file at path, in any version of the program.
func IsTokenFile(path string) bool {
	f, info, err := regular.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	name := tokenMagic[:len(tokenMagic)-1] // without the version
	magic := make([]byte, len(name))
	_, err = f.ReadAt(magic, info.Size()-int64(len(tokenMagic)))
	return err == nil && string(magic) == name
}

// checkSum compares the content with the checksum in the trailer: a token that was flipped to another of the
// vocabulary would be learned from without a word.
func checkSum(b []byte) error {
	body, end := b[:len(b)-trailerBytes], trailer{}
	if _, err := binary.Decode(b[len(body):], binary.LittleEndian, &end); err != nil {
		return err
	}
	if sha256.Sum256(body) != end.Sum {
		return fmt.Errorf("is damaged: its checksum is not that of its content")
	}
	return nil
}

func parseTokens(b []byte, vocab int, fingerprint [32]byte) (*Tokens, error) {
	var end trailer
	if len(b) < trailerBytes {
		return nil, fmt.Errorf("has %d bytes and is cut short", len(b))
	}
	if _, err := binary.Decode(b[len(b)-trailerBytes:], binary.LittleEndian, &end); err != nil {
		return nil, err
	}
	body := int64(len(b) - trailerBytes)
	switch {
	case !bytes.Equal(end.Magic[:], []byte(tokenMagic)):
		return nil, fmt.Errorf("is not of this version, or cut short")
	case end.Fingerprint != fingerprint:
		return nil, fmt.Errorf("was made of another corpus or by another tokenizer")
	case end.Width != 2 && end.Width != 4, end.Tokens <= 0, end.Docs <= 0, end.Strata < 0,
		end.Tokens > body, end.Docs > body, end.Strata > body, // so that the sum cannot overflow
		end.Tokens*int64(end.Width)+end.Docs*docBytes+end.Strata != body:
		return nil, fmt.Errorf("is damaged: its sizes do not add up")
	case end.Start < 0 || int(end.Start) >= vocab:
		return nil, fmt.Errorf("is damaged: token %d is outside the vocabulary of %d", end.Start, vocab)
	}
	t := &Tokens{length: end.Tokens, width: int(end.Width), start: end.Start, print: end.Fingerprint}
	data, b := b[:end.Tokens*int64(end.Width)], b[end.Tokens*int64(end.Width):]
	t.chunks = slices.Collect(slices.Chunk(data, chunkBytes))
	index, b := b[:end.Docs*docBytes], b[end.Docs*docBytes:]
	if err := json.Unmarshal(b[:end.Strata], &t.strata); err != nil {
		return nil, fmt.Errorf("is damaged: %w", err)
	}
	t.docs = make([]doc, end.Docs)
	var at int64
	for i := range t.docs {
		d := index[i*docBytes:]
		t.docs[i] = doc{
			end:     int64(binary.LittleEndian.Uint64(d)),
			bytes:   int32(binary.LittleEndian.Uint32(d[8:])),
			stratum: binary.LittleEndian.Uint16(d[12:]),
		}
		if t.docs[i].end <= at || int(t.docs[i].stratum) >= len(t.strata) || t.docs[i].bytes < 0 {
			return nil, fmt.Errorf("is damaged: document %d does not lie after the one before", i)
		}
		at = t.docs[i].end
	}
	if at != end.Tokens {
		return nil, fmt.Errorf("is damaged: its documents do not cover its tokens")
	}
	// A wrong id would reach far outside the embedding table.
	var buf [4096]int32
	for i := int64(0); i < end.Tokens; i += int64(len(buf)) {
		part := buf[:min(int64(len(buf)), end.Tokens-i)]
		t.read(part, i)
		for _, id := range part {
			if id < 0 || int(id) >= vocab {
				return nil, fmt.Errorf("is damaged: token %d is outside the vocabulary of %d", id, vocab)
			}
		}
	}
	return t, nil
}
