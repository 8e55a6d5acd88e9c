package export

// Importance: how much each input of each matrix counts, from the files that llama.cpp's imatrix tool makes:
// a GGUF with sums of squares and counts, or its older format of its own.
//
// Source: tools/imatrix and common/imatrix-loader.cpp of llama.cpp.

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/haenyeo/haenyeo/format/gguf"
	"github.com/haenyeo/haenyeo/internal/regular"
)

// Importance is the mean square of every input of matrices by their GGUF name.
type Importance struct {
	path   string
	inputs map[string][]float32 // [k], or [experts,k]
}

// maxImportance is far above any real file of the older format.
const maxImportance = 1 << 30

// ReadImportance reads the file at path.
func ReadImportance(path string) (*Importance, error) {
	f, _, err := regular.Open(path)
	if err != nil {
		return nil, fmt.Errorf("export: importance: %w", err)
	}
	head := make([]byte, 4)
	n, _ := f.Read(head)
	f.Close()
	m := &Importance{path: path}
	if bytes.Equal(head[:n], []byte("GGUF")) {
		err = m.readGGUF()
	} else {
		err = m.readOld()
	}
	if err == nil && len(m.inputs) == 0 {
		err = errors.New("it holds no matrices: is it a file of llama.cpp's imatrix tool?")
	}
	if err != nil {
		return nil, fmt.Errorf("export: importance %q: %w", path, err)
	}
	for name, values := range m.inputs {
		for i, v := range values {
			if !(v >= 0 && v <= math.MaxFloat32) {
				return nil, fmt.Errorf("export: importance %q: input %d of %q has %v, not a finite number of at least 0: make the file again", path, i, name, v)
			}
		}
	}
	return m, nil
}

// of returns the importance of the inputs of t, nil where nothing is known.
func (m *Importance) of(t *tensor) ([]float32, error) {
	if m == nil || t.ints != nil || t.kind == precise {
		return nil, nil
	}
	v, ok := m.inputs[t.name]
	k := t.width()
	if !ok || len(v) == k || len(v) == k*len(t.parts) {
		return v, nil
	}
	return nil, fmt.Errorf("export: importance %q has %d inputs of %q, which has %d: it belongs to another model", m.path, len(v), t.name, k)
}

const (
	sumsSuffix   = ".in_sum2"
	countsSuffix = ".counts"
)

// readGGUF reads sums [experts,k] and counts [experts,1] of every matrix. An expert that was never used has
// inputs that all count the same.
func (m *Importance) readGGUF() error {
	f, err := gguf.Open(m.path)
	if err != nil {
		return err
	}
	defer f.Close()
	m.inputs = map[string][]float32{}
	for _, t := range f.Tensors() {
		name, ok := strings.CutSuffix(t.Name, sumsSuffix)
		if !ok {
			continue
		}
		c, ok := f.Tensor(name + countsSuffix)
		if !ok {
			return fmt.Errorf("tensor %q is missing: the file is damaged", name+countsSuffix)
		}
		sums, err := t.Float32(nil)
		if err != nil {
			return err
		}
		counts, err := c.Float32(nil)
		if err != nil {
			return err
		}
		if len(counts) == 0 || len(sums)%len(counts) != 0 {
			return fmt.Errorf("%d counts of %d sums of %q: the file is damaged", len(counts), len(sums), name)
		}
		k := len(sums) / len(counts)
		for i, n := range counts {
			for j := range sums[i*k:][:k] {
				if x := &sums[i*k+j]; n > 0 {
					*x /= n
				} else {
					*x = 1
				}
			}
		}
		m.inputs[name] = sums
	}
	return nil
}

// readOld reads: int32 entries, then of each int32 length and name, int32 calls, int32 values, float32 values
// (sums over the calls). What follows, the text that it was measured on, is not needed.
func (m *Importance) readOld() error {
	b, err := regular.ReadFile(m.path, maxImportance)
	if err != nil {
		return err
	}
	m.inputs, err = parseOldImportance(b)
	return err
}

func parseOldImportance(b []byte) (map[string][]float32, error) {
	short := errors.New("it is cut short, or no file of llama.cpp's imatrix tool")
	number := func() (n int) {
		if len(b) < 4 {
			return -1
		}
		n = int(int32(binary.LittleEndian.Uint32(b)))
		b = b[4:]
		return n
	}
	entries := number()
	if entries < 1 {
		return nil, short
	}
	all := map[string][]float32{}
	for range entries {
		n := number()
		if n < 1 || n > len(b) {
			return nil, short
		}
		name := string(b[:n])
		b = b[n:]
		calls, values := number(), number()
		if values < 1 || values > len(b)/4 {
			return nil, short
		}
		v := make([]float32, values)
		for i := range v {
			v[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
			if calls > 0 {
				v[i] /= float32(calls)
			}
		}
		all[name] = v
		b = b[4*values:]
	}
	return all, nil
}
