package hub

// Which parts of a partial file are there. The record stands beside the file and survives the process:
// it is written after the parts that it names are on the disk, so it never claims too much.

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/haenyeo/haenyeo/internal/atomicfile"
	"github.com/haenyeo/haenyeo/internal/regular"
)

const (
	pieceSize  = 4 << 20 // bytes that are remembered as one
	maxRecord  = maxSize/pieceSize/6 + 4096
	recordForm = 1
)

// pieces are the parts of a file of size bytes, pieceSize each but the last.
type pieces struct {
	size int64
	done []bool
}

func newPieces(size int64) pieces {
	return pieces{size, make([]bool, (size+pieceSize-1)/pieceSize)}
}

// end is the offset behind piece i.
func (p pieces) end(i int) int64 { return min(int64(i+1)*pieceSize, p.size) }

// bytes counts what is there.
func (p pieces) bytes() int64 {
	var n int64
	for i, d := range p.done {
		if d {
			n += p.end(i) - int64(i)*pieceSize
		}
	}
	return n
}

// record is the file beside a partial file.
type record struct {
	Form  int    `json:"form"`
	Tag   string `json:"etag"`  // of the file that is fetched
	Size  int64  `json:"size"`  // of it
	Piece int64  `json:"piece"` // pieceSize
	Body  string `json:"body"`  // ETag of the server that sends the bytes
	Done  string `json:"done"`  // one bit a piece, lowest first, base64
}

// writeRecord remembers p.
func writeRecord(path, tag, body string, p pieces) error {
	bits := make([]byte, (len(p.done)+7)/8)
	for i, d := range p.done {
		if d {
			bits[i/8] |= 1 << (i % 8)
		}
	}
	b, err := json.Marshal(record{recordForm, tag, p.size, pieceSize, body, base64.StdEncoding.EncodeToString(bits)})
	if err != nil {
		return err
	}
	return atomicfile.WriteFile(path, b)
}

// readRecord returns what is there of the file with this tag and size, and the ETag it came with. A
// record that is missing, broken or of another file means that nothing is: ok is false.
func readRecord(path, partial, tag string, size int64) (p pieces, body string, ok bool) {
	b, err := regular.ReadFile(path, maxRecord)
	if err != nil {
		return pieces{}, "", false
	}
	if p, body, err = parseRecord(b, tag, size); err != nil {
		return pieces{}, "", false
	}
	info, err := os.Stat(partial)
	if err != nil || !info.Mode().IsRegular() {
		return pieces{}, "", false
	}
	for i, d := range p.done {
		if d && p.end(i) > info.Size() {
			return pieces{}, "", false // somebody cut the file
		}
	}
	return p, body, true
}

func parseRecord(b []byte, tag string, size int64) (pieces, string, error) {
	var r record
	if err := json.Unmarshal(b, &r); err != nil {
		return pieces{}, "", err
	}
	if r.Form != recordForm || r.Piece != pieceSize || r.Tag != tag || r.Size != size {
		return pieces{}, "", errors.New("hub: the record is of another file")
	}
	bits, err := base64.StdEncoding.DecodeString(r.Done)
	if err != nil {
		return pieces{}, "", err
	}
	p := newPieces(size)
	if len(bits) != (len(p.done)+7)/8 {
		return pieces{}, "", fmt.Errorf("hub: the record has %d bytes for %d pieces", len(bits), len(p.done))
	}
	for i := range p.done {
		p.done[i] = bits[i/8]>>(i%8)&1 == 1
	}
	return p, r.Body, nil
}

// remove deletes a file that may not be there.
func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
