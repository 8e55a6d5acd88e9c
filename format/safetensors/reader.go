// This file holds Reader: Open for one file, OpenDir for a model directory,
// then the access to its tensors.

package safetensors

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/haenyeo/haenyeo/internal/mmap"
	"github.com/haenyeo/haenyeo/internal/regular"
)

// Names of the files in a model directory.
const (
	FileName  = "model.safetensors"
	IndexName = "model.safetensors.index.json"
)

// Reader gives access to the tensors of one file or of all shards of a model.
// After opening it is read-only and safe for concurrent use. Close it when no
// Tensor of it is in use any more.
type Reader struct {
	files    []*mmap.Map
	names    []string
	tensors  map[string]Tensor
	metadata map[string]string
	bytes    int64
}

// Open maps the file at path and checks its header completely.
func Open(path string) (*Reader, error) {
	r := newReader()
	if err := r.add(path); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// OpenDir opens the weights in a model directory: model.safetensors, or the
// shards that model.safetensors.index.json lists.
func OpenDir(dir string) (*Reader, error) {
	single, index := filepath.Join(dir, FileName), filepath.Join(dir, IndexName)
	if _, err := os.Stat(single); err == nil {
		return Open(single)
	}
	weightMap, err := readIndex(index)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("safetensors: %q holds neither %s nor %s: is it a model directory?", dir, FileName, IndexName)
	}
	if err != nil {
		return nil, err
	}
	r := newReader()
	for _, shard := range slices.Compact(slices.Sorted(maps.Values(weightMap))) {
		if err := r.add(filepath.Join(dir, shard)); err != nil {
			r.Close()
			return nil, err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(weightMap)) {
		if _, ok := r.tensors[name]; !ok {
			r.Close()
			return nil, fmt.Errorf("safetensors: %q puts tensor %q into %q, which does not hold it: the shards are not of one model, fetch them again", index, name, weightMap[name])
		}
	}
	return r, nil
}

func newReader() *Reader {
	return &Reader{tensors: map[string]Tensor{}, metadata: map[string]string{}}
}

func (r *Reader) add(path string) error {
	m, err := mmap.Open(path)
	if err != nil {
		return fmt.Errorf("safetensors: %w", err)
	}
	r.files = append(r.files, m)
	r.bytes += int64(len(m.Bytes()))
	tensors, metadata, err := parseHeader(m.Bytes())
	if err != nil {
		return fmt.Errorf("safetensors: %q: %w", path, err)
	}
	for _, t := range tensors {
		if _, dup := r.tensors[t.Name]; dup {
			return fmt.Errorf("safetensors: %q: tensor %q is in another shard as well", path, t.Name)
		}
		r.tensors[t.Name] = t
		r.names = append(r.names, t.Name)
	}
	maps.Copy(r.metadata, metadata)
	return nil
}

// readIndex returns the map from tensor to shard file name.
func readIndex(path string) (map[string]string, error) {
	text, err := regular.ReadFile(path, maxHeader)
	if err != nil {
		return nil, fmt.Errorf("safetensors: %w", err)
	}
	var index struct {
		WeightMap map[string]string `json:"weight_map"`
	}
	if err := json.Unmarshal(text, &index); err != nil {
		return nil, fmt.Errorf("safetensors: %q: %w", path, err)
	}
	if len(index.WeightMap) == 0 {
		return nil, fmt.Errorf("safetensors: %q: weight_map is missing or empty", path)
	}
	for name, shard := range index.WeightMap {
		// A published index must not reach outside its directory.
		if shard == "" || shard == "." || shard == ".." || strings.ContainsAny(shard, `/\:`) {
			return nil, fmt.Errorf("safetensors: %q: tensor %q stands in file %q, which is no plain file name", path, name, shard)
		}
	}
	return index.WeightMap, nil
}

// Names returns the names of all tensors in the order in which their bytes
// lie on disk, which is the fastest order to read them in. The slice is the
// Reader's own: do not change it.
func (r *Reader) Names() []string { return r.names }

// Tensor returns the tensor called name.
func (r *Reader) Tensor(name string) (Tensor, bool) {
	t, ok := r.tensors[name]
	return t, ok
}

// Metadata returns the free-form strings of the header. Where shards differ,
// the last one wins. Do not change the map.
func (r *Reader) Metadata() map[string]string { return r.metadata }

// Bytes returns the size of all files together, headers included.
func (r *Reader) Bytes() int64 { return r.bytes }

// Close unmaps the files. No Data of any Tensor may be used afterwards.
func (r *Reader) Close() error {
	var errs []error
	for _, m := range r.files {
		errs = append(errs, m.Close())
	}
	r.files, r.names, r.tensors = nil, nil, nil
	return errors.Join(errs...)
}
