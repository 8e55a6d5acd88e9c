package hub

// Pull: list, choose, see what is here already, see that the rest fits on the disk, fetch it, put it in
// its place. Nothing of the old state of the cache changes before all of the new one is there.

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"

	"github.com/haenyeo/haenyeo/internal/diskspace"
)

// filesAtOnce limits how many files are fetched side by side: enough that small ones do not wait for
// each other, few enough that large ones are finished one after another.
const filesAtOnce = 4

// Options say what to pull, and who wants to know of it.
type Options struct {
	Include []string // patterns of files instead of the usual ones
	Exclude []string // patterns of files to leave out
	Dir     string   // put plain files there, not in the cache

	// Both are called by one goroutine at a time and must not block.
	Progress func(Progress)
	Done     func(File) // a file is in its place
}

// Progress is how far a pull is.
type Progress struct {
	Done    int64  // bytes that are here
	Total   int64  // bytes of all files
	Fetched int64  // bytes that came by this call
	File    string // that they came for
}

// File is a file of a snapshot.
type File struct {
	Name   string
	Path   string
	Size   int64
	SHA256 string // as the list says it of files that were here, and as it was computed of others
	Cached bool   // it was here before
}

// Snapshot is a model at one commit, on this machine.
type Snapshot struct {
	Repo   string
	Commit string
	Path   string // what opens the model: a directory, or the first file of a GGUF
	Files  []File // in order of name
}

// job is one content to have: one file, or several of a repository that are the same.
type job struct {
	remote
	names  []string // of the files, first the remote's
	links  []string // where they are in a snapshot; none in a plain directory
	url    string
	commit string

	final, partial, record, corrupt, lock string // paths

	here bool  // final is there
	kept int64 // bytes of the partial file that are
}

// look finds what an earlier call left of j.
func (j *job) look() {
	parts, _, _ := readRecord(j.record, j.partial, j.tag, j.size)
	j.kept = parts.bytes()
}

// Pull fetches a model into the cache. What an interrupted or failed call has fetched is kept, and the
// next one goes on from there.
func (c *Client) Pull(ctx context.Context, name Name, o Options) (Snapshot, error) {
	if err := checkRepo(name.Repo); err != nil {
		return Snapshot{}, err
	}
	if err := checkRevision(name.revision()); err != nil {
		return Snapshot{}, err
	}
	if c.Cache == "" && o.Dir == "" {
		return Snapshot{}, errNoCache
	}
	if c.Offline {
		return c.offline(ctx, name, o)
	}
	s, err := c.newSession()
	if err != nil {
		return Snapshot{}, err
	}
	defer s.close()
	l, err := s.list(ctx, name.Repo, name.revision())
	if err != nil {
		if _, gone := c.Resolve(name.String()); gone == nil && !s.reached.Load() {
			err = fmt.Errorf("%w (what the cache has of the model can still be used)", err)
		}
		return Snapshot{}, err
	}
	files, err := choose(l.files, name.File, o.Include, o.Exclude)
	if err != nil {
		return Snapshot{}, err
	}
	jobs, err := s.plan(ctx, name, l.commit, files, o.Dir)
	if err != nil {
		return Snapshot{}, err
	}
	if err := c.room(jobs); err != nil {
		return Snapshot{}, err
	}
	got, err := s.fetchAll(ctx, jobs, o)
	if err != nil {
		return Snapshot{}, err
	}
	snap := Snapshot{Repo: name.Repo, Commit: l.commit, Files: got, Path: o.Dir}
	if o.Dir == "" {
		if err := c.writeRef(name.Repo, name.revision(), l.commit); err != nil {
			return Snapshot{}, err
		}
		snap.Path = c.snapshot(name.Repo, l.commit)
	}
	snap.Path = opens(snap.Path, files)
	return snap, nil
}

var errNoCache = errors.New("hub: the client has no directory for its cache: FromEnv makes one that has")

// opens is what to open of the files in dir: the directory, or the first file where they are a GGUF.
func opens(dir string, files []remote) string {
	if len(ggufModels(files)) != 1 {
		return dir
	}
	for _, f := range files {
		if strings.HasSuffix(f.name, ".safetensors") {
			return dir
		}
	}
	return filepath.Join(dir, filepath.FromSlash(ggufModels(files)[0].files[0].name))
}

