package infer

// Finding the few logits that matter: block maxima, exponentials, and the cut of a weighted selection.

import (
	"math"
	"math/bits"
	"slices"
)

// blockSize is small enough that a block without a large logit is common, and large enough that looking at its
// maximum costs little.
const blockSize = 64

// blocks holds a number for every block of 64 logits.
type blocks struct {
	max   []float32
	order []float32 // scratch of floorOf
	sums  []float64 // weights, see distribution.sum
}

// scan fills max and returns the lowest index of the largest logit. -Inf is a legal logit (a banned token); NaN and
// +Inf are not, nor is -Inf everywhere.
func (b *blocks) scan(x []float32) (int32, error) {
	b.max = b.max[:0]
	negative := float32(math.Inf(-1))
	best, top := -1, negative // best block
	for lo := 0; lo < len(x); lo += blockSize {
		m := negative
		for _, v := range x[lo:min(lo+blockSize, len(x))] {
			if !(v <= m) { // larger, or NaN
				if v != v {
					return 0, ErrNotFinite
				}
				m = v
			}
		}
		if m > top {
			best, top = lo, m
		}
		b.max = append(b.max, m)
	}
	if best < 0 || math.IsInf(float64(top), 1) {
		return 0, ErrNotFinite
	}
	return int32(best + slices.Index(x[best:min(best+blockSize, len(x))], top)), nil
}

// floorOf returns a logit that at least k logits reach: the k-th largest maximum of a block. There are at least k
// blocks.
func (b *blocks) floorOf(k int) float32 {
	b.order = append(b.order[:0], b.max...)
	return largest(b.order, k)
}

// largest returns the k-th largest of m, which it reorders: selection by halves (Hoare).
func largest(m []float32, k int) float32 {
	for lo, hi := 0, len(m)-1; lo < hi; {
		pivot := m[lo+(hi-lo)/2]
		i, j := lo, hi
		for i <= j {
			for m[i] > pivot {
				i++
			}
			for m[j] < pivot {
				j--
			}
			if i <= j {
				m[i], m[j] = m[j], m[i]
				i++
				j--
			}
		}
		switch {
		case k-1 <= j:
			hi = j
		case k-1 >= i:
			lo = i
		default:
			return m[k-1]
		}
	}
	return m[k-1]
}

// candidate is an id that may be drawn.
type candidate struct {
	weight float64 // not normalised: 1 is the largest logit
	key    float32 // the logit, or another order
	id     int32
}

// before says that a goes before c: larger key, ties by id.
func (a candidate) before(c candidate) bool { return a.key > c.key || a.key == c.key && a.id < c.id }

// distribution is exp(scale·(x-top)) over logits x [V] whose largest is top.
type distribution struct {
	x          []float32
	top, scale float64
	blocks     *blocks // scanned over x
}

// leastWeight is where exponentials are taken for 0: the whole of a vocabulary of a million below it weighs less
// than what float32 logits resolve.
const leastWeight = 1e-14

var leastExponent = math.Log(leastWeight)

// leastWeighed is the exponent of a weight that no sum in float64 notices.
const leastWeighed = -60

// exponent is what the weight of a logit is the exponential of.
func (d *distribution) exponent(logit float32) float64 { return (float64(logit) - d.top) * d.scale }

// logit is the inverse of a weight: logits below have a smaller one, but for rounding, for which it leaves room.
func (d *distribution) logit(weight float64) float32 {
	return float32(d.top + (math.Log(max(weight, leastWeight))-1e-6)/d.scale - 1e-6*math.Abs(d.top))
}

// sum returns the sum of all weights and keeps those of the blocks.
func (d *distribution) sum() (total float64) {
	b := d.blocks
	b.sums = b.sums[:0]
	for i, m := range b.max {
		var s float64
		if d.exponent(m) >= leastExponent {
			s = d.sumOf(d.block(i))
		}
		b.sums = append(b.sums, s)
		total += s
	}
	return total
}

// sumOf is the sum of the weights of x. It is exp with everything that is the same for all of x taken out of the
// loop, which is most of the cost of a token drawn from a whole vocabulary.
func (d *distribution) sumOf(x []float32) (s float64) {
	const (
		unit = math.Ln2 / expSteps
		c2   = unit * unit / 2
		c3   = unit * unit * unit / 6
	)
	top, scale := d.top, d.scale/unit
	for _, v := range x {
		y := (float64(v) - top) * scale
		if y < leastWeighed/unit {
			continue
		}
		t := y + expShift
		r := y - (t - expShift) // |r| <= 1/2
		k := math.Float64bits(t)
		s += (1 + r*(unit+r*(c2+r*c3))) * math.Float64frombits(expTable[k%expSteps]+k/expSteps<<52)
	}
	return s
}

// pick returns the id at which the running sum of the weights passes u. sum came before.
func (d *distribution) pick(u float64) (int32, bool) {
	for i, s := range d.blocks.sums {
		if u -= s; u >= 0 {
			continue
		}
		u += s
		last := int32(-1)
		for j, v := range d.block(i) {
			if e := d.exponent(v); e >= leastExponent {
				last = int32(i*blockSize + j)
				if u -= exp(e); u < 0 {
					break
				}
			}
		}
		return last, last >= 0
	}
	return 0, false
}

