package hub

// Names: of a model on the command line, of a repository, of the files that a server lists. The rules
// for repositories are those of huggingface_hub.

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Name is what a model is called: org/name, org/name@revision, org/name:file, org/name:quantisation.
type Name struct {
	Repo     string // "org/name", or "name" alone
	Revision string // branch, tag or commit; "": main
	File     string // a file of the repository, or the quantisation of a GGUF such as Q4_K_M; "": the usual ones
}

const (
	mainRevision = "main"
	maxName      = 1024 // bytes of a file's name
)

// websites are what people paste before a name.
var websites = []string{"https://huggingface.co/", "https://hf.co/", "huggingface.co/", "hf.co/"}

var repoPart = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_.-]{0,94}[A-Za-z0-9_])?$`)

// ParseName reads a name.
func ParseName(s string) (Name, error) {
	rest := s
	for _, site := range websites {
		if cut, ok := strings.CutPrefix(rest, site); ok {
			rest = cut
			break
		}
	}
	rest, file, tagged := strings.Cut(rest, ":")
	repo, revision, pinned := strings.Cut(rest, "@")
	n := Name{Repo: repo, Revision: revision, File: file}
	switch {
	case tagged && file == "":
		return Name{}, fmt.Errorf("hub: name %q: nothing follows the colon: give a file or a quantisation such as Q4_K_M, or leave the colon out", s)
	case pinned && revision == "":
		return Name{}, fmt.Errorf("hub: name %q: nothing follows the @: give a branch, a tag or a commit, or leave it out", s)
	}
	if err := checkRepo(repo); err != nil {
		return Name{}, err
	}
	if pinned {
		if err := checkRevision(revision); err != nil {
			return Name{}, err
		}
	}
	if tagged {
		if err := checkFile(file); err != nil {
			return Name{}, err
		}
	}
	return n, nil
}

// String writes the name as ParseName reads it.
func (n Name) String() string {
	s := n.Repo
	if n.Revision != "" && n.Revision != mainRevision {
		s += "@" + n.Revision
	}
	if n.File != "" {
		s += ":" + n.File
	}
	return s
}

func (n Name) revision() string {
	if n.Revision == "" {
		return mainRevision
	}
	return n.Revision
}

func checkRepo(repo string) error {
	parts := strings.Split(repo, "/")
	ok := len(parts) <= 2 && !strings.Contains(repo, "--") && !strings.Contains(repo, "..") && !strings.HasSuffix(repo, ".git")
	for _, p := range parts {
		ok = ok && repoPart.MatchString(p)
	}
	if !ok {
		return fmt.Errorf("hub: repository %q: a name has the form org/name, of letters, digits and - _ . with no -- or .. in it", repo)
	}
	return nil
}

// checkRevision refuses what cannot be a file below refs: branches may hold slashes, as refs/pr/1 does.
func checkRevision(revision string) error {
	err := checkFile(revision)
	if err == nil {
		err = checkPortable(revision)
	}
	if err != nil {
		return fmt.Errorf("hub: revision %q is no name of a branch, tag or commit", revision)
	}
	return nil
}

// checkFile refuses a name that could lead out of the directory, on any system.
func checkFile(name string) error {
	why := ""
	switch {
	case name == "":
		why = "it is empty"
	case len(name) > maxName:
		why = fmt.Sprintf("it has %d bytes, more than %d", len(name), maxName)
		name = name[:40] + "…"
	case !utf8.ValidString(name):
		why = "it is not UTF-8"
	case strings.HasPrefix(name, "/"):
		why = "it is absolute"
	case strings.Contains(name, `\`):
		why = "it holds a backslash"
	case strings.ContainsFunc(name, unicode.IsControl):
		why = "it holds a control character"
	default:
		for _, part := range strings.Split(name, "/") {
			switch {
			case part == "" || part == ".":
				why = "it has an empty part"
			case part == "..":
				why = "it leads out of its directory"
			case len(part) > 255:
				why = "a part of it is longer than 255 bytes"
			}
		}
	}
	if why != "" {
		return fmt.Errorf("hub: file name %q: %s: the server is broken or hostile", name, why)
	}
	return nil
}

var device = regexp.MustCompile(`(?i)^(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³]) *(\.|$)`)

// checkPortable refuses names that mean something else than a file on some system: what is fetched here may be
// copied there.
func checkPortable(name string) error {
	for _, part := range strings.Split(name, "/") {
		switch {
		case device.MatchString(part):
			return fmt.Errorf("hub: file name %q: %q is a device on Windows: leave the file out (--exclude)", name, part)
		case strings.ContainsAny(part, `:*?"<>|`):
			return fmt.Errorf("hub: file name %q: %q holds a character that Windows has no files with: leave the file out (--exclude)", name, part)
		case strings.HasSuffix(part, ".") || strings.HasSuffix(part, " "):
			return fmt.Errorf("hub: file name %q: %q ends in a dot or a space, which Windows drops: leave the file out (--exclude)", name, part)
		}
	}
	return nil
}
