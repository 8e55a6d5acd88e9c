package hub

// Checksums. An ETag of the hub is the SHA-256 of a large file, and of a small one the hash that git
// gives it: SHA-1 of "blob SIZE\x00" and the bytes.

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"os"
)

// sums are the checksums of a file.
type sums struct {
	sha256 string
	git    string // "" where it was not asked for
}

// sum reads size bytes of a file. git says whether that hash is wanted too.
func sum(ctx context.Context, r io.ReaderAt, size int64, git bool) (sums, error) {
	h := sha256.New()
	var g hash.Hash
	w := io.Writer(h)
	if git {
		g = sha1.New()
		fmt.Fprintf(g, "blob %d\x00", size)
		w = io.MultiWriter(h, g)
	}
	buf := make([]byte, 1<<20)
	for at := int64(0); at < size; {
		if ctx.Err() != nil {
			return sums{}, context.Cause(ctx)
		}
		n, err := r.ReadAt(buf[:min(int64(len(buf)), size-at)], at)
		w.Write(buf[:n]) // a hash takes everything
		at += int64(n)
		if err != nil && at < size {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return sums{}, err
		}
	}
	s := sums{sha256: hex.EncodeToString(h.Sum(nil))}
	if git {
		s.git = hex.EncodeToString(g.Sum(nil))
	}
	return s, nil
}

// sumFile is sum for the file at path.
func sumFile(ctx context.Context, path string, size int64, git bool) (sums, error) {
	f, err := os.Open(path)
	if err != nil {
		return sums{}, err
	}
	defer f.Close()
	return sum(ctx, f, size, git)
}

// sumKept is sumFile of a file that was fetched under that tag, to be used without asking the server. A tag that is no
// SHA-256 promises nothing.
func sumKept(ctx context.Context, path string, size int64, tag string) (sums, error) {
	got, err := sumFile(ctx, path, size, false)
	if err != nil {
		return sums{}, fmt.Errorf("hub: %w", err)
	}
	if isSHA256(tag) && got.sha256 != tag {
		return sums{}, fmt.Errorf("hub: %q: its SHA-256 is %s, and it was fetched as %s: it was changed since; pull it again without HF_HUB_OFFLINE", path, got.sha256, tag)
	}
	return got, nil
}

// isSHA256 and isGit say what a tag of hexadecimal digits is the checksum of.
func isSHA256(tag string) bool { return hexTag(tag, 64) != "" }
func isGit(tag string) bool    { return hexTag(tag, 40) != "" }

// mismatch says how the checksum of a file differs from what its tag promises, "" when it does not or
// the tag promises nothing.
func (s sums) mismatch(tag string) string {
	switch {
	case isSHA256(tag) && s.sha256 != tag:
		return fmt.Sprintf("its SHA-256 is %s, and the server's list says %s", s.sha256, tag)
	case isGit(tag) && s.git != tag:
		return fmt.Sprintf("its git hash is %s, and the server's list says %s", s.git, tag)
	}
	return ""
}
