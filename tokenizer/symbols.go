package tokenizer

// The GPT-2 byte alphabet: how tokenizer.json and GGUF spell the 256 bytes as printable characters.
//
// Bytes 33-126, 161-172 and 174-255 stand for themselves; the other 68, in ascending order, are U+0100 to U+0143.
// Source: openai/gpt-2, bytes_to_unicode.

import "unicode/utf8"

const symbolRunes = 0x144 // one past the last symbol

var (
	symbolOfByte = makeSymbols()
	byteOfSymbol = invertSymbols(symbolOfByte)
)

func makeSymbols() (symbol [256]rune) {
	next := rune(0x100)
	for b := range symbol {
		if b >= 33 && b <= 126 || b >= 161 && b <= 172 || b >= 174 {
			symbol[b] = rune(b)
		} else {
			symbol[b] = next
			next++
		}
	}
	return symbol
}

// invertSymbols gives the byte of each symbol, -1 where the character is none.
func invertSymbols(symbol [256]rune) (byteOf [symbolRunes]int16) {
	for i := range byteOf {
		byteOf[i] = -1
	}
	for b, r := range symbol {
		byteOf[r] = int16(b)
	}
	return byteOf
}

// appendSymbols appends the symbol spelling of raw bytes.
func appendSymbols(dst, raw []byte) []byte {
	for _, b := range raw {
		dst = utf8.AppendRune(dst, symbolOfByte[b])
	}
	return dst
}

// appendBytesOfSymbols appends the bytes that a symbol spelling stands for; false, with dst as it was, when a
// character is not in the alphabet.
func appendBytesOfSymbols(dst []byte, spelling string) ([]byte, bool) {
	n := len(dst)
	for _, r := range spelling {
		if r >= symbolRunes || byteOfSymbol[r] < 0 {
			return dst[:n], false
		}
		dst = append(dst, byte(byteOfSymbol[r]))
	}
	return dst, true
}
