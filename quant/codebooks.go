// This file holds the codebooks of the lattice formats: lists of points of
// eight or four coordinates that a code stands for. No rule generates them;
// they are part of the file format.
//
// codebooks.bin holds every point as 16 bits, little-endian, coordinate i in
// bits i*w and up as an index into the codebook's alphabet. It is made from
// testdata/iq_codebooks.json by
//
//	go test ./quant -run TestCodebooks -update
//
// Source: the tables of the ggml project (MIT licence, see LICENSE.ggml).

package quant

import (
	_ "embed"
	"encoding/binary"
	"sync"
)

//go:embed codebooks.bin
var codebooksBin []byte

// codebooks are the points as numbers to multiply with a scale.
type codebooks struct {
	iq2xxs [256][8]float32
	iq2xs  [512][8]float32
	iq2s   [1024][8]float32
	iq1s   [2048][8]float32
	iq3xxs [256][4]float32
	iq3s   [512][4]float32

	signs [256][8]float32 // bit j set: -1, else 1
	even  [128]byte       // the signs of a 7-bit code: its bits and their parity
}

// lattice makes the codebooks when the first block needs them.
var lattice = sync.OnceValue(func() *codebooks {
	c := new(codebooks)
	b := codebooksBin
	b = points8(b, c.iq2xxs[:], []float32{8, 25, 43})
	b = points8(b, c.iq2xs[:], []float32{8, 25, 43})
	b = points8(b, c.iq2s[:], []float32{8, 25, 43})
	b = points8(b, c.iq1s[:], []float32{-1, 0, 1})
	b = points4(b, c.iq3xxs[:], []float32{4, 12, 20, 28, 36, 44, 52, 62})
	points4(b, c.iq3s[:], []float32{1, 3, 5, 7, 9, 11, 13, 15})
	for i := range c.signs {
		parity := 0
		for j := range 8 {
			c.signs[i][j] = 1 - 2*float32(i>>j&1)
			parity ^= i >> j & 1
		}
		if i < 128 {
			c.even[i] = byte(i | parity<<7)
		}
	}
	return c
})

// points8 unpacks points of eight coordinates of 2 bits and returns the bytes
// that follow.
func points8(b []byte, points [][8]float32, alphabet []float32) []byte {
	for i := range points {
		p := binary.LittleEndian.Uint16(b[2*i:])
		for j := range 8 {
			points[i][j] = alphabet[p>>(2*j)&3]
		}
	}
	return b[2*len(points):]
}

// points4 unpacks points of four coordinates of 3 bits.
func points4(b []byte, points [][4]float32, alphabet []float32) []byte {
	for i := range points {
		p := binary.LittleEndian.Uint16(b[2*i:])
		for j := range 4 {
			points[i][j] = alphabet[p>>(3*j)&7]
		}
	}
	return b[2*len(points):]
}
