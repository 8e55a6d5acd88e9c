package kernel

//go:noescape
func gemmF32AVX512(t *tile)

//go:noescape
func gemmBF16AVX512(t *tile)

//go:noescape
func gemmF32AVX2(t *tile)

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
	}
}
