package corpus

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// tree writes files into a new directory.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func gz(s string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	io.WriteString(w, s)
	w.Close()
	return b.String()
}

func zst(s string) string {
	w, _ := zstd.NewWriter(nil)
	return string(w.EncodeAll([]byte(s), nil))
}

// noise is text without repetition: n letters.
func noise(seed uint64, n int) string {
	r := rand.New(rand.NewPCG(seed, 0))
	b := make([]byte, n)
	for i := range b {
		b[i] = 'a' + byte(r.Uint32N(26))
	}
	return string(b)
}

var all = Options{ValidationShare: -1}

func documents(t *testing.T, c *Corpus, part Part) []Document {
	t.Helper()
	var docs []Document
	for d, err := range c.Documents(context.Background(), part) {
		if err != nil {
			t.Fatal(err)
		}
		docs = append(docs, d)
	}
	return docs
}

func open(t *testing.T, opt Options, paths ...string) *Corpus {
	t.Helper()
	c, err := Open(context.Background(), paths, opt)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestFormats(t *testing.T) {
	jsonl := `{"text":"하나","lang":"ko","id":"a/1","source":"s","licence":"MIT"}` + "\n\n" + `{"text":"dua\r\n","lang":"id","id":7,"license":"CC0-1.0"}`
	for _, tc := range []struct {
		name, text string
		want       []Document
	}{
		{"a.txt", "one\ntwo\n", []Document{{Text: "one\ntwo\n", Lang: "und", Source: "a.txt"}}},
		{"a.md.gz", gz("# One"), []Document{{Text: "# One", Lang: "und", Source: "a.md.gz"}}},
		{"a.txt.zst", zst("one"), []Document{{Text: "one", Lang: "und", Source: "a.txt.zst"}}},
		{"members.txt.gz", gz("one ") + gz("two"), []Document{{Text: "one two", Lang: "und", Source: "members.txt.gz"}}},
		{"bom.txt", "\ufeffone\r\ntwo\rthree\r\n", []Document{{Text: "one\ntwo\rthree\n", Lang: "und", Source: "bom.txt"}}},
		{"nfd.txt", "e\u0301", []Document{{Text: "e\u0301", Lang: "und", Source: "nfd.txt"}}},
		{"noending", "one", []Document{{Text: "one", Lang: "und", Source: "noending"}}},
		{"a.jsonl", "\ufeff" + jsonl, []Document{
			{Text: "하나", Lang: "ko", ID: "a/1", Source: "s", Licence: "MIT"},
			{Text: "dua\r\n", Lang: "id", ID: "7", Source: "a.jsonl", Licence: "CC0-1.0"}}},
		{"a.ndjson.gz", gz(strings.ReplaceAll(jsonl, "\n", "\r\n")), []Document{
			{Text: "하나", Lang: "ko", ID: "a/1", Source: "s", Licence: "MIT"},
			{Text: "dua\r\n", Lang: "id", ID: "7", Source: "a.ndjson.gz", Licence: "CC0-1.0"}}},
		{"a.jsonl.zst", zst(`{"lang":5,"text":"x","id":null,"source":["y"]}`), []Document{{Text: "x", Lang: "und", Source: "a.jsonl.zst"}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := tree(t, map[string]string{tc.name: tc.text})
			c := open(t, all, filepath.Join(dir, tc.name))
			if got := documents(t, c, Train); !slices.Equal(got, tc.want) {
				t.Errorf("got %+v\nwant %+v", got, tc.want)
			}
			if r := c.Report(); r.Files[0].Bytes != int64(len(tc.text)) || r.Documents != int64(len(tc.want)) {
				t.Errorf("report %+v", r.Files)
			}
		})
	}
}

func TestLists(t *testing.T) {
	dir := tree(t, map[string]string{
		"b.txt": "b", "a.md": "a", "sub/c.txt": "c", "sub/deep/d.txt": "d",
		".git/config": "no", ".hidden.txt": "no", "sub/.env": "no",
		"data.json": `{"text":"no"}`, "[x].txt": "brackets",
	})
	link := func(to, name string) {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Skip("no symbolic links here:", err)
		}
	}
	link(".", "loop")
	link("..", "sub/up")
	link("self", "self")
	link("b.txt", "again.txt")
	in := func(names ...string) (paths []string) {
		for _, n := range names {
			paths = append(paths, filepath.Join(dir, n))
		}
		return paths
	}
	for _, tc := range []struct {
		name  string
		paths []string
		want  string
		skips int
	}{
		{"directory", in(""), "brackets a b c d", 2},
		{"glob", in("*.txt"), "brackets b", 0},
		{"brackets are a name first", in("[x].txt"), "brackets", 0},
		{"order of arguments", in("sub", "b.txt", "a.md"), "c d b brackets a", 2},
		{"same file twice", in("b.txt", "again.txt", "*.txt"), "b brackets", 0},
		{"hidden when named", in(".hidden.txt"), "no", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := open(t, all, tc.paths...)
			var got []string
			for _, d := range documents(t, c, Train) {
				got = append(got, d.Text)
			}
			want := strings.Fields(tc.want)
			if tc.name == "order of arguments" {
				// sub holds a link to its parent, which is walked from there.
				slices.Sort(got)
				slices.Sort(want)
			}
			if !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
			if n := c.Report().SkipCount; n != tc.skips {
				t.Errorf("%d files left out, want %d: %v", n, tc.skips, c.Report().Skipped)
			}
		})
	}
}

