// This file holds Open, which reads everything once and decides what each document is for, and
// Documents, which reads it again by those decisions.

package corpus

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"strings"

	"golang.org/x/text/unicode/norm"
)

// Document is one text.
type Document struct {
	Text    string
	Lang    string // BCP 47 tag as the record says it, "und" when it says nothing
	Source  string
	Licence string // "" when the record does not say
	ID      string
	// Continues: the text was cut here and goes on in the next document of its file, so no end is
	// to be learned.
	Continues bool
}

// Part is what a document is for.
type Part byte

const (
	Train      Part = iota // learned from
	Validation             // held back, to measure on
	// dropped documents are empty, duplicates, or altered by their encoding.
	dropped
)

// Options of Open. The zero value is the usual one.
type Options struct {
	// ValidationShare is the share of each language's bytes held back for validation: 0 means 1 %,
	// negative means none (everything is Train).
	ValidationShare float64
	// ValidationCap bounds the validation bytes of a language; 0 means 256 KiB.
	ValidationCap int64
}

func (o Options) share() float64 {
	switch {
	case o.ValidationShare == 0:
		return 0.01
	case o.ValidationShare < 0:
		return 0
	}
	return min(o.ValidationShare, 0.5)
}

func (o Options) cap() int64 {
	if o.ValidationCap <= 0 {
		return 256 << 10
	}
	return o.ValidationCap
}

// Corpus is a fixed set of documents. It may be read by several goroutines.
type Corpus struct {
	inputs []input
	parts  [][]Part // of every document of every input
	report Report
	langs  map[string]bool // every other language is "und"
}

// Open reads the files behind paths and decides which documents to keep, and which of them are
// for validation. Errors: ErrNoText, ErrTooLittle; a missing, unreadable or damaged file; a bad
// JSONL line.
func Open(ctx context.Context, paths []string, opt Options) (*Corpus, error) {
	files, skips, err := list(ctx, paths)
	if err != nil {
		return nil, err
	}
	in := make([]input, len(files))
	for i, f := range files {
		in[i].entry = f
	}
	c, err := survey(ctx, in, skips, opt)
	switch {
	case errors.Is(err, ErrNoText):
		return nil, fmt.Errorf("corpus: %w in %s: %s", ErrNoText, quoteSome(paths), c.report.reasons())
	case errors.Is(err, ErrTooLittle):
		return nil, fmt.Errorf("corpus: %w in %s: %d document of %d bytes: it takes at least two, one to train on and one to validate (a text file counts as one for every %d KiB)",
			ErrTooLittle, quoteSome(paths), c.report.Documents, c.report.Bytes, TextPart>>10)
	case err != nil:
		return nil, err
	}
	return c, nil
}

func quoteSome(paths []string) string {
	const n = 5
	s := fmt.Sprintf("%q", paths[:min(n, len(paths))])
	s = strings.Trim(s, "[]")
	if len(paths) > n {
		s += fmt.Sprintf(" and %d more", len(paths)-n)
	}
	return s
}

// survey is the first pass. With ErrNoText and ErrTooLittle the Corpus says what was seen.
func survey(ctx context.Context, inputs []input, skips []Skip, opt Options) (*Corpus, error) {
	c := &Corpus{report: newReport(skips)}
	seen := map[[16]byte]struct{}{}
	split := newSplit(opt)
	for i := range inputs {
		in := &inputs[i]
		reason, text, digest, stored, err := in.check(ctx)
		if err != nil {
			return nil, vanished(err)
		}
		if reason != "" {
			c.report.skip(in.Path, reason)
			continue
		}
		at := len(c.inputs)
		fr := FileReport{Path: in.Path, Format: in.Format, Bytes: stored, TextBytes: text, SHA256: digest}
		var parts []Part
		sum, err := in.each(ctx, func(d *Document, altered bool) bool {
			part := Train
			switch hash := contentHash(d.Text); {
			case strings.TrimSpace(d.Text) == "":
				fr.Empty++
				part = dropped
			case altered:
				fr.Altered++
				part = dropped
			default:
				if _, ok := seen[hash]; ok {
					fr.Duplicates++
					part = dropped
					break
				}
				seen[hash] = struct{}{}
				if !norm.NFC.IsNormalString(d.Text) {
					fr.NotNFC++
				}
				c.report.add(d, &fr)
				split.offer(d.Lang, candidate{hash: hash, size: int32(len(d.Text)), file: int32(at), doc: int32(len(parts))})
			}
			parts = append(parts, part)
			return true
		})
		if err != nil {
			return nil, vanished(err)
		}
		if sum != digest {
			return nil, changed(in.Path)
		}
		c.inputs = append(c.inputs, *in)
		c.parts = append(c.parts, parts)
		c.report.file(fr)
	}
	if c.report.Documents == 0 {
		return c, ErrNoText
	}
	if opt.ValidationShare >= 0 {
		if c.report.Documents < 2 {
			return c, ErrTooLittle
		}
		for _, v := range split.choose() {
			c.parts[v.file][v.doc] = Validation
			c.report.validation(v)
		}
	}
	c.report.finish(opt)
	c.langs = map[string]bool{}
	for _, l := range c.report.Languages {
		c.langs[l.Lang] = true
	}
	return c, nil
}

