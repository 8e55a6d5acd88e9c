package machine

import (
	"encoding/binary"
	"time"

	"github.com/haenyeo/haenyeo/kernel"
	"github.com/haenyeo/haenyeo/quant"
)

// ReadBandwidth returns the bytes per second at which all threads together read memory that is in
// no cache: the best of two ways of reading it. One is plain loads from several places at once, which every
// processor has, the other the product of a matrix and a vector, with the widest loads and the prefetching that
// there are: what runs a model must not be faster than what it is compared with.
func ReadBandwidth(e *kernel.Engine, within time.Duration) float64 {
	const size = 512 << 20
	data := make([]byte, size)
	for i := 0; i < size; i += 4096 {
		data[i] = 1 // pages that were never written are all the same one
	}
	plain := streams{data: data, sums: make([]uint64, size/streamsBytes)}
	best := fastest(within/2, func() { e.Pool().Run(len(plain.sums), &plain) })

	const k = 4096
	w := kernel.Stored{Name: "memory", N: size / 4 / k, K: k, Type: quant.F32, Data: data}
	product := []kernel.StoredProduct{{W: &w, Y: make([]float32, w.N), LDY: w.N, X: make([]float32, k), LDX: k, Rows: 1}}
	best = min(best, fastest(within/2, func() { e.MultiplyStored(product, kernel.F32) }))
	return size / best.Seconds()
}

// streamsBytes is what a task of streams reads.
const streamsBytes = 4 << 20

// streams adds up data, from several places at once: the processor fetches ahead behind each of them.
type streams struct {
	data []byte
	sums []uint64
}

// Do reads one stretch.
func (t *streams) Do(_, i int) {
	const part = streamsBytes / 4
	d := t.data[i*streamsBytes:][:streamsBytes]
	a, b, c, e := d[:part], d[part:2*part], d[2*part:3*part], d[3*part:]
	var s0, s1, s2, s3 uint64
	for len(a) >= 16 && len(b) >= 16 && len(c) >= 16 && len(e) >= 16 {
		s0 ^= binary.LittleEndian.Uint64(a) ^ binary.LittleEndian.Uint64(a[8:])
		s1 ^= binary.LittleEndian.Uint64(b) ^ binary.LittleEndian.Uint64(b[8:])
		s2 ^= binary.LittleEndian.Uint64(c) ^ binary.LittleEndian.Uint64(c[8:])
		s3 ^= binary.LittleEndian.Uint64(e) ^ binary.LittleEndian.Uint64(e[8:])
		a, b, c, e = a[16:], b[16:], c[16:], e[16:]
	}
	t.sums[i] = s0 ^ s1 ^ s2 ^ s3
}

// fewest is how often memory is read at least: the first times, processors may still be waking up.
const fewest = 8

// fastest calls f until the time is over, at least fewest times, and returns the shortest call.
func fastest(within time.Duration, f func()) time.Duration {
	best := time.Duration(1 << 62)
	for begin, n := time.Now(), 0; n < fewest || time.Since(begin) < within; n++ {
		t := time.Now()
		f()
		best = min(best, time.Since(t))
	}
	return max(best, 1)
}
