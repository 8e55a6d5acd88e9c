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
	"regexp"
	"slices"
	"strconv"
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
	files    []mapped
	names    []string
	tensors  map[string]Tensor
	metadata map[string]string
	bytes    int64
}

// mapped is a file with its path.
type mapped struct {
	path string
	*mmap.Map
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

// OpenDir opens the weights in a model directory: model.safetensors, or the shards that
// model.safetensors.index.json lists, or without an index those named NAME-00001-of-0000N.safetensors.
func OpenDir(dir string) (*Reader, error) {
	single, index := filepath.Join(dir, FileName), filepath.Join(dir, IndexName)
	if _, err := os.Stat(single); err == nil {
		return Open(single)
	}
	weightMap, err := readIndex(index)
	var shards []string
	switch {
	case err == nil:
		shards = slices.Compact(slices.Sorted(maps.Values(weightMap)))
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	default:
		if shards, err = findShards(dir); err != nil {
			return nil, err
		}
	}
	if err := present(dir, shards); err != nil {
		return nil, err
	}
	r := newReader()
	for _, shard := range shards {
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

var shardName = regexp.MustCompile(`^(.+)-(\d{5})-of-(\d{5})\.safetensors$`)

// maxShards is far above any published model.
const maxShards = 10000

// findShards lists the names of all shards of the model in dir, from those that are there.
func findShards(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("safetensors: %w", err)
	}
	var base, count, pickled string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".bin") || strings.HasSuffix(e.Name(), ".pt") || strings.HasSuffix(e.Name(), ".pth") {
			pickled = e.Name()
		}
		m := shardName.FindStringSubmatch(e.Name())
		if m == nil {
			continue
		}
		if base != "" && (m[1] != base || m[3] != count) {
			return nil, fmt.Errorf("safetensors: %q holds shards of two models, %s-...-of-%s and %s-...-of-%s, and no %s: keep those of one", dir, base, count, m[1], m[3], IndexName)
		}
		base, count = m[1], m[3]
	}
	n, err := strconv.Atoi(count)
	switch {
	case base == "" && pickled != "":
		return nil, fmt.Errorf("safetensors: %q holds no safetensors file, only %q: weights in PyTorch's own format are not read, fetch the model as safetensors", dir, pickled)
	case base == "":
		return nil, fmt.Errorf("safetensors: %q holds neither %s nor %s: is it a model directory?", dir, FileName, IndexName)
	case err != nil || n < 1 || n > maxShards:
		return nil, fmt.Errorf("safetensors: %q: a model of %s shards is not possible: were the files renamed?", dir, count)
	}
	shards := make([]string, n)
	for i := range shards {
		shards[i] = fmt.Sprintf("%s-%05d-of-%s.safetensors", base, i+1, count)
	}
	return shards, nil
}

// present says which of the shards are missing.
func present(dir string, shards []string) error {
	var missing []string
	for _, s := range shards {
		if _, err := os.Stat(filepath.Join(dir, s)); errors.Is(err, fs.ErrNotExist) {
			missing = append(missing, strconv.Quote(s))
		}
	}
	n := len(missing)
	if n == 0 {
		return nil
	}
	if n > 3 {
		missing = append(missing[:3], "...")
	}
	return fmt.Errorf("safetensors: of the %d files of the model in %q, %d are missing: %s: fetch them into the same folder", len(shards), dir, n, strings.Join(missing, ", "))
}

func newReader() *Reader {
	return &Reader{tensors: map[string]Tensor{}, metadata: map[string]string{}}
}

func (r *Reader) add(path string) error {
	m, err := mmap.Open(path)
	if err != nil {
		return fmt.Errorf("safetensors: %w", err)
	}
	r.files = append(r.files, mapped{path, m})
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

// Locate returns which byte of which file stands at the address addr; ok is false if none does.
func (r *Reader) Locate(addr uintptr) (path string, offset int64, ok bool) {
	for _, m := range r.files {
		if offset, ok := m.Offset(addr); ok {
			return m.path, offset, true
		}
	}
	return "", 0, false
}

// Close unmaps the files. No Data of any Tensor may be used afterwards.
func (r *Reader) Close() error {
	var errs []error
	for _, m := range r.files {
		errs = append(errs, m.Close())
	}
	r.files, r.names, r.tensors = nil, nil, nil
	return errors.Join(errs...)
}