// Files that are not text are left out and counted, and nothing of them is trained on.
func TestSkips(t *testing.T) {
	late := strings.Repeat("good text, line after line\n", 10_000)
	dir := tree(t, map[string]string{
		"good.txt":      "good",
		"nul.txt":       "text\x00more",
		"latin1.txt":    "caf\xe9 au lait",
		"late.txt":      late + "\xff" + late,
		"half-rune.txt": "ends in the middle of \xed\x95",
		"utf16.txt":     "\xff\xfeo\x00n\x00",
		"utf16.jsonl":   "\xfe\xff\x00{",
		"bad.jsonl":     `{"text":"caf` + "\xe9" + `"}`,
		"packed.zst":    zst("a\x00b"),
		"picture.png":   "\x89PNG\r\n\x1a\n\x00\x00",
	})
	c := open(t, all, dir)
	if docs := documents(t, c, Train); len(docs) != 1 || docs[0].Text != "good" {
		t.Errorf("trained on %+v", docs)
	}
	r := c.Report()
	if r.SkipCount != 9 || len(r.Skipped) != 9 {
		t.Errorf("left out %v", r.Skipped)
	}
	if s := (&Report{Altered: 3}).Skips(); !strings.HasPrefix(s, "skipped 3 records: their text escapes half a surrogate pair") {
		t.Error(s)
	}
	if s := r.Skips(); !strings.HasPrefix(s, "skipped 9 files: 4 not UTF-8, 3 binary, 2 UTF-16") {
		t.Error(s)
	}
	for _, s := range r.Skipped {
		if filepath.Base(s.Path) == "late.txt" && s.Reason != fmt.Sprintf("not UTF-8 at byte %d", len(late)) {
			t.Errorf("late.txt: %s", s.Reason)
		}
	}
}

