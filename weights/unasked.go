// This file holds the other direction of Check: tensors that are there and that the configuration does not ask
// for. A file with more layers, biases or experts than its configuration would run, as another model.

package weights

import (
	"fmt"
	"strconv"
	"strings"
)

// unasked lists the tensors inside layers that have no place in the model, one of each kind. Multi-token
// prediction layers are left alone, and so is what changes no arithmetic: scales, tables of frequencies.
func (s *Source) unasked() []error {
	var prefix, counted string
	var names []string
	var asked map[string]bool
	switch f := s.files.(type) {
	case *safetensorsFiles:
		prefix, counted = "model.layers.", "num_hidden_layers"
		if s.cfg.ModelType == "deepseek_v4" {
			prefix = "layers."
		}
		names, asked = f.publishedNames(), s.askedNames()
	case *ggufFiles:
		prefix, counted = "blk.", "block_count"
		for _, t := range f.f.Tensors() {
			names = append(names, t.Name)
		}
		asked = s.askedGGUF()
	default:
		return nil // a model in training has what it was made with
	}
	predictors := map[int]bool{}
	for _, name := range names {
		if i, rest, ok := layerOf(name, prefix); ok && predicts(rest) {
			predictors[i] = true
		}
	}
	var problems []error
	seen := map[string]bool{}
	for _, name := range names {
		i, rest, ok := layerOf(name, prefix)
		name = strings.TrimSuffix(name, "_packed") // of a ".weight"
		if !ok || predictors[i] || asked[strings.TrimSuffix(name, ".weight")] || harmless(rest) {
			continue
		}
		kind := withoutDigits(rest)
		if i >= s.cfg.NumHiddenLayers {
			kind = "layer"
		}
		if seen[kind] {
			continue
		}
		seen[kind] = true
		if kind == "layer" {
			problems = append(problems, fmt.Errorf("weights: tensor %q is one of layer %d, but the configuration has %d layers (%s): they belong to different models", name, i, s.cfg.NumHiddenLayers, counted))
		} else {
			problems = append(problems, fmt.Errorf("weights: tensor %q has no place in a %s of this configuration: the files belong to another model, or a key that announces it is missing or wrong", name, s.cfg.ModelType))
		}
	}
	return problems
}

// publishedNames are the names of all tensors, translated.
func (f *safetensorsFiles) publishedNames() []string {
	own := map[string]string{}
	for p, name := range f.other {
		own[name] = p
	}
	names := make([]string, 0, len(f.r.Names()))
	for _, name := range f.r.Names() {
		if p, ok := own[name]; ok {
			name = p
		}
		names = append(names, name)
	}
	return names
}

// askedNames are the published names that the configuration asks for, without ".weight".
func (s *Source) askedNames() map[string]bool {
	asked := map[string]bool{}
	for t := range Expected(s.cfg) {
		asked[strings.TrimSuffix(t.Name, ".weight")] = true
	}
	return asked
}

// askedGGUF are the same under the names of a GGUF.
func (s *Source) askedGGUF() map[string]bool {
	asked := map[string]bool{}
	for t := range Expected(s.cfg) {
		own := s.ownName(t.Name)
		base, _, stacked := strings.Cut(own, "_exps.")
		switch {
		case stacked:
			block := base[:strings.LastIndexByte(base, '.')]
			asked[block+".ffn_gate_up_exps"] = true
			asked[base+"_exps"] = true
		case strings.HasSuffix(own, ".attn_kv_b.weight"):
			block := strings.TrimSuffix(own, "attn_kv_b.weight")
			asked[block+"attn_kv_b"], asked[block+"attn_k_b"], asked[block+"attn_v_b"] = true, true, true
		default:
			asked[strings.TrimSuffix(own, ".weight")] = true
		}
	}
	return asked
}

// layerOf takes the number of its layer off a name.
func layerOf(name, prefix string) (layer int, rest string, ok bool) {
	rest, ok = strings.CutPrefix(name, prefix)
	if !ok {
		return 0, "", false
	}
	number, rest, ok := strings.Cut(rest, ".")
	layer, err := strconv.Atoi(number)
	return layer, rest, ok && err == nil && layer >= 0
}

// predicts says whether a name inside a layer is one that only multi-token prediction layers have.
func predicts(rest string) bool {
	return strings.HasPrefix(rest, "nextn.") || strings.HasPrefix(rest, "eh_proj.") || strings.HasPrefix(rest, "e_proj.")
}

// harmless says whether a tensor of that name inside a layer leaves the arithmetic alone, or belongs to a
// matrix that is asked for itself.
func harmless(rest string) bool {
	rest = strings.TrimSuffix(rest, ".weight")
	last := rest[strings.LastIndexByte(rest, '.')+1:]
	return strings.Contains(last, "scale") || strings.HasPrefix(last, "weight_") || last == "inv_freq" || last == "rope_freqs" || last == "_extra_state" ||
		last == "attn_rot_embd"
}

// withoutDigits makes the names of one kind of tensor alike.
func withoutDigits(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return -1
		}
		return r
	}, s)
}
