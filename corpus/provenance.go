// This file holds Report: what a corpus was made of, for the plan, the model card and the report
// page. Its size is bounded whatever the data says: rare languages and sources are counted together.

package corpus

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
)

const (
	maxLanguages = 256 // further ones count as "und"
	maxSources   = 1000
	maxSkips     = 1000 // listed; all are counted
	others       = "(others)"
)

// Report is the provenance of a corpus.
type Report struct {
	Files     []FileReport
	Skipped   []Skip // the first thousand files that were left out
	SkipCount int

	Documents, Bytes                     int64 // kept, both parts
	ValidationDocuments, ValidationBytes int64
	Duplicates, Empty, Altered, NotNFC   int64 // NotNFC documents are kept

	Languages []Language // by bytes, largest first
	Sources   []Source   // by bytes, largest first

	languages   map[string]*Language
	sources     map[[3]string]*Source
	fingerprint [32]byte
}

// FileReport is one file that was read.
type FileReport struct {
	Path      string
	Format    Format
	Bytes     int64 // as stored
	TextBytes int64 // decompressed
	SHA256    [32]byte
	Documents int64 // kept
	// Dropped: equal to an earlier document, without a letter, or with half a surrogate pair that
	// JSON cannot carry to UTF-8. NotNFC documents are kept as they are.
	Duplicates, Empty, Altered, NotNFC int64
}

// Skip is a file that was left out, and why.
type Skip struct{ Path, Reason string }

// Language is the share of one language.
type Language struct {
	Lang                                 string
	Documents, Bytes                     int64 // both parts
	ValidationDocuments, ValidationBytes int64
}

// Source is the share of one source, licence and language.
type Source struct {
	Name, Licence, Lang string
	Documents, Bytes    int64
}

func newReport(skips []Skip) Report {
	r := Report{languages: map[string]*Language{}, sources: map[[3]string]*Source{}}
	for _, s := range skips {
		r.skip(s.Path, s.Reason)
	}
	return r
}

func (r *Report) skip(path, reason string) {
	r.SkipCount++
	if len(r.Skipped) < maxSkips {
		r.Skipped = append(r.Skipped, Skip{path, reason})
	}
}

// add counts a document that is kept, and sets its language to "und" if there are too many.
func (r *Report) add(d *Document, f *FileReport) {
	n := int64(len(d.Text))
	f.Documents++
	r.Documents++
	r.Bytes += n
	l := r.languages[d.Lang]
	if l == nil {
		if len(r.languages) >= maxLanguages {
			d.Lang = "und"
		}
		if l = r.languages[d.Lang]; l == nil {
			l = &Language{Lang: d.Lang}
			r.languages[d.Lang] = l
		}
	}
	l.Documents++
	l.Bytes += n
	key := [3]string{d.Source, d.Licence, d.Lang}
	s := r.sources[key]
	if s == nil {
		if len(r.sources) >= maxSources {
			key = [3]string{others, others, "und"}
		}
		if s = r.sources[key]; s == nil {
			s = &Source{Name: key[0], Licence: key[1], Lang: key[2]}
			r.sources[key] = s
		}
	}
	s.Documents++
	s.Bytes += n
}

func (r *Report) file(f FileReport) {
	r.Files = append(r.Files, f)
	r.Duplicates += f.Duplicates
	r.Empty += f.Empty
	r.Altered += f.Altered
	r.NotNFC += f.NotNFC
}

func (r *Report) validation(c candidate) {
	r.ValidationDocuments++
	r.ValidationBytes += int64(c.size)
	l := r.languages[c.lang]
	l.ValidationDocuments++
	l.ValidationBytes += int64(c.size)
}

func (r *Report) finish(opt Options) {
	for _, l := range r.languages {
		r.Languages = append(r.Languages, *l)
	}
	slices.SortFunc(r.Languages, func(a, b Language) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Lang, b.Lang))
	})
	for _, s := range r.sources {
		r.Sources = append(r.Sources, *s)
	}
	slices.SortFunc(r.Sources, func(a, b Source) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Lang, b.Lang), cmp.Compare(a.Licence, b.Licence))
	})
	r.languages, r.sources = nil, nil

	h := sha256.New()
	var b [24]byte
	binary.LittleEndian.PutUint64(b[0:], 1) // version of the decisions made here
	binary.LittleEndian.PutUint64(b[8:], math.Float64bits(max(opt.share(), 0)))
	binary.LittleEndian.PutUint64(b[16:], uint64(opt.cap()))
	h.Write(b[:])
	for i := range r.Files {
		h.Write([]byte{byte(r.Files[i].Format)})
		h.Write(r.Files[i].SHA256[:])
	}
	r.fingerprint = [32]byte(h.Sum(nil))
}

// reasons says why nothing was found.
func (r *Report) reasons() string {
	switch {
	case len(r.Skipped) > 0:
		s := r.Skipped[0]
		more := ""
		if r.SkipCount > 1 {
			more = fmt.Sprintf(" and %d more files", r.SkipCount-1)
		}
		return fmt.Sprintf("left out %q (%s)%s: give text, Markdown or JSONL files in UTF-8", s.Path, s.Reason, more)
	case len(r.Files) == 0:
		return "there are no files: give text, Markdown or JSONL files"
	}
	if r.Altered > 0 {
		return r.altered() + ": write characters whole, in UTF-8 or as both halves"
	}
	return "the files have no letters in them: give text, Markdown or JSONL files"
}