func contentHash(text string) [16]byte {
	h := sha256.Sum256([]byte(text))
	return [16]byte(h[:16])
}

func changed(path string) error {
	return fmt.Errorf("corpus: %q changed while it was being used: keep the data as it is until the run ends, then start again", path)
}

// vanished adds what to do to the error of a file that was listed and is gone.
func vanished(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: it was there a moment ago; keep the data in place until the run ends", err)
	}
	if errors.Is(err, os.ErrPermission) {
		return fmt.Errorf("%w: make it readable or leave it out", err)
	}
	return err
}

// each calls yield for every document of a file, empty ones included, in order, until it returns
// false. At the end of the file it returns the SHA-256 of what was read.
func (in *input) each(ctx context.Context, yield func(d *Document, altered bool) bool) (sum [32]byte, err error) {
	s, err := in.open(ctx)
	if err != nil {
		return sum, err
	}
	defer s.close()
	if in.Format == Text {
		t := newTextReader(s, TextPart)
		for {
			part, more, err := t.next()
			if err == io.EOF {
				return s.digest()
			}
			if err != nil {
				return sum, err
			}
			if !yield(&Document{Text: string(part), Lang: "und", Source: in.Source, Continues: more}, false) {
				return sum, nil
			}
		}
	}
	j := newJSONLReader(s, in.Path)
	for {
		r, err := j.next()
		if err == io.EOF {
			return s.digest()
		}
		if err != nil {
			return sum, err
		}
		d := Document{Lang: tag(r.lang), Source: r.source, Licence: r.licence, ID: r.id}
		if d.Source == "" {
			d.Source = in.Source
		}
		for rest := r.text; ; {
			n := len(rest)
			if n > MaxDocument {
				n = cutAt([]byte(rest[:MaxDocument+1]), MaxDocument)
			}
			d.Text, rest = rest[:n], rest[n:]
			d.Continues = rest != ""
			if !yield(&d, r.altered) {
				return sum, nil
			}
			if rest == "" {
				break
			}
		}
	}
}

// tag keeps what looks like a language tag.
func tag(s string) string {
	if s == "" || len(s) > 35 {
		return "und"
	}
	for _, c := range []byte(s) {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
			return "und"
		}
	}
	return s
}

// Documents reads the documents of one part, in the order of their files. The same corpus gives
// the same documents every time. An error ends the sequence; cancel ctx to end it early, or break.
func (c *Corpus) Documents(ctx context.Context, part Part) iter.Seq2[Document, error] {
	return func(yield func(Document, error) bool) {
		for i := range c.inputs {
			n, stop := 0, false
			sum, err := c.inputs[i].each(ctx, func(d *Document, _ bool) bool {
				if n >= len(c.parts[i]) {
					return false // more documents than there were: the digest differs as well
				}
				p := c.parts[i][n]
				n++
				if !c.langs[d.Lang] {
					d.Lang = "und"
				}
				stop = p == part && !yield(*d, nil)
				return !stop
			})
			switch {
			case stop:
				return
			case err != nil:
				yield(Document{}, vanished(err))
				return
			case !bytes.Equal(sum[:], c.report.Files[i].SHA256[:]):
				yield(Document{}, changed(c.inputs[i].Path))
				return
			}
		}
	}
}

// Report says what the corpus is made of. It must not be changed.
func (c *Corpus) Report() *Report { return &c.report }

// Fingerprint names the documents and their split: a run is resumed only on the corpus that it
// began with. It does not depend on where the files are.
func (c *Corpus) Fingerprint() [32]byte { return c.report.fingerprint }
