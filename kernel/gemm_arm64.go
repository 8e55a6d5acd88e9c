package kernel

//go:noescape
func gemmF32NEON(t *tile)

// archRoutes lists the ways to multiply in assembly. Packing a panel of eight columns moves two
// registers at a time, which the compiler does well.
func archRoutes() []*route {
	const nr = 8
	return []*route{{
		name: "neon", nr: nr, mr: 8, mc: 96, kc: 256, thin: 1, wide: 4,
		tile:  gemmF32NEON,
		rows:  func(p *pack) { packRowsPortable(p, false) },
		cols:  packColsEight,
		trans: func(p *pack) { packTransPortable(p, nr, false) },
	}}
}

// packColsEight packs float32 rows into panels of eight columns.
func packColsEight(p *pack) {
	for s := range p.steps {
		x := p.row(s)
		for j := 0; j < p.cols; j += 8 {
			d := (*[8]float32)(p.dst[j/8*p.next+s*p.ldd:])
			if j+8 <= len(x) {
				*d = [8]float32(x[j:])
				continue
			}
			clear(d[:])
			if j < len(x) {
				copy(d[:], x[j:])
			}
		}
	}
}
