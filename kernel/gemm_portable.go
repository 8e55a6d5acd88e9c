package kernel

// portableRoute multiplies in Go. It is the definition that the other routes are tested against.
func portableRoute(dt DType) *route {
	const nr = 16
	paired := dt == BF16
	return &route{
		name: "portable", pair: paired, nr: nr, mr: 8, mc: 64, kc: 256, wide: 1,
		tile:  func(t *tile) { tilePortable(t, nr, paired) },
		rows:  func(p *pack) { packRowsPortable(p, paired) },
		cols:  func(p *pack) { packColsPortable(p, nr, paired) },
		trans: func(p *pack) { packTransPortable(p, nr, paired) },
	}
}
