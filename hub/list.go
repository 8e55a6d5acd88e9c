package hub

// What a repository holds. Two forms of answer are read, both of the hub's HTTP API:
//
//	GET /api/models/{repo}/revision/{revision}?blobs=true   {"sha", "siblings": [{"rfilename", "size", "blobId", "lfs": {"sha256", "size"}}]}
//	GET /api/models/{repo}/tree/{commit}?recursive=true     [{"type", "path", "size", "oid", "lfs": {"oid", "size"}}], more pages by Link
//
// The first gives the commit; its files are used when the server has no second one.

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

const (
	maxFiles = 100_000
	maxPages = 1_000
	maxSize  = 1 << 44 // bytes of one file
)

// remote is a file as the server lists it.
type remote struct {
	name string
	size int64  // -1 unknown
	tag  string // its SHA-256 (64 hex digits) or git hash (40), as its ETag will be; "" unknown
}

// listing is a repository at one commit.
type listing struct {
	commit string
	files  []remote
}

// list asks for the commit of a revision and its files.
func (s *session) list(ctx context.Context, repo, revision string) (listing, error) {
	api := s.base.String() + "/api/models/" + repo
	body, _, commit, err := s.document(ctx, api+"/revision/"+url.PathEscape(revision)+"?blobs=true")
	if isStatus(err, http.StatusNotFound) && revision == mainRevision {
		body, _, commit, err = s.document(ctx, api+"?blobs=true") // small mirrors know this form only
	}
	if err != nil {
		if isStatus(err, http.StatusNotFound) {
			return listing{}, fmt.Errorf("hub: %s at revision %q is not there: check both names: %w", repo, revision, err)
		}
		return listing{}, fmt.Errorf("hub: listing %s: %w", repo, err)
	}
	l, err := parseModel(body)
	if err == nil && l.commit == "" {
		l.commit = commit
	}
	if err == nil {
		err = checkCommit(l.commit)
	}
	if err != nil {
		return listing{}, fmt.Errorf("hub: listing %s: %w: is %s a server laid out as Hugging Face's?", repo, err, s.base)
	}
	files, err := s.tree(ctx, repo, l.commit)
	switch {
	case err == nil && len(files) > 0:
		l.files = files
	case err != nil && !isStatus(err, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented):
		return listing{}, fmt.Errorf("hub: listing %s: %w", repo, err)
	}
	if err := checkList(l.files); err != nil {
		return listing{}, fmt.Errorf("hub: listing %s: %w", repo, err)
	}
	return l, nil
}

// tree asks for all pages of the files at a commit.
func (s *session) tree(ctx context.Context, repo, commit string) ([]remote, error) {
	var files []remote
	address := s.base.String() + "/api/models/" + repo + "/tree/" + url.PathEscape(commit) + "?recursive=true"
	for pages := 1; ; pages++ {
		body, header, _, err := s.document(ctx, address)
		if err != nil {
			return nil, err
		}
		page, err := parseTree(body)
		if err != nil {
			return nil, err
		}
		files = append(files, page...)
		next := nextPage(header.Values("Link"))
		if next == "" {
			return files, nil
		}
		at, err := url.Parse(address)
		if err != nil {
			return nil, err
		}
		to, err := redirect(at, next)
		switch {
		case err != nil:
			return nil, err
		case !s.isBase(to):
			return nil, fmt.Errorf("the next page of the list is on another server, %s", to.Host)
		case to.String() == address || pages == maxPages || len(files) > maxFiles:
			return nil, fmt.Errorf("the list of files does not end: %d after %d pages", len(files), pages)
		}
		address = to.String()
	}
}

func isStatus(err error, statuses ...int) bool {
	var e *statusError
	return errors.As(err, &e) && slices.Contains(statuses, e.status)
}

