// Package eval measures what a model can do: sets of questions come in, scores with their intervals go out.
//
// # The path of a set
//
//	set.go           Load reads a file of questions; every record becomes an Item
//	shapes.go        what records look like: ARC, PIQA, HellaSwag, BoolQ, COPA, XCOPA, KoBEST, BLiMP, Winograd, GSM8K, ...
//	find.go          the files that a name stands for
//	prompt.go        the examples that go before a question
//	score.go         how probable a model finds continuations of a context
//	choice.go        multiple choice and completion from that; acc, acc_norm, acc_bytes, perplexity
//	answer.go        questions that are answered by text, and what is read from the text
//	rung.go          questions of package task, with its verifiers
//	run.go           Run does a set from its beginning to its Result
//	interval.go      95 % intervals
//	compare.go       two models on the same items
//	contamination.go items that stand in training data
//
// # Rules
//
// Prompts, the cut between context and continuation, and scores are those of lm-eval 0.4 (EleutherAI,
// lm-evaluation-harness), which testdata/peer_lm_eval.py compares with. Where they differ: the examples before questions are
// the same for all questions of a set, so that they are read once, and lm-eval draws new ones for each. A score without
// examples is the same number in both.
//
// Numbers do not depend on which other items are scored in a run, nor on the number of threads.
package eval
