// This file orders rows into batches: Sampler, then the arithmetic of chance. Mixtures are in mixture.go.
//
// An epoch gives every document of a stratum as often as the mixture says (once without one). It
// is made anew from the seed and its number: documents longer than a row are cut at other places
// each time, rows are packed, and their order is shuffled. So a State of three numbers is enough to
// go on exactly where a run stopped.

package corpus

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"math/bits"
	"runtime/debug"

	"github.com/haenyeo/haenyeo/internal/mmap"
)

// SamplerOptions of a Sampler.
type SamplerOptions struct {
	B, T int
	Seed uint64
	// Copies says how often each stratum appears in an epoch, in the order of Tokens.Strata; nil
	// means once. A document appears ⌊c⌋ or ⌈c⌉ times in an epoch, c times on average.
	Copies []float64
}

// Sampler is the Stream of training. It is not safe for concurrent use.
type Sampler struct {
	tokens *Tokens
	opt    SamplerOptions
	copies []uint64 // 32.32 fixed point, so that every machine counts the same
	plan   string
	epoch  int64
	at     int64 // next row
	packer packer
	order  []int32 // rows, shuffled
	stats  SamplerStats
}

// SamplerStats describes the current epoch.
type SamplerStats struct {
	Rows    int64
	Targets int64 // tokens that are predicted
	Pieces  int64
	// Waste is the share of positions that predict nothing: padding, and the ends of documents.
	Waste float64
}

const maxT = 1 << 24

// NewSampler prepares the first epoch.
func NewSampler(t *Tokens, opt SamplerOptions) (*Sampler, error) {
	if opt.B < 1 || opt.T < 1 || opt.T > maxT {
		return nil, fmt.Errorf("corpus: batches of %d rows of %d tokens: both must be positive", opt.B, opt.T)
	}
	if opt.Copies != nil && len(opt.Copies) != len(t.strata) {
		return nil, fmt.Errorf("corpus: a mixture of %d strata for data with %d", len(opt.Copies), len(t.strata))
	}
	s := &Sampler{tokens: t, opt: opt, copies: make([]uint64, len(t.strata))}
	var targets float64
	for i := range s.copies {
		c := 1.0
		if opt.Copies != nil {
			c = opt.Copies[i]
		}
		if !(c >= 0 && c <= 1024) {
			return nil, fmt.Errorf("corpus: %v copies of %s/%s: want 0 to 1024", c, t.strata[i].Lang, t.strata[i].Source)
		}
		s.copies[i] = uint64(math.Round(c * (1 << 32)))
		targets += c * float64(t.strata[i].Tokens)
	}
	if limit := float64(math.MaxInt32) * float64(opt.T) / 2; targets > limit {
		return nil, fmt.Errorf("corpus: %.0f tokens are more than rows of %d can be counted for: use longer rows", targets, opt.T)
	}
	h := sha256.New()
	h.Write(t.print[:])
	var b []byte
	for _, v := range []int64{1, t.Len(), int64(len(t.docs)), int64(opt.T)} { // 1: version of this file's rules
		b = binary.LittleEndian.AppendUint64(b, uint64(v))
	}
	for _, c := range s.copies {
		b = binary.LittleEndian.AppendUint64(b, c)
	}
	h.Write(b)
	s.plan = hex.EncodeToString(h.Sum(nil)[:16])
	s.prepare(0)
	for n := 0; len(s.packer.rows) == 0; n++ { // an epoch of few copies of few documents may be empty
		if n == 1<<12 || targets == 0 {
			return nil, fmt.Errorf("corpus: %w: the mixture leaves nothing to train on", ErrTooLittle)
		}
		s.prepare(s.epoch + 1)
	}
	return s, nil
}

