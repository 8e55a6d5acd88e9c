package kernel

import "math"

// View is a [tokens, heads, width] window into a float32 slice: element (t,h,c) is
// Data[t*Row + h*Head + c].
type View struct {
	Data      []float32
	Row, Head int
}

func (v View) at(t, h, n int) []float32 { return v.Data[t*v.Row+h*v.Head:][:n] }

// Attention describes causal attention over B sequences of T tokens each (token b*T+t).
//
//	o[t,h] = sum_s p_s v[s,h'],  p = softmax_s(Scale · q[t,h]·k[s,h'])  over First[t] <= s <= t
//
// h' = h·HK/H. First holds, for every token, the first visible position inside its own sequence
// (where its document begins); nil means 0. LSE [B*T,H] receives log sum exp of the scaled scores
// and is what the backward pass needs besides O.
type Attention struct {
	B, T          int
	H, HK, DK, DV int
	Scale         float32
	Q, K, V, O    View
	First         []int32
	LSE           []float32
	DType         DType
}

func (a *Attention) first(i int) int {
	if a.First == nil {
		return 0
	}
	return int(a.First[i])
}

// Attention writes O and LSE. 2·T²·(DK+DV)/2 FLOPs per head and sequence. Scores of one block of
// queries live in scratch; no T×T matrix is kept.
func (e *Engine) Attention(a *Attention) {
	s := make([]float32, a.T)
	for b := range a.B {
		for h := range a.H {
			hk := h * a.HK / a.H
			for t := range a.T {
				i := b*a.T + t
				lo := a.first(i)
				q := a.Q.at(i, h, a.DK)
				m := float32(math.Inf(-1))
				for j := lo; j <= t; j++ {
					k := a.K.at(b*a.T+j, hk, a.DK)
					var d float32
					for c := range q {
						d += q[c] * k[c]
					}
					s[j] = d * a.Scale
					m = max(m, s[j])
				}
				var z float32
				for j := lo; j <= t; j++ {
					s[j] = float32(math.Exp(float64(s[j] - m)))
					z += s[j]
				}
				o := a.O.at(i, h, a.DV)
				clear(o)
				for j := lo; j <= t; j++ {
					v := a.V.at(b*a.T+j, hk, a.DV)
					p := s[j] / z
					for c := range o {
						o[c] += p * v[c]
					}
				}
				a.LSE[i*a.H+h] = m + float32(math.Log(float64(z)))
			}
		}
	}
}

// AttentionGrad writes dq, dk and dv from the gradient do of O. a.O and a.LSE are those of the
// forward pass; probabilities are recomputed block by block.
func (e *Engine) AttentionGrad(a *Attention, do, dq, dk, dv View) {
	for b := range a.B {
		for t := range a.T {
			for h := range a.H {
				clear(dq.at(b*a.T+t, h, a.DK))
			}
			for h := range a.HK {
				clear(dk.at(b*a.T+t, h, a.DK))
				clear(dv.at(b*a.T+t, h, a.DV))
			}
		}
		for h := range a.H {
			hk := h * a.HK / a.H
			for t := range a.T {
				i := b*a.T + t
				g, o := do.at(i, h, a.DV), a.O.at(i, h, a.DV)
				var delta float32
				for c := range g {
					delta += g[c] * o[c]
				}
				q, gq := a.Q.at(i, h, a.DK), dq.at(i, h, a.DK)
				for j := a.first(i); j <= t; j++ {
					k, v := a.K.at(b*a.T+j, hk, a.DK), a.V.at(b*a.T+j, hk, a.DV)
					gk, gv := dk.at(b*a.T+j, hk, a.DK), dv.at(b*a.T+j, hk, a.DV)
					var d, dp float32
					for c := range q {
						d += q[c] * k[c]
					}
					p := float32(math.Exp(float64(d*a.Scale - a.LSE[i*a.H+h])))
					for c := range g {
						gv[c] += p * g[c]
						dp += g[c] * v[c]
					}
					ds := p * (dp - delta) * a.Scale
					for c := range q {
						gq[c] += ds * k[c]
						gk[c] += ds * q[c]
					}
				}
			}
		}
	}
}