func TestErrors(t *testing.T) {
	long := noise(1, 100_000)
	dir := tree(t, map[string]string{
		"empty.txt":    "",
		"blank.txt":    " \n\t\n",
		"empty.jsonl":  "\n\n",
		"nul.bin":      "\x00",
		"one.txt":      "one document",
		"data.json":    "{}",
		"cut.txt.gz":   gz(long)[:20_000],
		"cut.txt.zst":  zst(long)[:20_000],
		"none.txt.gz":  "",
		"none.txt.zst": "",
		"fake.gz":      "plain text",
		"fake.zst":     "plain text",
		"crc.gz":       gz(long)[:len(gz(long))-8] + "12345678",
		"tail.gz":      gz("one") + "garbage after the end",
		"bit.gz":       gz("one") + "x",
		"half.gz":      gz("one") + gz("two")[:5],
		"notext.jsonl": "{\"text\":\"a\"}\n{\"txt\":\"b\"}\n",
		"upper.jsonl":  "{\"Text\":\"a\"}\n",
		"array.jsonl":  "[\"text\"]\n",
		"number.jsonl": "{\"text\":5}\n",
		"null.jsonl":   "{\"text\":null}\n",
		"broken.jsonl": "{\"text\":\"a\"}\n\n{\"text\":\"b\"\n",
		"deep.jsonl":   "{\"text\":\"a\",\"x\":" + strings.Repeat("[", 20_000) + "}\n",
		"two.jsonl":    "{\"text\":\"a\"}{\"text\":\"b\"}\n",
		"long.jsonl":   "{\"text\":\"a\"}\n{\"text\":\"" + strings.Repeat("x", MaxLine) + "\"}\n",
		"dir/.hidden":  "x",
	})
	for _, tc := range []struct {
		path string
		is   error
		says string
	}{
		{"absent.txt", nil, "no such file"},
		{"*.absent", nil, "matches nothing"},
		{"[", nil, ""},
		{"dir", ErrNoText, "no files"},
		{"empty.txt", ErrNoText, "no letters"},
		{"blank.txt", ErrNoText, "no letters"},
		{"empty.jsonl", ErrNoText, ""},
		{"nul.bin", ErrNoText, "binary: NUL at byte 0"},
		{"data.json", ErrNoText, "name it .jsonl"},
		{"one.txt", ErrTooLittle, "1 document of 12 bytes"},
		{"cut.txt.gz", io.ErrUnexpectedEOF, "truncated"},
		{"cut.txt.zst", io.ErrUnexpectedEOF, "truncated"},
		{"none.txt.gz", io.ErrUnexpectedEOF, "truncated"},
		{"none.txt.zst", io.ErrUnexpectedEOF, "truncated"},
		{"fake.gz", nil, "not valid gzip"},
		{"fake.zst", nil, "not valid zstd"},
		{"crc.gz", nil, "not valid gzip"},
		{"tail.gz", nil, "something else follows"},
		{"bit.gz", nil, "ends after 3 bytes of text, but something else follows"},
		{"half.gz", io.ErrUnexpectedEOF, "truncated"},
		{"notext.jsonl", nil, `line 2: no "text" field`},
		{"upper.jsonl", nil, `line 1: no "text" field`},
		{"array.jsonl", nil, "line 1: is a JSON array"},
		{"number.jsonl", nil, `line 1: "text" is not a string`},
		{"null.jsonl", nil, `line 1: "text" is not a string`},
		{"broken.jsonl", nil, "line 3: broken JSON"},
		{"deep.jsonl", nil, "line 1: broken JSON"},
		{"two.jsonl", nil, "line 1: broken JSON"},
		{"long.jsonl", nil, "line 2: longer than 16 MiB"},
	} {
		t.Run(tc.path, func(t *testing.T) {
			_, err := Open(context.Background(), []string{filepath.Join(dir, tc.path)}, Options{})
			if err == nil {
				t.Fatal("no error")
			}
			if tc.is != nil && !errors.Is(err, tc.is) || !strings.Contains(err.Error(), tc.says) || !strings.HasPrefix(err.Error(), "corpus: ") {
				t.Errorf("%v", err)
			}
			if !strings.Contains(err.Error(), filepath.Base(tc.path)) {
				t.Errorf("does not name the file: %v", err)
			}
		})
	}
	t.Run("unreadable", func(t *testing.T) {
		path := filepath.Join(dir, "one.txt")
		os.Chmod(path, 0)
		defer os.Chmod(path, 0o644)
		if f, err := os.Open(path); err == nil {
			f.Close()
			t.Skip("this user reads everything")
		}
		if _, err := Open(context.Background(), []string{path}, Options{}); !errors.Is(err, os.ErrPermission) {
			t.Errorf("%v", err)
		}
	})
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if _, err := Open(ctx, []string{dir}, Options{}); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
	})
}

