package quant

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"strconv"
	"testing"
)

var update = flag.Bool("update", false, "write codebooks.bin again")

// The embedded codebooks are those of the JSON file, and each, expanded to one
// byte a coordinate, has the checksum that the file gives.
func TestCodebooks(t *testing.T) {
	text, err := os.ReadFile("testdata/iq_codebooks.json")
	if err != nil {
		t.Fatal(err)
	}
	var books map[string]json.RawMessage
	if err := json.Unmarshal(text, &books); err != nil {
		t.Fatal(err)
	}
	c := lattice()
	var packed []byte
	for _, tc := range []struct {
		name string
		got  []float32
	}{
		{"iq2xxs_grid", flatten8(c.iq2xxs[:])},
		{"iq2xs_grid", flatten8(c.iq2xs[:])},
		{"iq2s_grid", flatten8(c.iq2s[:])},
		{"iq1s_grid", flatten8(c.iq1s[:])},
		{"iq3xxs_grid", flatten4(c.iq3xxs[:])},
		{"iq3s_grid", flatten4(c.iq3s[:])},
	} {
		var book struct {
			Dim, Count int
			SHA256     string `json:"sha256"`
			Width      int    `json:"hex_width"`
			Points     string `json:"points_hex"`
		}
		if err := json.Unmarshal(books[tc.name], &book); err != nil {
			t.Fatal(err)
		}
		for i := range book.Count {
			p, err := strconv.ParseUint(book.Points[i*book.Width:][:book.Width], 16, 16)
			if err != nil {
				t.Fatal(err)
			}
			packed = binary.LittleEndian.AppendUint16(packed, uint16(p))
		}
		if len(tc.got) != book.Dim*book.Count {
			t.Fatalf("%s: %d coordinates, want %d×%d", tc.name, len(tc.got), book.Count, book.Dim)
		}
		var expanded []byte
		for _, x := range tc.got {
			expanded = append(expanded, byte(int8(x)))
		}
		if sum := sha256.Sum256(expanded); hex.EncodeToString(sum[:]) != book.SHA256 && !*update {
			t.Errorf("%s: checksum %x, want %s", tc.name, sum, book.SHA256)
		}
	}
	if *update {
		if err := os.WriteFile("codebooks.bin", packed, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(packed, codebooksBin) {
		t.Error("codebooks.bin is stale: run go test ./quant -run TestCodebooks -update")
	}
}

func flatten8(points [][8]float32) (v []float32) {
	for i := range points {
		v = append(v, points[i][:]...)
	}
	return v
}

func flatten4(points [][4]float32) (v []float32) {
	for i := range points {
		v = append(v, points[i][:]...)
	}
	return v
}
