package kernel

import "github.com/haenyeo/haenyeo/internal/par"

// operations keeps one task of each kind, so that running an operation allocates nothing.
type operations struct {
	norm          normTask
	normGrad      normGradTask
	normGradSum   normGradSumTask
	swiglu        swigluTask
	swigluGrad    swigluGradTask
	sigmoid       sigmoidTask
	rope          ropeTask
	crossEntropy  crossEntropyTask
	topK          topKTask
	embed         embedTask
	embedGrad     embedGradTask
	combine       combineTask
	combineGrad   combineGradTask
	add           addTask
	adamw         adamwTask
	sumSquares    sumSquaresTask
	attention     attentionTask
	attentionGrad attentionGradTask
	shared        sharedTask
	indexScores   indexScoresTask
	pack          packVectorsTask
	unpack        unpackTask
}

// rowsPerTask cuts rows of n elements into tasks of about chunk elements.
func rowsPerTask(n int) int { return max(1, chunk/max(1, n)) }

// run calls t for every block of per items out of n. The result must not depend on per.
func (e *Engine) run(n, per int, t par.Task) { e.pool.Run((n+per-1)/per, t) }

// grow returns s with length n, reusing its memory when it suffices. The content is undefined.
func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}
