package infer

// What a tokenizer is, in 32 bytes.

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/haenyeo/haenyeo/tokenizer"
)

// TokenizerFingerprint hashes what every id stands for: its bytes and its type. How text is cut does not matter to
// tokens that were read. nil gives zero.
func TokenizerFingerprint(t *tokenizer.Tokenizer) (sum [sha256.Size]byte) {
	if t == nil {
		return sum
	}
	h := sha256.New()
	var b []byte
	for id := range int32(t.VocabSize()) {
		token := t.TokenBytes(id)
		b = binary.LittleEndian.AppendUint32(b[:0], uint32(len(token)))
		b = append(b, byte(t.TokenType(id)))
		h.Write(append(b, token...))
	}
	h.Sum(sum[:0])
	return sum
}
