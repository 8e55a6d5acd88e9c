package infer

// Two rules against going in circles. Both look for places earlier in the window where the text ends as it ends now:
// DRY makes what followed there less likely, the more so the longer the match; the no-repeat rule bans it.

import (
	"fmt"
	"math"
	"slices"
)

// DRY lowers the logit of a token that would lengthen a repetition by Multiplier·Base^(length-Allowed), where length
// is how many tokens before it are repeated already. A repetition never reaches across a breaker, and a token that is
// one is never made less likely. Source: p-e-w, "DRY: A modern repetition penalty" (text-generation-webui 5677).
type DRY struct {
	Multiplier   float64  // 0: off; 0.8 is usual
	Base         float64  // 1.75 is usual
	Allowed      int      // shortest repetition that costs; 2 is usual
	Window       int      // tokens looked at, the last of prompt and answer; 0: all
	Breakers     []int32  // ids that end a repetition
	BreakerTexts []string // texts that do, wherever tokens cut them; they need Request.TokenBytes
}

func (d *DRY) validate() error {
	switch {
	case !(d.Multiplier >= 0) || math.IsInf(d.Multiplier, 0):
		return fmt.Errorf("infer: DRY multiplier %v: must be 0 (off) or more", d.Multiplier)
	case d.Multiplier == 0:
		return nil
	case !(d.Base >= 1) || math.IsInf(d.Base, 0):
		return fmt.Errorf("infer: DRY base %v: must be 1 or more", d.Base)
	case d.Allowed < 1:
		return fmt.Errorf("infer: DRY allowed length %d: must be 1 or more", d.Allowed)
	case d.Window < 0:
		return fmt.Errorf("infer: DRY window %d: must be 0 (all) or more", d.Window)
	}
	for _, t := range d.BreakerTexts {
		if t == "" {
			return fmt.Errorf("infer: DRY breaker text: must not be empty")
		}
	}
	return nil
}

// NoRepeat bans a token that would complete a run of N tokens that stands in the last Window tokens already. It is
// the rule that DeepSeek-OCR is decoded with: (N, Window) = (30, 90) for images, (20, 50) for pages of a document,
// and the ids of <td> and </td> exempt.
type NoRepeat struct {
	N      int     // 0: off
	Window int     // of prompt and answer; 0: all
	Exempt []int32 // ids that are never banned
}

func (n *NoRepeat) validate() error {
	switch {
	case n.N < 0:
		return fmt.Errorf("infer: no-repeat length %d: must be 0 (off) or more", n.N)
	case n.Window < 0:
		return fmt.Errorf("infer: no-repeat window %d: must be 0 (all) or more", n.Window)
	}
	return nil
}

// maxPenalty keeps logits finite: a token of a long repetition stays possible where no other is allowed.
const maxPenalty = 1e30

func (r *rules) applyDRY(x []float32) {
	window := lastOf(r.history, r.DRY.Window)
	limit := min(len(window), len(r.history)-1-r.lastBreak) // tokens since the last breaker
	if limit < r.DRY.Allowed {
		return
	}
	z := r.matches(window, limit)
	longest := r.count // by the token that followed
	for k := 1; k < len(window); k++ {
		if id := window[len(window)-k]; r.known(id) {
			longest[id] = max(longest[id], z[k])
		}
	}
	for k := 1; k < len(window); k++ {
		id := window[len(window)-k]
		if !r.known(id) || longest[id] == 0 {
			continue
		}
		if n := int(longest[id]) - r.DRY.Allowed; n >= 0 && !r.isBreaker(id) {
			x[id] -= float32(min(r.DRY.Multiplier*math.Pow(r.DRY.Base, float64(n)), maxPenalty))
		}
		longest[id] = 0
	}
}

func (r *rules) applyNoRepeat(x []float32) {
	window := lastOf(r.history, r.NoRepeat.Window)
	n := r.NoRepeat.N
	if len(window) < n {
		return
	}
	z := r.matches(window, n-1)
	banned := float32(math.Inf(-1))
	for k := 1; k <= len(window); k++ {
		if id := window[len(window)-k]; int(z[k]) == n-1 && r.known(id) && !slices.Contains(r.NoRepeat.Exempt, id) {
			x[id] = banned
		}
	}
}

// matches returns z [len(window)+1]: z[k] is how many tokens, at most limit, the window's end has in common with its
// end k tokens before, counted backwards. What followed there is window[len(window)-k]. Cost: linear, by the
// Z-algorithm (Gusfield 1997, section 1.3) on the reversed window.
func (r *rules) matches(window []int32, limit int) []int32 {
	n := len(window)
	if cap(r.z) < n+1 {
		r.z = make([]int32, n+1+n/2)
	}
	z := r.z[:n+1]
	z[0], z[n] = 0, 0
	lo, hi := 0, 0 // the match that reaches furthest
	for k := 1; k < n; k++ {
		m := 0
		if k < hi {
			m = min(int(z[k-lo]), hi-k)
		}
		for m < limit && k+m < n && window[n-1-m] == window[n-1-k-m] {
			m++
		}
		z[k] = int32(m)
		if k+m > hi {
			lo, hi = k, k+m
		}
	}
	return z
}
