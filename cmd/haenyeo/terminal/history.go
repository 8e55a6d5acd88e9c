package terminal

// What was sent before, in a file of JSON strings, one a line, that only its owner can read.

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const (
	keptEntries = 1000
	// longestEntry: a pasted book is not worth keeping in the file.
	longestEntry = 16 << 10
	// keptBytes bounds what is remembered while the program runs, but for the last entry.
	keptBytes = 64 << 20
	// largestFile is where the file is written anew with the last entries.
	largestFile = 4 << 20
)

// History is the messages of this and earlier conversations. The zero value forgets when the program ends.
type History struct {
	path    string
	entries []string
	bytes   int // of entries
}

// OpenHistory reads the history at path, whose directory it makes. Lines that it cannot read are left out.
func OpenHistory(path string) (*History, error) {
	h := &History{path: path}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return &History{}, fmt.Errorf("history: %w", err)
	}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return h, nil
	}
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%q is not a regular file", path)
	}
	if err != nil {
		return &History{}, fmt.Errorf("history: %w", err)
	}
	f, err := os.Open(path)
	if err != nil {
		return &History{}, fmt.Errorf("history: %w", err)
	}
	defer f.Close()
	if over := info.Size() - largestFile; over > 0 { // of another program's making: the end will do
		if _, err := f.Seek(over, io.SeekStart); err != nil {
			return &History{}, fmt.Errorf("history: %w", err)
		}
	}
	lines := bufio.NewScanner(io.LimitReader(f, largestFile))
	lines.Buffer(nil, 8*longestEntry)
	for lines.Scan() {
		var entry string
		if json.Unmarshal(lines.Bytes(), &entry) == nil && len(entry) <= longestEntry {
			h.remember(entry)
		}
	}
	if info.Size() > largestFile {
		h.rewrite()
	}
	return h, nil
}

// Add appends a message, to the file too if it is not too long for that. A file that cannot be written is no reason to stop a conversation: the entry is then known
// until the program ends, and err says why.
func (h *History) Add(entry string) error {
	if strings.TrimSpace(entry) == "" || !h.remember(entry) || h.path == "" || len(entry) > longestEntry {
		return nil
	}
	f, err := os.OpenFile(h.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("history: %w", err)
	}
	line, err := json.Marshal(entry)
	if err == nil {
		_, err = f.Write(append(line, '\n')) // one write: other conversations append too
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("history: %w", err)
	}
	return nil
}

// remember keeps an entry in memory; not ok for one that repeats the last.
func (h *History) remember(entry string) bool {
	if n := len(h.entries); n > 0 && h.entries[n-1] == entry {
		return false
	}
	h.entries = append(h.entries, entry)
	h.bytes += len(entry)
	for len(h.entries) > 1 && (len(h.entries) > keptEntries || h.bytes > keptBytes) {
		h.bytes -= len(h.entries[0])
		h.entries = slices.Delete(h.entries, 0, 1)
	}
	return true
}

// rewrite shortens the file to what is remembered. What another conversation appends meanwhile is lost.
func (h *History) rewrite() {
	f, err := os.CreateTemp(filepath.Dir(h.path), ".history") // for its owner alone
	if err != nil {
		return // the file stays long, and is read from its end
	}
	w := bufio.NewWriter(f)
	e := json.NewEncoder(w)
	for _, entry := range h.entries {
		e.Encode(entry) // Flush has the error
	}
	err = errors.Join(w.Flush(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), h.path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
}
