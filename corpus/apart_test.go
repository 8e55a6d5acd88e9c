package corpus

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestApart(t *testing.T) {
	root := t.TempDir()
	t.Chdir(root)
	for _, dir := range []string{"books/old", "elsewhere"} {
		if err := os.MkdirAll(filepath.FromSlash(dir), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	inside := "lies inside the data"
	for _, c := range []struct{ out, path, says string }{
		{"books/new", "books", inside},
		{"books/new/deep", "books/", inside},
		{"books", "books", inside},
		{filepath.Join(root, "books", "new"), "./books", inside},
		{"books/new", filepath.Join("books", "*"), inside},
		{"books/old/new", filepath.Join("b*", "old"), inside},
		{"books.txt/new", "books.txt", inside},
		{"new", "", "is empty"},
		{"new", "books", ""},
		{"bookshelf", "books", ""},
		{"books/new", filepath.Join("books", "*.txt"), ""},
		{"books/new", "books/old", ""},
		{".", "books", ""},
	} {
		err := Apart(t.Context(), filepath.FromSlash(c.out), []string{"elsewhere", c.path})
		if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("out %q, data %q: %v, want %q", c.out, c.path, err, c.says)
		}
	}
	if err := os.Symlink("books", "link"); err != nil {
		t.Skip("no symbolic links here:", err)
	}
	for _, c := range [][2]string{{"link/new", "books"}, {"books/new", "link"}} {
		if err := Apart(t.Context(), filepath.FromSlash(c[0]), []string{c[1]}); err == nil {
			t.Errorf("out %q, data %q: accepted through a link", c[0], c[1])
		}
	}
	// Links inside the data are followed too.
	for link, to := range map[string]string{"books/old/more": "../../elsewhere", "elsewhere/back": "../books"} {
		if err := os.Symlink(filepath.FromSlash(to), filepath.FromSlash(link)); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{"books", "b*", "link"} {
		if err := Apart(t.Context(), filepath.FromSlash("elsewhere/new/deep"), []string{path}); err == nil || !strings.Contains(err.Error(), inside) {
			t.Errorf("data %q, a link inside which leads to the output directory: %v", path, err)
		}
	}
	if err := Apart(t.Context(), "new", []string{"books"}); err != nil {
		t.Error(err)
	}
}
