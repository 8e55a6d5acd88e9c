package embedded

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/klauspost/compress/zstd"
)

// The corpus holds what its table says, all of it free, and fits in 4 MB.
func TestTableMatchesCorpus(t *testing.T) {
	if len(JSONL()) > 4_000_000 {
		t.Errorf("%d bytes", len(JSONL()))
	}
	attribution, err := os.ReadFile("ATTRIBUTION.md")
	if err != nil {
		t.Fatal(err)
	}
	z, err := zstd.NewReader(bytes.NewReader(JSONL()))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	lines := bufio.NewScanner(z)
	lines.Buffer(nil, 4<<20)
	for _, s := range Sources() {
		switch s.Licence {
		case "public domain", "CC0-1.0", "MIT", "CC-BY-4.0", "MIT OR Apache-2.0":
		default:
			t.Errorf("%s: licence %q", s.Source, s.Licence)
		}
		if s.Repository == "" || len(s.Commit) != 40 || s.Author == "" || s.Changes == "" {
			t.Errorf("%s: not attributed: %+v", s.Source, s)
		}
		if !strings.Contains(string(attribution), s.SHA256[:16]) {
			t.Errorf("%s/%s is not in ATTRIBUTION.md", s.Source, s.Lang)
		}
		h, size := sha256.New(), 0
		for range s.Records {
			if !lines.Scan() {
				t.Fatal("the corpus ends early")
			}
			var r struct{ Text, Lang, Source, Licence, ID string }
			if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
				t.Fatal(err)
			}
			if r.Lang != s.Lang || r.Source != s.Source || r.Licence != s.Licence || !utf8.ValidString(r.Text) {
				t.Errorf("%s is not of %s/%s", r.ID, s.Source, s.Lang)
			}
			size += len(r.Text)
			h.Write([]byte(r.Text + "\x00"))
		}
		if size != s.Bytes || hex.EncodeToString(h.Sum(nil)) != s.SHA256 {
			t.Errorf("%s/%s: not the text of the table", s.Source, s.Lang)
		}
	}
	if lines.Scan() {
		t.Error("the corpus holds more than the table says")
	}
}
