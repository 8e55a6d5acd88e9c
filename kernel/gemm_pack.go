package kernel

// Packers turn windows of float32 matrices into words (see gemm_tile.go), each with a portable twin
// here:
//
//	rows   a row of the window becomes a row of words            A
//	cols   a row (or pair of rows) becomes a step                B, or Aᵀ with aRow 1
//	trans  a row becomes a column of a panel                     B of a transposed matrix
//	turn   a column becomes a row of words                       Aᵀ for tiles, which need rows

// pack describes one call. Assembly reads this struct by field name.
type pack struct {
	src        []float32
	idx        []int32 // rows, cols: row i of the window is row idx[i] of src; nil means row i
	lds        int     // floats from row to row of src
	rows, cols int     // size of the window
	dst        []float32
	ldd        int // words from row to row (rows, turn) or step to step (cols, trans)
	next       int // words from panel to panel (cols, trans)
	steps      int // cols: steps to write, zero past the last row
}

// stepBlock is the unit of steps that packers write: a row of words and a panel of trans are
// filled with zeros up to a multiple of it.
const stepBlock = 16

func padSteps(n int) int { return (n + stepBlock - 1) / stepBlock * stepBlock }

// stepsOf is how many words hold k elements.
func stepsOf(k int, pair bool) int {
	if pair {
		return (k + 1) / 2
	}
	return k
}

// row is the window's row i, and nothing past the last one.
func (p *pack) row(i int) []float32 {
	if i >= p.rows {
		return nil
	}
	if p.idx != nil {
		i = int(p.idx[i])
	}
	return p.src[i*p.lds:][:p.cols]
}

// word packs elements i and, for pairs, i+1 of x, zero past its end.
func word(x []float32, i int, paired bool) float32 {
	if !paired {
		if i < len(x) {
			return x[i]
		}
		return 0
	}
	var lo, hi float32
	if 2*i < len(x) {
		lo = x[2*i]
	}
	if 2*i+1 < len(x) {
		hi = x[2*i+1]
	}
	return pair(lo, hi)
}

func packRowsPortable(p *pack, paired bool) {
	n := padSteps(stepsOf(p.cols, paired))
	for i := range p.rows {
		x, d := p.row(i), p.dst[i*p.ldd:][:n]
		if !paired {
			clear(d[copy(d, x):])
			continue
		}
		for s := range d {
			d[s] = word(x, s, true)
		}
	}
}

func packColsPortable(p *pack, nr int, paired bool) {
	for s := range p.steps {
		var x, y []float32
		if paired {
			x, y = p.row(2*s), p.row(2*s+1)
		} else {
			x = p.row(s)
		}
		for j0 := 0; j0 < p.cols; j0 += nr {
			d := p.dst[j0/nr*p.next+s*p.ldd:][:nr]
			for j := range d {
				d[j] = word(x, j0+j, false)
				if paired {
					d[j] = pair(d[j], word(y, j0+j, false))
				}
			}
		}
	}
}

func packTransPortable(p *pack, nr int, paired bool) {
	n := padSteps(stepsOf(p.cols, paired))
	for j0 := 0; j0 < p.rows; j0 += nr {
		for j := range nr {
			x, d := p.row(j0+j), p.dst[j0/nr*p.next:]
			for s := range n {
				d[s*p.ldd+j] = word(x, s, paired)
			}
		}
	}
}

func packTurnPortable(p *pack, paired bool) {
	n := padSteps(stepsOf(p.rows, paired))
	for j := range (p.cols + 15) / 16 * 16 {
		d := p.dst[j*p.ldd:][:n]
		for s := range d {
			d[s] = 0
			if j >= p.cols {
				continue
			}
			if paired {
				d[s] = pair(word(p.row(2*s), j, false), word(p.row(2*s+1), j, false))
			} else {
				d[s] = word(p.row(s), j, false)
			}
		}
	}
}

// The checks panic when p reaches outside its slices: assembly does not look.

func (p *pack) checkSource() {
	if p.rows == 0 || p.cols == 0 {
		return
	}
	last := p.rows - 1
	if p.idx != nil {
		last = 0
		for _, i := range p.idx[:p.rows] {
			if i < 0 {
				panic("kernel: negative row number")
			}
			last = max(last, int(i))
		}
	}
	_ = p.src[last*p.lds+p.cols-1]
}

func (p *pack) checkRows(paired bool) {
	p.checkSource()
	if n := padSteps(stepsOf(p.cols, paired)); p.rows > 0 && n > 0 {
		_ = p.dst[(p.rows-1)*p.ldd+n-1]
	}
}

func (p *pack) checkPanels(nr, cols, steps int) {
	p.checkSource()
	if cols > 0 && steps > 0 {
		_ = p.dst[(cols-1)/nr*p.next+(steps-1)*p.ldd+nr-1]
	}
}
