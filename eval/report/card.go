// This file makes the model card: README.md with a YAML header, as the Hugging Face hub reads it.
// The hub wants `datasets` to be plain names, so licence and hash stand under `data_sources`.

package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

const curveRows = 16 // of the measured curve

// Card returns README.md.
func (r *Run) Card() []byte {
	var b bytes.Buffer
	r.header(&b)
	name := r.Name
	if name == "" {
		name = "A model made with haenyeo"
	}
	fmt.Fprintf(&b, "\n# %s\n\n", inline(name))
	if h := r.headline(); h != "" {
		fmt.Fprintf(&b, "%s.\n\n", inline(h))
	}
	kind := ""
	if r.Architecture != "" {
		kind = " of the " + inline(r.Architecture) + " architecture"
	}
	fmt.Fprintf(&b, "A small language model%s, trained from scratch. It continues text; it knows little, invents freely and was not tuned to follow instructions or to be safe. `report.html` shows how it learned.\n", kind)
	if len(r.Commands) > 0 {
		b.WriteString("\n## Use\n")
		for _, c := range r.Commands {
			fmt.Fprintf(&b, "\n%s\n\n%s\n", inline(c.What), fenced(c.Line))
		}
	}
	r.results(&b)
	r.dataSection(&b)
	b.WriteString("\n## How it was made\n\n")
	pairs(&b, append(r.planTable(), r.Config...))
	if len(r.Plan.Options) > 0 {
		b.WriteString("\nHyper-parameters:\n\n")
		pairs(&b, r.Plan.Options)
	}
	if r.Machine != "" {
		fmt.Fprintf(&b, "\nMachine: %s.\n", inline(r.Machine))
	}
	return b.Bytes()
}

func (r *Run) header(b *bytes.Buffer) {
	b.WriteString("---\n")
	if r.License != "" {
		fmt.Fprintf(b, "license: %s\n", quote(r.License))
	} else {
		b.WriteString("license: other\nlicense_name: not-stated\n")
	}
	list := func(key string, items []string) {
		if len(items) == 0 {
			return
		}
		fmt.Fprintf(b, "%s:\n", key)
		for _, s := range items {
			fmt.Fprintf(b, "- %s\n", quote(s))
		}
	}
	var langs, names []string
	for _, l := range r.Data.Languages {
		if l.Lang != "und" {
			langs = append(langs, l.Lang)
		}
	}
	list("language", langs)
	b.WriteString("library_name: transformers\npipeline_tag: text-generation\n")
	list("tags", append(append([]string{"haenyeo"}, r.Tags...), "from-scratch"))
	seen := map[string]bool{}
	for _, s := range r.Data.Sources {
		if !seen[s.Name] {
			seen[s.Name] = true
			names = append(names, s.Name)
		}
	}
	list("datasets", names)
	if len(r.Data.Sources)+len(r.Data.Files) > 0 {
		b.WriteString("data_sources:\n")
	}
	for _, s := range r.Data.Sources {
		licence := s.Licence
		if licence == "" {
			licence = "not stated"
		}
		fmt.Fprintf(b, "- name: %s\n  language: %s\n  license: %s\n  documents: %d\n  bytes: %d\n", quote(s.Name), quote(s.Lang), quote(licence), s.Documents, s.Bytes)
		for _, f := range []Setting{{"repository", s.Repository}, {"author", s.Author}, {"sha256", s.SHA256}} {
			if f.Value != "" {
				fmt.Fprintf(b, "  %s: %s\n", f.Name, quote(f.Value))
			}
		}
		if s.Translated {
			b.WriteString("  machine_translated: true\n")
		}
	}
	for _, f := range r.Data.Files {
		fmt.Fprintf(b, "- file: %s\n  bytes: %d\n  sha256: %s\n", quote(f.Name), f.Bytes, quote(f.SHA256))
	}
	for _, o := range r.Plan.Options {
		if o.Name == "seed" {
			fmt.Fprintf(b, "seed: %s\n", quote(o.Value))
		}
	}
	if e := r.last(); e != nil && finite(e.BPB) {
		name := r.Name
		if name == "" {
			name = "model"
		}
		fmt.Fprintf(b, "model-index:\n- name: %s\n  results:\n  - task:\n      type: text-generation\n    dataset:\n      type: validation\n      name: validation split of the training data\n    metrics:\n    - type: bits_per_byte\n      value: %.4f\n", quote(name), e.BPB)
	}
	b.WriteString("---\n")
}