// prepare makes an epoch and goes to its first row.
func (s *Sampler) prepare(epoch int64) {
	s.epoch, s.at = epoch, 0
	p, t := &s.packer, s.opt.T
	p.pieces = p.pieces[:0]
	for i := range s.tokens.docs {
		from, to := s.tokens.span(i)
		h := mix(s.opt.Seed, 1, uint64(i))
		w, u := s.copies[s.tokens.docs[i].stratum], h>>32
		n := (uint64(epoch+1)*w+u)>>32 - (uint64(epoch)*w+u)>>32
		for copy := range n {
			first := t + 1
			if to-from > int64(t)+1 {
				first = 2 + int(below(mix(s.opt.Seed^h, 2, uint64(epoch)<<16+copy), uint64(t)))
			}
			p.pieces = pieces(p.pieces, from, to, first, t)
		}
	}
	p.pack(t)
	s.stats = SamplerStats{Rows: int64(len(p.rows)), Pieces: int64(len(p.pieces))}
	for i := range p.pieces {
		s.stats.Targets += int64(p.pieces[i].n) - 1
	}
	if s.stats.Rows > 0 {
		s.stats.Waste = 1 - float64(s.stats.Targets)/(float64(s.stats.Rows)*float64(t))
	}
	s.order = resize(s.order, len(p.rows))
	for i := range s.order {
		s.order[i] = int32(i)
	}
	for i := len(s.order) - 1; i > 0; i-- { // Fisher and Yates
		j := below(mix(s.opt.Seed, 3+uint64(epoch), uint64(i)), uint64(i)+1)
		s.order[i], s.order[j] = s.order[j], s.order[i]
	}
}

// Next fills b, which NewBatch made for B and T. Rows left over at the end of an epoch begin a
// batch that the next epoch completes.
func (s *Sampler) Next(b *Batch) (err error) {
	before := debug.SetPanicOnFault(true)
	defer func() {
		debug.SetPanicOnFault(before)
		if v := recover(); v != nil {
			err = mmap.Fault(v, s.tokens.lost)
		}
	}()
	if b.B != s.opt.B || b.T != s.opt.T {
		return fmt.Errorf("corpus: a batch of %d×%d for a sampler of %d×%d", b.B, b.T, s.opt.B, s.opt.T)
	}
	for i := range b.B {
		for s.at == int64(len(s.order)) {
			s.prepare(s.epoch + 1)
		}
		tokens, first, targets := b.row(i)
		s.tokens.fill(s.packer.pieces, s.packer.rows[s.order[s.at]], tokens, first, targets, s.tokens.start)
		s.at++
	}
	return nil
}

// State says where Next will go on.
func (s *Sampler) State() State {
	return State{Seed: s.opt.Seed, Epoch: s.epoch, Row: s.at, Plan: s.plan}
}

// Restore goes to a State of the same data, row length, mixture and seed. B may differ.
func (s *Sampler) Restore(st State) error {
	switch {
	case st.Plan != s.plan:
		return fmt.Errorf("corpus: the saved position belongs to other data, another row length or another mixture: resume with those of the run, or start a new one")
	case st.Seed != s.opt.Seed:
		return fmt.Errorf("corpus: the saved position belongs to seed %d, not %d", st.Seed, s.opt.Seed)
	case st.Epoch < 0 || st.Epoch >= 1<<20 || st.Row < 0:
		return fmt.Errorf("corpus: the saved position (epoch %d, row %d) is damaged", st.Epoch, st.Row)
	}
	if st.Epoch != s.epoch {
		s.prepare(st.Epoch)
	}
	if st.Row > int64(len(s.order)) {
		return fmt.Errorf("corpus: the saved position is row %d of %d in epoch %d: it is damaged", st.Row, len(s.order), st.Epoch)
	}
	s.at = st.Row
	return nil
}

// Stats describes the current epoch.
func (s *Sampler) Stats() SamplerStats { return s.stats }

// mix is a hash of three numbers (the finaliser of SplitMix64, applied in turn): random access to
// chance, the same in every version of everything.
func mix(a, b, c uint64) uint64 {
	for _, x := range [...]uint64{b, c} {
		a += 0x9e3779b97f4a7c15 * (x + 1)
		a = (a ^ a>>30) * 0xbf58476d1ce4e5b9
		a = (a ^ a>>27) * 0x94d049bb133111eb
		a ^= a >> 31
	}
	return a
}

// below maps a hash to [0,n).
func below(h, n uint64) uint64 {
	hi, _ := bits.Mul64(h, n)
	return hi
}
