package terminal

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

func TestHistory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "history")
	h, err := OpenHistory(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range []string{"one", "two\nlines", "two\nlines", " ", "바다", strings.Repeat("x", longestEntry+1)} {
		if err := h.Add(entry); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"one", "two\nlines", "바다"}
	now := append(slices.Clone(want), strings.Repeat("x", longestEntry+1)) // a book is known until the end, and not kept
	again, err := OpenHistory(path)
	if err != nil || !slices.Equal(again.entries, want) || !slices.Equal(h.entries, now) {
		t.Errorf("%q, read again %q, %v", h.entries, again.entries, err)
	}
	if runtime.GOOS != "windows" {
		file, _ := os.Stat(path)
		dir, _ := os.Stat(filepath.Dir(path))
		if file.Mode().Perm() != 0o600 || dir.Mode().Perm() != 0o700 {
			t.Errorf("others may read: %v, %v", file.Mode(), dir.Mode())
		}
	}
}

// What is no entry is left out; a file that grew too long is shortened.
func TestHistoryIsBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history")
	var b strings.Builder
	b.WriteString("not json\n{}\n\"first\"\n")
	long := strings.Repeat("y", 8000)
	for i := range largestFile / 8000 * 2 {
		fmt.Fprintf(&b, "\"%d %s\"\n", i, long)
	}
	b.WriteString("\"last\"\n")
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	h, err := OpenHistory(path)
	if err != nil || len(h.entries) > keptEntries || h.entries[len(h.entries)-1] != "last" || h.entries[0] == "first" {
		t.Errorf("%d entries, %v", len(h.entries), err)
	}
	if info, _ := os.Stat(path); info.Size() > largestFile {
		t.Errorf("the file has %d bytes still", info.Size())
	}
	if _, err := OpenHistory(t.TempDir()); err == nil {
		t.Error("a directory is a history")
	}
	var large History
	for i := range keptBytes>>20 + 2 {
		large.Add(strings.Repeat(string(rune('a'+i%2)), 1<<20))
	}
	if len(large.entries) != keptBytes>>20 {
		t.Errorf("%d entries of a megabyte", len(large.entries))
	}
	var none History
	if err := none.Add("x"); err != nil || len(none.entries) != 1 {
		t.Errorf("without a file: %v", err)
	}
}
