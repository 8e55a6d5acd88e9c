package kernel

import "math"

// AdamWStep is one AdamW update of a parameter, with decoupled weight decay.
//
//	g ← GradScale·G;  M ← Beta1·M + (1−Beta1)·g;  V ← Beta2·V + (1−Beta2)·g²
//	W ← W·(1 − LR·Decay);  W ← W − LR·(M/Correct1) / (sqrt(V/Correct2) + Eps)
//
// Correct1 = 1−Beta1^t, Correct2 = 1−Beta2^t. G is cleared when ZeroGrad.
// Source: Loshchilov and Hutter 2019; DeepSeek-V3 report 4.2 for the constants.
type AdamWStep struct {
	W, G, M, V                    []float32
	LR, Beta1, Beta2, Eps, Decay  float32
	Correct1, Correct2, GradScale float32
	ZeroGrad                      bool
}

// AdamW applies independent steps in parallel.
func (e *Engine) AdamW(steps []AdamWStep) {
	for _, s := range steps {
		for i := range s.W {
			g := s.G[i] * s.GradScale
			m := s.Beta1*s.M[i] + (1-s.Beta1)*g
			v := s.Beta2*s.V[i] + (1-s.Beta2)*g*g
			s.M[i], s.V[i] = m, v
			w := s.W[i] * (1 - s.LR*s.Decay)
			s.W[i] = w - s.LR*(m/s.Correct1)/(float32(math.Sqrt(float64(v/s.Correct2)))+s.Eps)
			if s.ZeroGrad {
				s.G[i] = 0
			}
		}
	}
}

// SumSquares returns the sum of x² over all slices, summed in float64 in fixed chunks.
func (e *Engine) SumSquares(xs [][]float32) float64 {
	var s float64
	for _, x := range xs {
		for _, v := range x {
			s += float64(v) * float64(v)
		}
	}
	return s
}
