package house

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// CONTRIBUTING.md lists every variable of ours that the code looks at, and no other.
func TestVariablesAreListed(t *testing.T) {
	const root = "../.."
	used := map[string]string{}
	read := regexp.MustCompile(`"(HAENYEO_[A-Z0-9_]+)=?"`) // as Getenv and Environ have it
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && path != root && (d.Name() == "shared" || strings.HasPrefix(d.Name(), ".")) {
			return filepath.SkipDir
		}
		if err != nil || filepath.Ext(path) != ".go" {
			return err
		}
		b, err := os.ReadFile(path)
		for _, m := range read.FindAllStringSubmatch(string(b), -1) {
			used[m[1]] = path
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(root, "CONTRIBUTING.md"))
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for _, m := range regexp.MustCompile("`(HAENYEO_[A-Z0-9_]+)`").FindAllStringSubmatch(string(b), -1) {
		listed[m[1]] = true
		if used[m[1]] == "" {
			t.Errorf("CONTRIBUTING.md lists %s, which nothing looks at", m[1])
		}
	}
	for name, path := range used {
		if !listed[name] {
			t.Errorf("%s looks at %s, which CONTRIBUTING.md does not list", path, name)
		}
	}
	if len(used) < 5 {
		t.Errorf("only %d variables were found", len(used))
	}
}