// parseModel reads the answer about a revision.
func parseModel(b []byte) (listing, error) {
	var m struct {
		SHA      string `json:"sha"`
		Siblings []struct {
			Name   string `json:"rfilename"`
			Size   *int64 `json:"size"`
			BlobID string `json:"blobId"`
			LFS    *struct {
				SHA256 string `json:"sha256"`
				Size   *int64 `json:"size"`
			} `json:"lfs"`
		} `json:"siblings"`
	}
	if err := json.Unmarshal(b, &m); err != nil {
		return listing{}, fmt.Errorf("the answer is no description of a model: %w", err)
	}
	l := listing{commit: m.SHA}
	for _, f := range m.Siblings {
		r := remote{name: f.Name, size: sizeOf(f.Size), tag: hexTag(f.BlobID, 40)}
		if f.LFS != nil {
			r.tag = hexTag(f.LFS.SHA256, 64)
			if n := sizeOf(f.LFS.Size); n >= 0 {
				r.size = n
			}
		}
		l.files = append(l.files, r)
	}
	return l, nil
}

// parseTree reads one page of files.
func parseTree(b []byte) ([]remote, error) {
	var entries []struct {
		Type string `json:"type"`
		Path string `json:"path"`
		Size *int64 `json:"size"`
		OID  string `json:"oid"`
		LFS  *struct {
			OID  string `json:"oid"`
			Size *int64 `json:"size"`
		} `json:"lfs"`
	}
	if err := json.Unmarshal(b, &entries); err != nil {
		return nil, fmt.Errorf("the answer is no list of files: %w", err)
	}
	var files []remote
	for _, e := range entries {
		if e.Type != "file" {
			continue
		}
		r := remote{name: e.Path, size: sizeOf(e.Size), tag: hexTag(e.OID, 40)}
		if e.LFS != nil {
			r.tag = hexTag(strings.TrimPrefix(e.LFS.OID, "sha256:"), 64)
			if n := sizeOf(e.LFS.Size); n >= 0 {
				r.size = n
			}
		}
		files = append(files, r)
	}
	return files, nil
}

func sizeOf(n *int64) int64 {
	if n == nil || *n < 0 {
		return -1
	}
	return *n
}

// hexTag returns a hash of n hex digits in small letters, "" for anything else.
func hexTag(s string, n int) string {
	if len(s) != n || strings.Trim(s, "0123456789abcdefABCDEF") != "" {
		return ""
	}
	return strings.ToLower(s)
}

var commitName = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$`)

func checkCommit(commit string) error {
	if commit == "" {
		return errors.New("the answer names no commit")
	}
	if !commitName.MatchString(commit) || checkPortable(commit) != nil {
		return fmt.Errorf("commit %q cannot be the name of a directory", oneLine(commit))
	}
	return nil
}

// checkList refuses lists that would do harm.
func checkList(files []remote) error {
	if len(files) > maxFiles {
		return fmt.Errorf("%d files, more than %d", len(files), maxFiles)
	}
	names := make(map[string]bool, len(files))
	for _, f := range files {
		if err := checkFile(f.name); err != nil {
			return err
		}
		if names[f.name] {
			return fmt.Errorf("file %q is listed twice", f.name)
		}
		names[f.name] = true
		if f.size > maxSize {
			return fmt.Errorf("file %q: a size of %d bytes cannot be", f.name, f.size)
		}
	}
	return nil
}

// nextPage finds the address marked rel="next" in Link headers.
func nextPage(links []string) string {
	for _, header := range links {
		for header != "" {
			open := strings.IndexByte(header, '<')
			end := strings.IndexByte(header, '>')
			if open < 0 || end < open {
				break
			}
			address := header[open+1 : end]
			header = header[end+1:]
			attributes := header
			if i := strings.IndexByte(header, '<'); i >= 0 {
				attributes = header[:i]
			}
			for _, a := range strings.Split(attributes, ";") {
				a = strings.ToLower(strings.Trim(a, " ,"))
				if a == `rel="next"` || a == "rel=next" {
					return address
				}
			}
		}
	}
	return ""
}
