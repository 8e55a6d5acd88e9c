// This file holds slots: memory that experts are read into past the page cache, and how their matrices are told
// where they lie.

package forward

import (
	"runtime"
	"unsafe"

	"github.com/haenyeo/haenyeo/internal/mmap"
	"github.com/haenyeo/haenyeo/kernel"
	"github.com/haenyeo/haenyeo/quant"
)

// matrix is an expert's, and the bytes of its file: codes and, where these lie apart, scales.
type matrix struct {
	w     *kernel.Stored
	bytes [][]byte
}

// place is a slice of a matrix.
type place struct {
	slice *[]byte
	file  []byte // what it is while it is not in memory
	at    int    // in the slot of its unit
}

// places are the slices of m; ok is false if these are not its bytes as they stand in the file.
func (m matrix) places() (ps []place, ok bool) {
	var slices []*[]byte
	switch c := m.w.Coded.(type) {
	case *quant.MatrixFP4:
		slices = []*[]byte{&c.Codes, &c.Scales}
	case *quant.MatrixFP8:
		slices = []*[]byte{&c.Codes, &c.Scales}
	case *quant.MatrixNVFP4:
		slices = []*[]byte{&c.Codes, &c.Scales}
	case nil:
		if m.w.Decode == nil {
			slices = []*[]byte{&m.w.Data}
		}
	}
	if len(slices) != len(m.bytes) || m.w.First != 0 {
		return nil, false
	}
	for i, s := range slices {
		b := m.bytes[i]
		if len(*s) != len(b) || unsafe.SliceData(*s) != unsafe.SliceData(b) {
			return nil, false
		}
		ps = append(ps, place{slice: s, file: b})
	}
	return ps, true
}

// part is what is read at once, and where it goes in the slot.
type part struct {
	mmap.Window
	at int
}

// lay sets where in its slot everything of u lies.
func (u *unit) lay() {
	begin := make([]int, len(u.windows))
	for i, w := range u.windows {
		begin[i] = u.slotBytes
		for _, p := range w.Parts(partBytes) {
			u.parts = append(u.parts, part{p, u.slotBytes})
			u.slotBytes += p.Pages()
		}
	}
	for i := range u.places {
		p := &u.places[i]
		addr := uintptr(unsafe.Pointer(unsafe.SliceData(p.file)))
		for j, w := range u.windows {
			if lo := w.Addr(); lo <= addr && addr < lo+uintptr(w.Pages()) {
				p.at = begin[j] + int(addr-lo)
			}
		}
	}
}

// bind points the matrices of u to its slot, which holds them now; unbind to their file.
func (u *unit) bind() {
	for _, p := range u.places {
		*p.slice = u.slot.b[p.at:][:len(p.file):len(p.file)]
	}
}

func (u *unit) unbind() {
	for _, p := range u.places {
		*p.slice = p.file
	}
}

// slot is memory for a unit.
type slot struct {
	b       []byte
	cleanup runtime.Cleanup // when nobody has the slot any more
}

// slots are those that no unit is in.
type slots struct {
	idle      map[int][]*slot // by size
	idleBytes int64
}

// get returns an idle slot, or nil.
func (s *slots) get(size int) *slot {
	list := s.idle[size]
	if len(list) == 0 {
		return nil
	}
	s.idle[size] = list[:len(list)-1]
	s.idleBytes -= int64(size)
	return list[len(list)-1]
}

func (s *slots) put(x *slot) {
	if s.idle == nil {
		s.idle = map[int][]*slot{}
	}
	s.idle[len(x.b)] = append(s.idle[len(x.b)], x)
	s.idleBytes += int64(len(x.b))
}

// shrink gives the memory of an idle slot back.
func (s *slots) shrink() {
	for size := range s.idle {
		if x := s.get(size); x != nil {
			x.cleanup.Stop()
			mmap.FreePages(x.b)
			return
		}
	}
}

// slot returns memory for a unit that there is room for.
func (r *residents) newSlot(size int) (*slot, error) {
	if x := r.get(size); x != nil {
		return x, nil
	}
	r.trim(int64(size))
	b, err := mmap.NewPages(size)
	if err != nil {
		return nil, err
	}
	x := &slot{b: b}
	x.cleanup = runtime.AddCleanup(x, mmap.FreePages, b)
	return x, nil
}

// trim gives back idle slots until need more bytes fit beside the rest of them.
func (r *residents) trim(need int64) {
	for r.idleBytes > 0 && r.held+r.idleBytes+need > r.room() {
		r.shrink()
	}
}
