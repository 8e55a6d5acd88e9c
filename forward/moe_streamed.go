// This file holds a mixture of experts that is larger than memory: what it asks of residents, and its guess
// which experts the next layer will choose.

package forward

import "github.com/haenyeo/haenyeo/weights"

// streamed is what a mixture of experts knows of residents.
type streamed struct {
	residents *residents
	gateUp    []int32   // unit of every expert
	downs     []int32   // likewise
	norm      *norm     // before this layer
	next      *moe      // nil behind the last
	ratio     []float32 // [D] of the weights of the next layer's norm to this one's

	foretold []int32 // experts that the layer before guessed and that were not in memory
	trust    float64 // share of such guesses that came true, of late more than before
}

const (
	// trusted is the share of guesses that must come true for them to be read: a wrong one costs a read, and
	// what it drives out may cost another.
	trusted = 1. / 3
	// trustSlow is how many tokens the share looks back at.
	trustSlow = 16
)

// stream makes the units of m.
func (m *moe) stream(src *weights.Source, r *residents) error {
	m.residents, m.trust = r, 2*trusted
	for e := range m.gate {
		all := []matrix{{w: m.gate[e]}, {w: m.up[e]}, {w: m.down[e]}}
		for i, proj := range []string{"gate_proj", "up_proj", "down_proj"} {
			var err error
			if all[i].bytes, err = src.ExpertBytes(m.prefix, proj, e); err != nil {
				return err
			}
		}
		for i, matrices := range [][]matrix{all[:2], all[2:]} {
			u, err := r.add(matrices)
			if err != nil {
				return err
			}
			to := []*[]int32{&m.gateUp, &m.downs}[i]
			*to = append(*to, u)
		}
	}
	return nil
}

// units lists the units of the experts that have rows, of both halves of an expert.
func (m *moe) units(p *pass, d dispatch) (gateUp, downs []int32) {
	n := 0
	gateUp, downs = p.ints(len(m.gate)), p.ints(len(m.gate))
	for e := range m.gate {
		if d.start[e] < d.start[e+1] {
			gateUp[n], downs[n] = m.gateUp[e], m.downs[e]
			n++
		}
	}
	return gateUp[:n], downs[:n]
}

// announce asks for the chosen experts and reads ahead what the next layer will likely choose: its router is
// asked early, about the input x of this layer. What the layers between add to it moves few choices.
func (m *moe) announce(p *pass, d dispatch, x []float32) {
	mark := p.mark()
	r := m.residents
	r.begin()
	gateUp, downs := m.units(p, d)
	r.want(gateUp)
	r.follow(downs)
	m.judge(d)
	if next := m.next; next != nil {
		k := len(m.ratio)
		y := p.floats(p.n * k)
		for i := range p.n {
			for c, q := range m.ratio {
				y[i*k+c] = x[i*k+c] * q
			}
		}
		ids, _ := next.router.choose(p, y)
		gateUp, downs = next.units(p, next.sort(p, ids))
		missing := r.missing(gateUp)
		next.foretold = next.foretold[:0]
		for _, u := range missing {
			next.foretold = append(next.foretold, (u-next.gateUp[0])/2)
		}
		if next.trust >= trusted || next.router.table != nil {
			r.expect(missing)
			r.expect(r.missing(downs))
		}
	}
	p.rewind(mark)
}

// judge compares what was foretold for this layer with what it chose.
func (m *moe) judge(d dispatch) {
	if len(m.foretold) == 0 {
		return
	}
	right := 0
	for _, e := range m.foretold {
		if d.start[e] < d.start[e+1] {
			right++
		}
	}
	m.trust += (float64(right)/float64(len(m.foretold)) - m.trust) / trustSlow
}

// multiplyResident is multiply with the experts that are in memory first.
func (m *moe) multiplyResident(p *pass, d dispatch, half int, add func(e, lo, hi int)) {
	mark := p.mark()
	units, downs := m.units(p, d)
	first := m.gateUp[0]
	if half == 1 {
		units, first = downs, m.downs[0]
		m.residents.want(units)
	}
	for len(units) > 0 && p.err == nil {
		n, err := m.residents.ready(units)
		if err != nil {
			p.fail(err)
			break
		}
		p.products = p.products[:0]
		for _, u := range units[:n] {
			e := int(u-first) / 2
			add(e, int(d.start[e]), int(d.start[e+1]))
		}
		p.multiply(p.dtype)
		m.residents.done(units[:n])
		units = units[n:]
	}
	p.rewind(mark)
}