func TestFilesThatChange(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(path string) error
		says   string
	}{
		{"vanishes", os.Remove, "a moment ago"},
		{"other text", func(p string) error { return os.WriteFile(p, []byte("two documents\n"), 0o644) }, "changed"},
		{"more text", func(p string) error { return os.WriteFile(p, []byte(strings.Repeat("one document\n", 9999)), 0o644) }, "changed"},
		{"no text", func(p string) error { return os.Truncate(p, 0) }, "changed"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := tree(t, map[string]string{"a.txt": "one document\n", "b.txt": "another\n"})
			c := open(t, all, dir)
			if err := tc.change(filepath.Join(dir, "a.txt")); err != nil {
				t.Fatal(err)
			}
			var last error
			for _, err := range c.Documents(context.Background(), Train) {
				last = err
			}
			if last == nil || !strings.Contains(last.Error(), tc.says) || !strings.Contains(last.Error(), "a.txt") {
				t.Errorf("%v", last)
			}
		})
	}
}

func TestDuplicatesAndOddRecords(t *testing.T) {
	dir := tree(t, map[string]string{
		"a.jsonl": `{"text":"same"}` + "\n" + `{"text":"same","lang":"ko"}` + "\n" + `{"text":"  "}` + "\n" +
			`{"text":"half \ud83d pair"}` + "\n" + `{"text":"whole \ud83d\ude00 pair"}` + "\n" + `{"text":"honest \ufffd and �"}` + "\n",
		"b.txt": "same",
	})
	c := open(t, all, dir)
	var got []string
	for _, d := range documents(t, c, Train) {
		got = append(got, d.Text)
	}
	if want := []string{"same", "whole 😀 pair", "honest � and �"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if r := c.Report(); r.Duplicates != 2 || r.Empty != 1 || r.Altered != 1 {
		t.Errorf("report %+v", r)
	}
}

// One line of 200 MB must not become 200 MB of memory.
func TestHugeLine(t *testing.T) {
	const n = 200 << 20
	var packed bytes.Buffer
	w, _ := zstd.NewWriter(&packed, zstd.WithEncoderLevel(zstd.SpeedFastest))
	block := []byte(noise(1, 1<<20))
	for i := range n >> 20 {
		for j := 0; j < len(block); j += 4 << 10 { // no two parts are equal
			copy(block[j:], fmt.Sprintf("%08d", i))
		}
		w.Write(block)
	}
	w.Close()
	dir := tree(t, map[string]string{"huge.txt.zst": packed.String()})
	var before, now runtime.MemStats
	runtime.ReadMemStats(&before)
	c := open(t, all, dir)
	total, peak := 0, uint64(0)
	for d, err := range c.Documents(context.Background(), Train) {
		if err != nil {
			t.Fatal(err)
		}
		if len(d.Text) > TextPart {
			t.Fatalf("a document of %d bytes", len(d.Text))
		}
		if total += len(d.Text); total%(1<<20) < TextPart {
			runtime.ReadMemStats(&now)
			peak = max(peak, now.HeapAlloc-min(now.HeapAlloc, before.HeapAlloc))
		}
	}
	if total != n {
		t.Errorf("%d of %d bytes", total, n)
	}
	if peak > 64<<20 {
		t.Errorf("heap grew by %d MB", peak>>20)
	}
}

func TestPartsAreTheFile(t *testing.T) {
	thai := strings.Repeat("เกาะแก้วพิสดาร", 40)
	for _, tc := range []struct{ name, text string }{
		{"paragraphs", strings.Repeat("One line.\nAnother line.\n\n", 40)},
		{"lines", strings.Repeat("One line of text.\n", 40)},
		{"words", strings.Repeat("word ", 200)},
		{"no border", thai},
		{"crlf", strings.Repeat("one\r\ntwo\r\n\r\n", 50)},
		{"lone returns", strings.Repeat("one\rtwo\r\r\n", 50) + "\r"},
		{"marks", strings.Repeat("é", 500)},
		{"one byte", "x"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for part := 64; part < 200; part += 7 {
				r := newTextReader(strings.NewReader(tc.text), part)
				var got strings.Builder
				more := true
				for {
					p, m, err := r.next()
					if err == io.EOF {
						break
					}
					if err != nil || len(p) == 0 || len(p) > part || !more {
						t.Fatalf("part of %d bytes, more %v, %v", len(p), more, err)
					}
					more = m
					got.Write(p)
				}
				if more || got.String() != strings.ReplaceAll(tc.text, "\r\n", "\n") {
					t.Fatalf("part %d: put together %q", part, got.String())
				}
			}
		})
	}
	if b := []byte(thai); b[cutAt(b, 100)] != 0xE0 {
		t.Error("a Thai letter was cut")
	}
}

