package kernel

// The micro-kernel contract shared by every tier, and its portable twin.
//
// Operands are packed into words of four bytes: a float32, or a pair of bfloat16 that are
// neighbours along k (the even one in the low half). One step takes one word of each row of A and
// of each column of B, so a product over K has K steps in float32 and ⌈K/2⌉ in bfloat16, and all
// tiers address both kinds alike. Words are kept in []float32.
//
//	B  panels [⌈N/nr⌉][steps][nr]: nr columns side by side, zero past N and past K
//	A  two strides, aRow from row to row and aStep from step to step; one of them is 1
//	C  row-major float32

// tile asks for count tiles of rows rows, each times panels panels of B:
//
//	C[i,j] = alpha·sum_s A[i,s]·B[s,j] + beta·C[i,j]    0 <= i < count·rows
//
// with s ascending. C is not read when beta is 0. Only cols columns of C exist; panels > 1 needs
// whole panels. All strides are in words. Assembly reads this struct by field name.
type tile struct {
	a, b, c     []float32
	aRow, aStep int
	bNext       int // from panel to panel
	ldc         int
	steps       int
	rows, count int
	cols        int
	panels      int
	alpha, beta float32
	scratch     []float32 // of a micro-kernel that cannot do all of this in registers
}

// check panics when t reaches outside its slices: assembly does not look.
func (t *tile) check(nr int) {
	rows := t.rows * t.count
	if rows == 0 {
		return
	}
	if t.steps > 0 {
		_ = t.a[(rows-1)*t.aRow+(t.steps-1)*t.aStep]
		_ = t.b[(t.panels-1)*t.bNext+t.steps*nr-1]
	}
	_ = t.c[(rows-1)*t.ldc+(t.panels-1)*nr+t.cols-1]
}

// tilePortable is the twin of every micro-kernel; pair says that words are pairs of bfloat16.
func tilePortable(t *tile, nr int, pair bool) {
	var acc [64]float32
	for i := range t.rows * t.count {
		for p := range t.panels {
			cols := nr
			if t.panels == 1 {
				cols = t.cols
			}
			s := acc[:cols]
			clear(s)
			for k := range t.steps {
				w := t.a[i*t.aRow+k*t.aStep]
				b := t.b[p*t.bNext+k*nr:][:len(s)]
				if !pair {
					for j, v := range b {
						s[j] += w * v
					}
					continue
				}
				lo, hi := unpair(w)
				for j, v := range b {
					b0, b1 := unpair(v)
					s[j] = float32(float32(s[j]+hi*b1) + lo*b0)
				}
			}
			c := t.c[i*t.ldc+p*nr:][:cols]
			for j, v := range s {
				v *= t.alpha
				if t.beta != 0 {
					v += t.beta * c[j]
				}
				c[j] = v
			}
		}
	}
}
