package hub

// The cache, laid out as huggingface_hub's (its guide "Understand caching"):
//
//	CACHE/models--org--name/blobs/<etag>               the bytes
//	CACHE/models--org--name/snapshots/<commit>/<file>  a link to them
//	CACHE/models--org--name/refs/<revision>            the commit, without a line end
//	CACHE/.locks/models--org--name/<etag>.lock
//
// and beside a blob that is being fetched <etag>.haenyeo.incomplete and its record, or <etag>.corrupt.

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/haenyeo/haenyeo/internal/atomicfile"
	"github.com/haenyeo/haenyeo/internal/regular"
)

func folderName(repo string) string { return "models--" + strings.ReplaceAll(repo, "/", "--") }

func (c *Client) folder(repo string) string { return filepath.Join(c.Cache, folderName(repo)) }

func (c *Client) snapshot(repo, commit string) string {
	return filepath.Join(c.folder(repo), "snapshots", commit)
}

func (c *Client) ref(repo, revision string) string {
	return filepath.Join(c.folder(repo), "refs", filepath.FromSlash(revision))
}

// inCache gives j its place in the cache and finds what is there of it.
func (c *Client) inCache(j *job, repo string) {
	blob := filepath.Join(c.folder(repo), "blobs", j.tag)
	j.final = blob
	j.partial, j.record, j.corrupt = blob+".haenyeo.incomplete", blob+".haenyeo.ranges", blob+".corrupt"
	j.lock = filepath.Join(c.Cache, ".locks", folderName(repo), j.tag+".lock")
	if info, err := os.Stat(blob); err == nil && info.Mode().IsRegular() && info.Size() == j.size {
		j.here = true
		return
	}
	// Where there are no links the bytes themselves may stand in the snapshot.
	if info, err := os.Lstat(j.links[0]); err == nil && info.Mode().IsRegular() && info.Size() == j.size {
		j.here, j.final = true, j.links[0]
		return
	}
	j.look()
}

// link makes path stand for the bytes at blob: a relative link, else another name of the file. Where
// there is neither, the bytes move (spare), or are copied. at is where they are then.
func (c *Client) link(blob, path string, spare bool) (at string, err error) {
	if a, err := os.Stat(path); err == nil {
		if b, err := os.Stat(blob); err == nil && os.SameFile(a, b) {
			return blob, nil
		}
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return "", err
	}
	symlink, link := os.Symlink, os.Link
	if c.hooks.symlink != nil {
		symlink, link = c.hooks.symlink, c.hooks.symlink
	}
	target, err := filepath.Rel(dir, blob)
	if err != nil {
		return "", err
	}
	temp := path + ".haenyeo.tmp"
	if err := remove(temp); err != nil {
		return "", err
	}
	at = blob
	switch {
	case symlink(target, temp) == nil || link(blob, temp) == nil:
	case spare:
		temp, at = blob, path
	default:
		if err := copyFile(blob, temp); err != nil {
			return "", err
		}
	}
	return at, os.Rename(temp, path)
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Sync(), out.Close())
}

// writeRef remembers the commit of a revision.
func (c *Client) writeRef(repo, revision, commit string) error {
	if revision == commit {
		return nil
	}
	path := c.ref(repo, revision)
	if b, err := regular.ReadFile(path, 256); err == nil && string(b) == commit {
		return nil // the cache may be one that only others write
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return fmt.Errorf("hub: %w", err)
	}
	if err := atomicfile.WriteFile(path, []byte(commit)); err != nil {
		return fmt.Errorf("hub: %w", err)
	}
	return nil
}

// cachedCommit finds the commit of a revision in the cache. Without a revision main is meant, or the only
// one that is there.
func (c *Client) cachedCommit(n Name) (string, error) {
	if b, err := regular.ReadFile(c.ref(n.Repo, n.revision()), 256); err == nil {
		commit := strings.TrimSpace(string(b))
		if err := checkCommit(commit); err != nil {
			return "", fmt.Errorf("hub: %q: %w: pull the model again", c.ref(n.Repo, n.revision()), err)
		}
		return commit, nil
	}
	entries, err := os.ReadDir(filepath.Join(c.folder(n.Repo), "snapshots"))
	if err != nil {
		return "", errNothing
	}
	var commits []string
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		if e.Name() == n.Revision {
			return e.Name(), nil
		}
		commits = append(commits, e.Name())
	}
	if n.Revision == "" && len(commits) == 1 {
		return commits[0], nil
	}
	return "", errNothing
}

var errNothing = errors.New("hub: the revision is not in the cache")

func sortFiles(files []File) {
	slices.SortFunc(files, func(a, b File) int { return cmp.Compare(a.Name, b.Name) })
}
