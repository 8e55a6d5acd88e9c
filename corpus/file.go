// This file opens a file as a stream of text bytes: decompressed in bounded memory, hashed on the
// way, with errors that name the file. check decides whether it is text at all.

package corpus

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"unicode/utf8"

	"github.com/klauspost/compress/zstd"

	"github.com/haenyeo/haenyeo/internal/regular"
)

const (
	streamBuffer = 64 << 10
	// zstdWindow bounds the memory of a decoder. zstd -19 writes windows of 8 MiB, --long of 128.
	zstdWindow = 128 << 20
)

// input is an entry and where its bytes are: on disk, or in the program when data is not nil.
type input struct {
	entry
	data []byte
}

// stream reads the text of one file. Its owner calls close.
type stream struct {
	path  string
	kind  string // compression, for errors
	r     io.Reader
	raw   io.Reader // bytes as stored, hashed while read
	sum   hash.Hash
	size  int64 // bytes stored, read so far
	text  int64 // bytes of text, read so far
	ctx   context.Context
	close func()
}

func (in *input) open(ctx context.Context) (*stream, error) {
	s := &stream{path: in.Path, kind: in.Compression, sum: sha256.New(), ctx: ctx, close: func() {}}
	var src io.Reader = bytes.NewReader(in.data)
	if in.data == nil {
		f, _, err := regular.Open(in.Path)
		if err != nil {
			return nil, fmt.Errorf("corpus: %w", err)
		}
		s.close = func() { f.Close() } // only read from
		src = f
	}
	s.raw = io.TeeReader(src, (*counted)(s))
	switch in.Compression {
	case "gzip":
		from := bufio.NewReaderSize(s.raw, streamBuffer)
		z, err := gzip.NewReader(from)
		if err != nil {
			s.close()
			return nil, s.fail(err)
		}
		s.r = &members{from: from, z: z}
	case "zstd":
		// One thread, because a corpus has many files and the tokenizer uses the others.
		z, err := zstd.NewReader(s.raw, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(zstdWindow))
		if err != nil {
			s.close()
			return nil, s.fail(err)
		}
		file := s.close
		s.close = func() { z.Close(); file() }
		s.r = z
	default:
		s.r = s.raw
	}
	return s, nil
}

// members reads the parts of a gzip file one after the other, and tells what follows the last from a
// part that is cut off.
type members struct {
	from *bufio.Reader
	z    *gzip.Reader
}

var errTrailing = errors.New("something else follows the compressed data")

func (m *members) Read(p []byte) (int, error) {
	for {
		m.z.Multistream(false)
		n, err := m.z.Read(p)
		if n > 0 || err != io.EOF {
			if err == io.EOF {
				err = nil // said again next time
			}
			return n, err
		}
		switch magic, err := m.from.Peek(2); {
		case err == io.EOF && len(magic) == 0:
			return 0, io.EOF
		case err != nil && err != io.EOF:
			return 0, err
		case string(magic) != "\x1f\x8b":
			return 0, errTrailing
		}
		if err := m.z.Reset(m.from); err != nil {
			return 0, err
		}
	}
}

// counted is the side of a stream that sees the stored bytes.
type counted stream

func (c *counted) Write(p []byte) (int, error) {
	c.size += int64(len(p))
	return c.sum.Write(p)
}

func (s *stream) Read(p []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := s.r.Read(p)
	s.text += int64(n)
	if err == io.EOF && s.kind == "zstd" && s.size == 0 {
		err = io.ErrUnexpectedEOF // the decoder takes nothing for an empty text
	}
	if err != nil && err != io.EOF {
		err = s.fail(err)
	}
	return n, err
}

func (s *stream) fail(err error) error {
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case s.kind == "":
		return fmt.Errorf("corpus: reading %q: %w", s.path, err)
	case err == errTrailing:
		return fmt.Errorf("corpus: %q: the %s data ends after %d bytes of text, but something else follows it: cut that off, or fetch the file again", s.path, s.kind, s.text)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("corpus: %q: the %s data ends in the middle, after %d bytes of text: the file is truncated, fetch it again: %w", s.path, s.kind, s.text, io.ErrUnexpectedEOF)
	case errors.Is(err, zstd.ErrWindowSizeExceeded):
		return fmt.Errorf("corpus: %q: needs a window above %d MiB to decompress: compress it again without --ultra or --long", s.path, zstdWindow>>20)
	}
	return fmt.Errorf("corpus: %q: not valid %s after %d bytes of text: fetch it again, or fix its name: %w", s.path, s.kind, s.text, err)
}

// digest reads what is left of the file and returns the SHA-256 of the bytes as stored.
func (s *stream) digest() ([32]byte, error) {
	if _, err := io.Copy(io.Discard, s); err != nil {
		return [32]byte{}, err
	}
	if _, err := io.Copy(io.Discard, s.raw); err != nil {
		return [32]byte{}, s.fail(err)
	}
	return [32]byte(s.sum.Sum(nil)), nil
}

var utf8BOM = []byte("\xef\xbb\xbf")

// check reads a whole file and says why it is not text, or "" if it is: UTF-8 without NUL.
// The digest is set for text only.
func (in *input) check(ctx context.Context) (reason string, text int64, digest [32]byte, stored int64, err error) {
	s, err := in.open(ctx)
	if err != nil {
		return "", 0, digest, 0, err
	}
	defer s.close()
	buf := make([]byte, streamBuffer)
	have := 0 // bytes of an unfinished rune at the start of buf
	for first := true; ; first = false {
		n, err := io.ReadFull(s, buf[have:])
		end := err == io.EOF || err == io.ErrUnexpectedEOF && !truncated(err)
		if err != nil && !end {
			return "", 0, digest, 0, err
		}
		b := buf[:have+n]
		at := s.text - int64(len(b))
		if first && (bytes.HasPrefix(b, []byte("\xff\xfe")) || bytes.HasPrefix(b, []byte("\xfe\xff"))) {
			return "UTF-16: convert it to UTF-8", 0, digest, 0, nil
		}
		if i := bytes.IndexByte(b, 0); i >= 0 {
			return fmt.Sprintf("binary: NUL at byte %d", at+int64(i)), 0, digest, 0, nil
		}
		keep := 0
		if !end {
			keep = unfinished(b)
		}
		if v := b[:len(b)-keep]; !utf8.Valid(v) {
			return fmt.Sprintf("not UTF-8 at byte %d", at+int64(invalidAt(v))), 0, digest, 0, nil
		}
		have = copy(buf, b[len(b)-keep:])
		if end {
			break
		}
	}
	text = s.text
	digest, err = s.digest()
	return "", text, digest, s.size, err
}

// truncated tells a decompressor's unexpected end, which fail has wrapped, from ReadFull's own.
func truncated(err error) bool { return err != io.ErrUnexpectedEOF }

// unfinished returns how many bytes at the end of b may begin a rune that goes on.
func unfinished(b []byte) int {
	for k := 1; k < utf8.UTFMax && k <= len(b); k++ {
		if c := b[len(b)-k]; utf8.RuneStart(c) {
			if !utf8.FullRune(b[len(b)-k:]) {
				return k
			}
			return 0
		}
	}
	return 0
}

func invalidAt(b []byte) int {
	i := 0
	for i < len(b) {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 {
			break
		}
		i += n
	}
	return i
}