// results is the measured curve: some evaluations, the last of them by language.
func (r *Run) results(b *bytes.Buffer) {
	if len(r.Evals) == 0 {
		return
	}
	b.WriteString("\n## Results\n\nBits per byte of validation text, which was held back from training (lower is better).\n\n| step | tokens | training loss | validation bits per byte |\n| ---: | ---: | ---: | ---: |\n")
	for _, e := range thin(r.Evals, curveRows) {
		loss := ""
		if l := r.lossNear(e.Step); l > 0 {
			loss = fmt.Sprintf("%.3f", l)
		}
		fmt.Fprintf(b, "| %d | %s | %s | %.3f |\n", e.Step, count(float64(r.tokensAt(e.Step))), loss, e.BPB)
	}
	if rows := r.languageTable(); len(rows) > 0 {
		b.WriteString("\n| language | bits per byte at the end |\n| --- | ---: |\n")
		for _, l := range rows {
			fmt.Fprintf(b, "| %s | %s |\n", inline(l.Name), l.Value)
		}
	}
}

func (r *Run) dataSection(b *bytes.Buffer) {
	d := &r.Data
	if d.Documents == 0 && len(d.Sources) == 0 {
		return
	}
	fmt.Fprintf(b, "\n## Data\n\n%d documents, %s of text", d.Documents, size(d.Bytes))
	if d.ValidationBytes > 0 {
		fmt.Fprintf(b, ", of which %s were held back for validation by the hash of their content", size(d.ValidationBytes))
	}
	b.WriteString(".")
	if d.Tokenizer != "" {
		fmt.Fprintf(b, " Tokenizer: %s.", inline(d.Tokenizer))
	}
	b.WriteString("\n")
	if len(d.Sources) > 0 {
		b.WriteString("\n| source | language | licence | documents | bytes | from | SHA-256 |\n| --- | --- | --- | ---: | ---: | --- | --- |\n")
		for _, s := range d.Sources {
			licence := s.Licence
			if licence == "" {
				licence = "not stated"
			}
			name := inline(s.Name)
			if s.Translated {
				name += " (machine translation)"
			}
			from := s.Repository
			if s.Author != "" {
				from = strings.TrimPrefix(from+"; "+s.Author, "; ")
			}
			fmt.Fprintf(b, "| %s | %s | %s | %d | %d | %s | %s |\n", name, inline(s.Lang), inline(licence), s.Documents, s.Bytes, inline(from), inline(s.SHA256))
		}
	}
	if len(d.Files) > 0 {
		b.WriteString("\n| file | bytes | documents | SHA-256 |\n| --- | ---: | ---: | --- |\n")
		for i, f := range d.Files {
			if i == 200 {
				fmt.Fprintf(b, "| and %d more, see the header | | | |\n", len(d.Files)-i)
				break
			}
			fmt.Fprintf(b, "| %s | %d | %d | %s |\n", inline(f.Name), f.Bytes, f.Documents, f.SHA256)
		}
	}
	if notes := d.notes(); len(notes) > 0 {
		b.WriteString("\n")
		for _, n := range notes {
			fmt.Fprintf(b, "- %s\n", inline(n))
		}
	}
}

func pairs(b *bytes.Buffer, rows []Setting) {
	if len(rows) == 0 {
		return
	}
	b.WriteString("| | |\n| --- | --- |\n")
	for _, s := range rows {
		fmt.Fprintf(b, "| %s | %s |\n", inline(s.Name), inline(s.Value))
	}
}

// quote writes a YAML string in the style that is JSON's as well.
func quote(s string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if e.Encode(s) != nil {
		return `""`
	}
	return strings.TrimSuffix(strings.ReplaceAll(b.String(), "\x7f", `\u007f`), "\n")
}

var markdown = strings.NewReplacer(`\`, `\\`, "`", "\\`", "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`, "<", "&lt;", ">", "&gt;", "|", `\|`, "\n", " ", "\r", " ")

// inline escapes a text for a line of Markdown or a cell of a table.
func inline(s string) string { return markdown.Replace(plain(s)) }

// fenced puts a text between fences that are longer than any in it.
func fenced(s string) string {
	fence := "```"
	for strings.Contains(s, fence) {
		fence += "`"
	}
	return fence + "\n" + s + "\n" + fence
}
