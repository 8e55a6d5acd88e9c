// This file holds what the searching encoders share: the numbers of a block in
// a form to compute with, and the best scale, or scale and floor, of a few
// numbers that are to become small whole ones.
//
// With codes q given, the error sum w (s q - f - x)^2 is a quadratic in s and
// f, whose minimum and value follow from a few sums over the block. So a search
// step is: round x to codes under some s and f, then solve. Steps start from
// several scales and go on from the best while that helps.

package quant

import "math"

// numbers are those of a block, divided by unit so that the largest magnitude
// is 1, with weights whose mean is 1. Squares then neither vanish nor overflow.
type numbers struct {
	x, w [256]float64
	unit float64
}

// load fills n with a block that is not all zero; w may be nil. It returns
// false if all of x is zero.
func (n *numbers) load(x, w []float32) bool {
	at, _ := extreme(x)
	n.unit = math.Abs(float64(x[at]))
	if n.unit == 0 {
		return false
	}
	for i, v := range x {
		n.x[i] = float64(v) / n.unit
	}
	var sum float64
	for _, v := range w {
		sum += float64(v)
	}
	for i := range x {
		n.w[i] = 1
		if sum > 0 {
			// An input that was never seen still counts a little: it may come.
			n.w[i] = float64(w[i])*float64(len(x))/sum + 1e-6
		}
	}
	return true
}

// half rounds v, in units of the block, to fp16. It returns what the fp16 means
// in these units.
func (n *numbers) half(v float64) (h float32, back float64) {
	h = FromF16(ToF16(float32(v * n.unit)))
	return h, float64(h) / n.unit
}

// fixed are the sums over a sub-block that do not depend on codes.
type fixed struct{ w, wx, wxx float64 }

func sumFixed(x, w []float64) (f fixed) {
	w = w[:len(x)]
	for i, v := range x {
		f.w += w[i]
		f.wx += w[i] * v
		f.wxx += w[i] * v * v
	}
	return f
}

// sums are those that depend on the codes q.
type sums struct{ q, qq, qx float64 }

// round computes the sums for the codes nearest to (x + floor) * inv, within 0
// and top. If codes is not nil, it writes them.
func round(codes []byte, x, w []float64, inv, floor float64, top int) (s sums) {
	w = w[:len(x)]
	start := floor*inv + 0.5
	for i, v := range x {
		k := int(v*inv + start)
		k = min(max(k, 0), top)
		q := float64(k)
		wq := w[i] * q
		s.q += wq
		s.qq += wq * q
		s.qx += wq * v
		if codes != nil {
			codes[i] = byte(k)
		}
	}
	return s
}

// err is the error with a scale and a floor.
func (s sums) err(f fixed, scale, floor float64) float64 {
	return f.wxx + scale*(scale*s.qq-2*s.qx-2*floor*s.q) + floor*(floor*f.w+2*f.wx)
}

// solve returns the scale and floor of least error, with floor >= 0 unless
// free.
func (s sums) solve(f fixed, free bool) (scale, floor float64) {
	if det := f.w*s.qq - s.q*s.q; det > 1e-12*f.w*s.qq {
		scale = (f.w*s.qx - f.wx*s.q) / det
		floor = (s.q*s.qx - s.qq*f.wx) / det
	} else { // all codes are the same: the floor does it alone
		floor = -f.wx / f.w
	}
	if floor < 0 && !free {
		floor = 0
		scale = 0
		if s.qq > 0 {
			scale = s.qx / s.qq
		}
	}
	return max(scale, 0), floor
}

// fitAffine finds scale and floor for codes of 0 to top: x = scale q - floor.
func fitAffine(x, w []float64, top int, free bool) (scale, floor float64) {
	f := sumFixed(x, w)
	lo, hi := x[0], x[0]
	for _, v := range x {
		lo, hi = min(lo, v), max(hi, v)
	}
	if !free {
		lo = min(lo, 0)
	}
	if hi <= lo {
		return 0, -lo
	}
	best := math.Inf(1)
	try := func(s, m float64) bool {
		if s <= 0 {
			return false
		}
		r := round(nil, x, w, 1/s, m, top)
		s, m = r.solve(f, free)
		if e := r.err(f, s, m); e < best-1e-12*f.wxx { // the rest is rounding
			best, scale, floor = e, s, m
			return true
		}
		return false
	}
	for _, t := range affineTries(top) {
		step := (hi - lo) / (float64(top) + t.more)
		try(step, -lo-t.up*step)
	}
	for range 4 {
		if !try(scale, floor) {
			break
		}
	}
	return scale, floor
}

// start says where a search begins: the range of the numbers is cut into top +
// more steps, and the floor lies up steps above the smallest number.
type start struct{ more, up float64 }

