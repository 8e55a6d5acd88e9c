package create

// This file says what a size and a number of tokens are worth, to choose between sizes. The numbers
// are published fits for much larger models; only their order is used, and the vocabulary differs
// too, so they promise no loss.

import "math"

// Chinchilla's parametric fit, loss = E + A/N^α + B/D^β (Hoffmann et al. 2022, equation 10). N is
// counted in parameters that a token meets: what an idle expert knows is worth more than nothing,
// but how much at this size nobody has measured.
const (
	fitA, fitAlpha = 406.4, 0.34
	fitB, fitBeta  = 410.7, 0.28
	fitE           = 1.69
)

// repeatWorth is R* of Muennighoff et al. 2023: repetitions lose their worth with this half-life-like
// constant. Four passes are worth nearly four times the data, sixteen about ten.
const repeatWorth = 15.4

// maxEpochs is where further passes add next to nothing: a longer budget is not spent.
const maxEpochs = 20.0

// predict is the fitted loss of n active parameters after d tokens drawn from u unique ones.
func predict(n, d, u float64) float64 {
	return fitE + fitA/math.Pow(n, fitAlpha) + fitB/math.Pow(worth(d, u), fitBeta)
}

// worth is the number of fresh tokens that d tokens, with repetitions of u unique ones, are worth.
func worth(d, u float64) float64 {
	if d <= u {
		return d
	}
	return u + u*repeatWorth*(1-math.Exp(-(d/u-1)/repeatWorth))
}