func TestLongRecordIsCut(t *testing.T) {
	text := strings.Repeat("A sentence in a record without any line. ", 10_000)
	line, _ := json.Marshal(map[string]string{"text": text, "lang": "en"})
	c := open(t, all, tree(t, map[string]string{"a.jsonl": string(line)}))
	var got strings.Builder
	docs := documents(t, c, Train)
	for i, d := range docs {
		if len(d.Text) > MaxDocument || d.Lang != "en" || d.Continues != (i < len(docs)-1) {
			t.Errorf("document %d: %d bytes, continues %v", i, len(d.Text), d.Continues)
		}
		got.WriteString(d.Text)
	}
	if got.String() != text || len(docs) < 3 {
		t.Errorf("%d documents of %d bytes", len(docs), got.Len())
	}
}

// The split is by content alone: these hashes change only if the rule does, and then so must the
// version in Report.finish.
func TestSplitIsStable(t *testing.T) {
	make := func(order []int) *Corpus {
		files := map[string]string{}
		for n, i := range order {
			lang := []string{"ko", "id"}[i%2]
			line, _ := json.Marshal(map[string]string{"text": fmt.Sprintf("document %d: %s", i, strings.Repeat(fmt.Sprint(i, " "), 200)), "lang": lang})
			files[fmt.Sprintf("%d.jsonl", n%3)] += string(line) + "\n"
		}
		return open(t, Options{}, tree(t, files))
	}
	order := []int{}
	for i := range 400 {
		order = append(order, i)
	}
	names := func(c *Corpus) (names []string) {
		for _, d := range documents(t, c, Validation) {
			names = append(names, strings.SplitN(d.Text, ":", 2)[0])
		}
		slices.Sort(names)
		return names
	}
	c := make(order)
	got := names(c)
	slices.Reverse(order)
	if again := names(make(order)); !slices.Equal(got, again) {
		t.Errorf("depends on the order: %v, then %v", got, again)
	}
	hash := contentHash(strings.Join(got, ","))
	if want := "72f10d56"; hex.EncodeToString(hash[:4]) != want {
		t.Errorf("%d validation documents, hash %x, want %s", len(got), hash[:4], want)
	}
	r := c.Report()
	if r.ValidationBytes < 2*validationFloor || float64(r.ValidationBytes) > validationCeiling*float64(r.Bytes) || len(documents(t, c, Train))+len(got) != 400 {
		t.Errorf("%d of %d bytes held back", r.ValidationBytes, r.Bytes)
	}
}

func TestSplitOfLittle(t *testing.T) {
	two := open(t, Options{}, tree(t, map[string]string{"a.txt": "one", "b.txt": "two"}))
	if len(documents(t, two, Train)) != 1 || len(documents(t, two, Validation)) != 1 {
		t.Error("two documents were not shared")
	}
	book := open(t, Options{}, tree(t, map[string]string{"book.txt": noise(1, 300<<10)}))
	if n := book.Report().ValidationBytes; n < validationFloor || n > 2*validationFloor {
		t.Errorf("%d bytes of a book were held back", n)
	}
}