// largestK collects the k largest logits and others.
func (d *distribution) largestK(c []candidate, k int) []candidate {
	if k <= len(d.blocks.max) {
		return d.atLeast(c, d.blocks.floorOf(k))
	}
	// One logit of every block stands for all: the floor that should leave a little more than k.
	b := d.blocks
	b.order = b.order[:0]
	for i := range b.max {
		b.order = append(b.order, d.block(i)[0])
	}
	if at := k/blockSize*5/4 + 8; at < len(b.order) {
		if c = d.atLeast(c, largest(b.order, at)); len(c) >= k {
			return c
		}
	}
	return d.atLeast(c, float32(math.Inf(-1)))
}

// most collects the largest logits whose weights reach share of sum, the sum of all, and others; it weighs them.
// What is left out weighs, all together, less than what may be dropped. How large that is may be guessed, since the
// sum of what was collected tells whether the guess was good.
func (d *distribution) most(c, scratch []candidate, share, sum float64) (_, _ []candidate) {
	rest := (1 - share) * sum
	// One logit of every block stands for all of the small ones; the large ones are too few to be seen in a sample.
	scratch = scratch[:0]
	for i := range d.blocks.max {
		v := d.block(i)[0]
		scratch = append(scratch, candidate{weight: exp(max(d.exponent(v), leastWeighed)), key: -v, id: int32(i)})
	}
	c = d.atLeast(c, -cutoff(scratch, 0.8*rest/blockSize).key)
	if d.weigh(c) < share*sum {
		c = d.atLeast(c, d.logit(rest/float64(len(d.x))))
		d.weigh(c)
	}
	return c, scratch
}

func (d *distribution) block(i int) []float32 {
	return d.x[i*blockSize : min((i+1)*blockSize, len(d.x))]
}

// atLeast appends to c[:0] the ids whose logit is floor or more, in the order of the ids, without their weight.
// Banned ones (-Inf) are never among them.
func (d *distribution) atLeast(c []candidate, floor float32) []candidate {
	c = c[:0]
	floor = max(floor, -math.MaxFloat32)
	for i, m := range d.blocks.max {
		if m < floor {
			continue
		}
		for j, v := range d.block(i) {
			if v >= floor {
				c = append(c, candidate{key: v, id: int32(i*blockSize + j)})
			}
		}
	}
	return c
}

// weigh computes the weights of c and returns their sum.
func (d *distribution) weigh(c []candidate) (sum float64) {
	for i := range c {
		c[i].weight = 0
		if e := d.exponent(c[i].key); e >= leastExponent {
			c[i].weight = exp(e)
		}
		sum += c[i].weight
	}
	return sum
}

// cutoff returns the last of the candidates that are needed, taken in their order (before), for the weights to
// reach target; the very last if they do not. It reorders c. Expected cost: linear in len(c).
func cutoff(c []candidate, target float64) (last candidate) {
	for budget := 2 * bits.Len(uint(len(c))); len(c) > 24 && budget > 0; budget-- {
		i, weight := partition(c)
		last = c[i]
		switch {
		case weight >= target:
			c = c[:i]
		case weight+last.weight >= target:
			return last
		default:
			target -= weight + last.weight
			c = c[i+1:]
		}
	}
	sortCandidates(c)
	for _, last = range c {
		if target -= last.weight; target <= 0 {
			break
		}
	}
	return last
}

func sortCandidates(c []candidate) {
	slices.SortFunc(c, func(a, b candidate) int {
		switch {
		case a.before(b):
			return -1
		case b.before(a):
			return 1
		}
		return 0
	})
}

// partition puts those before a pivot in front of it and the others behind. It returns where the pivot stands and
// the weight of those before it.
func partition(c []candidate) (at int, weight float64) {
	n := len(c) - 1
	// The median of three goes to the end.
	if c[n].before(c[0]) {
		c[0], c[n] = c[n], c[0]
	}
	if c[n/2].before(c[0]) {
		c[0], c[n/2] = c[n/2], c[0]
	}
	if c[n/2].before(c[n]) {
		c[n/2], c[n] = c[n], c[n/2]
	}
	pivot := c[n]
	for i, v := range c[:n] {
		if v.before(pivot) {
			c[i], c[at] = c[at], v
			weight += v.weight
			at++
		}
	}
	c[at], c[n] = c[n], c[at]
	return at, weight
}

const (
	expSteps = 128
	expShift = 3 << 51 // adding it rounds to a whole number, which the low bits then hold
)

// exp is the exponential function for -700 <= x <= 0, to 11 digits: 2^(k/128) from a table times a polynomial. The
// one of package math takes several times as long.
func exp(x float64) float64 {
	const unit = math.Ln2 / expSteps
	t := x*(1/unit) + expShift
	r := x - (t-expShift)*unit // |r| <= unit/2
	k := math.Float64bits(t)
	return (1 + r*(1+r*(0.5+r*(1./6)))) * math.Float64frombits(expTable[k%expSteps]+k/expSteps<<52)
}

// expTable holds the bits of 2^(i/128).
var expTable = func() (t [expSteps]uint64) {
	for i := range t {
		t[i] = math.Float64bits(math.Exp2(float64(i) / expSteps))
	}
	return t
}()
