package hub

// From a name to a path, by the cache alone.

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/haenyeo/haenyeo/internal/regular"
)

const maxIndex = 64 << 20 // bytes of model.safetensors.index.json

// ErrNotCached says that the cache holds nothing of a model.
var ErrNotCached = errors.New("not in the cache")

// Resolve returns what opens the model of this name in the cache: a directory with config.json and
// tensors, or the first file of a GGUF. Images of registries are found too. The error is ErrNotCached
// where nothing of the model is here, and another where a part is.
func (c *Client) Resolve(name string) (string, error) {
	if i, ok, err := ParseImage(name); err != nil {
		return "", err
	} else if ok {
		path, _, err := c.storedModel(i)
		return path, err
	}
	n, err := ParseName(name)
	if err != nil {
		return "", err
	}
	dir, files, err := c.cached(n)
	if err != nil {
		return "", err
	}
	if !slices.ContainsFunc(files, func(f remote) bool {
		return strings.HasSuffix(f.name, ".safetensors") || strings.HasSuffix(f.name, ".gguf")
	}) {
		return "", fmt.Errorf("hub: the cache has files of %s but no tensors: haenyeo pull %s fetches them", n.Repo, n)
	}
	chosen, err := choose(files, n.File, nil, nil)
	if err == nil {
		err = wholeModel(dir, chosen)
	}
	if err != nil {
		return "", fmt.Errorf("%w (in the cache; haenyeo pull %s fetches what is missing)", err, n)
	}
	if n.File != "" && len(chosen) == 1 {
		return filepath.Join(dir, filepath.FromSlash(chosen[0].name)), nil
	}
	return opens(dir, chosen), nil
}

// cached lists the files of a model in the cache.
func (c *Client) cached(n Name) (dir string, files []remote, err error) {
	if c.Cache == "" {
		return "", nil, errNoCache
	}
	absent := fmt.Errorf("hub: model %s is %w %s: fetch it first: haenyeo pull %s", n, ErrNotCached, c.Cache, n)
	commit, err := c.cachedCommit(n)
	if errors.Is(err, errNothing) {
		return "", nil, absent
	}
	if err != nil {
		return "", nil, err
	}
	dir = c.snapshot(n.Repo, commit)
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if len(files) == maxFiles {
			return fmt.Errorf("more than %d files", maxFiles)
		}
		info, err := os.Stat(path) // of what a link leads to
		rel, err2 := filepath.Rel(dir, path)
		if err == nil && err2 == nil && info.Mode().IsRegular() {
			files = append(files, remote{name: filepath.ToSlash(rel), size: info.Size()})
		}
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(files) == 0 {
		return "", nil, absent
	}
	if err != nil {
		return "", nil, fmt.Errorf("hub: %q: %w", dir, err)
	}
	return dir, files, nil
}

// wholeModel checks that the shards which an index names are among the files.
func wholeModel(dir string, files []remote) error {
	const index = "model.safetensors.index.json"
	have := map[string]bool{}
	for _, f := range files {
		have[f.name] = true
	}
	if !have[index] {
		return nil
	}
	b, err := regular.ReadFile(filepath.Join(dir, index), maxIndex)
	if err != nil {
		return fmt.Errorf("hub: %w", err)
	}
	var x struct {
		WeightMap map[string]string `json:"weight_map"`
	}
	if err := json.Unmarshal(b, &x); err != nil {
		return fmt.Errorf("hub: %s: %w", index, err)
	}
	var missing []string
	for _, shard := range x.WeightMap {
		if !have[shard] && !slices.Contains(missing, shard) {
			missing = append(missing, shard)
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		return fmt.Errorf("hub: %d files that %s names are missing, %q first", len(missing), index, missing[0])
	}
	return nil
}

// offline is Pull without a server.
func (c *Client) offline(ctx context.Context, n Name, o Options) (Snapshot, error) {
	if o.Dir != "" {
		return Snapshot{}, errors.New("hub: HF_HUB_OFFLINE is set: unset it to fetch files to a directory")
	}
	dir, files, err := c.cached(n)
	if err == nil {
		files, err = choose(files, n.File, o.Include, o.Exclude)
	}
	if err == nil && len(o.Include) == 0 {
		err = wholeModel(dir, files)
	}
	if err != nil {
		return Snapshot{}, fmt.Errorf("%w (HF_HUB_OFFLINE is set: unset it to ask the server)", err)
	}
	snap := Snapshot{Repo: n.Repo, Commit: filepath.Base(dir), Path: opens(dir, files)}
	for _, f := range files {
		path := filepath.Join(dir, filepath.FromSlash(f.name))
		file := File{Name: f.name, Path: path, Size: f.size, Cached: true}
		tag := ""
		if target, err := os.Readlink(path); err == nil {
			tag = strings.ToLower(filepath.Base(target))
		}
		got, err := sumKept(ctx, path, f.size, tag)
		if err != nil {
			return Snapshot{}, err
		}
		file.SHA256 = got.sha256
		snap.Files = append(snap.Files, file)
		if o.Done != nil {
			o.Done(file)
		}
	}
	return snap, nil
}