func TestFingerprint(t *testing.T) {
	a := tree(t, map[string]string{"a.txt": "one", "b.txt": "two"})
	b := tree(t, map[string]string{"x.txt": "one", "y.txt": "two"})
	c := tree(t, map[string]string{"a.txt": "one", "b.txt": "three"})
	print := func(opt Options, dir string) [32]byte { return open(t, opt, dir).Fingerprint() }
	if print(Options{}, a) != print(Options{}, b) {
		t.Error("depends on names")
	}
	if print(Options{}, a) == print(Options{}, c) || print(Options{}, a) == print(all, a) {
		t.Error("does not depend on the text or the split")
	}
}

func TestEmbedded(t *testing.T) {
	c, err := Embedded(context.Background(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	r := c.Report()
	if len(r.Languages) < 8 || r.Duplicates != 0 || r.Empty != 0 || r.NotNFC != 0 {
		t.Errorf("%d languages, %d duplicates, %d empty, %d not NFC", len(r.Languages), r.Duplicates, r.Empty, r.NotNFC)
	}
	for _, l := range r.Languages {
		t.Logf("%s: %d documents, %d bytes, %d for validation", l.Lang, l.Documents, l.Bytes, l.ValidationBytes)
		if l.ValidationBytes < validationFloor {
			t.Errorf("%s: only %d bytes for validation", l.Lang, l.ValidationBytes)
		}
	}
}

func FuzzJSONL(f *testing.F) {
	for _, s := range []string{`{"text":"a"}`, "{\"text\":\"a\"}\r\n\n{\"text\":\"\\ud800\"}", `{"text":1}`, "\ufeff{", `{"text":"a","lang":"ko","id":1}` + "\n[", "\x00"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		j := newJSONLReader(bytes.NewReader(b), "f")
		for {
			r, err := j.next()
			if err == io.EOF {
				return
			}
			if err != nil {
				if !strings.HasPrefix(err.Error(), `corpus: "f" line `) {
					t.Fatal(err)
				}
				return
			}
			if len(r.text) > len(b) {
				t.Fatal("more text than line")
			}
		}
	})
}

func FuzzText(f *testing.F) {
	f.Add([]byte("one\r\ntwo\n\nthree"), 64)
	f.Add([]byte("\ufeffเก้าอี้ "), 16)
	f.Fuzz(func(t *testing.T, b []byte, part int) {
		part = max(16, part%1000)
		in := input{entry: entry{Path: "f"}, data: append([]byte{}, b...)}
		reason, _, _, _, err := in.check(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		valid := !bytes.Contains(b, []byte{0}) && strings.ToValidUTF8(string(b), "") == string(b)
		if (reason == "") != valid {
			t.Fatalf("check says %q", reason)
		}
		if reason != "" {
			return
		}
		r := newTextReader(bytes.NewReader(b), part)
		var got []byte
		for {
			p, _, err := r.next()
			if err == io.EOF {
				break
			}
			if err != nil || len(p) > part || strings.ToValidUTF8(string(p), "") != string(p) {
				t.Fatalf("%q, %v", p, err)
			}
			got = append(got, p...)
		}
		want := bytes.ReplaceAll(bytes.TrimPrefix(b, utf8BOM), []byte("\r\n"), []byte("\n"))
		if !bytes.Equal(got, want) {
			t.Fatalf("got %q, want %q", got, want)
		}
	})
}

// A link to itself is named, with what to do; inside a directory it is left out.
func TestLinkToItself(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.Symlink("self", "self"); err != nil {
		t.Skip("no symbolic links here:", err)
	}
	if _, err := Open(t.Context(), []string{"self"}, Options{}); err == nil || !strings.Contains(err.Error(), `"self" is a link that leads nowhere`) || !strings.Contains(err.Error(), "leave it out") {
		t.Errorf("%v", err)
	}
}
