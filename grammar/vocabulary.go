package grammar

// The tokens of a vocabulary as a tree of their bytes, laid out in the order in which it is walked.

import (
	"bytes"
	"slices"

	"github.com/haenyeo/haenyeo/tokenizer"
)

// Vocabulary is the tokens that a grammar chooses from. It does not change, takes some 60 bytes a token, and may be
// used by many grammars and goroutines.
type Vocabulary struct {
	size     int
	spelled  [][]byte // by id; nil: never permitted
	controls map[string]int32

	// By node, a parent before its children: the byte, how deep it is, where the nodes below it end, and the token that
	// ends here, -1 where none does.
	byteAt []byte
	depth  []uint16
	end    []int32
	token  []int32
	twins  map[int32][]int32 // by node: further tokens of the same bytes
	deep   int               // of the deepest node, plus 1
}

// maxToken is the longest token that is ever permitted.
const maxToken = 4096

// NewVocabulary takes ids 0 to size-1. bytes gives what a token stands for, control whether it is a control token,
// which text never becomes; nil: none is.
func NewVocabulary(size int, bytesOf func(id int32) []byte, control func(id int32) bool) *Vocabulary {
	v := &Vocabulary{size: size, controls: map[string]int32{}, twins: map[int32][]int32{}}
	v.spelled = make([][]byte, size)
	ids := make([]int32, 0, size)
	for id := range int32(size) {
		b := bytesOf(id)
		switch {
		case len(b) == 0 || len(b) > maxToken:
			continue
		case control != nil && control(id):
			v.controls[string(b)] = id
			b = []byte(spellControl(string(b)))
		case bytes.IndexByte(b, controlMark[0]) >= 0:
			continue // never part of UTF-8
		}
		v.spelled[id] = b
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b int32) int {
		if d := bytes.Compare(v.spelled[a], v.spelled[b]); d != 0 {
			return d
		}
		return int(a - b)
	})
	v.build(ids)
	return v
}

// OfTokenizer is the vocabulary of a tokenizer. Added tokens are control tokens, but for harmless ones: those that are
// letters, as some tokenizers have them, are text.
func OfTokenizer(t *tokenizer.Tokenizer) *Vocabulary {
	harmless := map[int32]bool{}
	for _, a := range t.AddedTokens() {
		harmless[a.ID] = a.Harmless()
	}
	return NewVocabulary(t.VocabSize(), t.TokenBytes, func(id int32) bool { return t.TokenType(id) != tokenizer.Normal && !harmless[id] })
}

// build makes the tree of ids, which are sorted by what they are spelled as.
func (v *Vocabulary) build(ids []int32) {
	var open []int32 // the nodes of the last token
	var last []byte
	closeTo := func(n int) {
		for _, at := range open[n:] {
			v.end[at] = int32(len(v.byteAt))
		}
		open = open[:n]
	}
	for _, id := range ids {
		b := v.spelled[id]
		same := 0
		for same < len(last) && same < len(b) && last[same] == b[same] {
			same++
		}
		if same == len(b) && len(b) == len(last) {
			at := open[same-1]
			v.twins[at] = append(v.twins[at], id)
			continue
		}
		closeTo(same)
		for i := same; i < len(b); i++ {
			open = append(open, int32(len(v.byteAt)))
			v.byteAt = append(v.byteAt, b[i])
			v.depth = append(v.depth, uint16(i))
			v.end = append(v.end, 0)
			v.token = append(v.token, -1)
		}
		v.token[len(v.token)-1] = id
		v.deep = max(v.deep, len(b))
		last = b
	}
	closeTo(0)
}

// each calls f with the tokens that end at a node.
func (v *Vocabulary) each(at int32, f func(id int32)) {
	if id := v.token[at]; id >= 0 {
		f(id)
		for _, twin := range v.twins[at] {
			f(twin)
		}
	}
}

// leaf says whether nothing is below a node.
func (v *Vocabulary) leaf(at int32) bool { return v.end[at] == at+1 }
