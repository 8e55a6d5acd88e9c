package kernel

// Rope rotates, in place, heads heads of width channels of rows tokens by the angles of position
// pos[r]: cos and sin are tables [positions, width/2]. Interleaved layout pairs (2i, 2i+1);
// otherwise (i, i+width/2). inverse rotates by the negative angle, which is also the gradient.
func (e *Engine) Rope(x View, rows, heads, width int, pos []int32, cos, sin []float32, interleaved, inverse bool) {
	half := width / 2
	for r := range rows {
		c, s := cos[int(pos[r])*half:][:half], sin[int(pos[r])*half:][:half]
		for h := range heads {
			v := x.at(r, h, width)
			for i := range half {
				p, q := i, i+half
				if interleaved {
					p, q = 2*i, 2*i+1
				}
				si := s[i]
				if inverse {
					si = -si
				}
				a, b := v[p], v[q]
				v[p], v[q] = a*c[i]-b*si, a*si+b*c[i]
			}
		}
	}
}
