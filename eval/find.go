package eval

// The files that a name stands for: arc-easy, xcopa/th, kobest (all of its sets).

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// File is a set that was found and not yet read.
type File struct{ Name, Path string }

// Find returns the files of a name in dir, or the file at a path. Where a set is there in several splits, its test
// split is taken unless the name says another (kobest/copa.dev).
func Find(dir, name string) ([]File, error) {
	if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() {
		return []File{{stem(filepath.ToSlash(filepath.Join(filepath.Base(filepath.Dir(name)), filepath.Base(name)))), name}}, nil // th.test alone says little
	}
	if dir == "" {
		return nil, fmt.Errorf("eval: %q is no file: give the path of one, or --data with the directory of sets that this is the name of", name)
	}
	all, err := list(dir)
	if err != nil {
		return nil, err
	}
	name = strings.Trim(filepath.ToSlash(name), "/")
	var found []File
	for _, f := range all {
		whole, base := f.Name, f.Name[strings.LastIndexByte(f.Name, '/')+1:]
		short := split(whole)
		switch {
		case name == whole || name == base:
			return []File{f}, nil
		case name == short || name == split(base) || strings.HasPrefix(whole, name+"/"):
			found = append(found, f)
		}
	}
	found = preferTest(found)
	if len(found) == 0 {
		var names []string
		for _, f := range all {
			names = append(names, split(f.Name))
		}
		return nil, fmt.Errorf("eval: no set %q in %q: it has %s", name, dir, strings.Join(slices.Compact(names), ", "))
	}
	return found, nil
}

// preferTest drops other splits of sets that have a test split.
func preferTest(files []File) []File {
	tested := map[string]bool{}
	for _, f := range files {
		if strings.Contains(f.Name, ".test") || strings.HasPrefix(f.Name[strings.LastIndexByte(f.Name, '/')+1:], "test.") {
			tested[split(f.Name)] = true
		}
	}
	return slices.DeleteFunc(files, func(f File) bool {
		return tested[split(f.Name)] && !strings.Contains(f.Name, "test")
	})
}

// list finds all sets in dir, by name.
func list(dir string) (files []File, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.Type().IsRegular() && stem(d.Name()) != d.Name() {
			rel, err := filepath.Rel(dir, path)
			if err != nil {
				return err
			}
			files = append(files, File{stem(filepath.ToSlash(rel)), path})
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("eval: --data: %w", err)
	}
	return files, nil
}

// stem is a name without .jsonl and the ending of what compressed it.
func stem(name string) string {
	short := strings.TrimSuffix(strings.TrimSuffix(name, ".zst"), ".gz")
	return strings.TrimSuffix(short, ".jsonl")
}

// split is a name without that of its split.
func split(name string) string {
	for _, s := range []string{".test", ".dev", ".val", ".train"} {
		name = strings.TrimSuffix(name, s)
	}
	if dir, base, ok := strings.Cut(name, "/"); ok && strings.HasPrefix(base, "test.") {
		return dir // gsm8k/test.en
	}
	return name
}