// plan makes a job of each content, and finds what is here of it.
func (s *session) plan(ctx context.Context, name Name, commit string, files []remote, dir string) ([]*job, error) {
	var jobs []*job
	byTag := map[string]*job{}
	for _, f := range files {
		j := &job{remote: f, names: []string{f.name}, commit: commit, url: s.resolve(name.Repo, commit, f.name)}
		if err := s.describe(ctx, j); err != nil {
			return nil, err
		}
		if dir != "" {
			if err := s.c.inDir(ctx, j, dir); err != nil {
				return nil, err
			}
			jobs = append(jobs, j)
			continue
		}
		link := filepath.Join(s.c.snapshot(name.Repo, commit), filepath.FromSlash(f.name))
		if same := byTag[j.tag]; same != nil {
			if same.size != j.size {
				return nil, fmt.Errorf("hub: files %q and %q have one checksum and two sizes: the server's list is wrong", same.name, j.name)
			}
			same.names, same.links = append(same.names, f.name), append(same.links, link)
			continue
		}
		j.links = []string{link}
		s.c.inCache(j, name.Repo)
		byTag[j.tag] = j
		jobs = append(jobs, j)
	}
	return jobs, nil
}

// resolve is the address of a file.
func (s *session) resolve(repo, commit, name string) string {
	parts := strings.Split(name, "/")
	for i, p := range parts {
		parts[i] = url.PathEscape(p)
	}
	return s.base.String() + "/" + repo + "/resolve/" + url.PathEscape(commit) + "/" + strings.Join(parts, "/")
}

