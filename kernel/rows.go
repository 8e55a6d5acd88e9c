package kernel

// Row movement: embedding lookup, the weighted sum that ends an MoE layer, and their gradients.

// Embed copies table[ids[r],:] to y[r,:]. table [V,D], y [rows,D].
func (e *Engine) Embed(y, table []float32, ids []int32, d int) {
	for r, id := range ids {
		copy(y[r*d:][:d], table[int(id)*d:][:d])
	}
}

// EmbedGrad adds dy[r,:] to dtable[ids[r],:], rows in ascending order.
func (e *Engine) EmbedGrad(dtable, dy []float32, ids []int32, d int) {
	for r, id := range ids {
		dst, src := dtable[int(id)*d:][:d], dy[r*d:][:d]
		for i := range dst {
			dst[i] += src[i]
		}
	}
}

// Combine computes y[t,:] = sum_j w[t,j]·src[row[t,j],:], added to y when accumulate. w nil means 1.
//
//	y [T,D] written   src [rows,D] read   row [T,K] read   w [T,K] read
func (e *Engine) Combine(y, src []float32, row []int32, w []float32, t, k, d int, accumulate bool) {
	for i := range t {
		yr := y[i*d:][:d]
		if !accumulate {
			clear(yr)
		}
		for j := range k {
			s := src[int(row[i*k+j])*d:][:d]
			f := float32(1)
			if w != nil {
				f = w[i*k+j]
			}
			for c := range yr {
				yr[c] += f * s[c]
			}
		}
	}
}

// CombineGrad writes dsrc[row[t,j],:] = w[t,j]·dy[t,:] and dw[t,j] = dy[t,:]·src[row[t,j],:].
func (e *Engine) CombineGrad(dsrc, dw, dy, src []float32, row []int32, w []float32, t, k, d int) {
	for i := range t {
		g := dy[i*d:][:d]
		for j := range k {
			r := int(row[i*k+j])
			s, ds := src[r*d:][:d], dsrc[r*d:][:d]
			var dot float32
			for c := range g {
				dot += g[c] * s[c]
				ds[c] = w[i*k+j] * g[c]
			}
			dw[i*k+j] = dot
		}
	}
}

// Add computes dst += src.
func (e *Engine) Add(dst, src []float32) {
	for i := range dst {
		dst[i] += src[i]
	}
}
