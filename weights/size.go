// This file holds how many bytes weights take, and how many of them one token meets.

package weights

import "strings"

// TokenBytes is how many bytes of weights one token meets: all that the configuration asks for but the
// embedding table, of which it meets a row, and but the routed experts that are not chosen. Scales that lie in
// tensors of their own are not counted.
func (s *Source) TokenBytes() int64 {
	var all, experts int64
	for want := range Expected(s.cfg) {
		t, ok := s.files.find(want.Name)
		switch {
		case !ok || want.Ints:
		case strings.Contains(want.Name, ".experts."):
			experts += int64(len(t.data))
		case strings.HasSuffix(want.Name, "embed_tokens.weight") && !s.cfg.TieWordEmbeddings, want.Name == "embed.weight":
		default:
			all += int64(len(t.data))
		}
	}
	if e := s.cfg.NRoutedExperts; e > 0 {
		all += experts / int64(e) * int64(s.cfg.NumExpertsPerTok)
	}
	return all
}

// Bytes is how many bytes of weights the configuration asks for.
func (s *Source) Bytes() (sum int64) {
	for want := range Expected(s.cfg) {
		if t, ok := s.files.find(want.Name); ok {
			sum += int64(len(t.data))
		}
	}
	return sum
}