var opaqueTag = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.+=-]{0,127}$`)

// describe asks for the size and the ETag of a file that the list leaves out.
func (s *session) describe(ctx context.Context, j *job) error {
	if j.size < 0 || j.tag == "" {
		method, ranges := http.MethodHead, ""
		err := s.persist(ctx, func() (bool, error) {
			a, err := s.send(ctx, method, j.url, ranges)
			if method == http.MethodHead && (isStatus(err, http.StatusMethodNotAllowed) || isStatus(err, http.StatusNotImplemented)) {
				method, ranges = http.MethodGet, "bytes=0-0"
				a, err = s.send(ctx, method, j.url, ranges)
			}
			if err != nil {
				return false, err
			}
			defer a.body.Close()
			size := a.size
			if a.status == http.StatusPartialContent {
				_, _, size, err = contentRange(a.header.Get("Content-Range"))
				if err != nil {
					return false, err
				}
			}
			if j.size < 0 {
				j.size = size
			}
			if j.tag == "" {
				j.tag = a.etag
			}
			return false, nil
		})
		if err != nil {
			return fmt.Errorf("hub: file %q: %w", j.name, err)
		}
	}
	for _, n := range []int{40, 64} {
		if h := hexTag(j.tag, n); h != "" {
			j.tag = h
		}
	}
	switch {
	case j.size < 0 || j.size > maxSize:
		return fmt.Errorf("hub: file %q: the server does not say how large it is: is %s laid out as Hugging Face's?", j.name, s.base)
	case !opaqueTag.MatchString(j.tag) || checkPortable(j.tag) != nil:
		return fmt.Errorf("hub: file %q: the server gives neither a checksum nor a usable ETag (%q): is %s laid out as Hugging Face's?", j.name, oneLine(j.tag), s.base)
	case !isSHA256(j.tag) && !isGit(j.tag):
		s.c.warn("the server gives no checksum of the file: only its length is checked", "file", j.name)
		// Such tags are often made of time and size, which shards have in common.
		name := sha256.Sum256([]byte(j.name))
		j.tag = fmt.Sprintf("%s-%x", j.tag, name[:4])
	}
	return nil
}

// room refuses to begin what will not fit on the disk.
func (c *Client) room(jobs []*job) error {
	free := diskspace.Free
	if c.hooks.free != nil {
		free = c.hooks.free
	}
	var need int64
	dir := ""
	for _, j := range jobs {
		if !j.here {
			need += j.size - j.kept
			dir = filepath.Dir(j.partial)
		}
	}
	if dir == "" {
		return nil
	}
	for {
		_, err := os.Stat(dir)
		up := filepath.Dir(dir)
		if err == nil || up == dir {
			break
		}
		dir = up
	}
	if have, known := free(dir); known && have < need {
		return fmt.Errorf("hub: %s bytes are still to be fetched, and the disk of %s has room for %s: make room, or choose another disk (HF_HUB_CACHE or --dir; OLLAMA_MODELS for images)", grouped(need), dir, grouped(have))
	}
	return nil
}

// grouped writes a number with its thousands apart.
func grouped(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// fetchAll fetches what is not here and puts everything in its place.
func (s *session) fetchAll(ctx context.Context, jobs []*job, o Options) ([]File, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var mu sync.Mutex
	var p Progress
	for _, j := range jobs {
		p.Total += j.size
		if j.here {
			p.Done += j.size
		} else {
			p.Done += j.kept
		}
	}
	files := make([][]File, len(jobs))
	work := make(chan int)
	slots := make(chan struct{}, s.c.connections())
	var wg sync.WaitGroup
	for range min(filesAtOnce, len(jobs)) {
		wg.Go(func() {
			for i := range work {
				j := jobs[i]
				got, err := s.have(ctx, j, slots, func(n int64) {
					mu.Lock()
					defer mu.Unlock()
					p.Done, p.Fetched, p.File = p.Done+n, p.Fetched+n, j.name
					if o.Progress != nil {
						o.Progress(p)
					}
				})
				if err != nil {
					if ctx.Err() == nil {
						err = fmt.Errorf("hub: file %q: %w", j.name, err)
					}
					cancel(err) // the first counts
					continue
				}
				mu.Lock()
				files[i] = got
				if o.Done != nil {
					for _, f := range got {
						o.Done(f)
					}
				}
				mu.Unlock()
			}
		})
	}
	for i := range jobs {
		work <- i // after a failure each ends at once
	}
	close(work)
	wg.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	var all []File
	for _, f := range files {
		all = append(all, f...)
	}
	sortFiles(all)
	return all, nil
}

// have makes sure that the content of j is here and in its place.
func (s *session) have(ctx context.Context, j *job, slots chan struct{}, count func(int64)) ([]File, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	cached := j.here
	var got sums
	if j.here {
		var err error
		if got, err = j.checkKept(ctx); err != nil {
			return nil, err
		}
	} else {
		for _, dir := range []string{filepath.Dir(j.final), filepath.Dir(j.partial)} {
			if err := os.MkdirAll(dir, 0o777); err != nil {
				return nil, err
			}
		}
		unlock, err := s.lockFile(ctx, j.lock, func() {
			s.c.warn("another process is fetching the file, waiting for it", "file", j.name)
		})
		if err != nil {
			return nil, err
		}
		defer unlock()
		if info, err := os.Stat(j.final); err == nil && info.Size() == j.size {
			cached = true // the other process fetched it
			count(j.size - j.kept)
		} else {
			before := j.kept
			j.look() // it may have fetched a part
			count(j.kept - before)
			if got, err = s.fetch(ctx, j, slots, count); err != nil {
				return nil, err
			}
		}
	}
	if got.sha256 == "" { // the other process fetched it
		var err error
		if got, err = j.checkKept(ctx); err != nil {
			return nil, err
		}
	}
	var out []File
	at := j.final
	for i, name := range j.names {
		f := File{Name: name, Path: at, Size: j.size, SHA256: got.sha256, Cached: cached}
		if len(j.links) > 0 {
			f.Path = j.links[i]
			var err error
			if at, err = s.c.link(at, f.Path, i == 0); err != nil {
				return nil, err
			}
		}
		out = append(out, f)
	}
	return out, nil
}

// checkKept computes the checksum of a file that was fetched before. One that a disk or a program has changed since is
// set aside.
func (j *job) checkKept(ctx context.Context) (sums, error) {
	got, err := sumFile(ctx, j.final, j.size, isGit(j.tag))
	if err != nil {
		return sums{}, err
	}
	why := got.mismatch(j.tag)
	if why == "" {
		return got, nil
	}
	if err := os.MkdirAll(filepath.Dir(j.corrupt), 0o777); err != nil {
		return sums{}, err
	}
	if err := os.Rename(j.final, j.corrupt); err != nil {
		return sums{}, err
	}
	return sums{}, fmt.Errorf("%s, so it was changed after it was fetched: it is set aside as %s and not used: pull again", why, j.corrupt)
}

// inDir gives j its place in a plain directory. What stands there must be what would be fetched.
func (c *Client) inDir(ctx context.Context, j *job, dir string) error {
	j.final = filepath.Join(dir, filepath.FromSlash(j.name))
	work := filepath.Join(dir, ".cache", "haenyeo", filepath.FromSlash(j.name))
	j.partial, j.record, j.corrupt, j.lock = work+".incomplete", work+".ranges", work+".corrupt", work+".lock"
	info, err := os.Lstat(j.final)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		j.look()
		return nil
	case err != nil:
		return fmt.Errorf("hub: %w", err)
	case !info.Mode().IsRegular() || info.Size() != j.size:
	default:
		got, err := sumFile(ctx, j.final, j.size, isGit(j.tag))
		if err != nil {
			return err
		}
		if j.here = got.mismatch(j.tag) == ""; j.here {
			return nil
		}
	}
	return fmt.Errorf("hub: %q exists and is not the server's file: move it away, or choose another directory", j.final)
}
