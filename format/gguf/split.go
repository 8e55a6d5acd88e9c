// This file holds OpenModel, which opens a model that may be split over several files.
//
// Source: gguf-split of the llama.cpp project: NAME-00001-of-00003.gguf, where each file has the keys
// split.no, split.count and split.tensors.count, and the first has all others.

package gguf

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// maxShards bounds the files of one model; the largest published ones have some hundred.
const maxShards = 10000

var shardName = regexp.MustCompile(`^(.+)-(\d{5})-of-(\d{5})\.gguf$`)

// OpenModel is Open for a file of a split model as well: whichever file is named, it opens them all as
// one File with the metadata of the first.
func OpenModel(path string) (*File, error) {
	f, err := Open(path)
	if err != nil {
		return nil, err
	}
	count, err := f.Metadata.Uint("split.count")
	if errors.Is(err, ErrNoKey) || err == nil && count <= 1 {
		return f, nil
	}
	f.Close()
	if err != nil {
		return nil, fmt.Errorf("%w (in %q)", err, path)
	}
	m := shardName.FindStringSubmatch(filepath.Base(path))
	if m == nil || m[3] != fmt.Sprintf("%05d", count) {
		return nil, fmt.Errorf("gguf: %q is one of %d files of a split model, but not named like NAME-00001-of-%05d.gguf: give the files their own names back", path, count, count)
	}
	if count > maxShards {
		return nil, fmt.Errorf("gguf: %q: split.count is %d: no model has so many files", path, count)
	}
	return openShards(filepath.Join(filepath.Dir(path), m[1]), int(count))
}

// openShards opens base-00001-of-0000N.gguf and the others.
func openShards(base string, count int) (*File, error) {
	name := func(i int) string { return fmt.Sprintf("%s-%05d-of-%05d.gguf", base, i+1, count) }
	var missing []string
	for i := range count {
		if _, err := os.Stat(name(i)); errors.Is(err, fs.ErrNotExist) {
			missing = append(missing, strconv.Quote(filepath.Base(name(i))))
		}
	}
	if n := len(missing); n > 0 {
		if n > 3 {
			missing = append(missing[:3], "...")
		}
		return nil, fmt.Errorf("gguf: of the %d files of the model in %q, %d are missing: %s: fetch them into the same folder", count, filepath.Dir(base), n, strings.Join(missing, ", "))
	}
	whole := &File{merged: true, byName: map[string]int{}}
	for i := range count {
		if err := whole.addShard(name(i), i, count); err != nil {
			whole.Close()
			return nil, err
		}
	}
	total, err := whole.Metadata.Uint("split.tensors.count")
	if err == nil && total != uint64(len(whole.tensors)) {
		err = fmt.Errorf("gguf: %q: the model has %d tensors, its %d files have %d: they are not of one model", name(0), total, count, len(whole.tensors))
	}
	if err != nil && !errors.Is(err, ErrNoKey) {
		whole.Close()
		return nil, err
	}
	return whole, nil
}

func (f *File) addShard(path string, i, count int) error {
	shard, err := Open(path)
	if err != nil {
		return err
	}
	f.files = append(f.files, shard.files...)
	other := func(what string, args ...any) error {
		return fmt.Errorf("gguf: %q "+what+": it belongs to another model, or was renamed", append([]any{path}, args...)...)
	}
	no, err := shard.Metadata.Uint("split.no")
	if err != nil || no != uint64(i) {
		return other("does not say that it is file %d (split.no %d)", i, no)
	}
	if n, err := shard.Metadata.Uint("split.count"); err != nil || n != uint64(count) {
		return other("does not say that it is one of %d files (split.count %d)", count, n)
	}
	if i == 0 {
		f.Version, f.Metadata = shard.Version, shard.Metadata
	}
	if n, err := shard.Metadata.Uint("split.tensors.count"); err == nil {
		if first, _ := f.Metadata.Uint("split.tensors.count"); n != first {
			return other("counts %d tensors in all files, the first one %d", n, first)
		}
	}
	if arch, err := shard.Metadata.String("general.architecture"); err == nil {
		if first, _ := f.Metadata.String("general.architecture"); arch != first {
			return other("has architecture %q, the first file %q", arch, first)
		}
	}
	for _, t := range shard.tensors {
		if _, dup := f.byName[t.Name]; dup {
			return other("has tensor %.100q, which stands in an earlier file as well", t.Name)
		}
		f.byName[t.Name] = len(f.tensors)
		f.tensors = append(f.tensors, t)
	}
	return nil
}