var (
	fewCodes = []start{
		{0, 0}, {0.25, 0}, {0.55, 0}, {0.9, 0}, {0.4, 0.1}, {0.75, 0.2}, {1.3, 0.3}, {0.25, 0.24}, {2, 0.6}, {-0.2, 0},
		{0, -0.25}, {0.4, -0.25}, {-0.2, -0.5}, {0.2, -0.5},
	}
	manyCodes = []start{
		{0, 0}, {0.2, 0}, {0.4, 0}, {0.6, 0}, {0.8, 0}, {1.1, 0}, {-0.25, 0}, {-0.5, 0}, {-1, 0}, {-2, 0},
		{0.6, 0.3}, {0.9, 0.45}, {1.3, 0.3}, {1.7, 0.6}, {2.5, 1},
		{-0.5, -0.25}, {0, -0.25}, {0.4, -0.25}, {0.8, -0.25}, {-0.8, -0.5}, {-0.4, -0.5}, {0, -0.5}, {0.4, -0.5}, {0.8, -0.5}, {-0.5, -0.75}, {0.3, -0.75},
	}
)

func affineTries(top int) []start {
	if top < 8 {
		return fewCodes
	}
	return manyCodes
}

// levels are the values that codes stand for: lo, lo+1 ... hi, or if table the
// sixteen values of iq4. tries are the values onto which the number of largest
// magnitude may fall.
type levels struct {
	lo, hi int
	table  bool
	tries  []float64
}

// round computes sums of the levels nearest to x * inv. If codes is not nil, it
// writes them.
func (l *levels) round(codes []byte, x, w []float64, inv float64) (qq, qx float64) {
	w = w[:len(x)]
	if l.table {
		for i, v := range x {
			code := iq4Code(v * inv)
			q := float64(iq4[code])
			wq := w[i] * q
			qq += wq * q
			qx += wq * v
			if codes != nil {
				codes[i] = code
			}
		}
		return qq, qx
	}
	start, top := 0.5-float64(l.lo), l.hi-l.lo
	for i, v := range x {
		k := int(v*inv + start)
		k = min(max(k, 0), top)
		q := float64(k + l.lo)
		wq := w[i] * q
		qq += wq * q
		qx += wq * v
		if codes != nil {
			codes[i] = byte(k)
		}
	}
	return qq, qx
}

// fit finds the scale of least error: x = scale * level.
func (l *levels) fit(x, w []float64) (scale float64) {
	var largest float64
	for _, v := range x {
		if math.Abs(v) > math.Abs(largest) {
			largest = v
		}
	}
	if largest == 0 {
		return 0
	}
	best := 0.0
	try := func(inv float64) bool {
		qq, qx := l.round(nil, x, w, inv)
		// The error is sum w x^2 - qx^2/qq at scale qx/qq.
		if qq > 0 && qx*qx > best*qq*(1+1e-9) {
			best, scale = qx*qx/qq, qx/qq
			return true
		}
		return false
	}
	for _, t := range l.tries {
		try(t / largest)
	}
	for range 4 {
		if scale == 0 || !try(1/scale) {
			break
		}
	}
	return scale
}

// iq4Codes are the codes nearest to (i - 256)/2 and up to 1/2 above: the
// midpoints between values are whole or half numbers.
var iq4Codes = func() (t [512]byte) {
	code := 0
	for i := range t {
		for code < 15 && float32(i-256)/2 >= (iq4[code]+iq4[code+1])/2 {
			code++
		}
		t[i] = byte(code)
	}
	return t
}()

func iq4Code(v float64) byte {
	return iq4Codes[min(max(int(v*2+256), 0), 511)]
}

// search finds codes and the fp16 scale of a block of its own. It compares
// errors under the rounded scale: that rounding is the larger part of the error
// where the numbers are all about the same.
func (l *levels) search(codes *[32]byte, x, w []float32) float32 {
	var n numbers
	if !n.load(x, w) {
		return 0
	}
	xs, ws := n.x[:32], n.w[:32]
	f := sumFixed(xs, ws)
	at, _ := extreme(x)
	best, scale, exact := math.Inf(1), float32(0), 0.0
	try := func(inv float64) bool {
		qq, qx := l.round(nil, xs, ws, inv)
		if qq == 0 {
			return false
		}
		h, d := n.half(qx / qq)
		if d == 0 || math.IsInf(d, 0) {
			if scale == 0 {
				scale = h
			}
			return false
		}
		qq, qx = l.round(nil, xs, ws, 1/d)
		if e := f.wxx + d*(d*qq-2*qx); e < best*(1-1e-9) {
			best, scale, exact = e, h, d
			return true
		}
		return false
	}
	for _, t := range l.tries {
		try(t / xs[at])
	}
	for range 3 {
		if exact == 0 || !try(1/exact) {
			break
		}
	}
	if exact != 0 {
		l.round(codes[:], xs, ws, 1/exact)
	}
	return scale
}

// searchAffine is affineCodes with importance.
func searchAffine(codes *[32]byte, x, w []float32, top int) (d, m float32) {
	var n numbers
	if !n.load(x, w) {
		return 0, 0
	}
	xs, ws := n.x[:32], n.w[:32]
	scale, floor := fitAffine(xs, ws, top, true)
	d, scale = n.half(scale)
	m, low := n.half(-floor)
	if scale != 0 && !math.IsInf(scale, 0) && !math.IsInf(low, 0) {
		round(codes[:], xs, ws, 1/scale, -low, top)
	}
	return d, m
}
