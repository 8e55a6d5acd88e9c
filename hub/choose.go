package hub

// Which files of a repository a model needs: by default the tensors in safetensors with config, tokenizer
// and templates; of a repository of GGUF files one quantisation, all its parts.

import (
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// usualTag is the quantisation that is taken when nobody says which.
const usualTag = "Q4_K_M"

// choose returns the chosen files of a list, in order of name. include and exclude are patterns as
// huggingface_hub has them: * and ? also match slashes, and a pattern that ends in a slash means all below.
func choose(files []remote, want string, include, exclude []string) ([]remote, error) {
	var chosen []remote
	var err error
	switch {
	case len(include) > 0 && want != "":
		return nil, fmt.Errorf("hub: %q and --include name files in two ways: give one of them", want)
	case len(include) > 0:
		chosen, err = filter(files, include, true)
	case want != "":
		chosen, err = byName(files, want)
	default:
		chosen, err = usual(files)
	}
	if err == nil && len(exclude) > 0 {
		chosen, err = filter(chosen, exclude, false)
	}
	if err != nil {
		return nil, err
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("hub: no file of the repository fits the patterns: it holds %s", some(files))
	}
	chosen = slices.SortedFunc(slices.Values(chosen), func(a, b remote) int { return strings.Compare(a.name, b.name) })
	seen := map[string]string{}
	for _, f := range chosen {
		if err := checkPortable(f.name); err != nil {
			return nil, err
		}
		lower := strings.ToLower(f.name)
		if other, ok := seen[lower]; ok {
			return nil, fmt.Errorf("hub: files %q and %q are one where case does not count: leave one out (--exclude)", other, f.name)
		}
		seen[lower] = f.name
	}
	return chosen, nil
}

// filter keeps the files that match one of the patterns, or those that match none.
func filter(files []remote, patterns []string, keep bool) ([]remote, error) {
	var out []remote
	for _, f := range files {
		match := false
		for _, p := range patterns {
			ok, err := matches(p, f.name)
			if err != nil {
				return nil, err
			}
			match = match || ok
		}
		if match == keep {
			out = append(out, f)
		}
	}
	return out, nil
}

func matches(pattern, name string) (bool, error) {
	p := pattern
	if strings.HasSuffix(p, "/") {
		p += "*"
	}
	flat := strings.NewReplacer("/", "\x01", "[!", "[^") // path.Match stops at slashes only
	ok, err := path.Match(flat.Replace(p), strings.ReplaceAll(name, "/", "\x01"))
	if err != nil {
		return false, fmt.Errorf("hub: pattern %q: %w", pattern, err)
	}
	return ok, nil
}

// usual is what a model needs.
func usual(files []remote) ([]remote, error) {
	var chosen []remote
	tensors := false
	for _, f := range files {
		if strings.Contains(f.name, "/") {
			if strings.HasPrefix(f.name, "additional_chat_templates/") {
				chosen = append(chosen, f)
			}
			continue
		}
		switch path.Ext(f.name) {
		case ".safetensors":
			if strings.HasPrefix(f.name, "consolidated") {
				continue // the same tensors under the names of another program
			}
			tensors = true
			chosen = append(chosen, f)
		case ".json", ".jinja", ".model", ".tiktoken":
			chosen = append(chosen, f)
		default:
			if f.name == "merges.txt" || f.name == "vocab.txt" || strings.HasPrefix(f.name, "LICENSE") {
				chosen = append(chosen, f)
			}
		}
	}
	if tensors {
		return chosen, nil
	}
	models := ggufModels(files)
	switch {
	case len(models) == 1:
		return models[0].complete()
	case len(models) > 1:
		if chosen, err := byTag(models, usualTag); err == nil {
			return chosen, nil
		}
		return nil, fmt.Errorf("hub: the repository holds several models: name one after a colon: %s", strings.Join(tags(models), ", "))
	}
	for _, f := range files {
		if ext := path.Ext(f.name); ext == ".bin" || ext == ".pt" || ext == ".pth" {
			return nil, fmt.Errorf("hub: the repository holds its tensors as %s, which can run programs when it is read: look for a version in safetensors or GGUF", f.name)
		}
	}
	return nil, fmt.Errorf("hub: the repository holds neither safetensors nor GGUF but %s: choose files with --include if you want them", some(files))
}

// byName finds a file, or a quantisation.
func byName(files []remote, want string) ([]remote, error) {
	models := ggufModels(files)
	for _, m := range models {
		for _, f := range m.files {
			if f.name == want {
				return m.complete()
			}
		}
	}
	for _, f := range files {
		if f.name == want {
			return []remote{f}, nil
		}
	}
	if len(models) == 0 {
		return nil, fmt.Errorf("hub: %q: no file has this name, and the repository holds no GGUF: it holds %s", want, some(files))
	}
	return byTag(models, want)
}

// byTag finds a quantisation: Q4_K_M also finds UD-Q4_K_M where that is the only one.
func byTag(models []ggufModel, tag string) ([]remote, error) {
	for _, form := range []string{tag, "UD-" + tag} {
		var found []ggufModel
		for _, m := range models {
			if strings.EqualFold(m.tag, form) {
				found = append(found, m)
			}
		}
		switch {
		case len(found) == 1:
			return found[0].complete()
		case len(found) > 1:
			return nil, fmt.Errorf("hub: %q fits several files: name one of them: %s and %s", tag, found[0].files[0].name, found[1].files[0].name)
		}
	}
	return nil, fmt.Errorf("hub: %q is no file and no quantisation here: there are %s", tag, strings.Join(tags(models), ", "))
}

// ggufModel is a model in one GGUF file or in the parts of a split one.
type ggufModel struct {
	stem  string
	tag   string // its quantisation as the name tells it, "" when it does not
	of    int    // parts that there should be, 0 for a model in one file
	files []remote
}

var (
	splitPart = regexp.MustCompile(`^(.*)-([0-9]{5})-of-([0-9]{5})$`)
	quantTag  = regexp.MustCompile(`(?i)(?:^|[-._])((?:UD-)?(?:I?Q[1-8]|TQ[12]|MXFP4|NVFP4|BF16|FP?16|FP?32)(?:_[A-Z0-9_]+)?)$`)
)

// ggufModels groups the GGUF files of a list by model, in order of name. Projectors and importance
// matrices are no models.
func ggufModels(files []remote) []ggufModel {
	byName := map[string]*ggufModel{}
	for _, f := range files {
		stem, ok := strings.CutSuffix(f.name, ".gguf")
		if !ok || strings.HasPrefix(path.Base(stem), "mmproj") || strings.Contains(path.Base(stem), "imatrix") {
			continue
		}
		key, of := stem, 0
		if m := splitPart.FindStringSubmatch(stem); m != nil {
			stem, key = m[1], m[1]+"-of-"+m[3]
			of, _ = strconv.Atoi(m[3]) // five digits
		}
		m := byName[key]
		if m == nil {
			m = &ggufModel{stem: stem, tag: tagOf(stem), of: of}
			byName[key] = m
		}
		m.files = append(m.files, f)
	}
	var out []ggufModel
	for _, key := range slices.Sorted(maps.Keys(byName)) {
		m := byName[key]
		slices.SortFunc(m.files, func(a, b remote) int { return strings.Compare(a.name, b.name) })
		out = append(out, *m)
	}
	return out
}

// complete returns the files of a model of which no part is missing.
func (m ggufModel) complete() ([]remote, error) {
	for i := range m.of {
		name := fmt.Sprintf("%s-%05d-of-%05d.gguf", m.stem, i+1, m.of)
		if i >= len(m.files) || m.files[i].name != name {
			return nil, fmt.Errorf("hub: %s has %d parts, and %q is not there", m.stem, m.of, name)
		}
	}
	return m.files, nil
}

// tagOf reads the quantisation from the end of a name, else from its directory.
func tagOf(stem string) string {
	if m := quantTag.FindStringSubmatch(path.Base(stem)); m != nil {
		return strings.ToUpper(m[1])
	}
	if m := quantTag.FindStringSubmatch(path.Base(path.Dir(stem))); m != nil {
		return strings.ToUpper(m[1])
	}
	return ""
}

// tags are the names by which models can be told apart.
func tags(models []ggufModel) []string {
	var out []string
	for _, m := range models {
		name := m.tag
		if name == "" {
			name = m.files[0].name
		}
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

// some lists the first few names.
func some(files []remote) string {
	const few = 5
	var names []string
	for _, f := range files[:min(few, len(files))] {
		names = append(names, f.name)
	}
	switch n := len(files) - len(names); {
	case len(files) == 0:
		return "no files"
	case n > 0:
		return fmt.Sprintf("%s and %d more", strings.Join(names, ", "), n)
	}
	return strings.Join(names, ", ")
}
