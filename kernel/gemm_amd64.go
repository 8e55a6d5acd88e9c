package kernel

//go:noescape
func gemmF32AVX512(t *tile)

//go:noescape
func gemmBF16AVX512(t *tile)

//go:noescape
func gemmF32AVX2(t *tile)

//go:noescape
func gemmBF16AMX(t *tile)

//go:noescape
func packTurnBF16AVX512(p *pack)

//go:noescape
func packRowsF32AVX2(p *pack)

//go:noescape
func packColsF32AVX2(p *pack)

//go:noescape
func packTransF32AVX2(p *pack)

//go:noescape
func packRowsF32AVX512(p *pack)

//go:noescape
func packRowsBF16AVX512(p *pack)

//go:noescape
func packColsF32AVX512(p *pack)

//go:noescape
func packColsBF16AVX512(p *pack)

//go:noescape
func packTransF32AVX512(p *pack)

//go:noescape
func packTransBF16AVX512(p *pack)

// archRoutes lists the ways to multiply in assembly, narrow ones first.
func archRoutes() []*route {
	return []*route{
		{
			name: "avx2", nr: 16, mr: 6, mc: 96, kc: 256, thin: 1, wide: 4,
			tile: gemmF32AVX2, rows: packRowsF32AVX2, cols: packColsF32AVX2, trans: packTransF32AVX2,
		},
		{
			name: "avx512", nr: 32, mr: 14, mc: 112, kc: 256, thin: 3, wide: 4,
			tile: gemmF32AVX512, rows: packRowsF32AVX512, cols: packColsF32AVX512, trans: packTransF32AVX512,
		},
		{
			name: "avx512bf16", pair: true, nr: 32, mr: 14, mc: 112, kc: 256, thin: 3, wide: 4,
			tile: gemmBF16AVX512, rows: packRowsBF16AVX512, cols: packColsBF16AVX512, trans: packTransBF16AVX512,
		},
		amxRoute(gemmBF16AMX),
	}
}

// amxRoute multiplies in tiles of 32 rows, four panels at once so that configuring tiles does not
// weigh. kernel is the micro-kernel; tests put its twin there.
func amxRoute(kernel func(*tile)) *route {
	return &route{
		name: "amx", pair: true, exact: true, nr: 32, mr: 32, mc: 128, kc: 512, thin: 1 << 30, wide: 4,
		tile: func(t *tile) { tileAMX(t, kernel) },
		rows: packRowsBF16AVX512, cols: packColsBF16AVX512, trans: packTransBF16AVX512, turn: packTurnBF16AVX512,
	}
}

// tileAMX calls a kernel that can only store its product or add it to C. Any other alpha and beta are
// applied to a product in scratch.
func tileAMX(t *tile, kernel func(*tile)) {
	if t.alpha == 1 && (t.beta == 0 || t.beta == 1) {
		kernel(t)
		return
	}
	c, ldc, alpha, beta := t.c, t.ldc, t.alpha, t.beta
	rows, cols := t.rows*t.count, 32*(t.panels-1)+t.cols
	t.ldc, t.alpha, t.beta = 32*t.panels, 1, 0
	t.c = room(&t.scratch, rows*t.ldc)
	kernel(t)
	for i := range rows {
		c := c[i*ldc:][:cols]
		for j, v := range t.c[i*t.ldc:][:cols] {
			v *= alpha
			if beta != 0 {
				v += beta * c[j]
			}
			c[j] = v
		}
	}
	t.c, t.ldc, t.alpha, t.beta = c, ldc, alpha, beta
}
