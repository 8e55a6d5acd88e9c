// Package task holds what a model can be taught by reward: a [Task] makes questions, shows correct answers with their
// scratch work, and verifies answers exactly.
//
// # Basics
//
//	ts := task.Ladder()                           // the ladder, easiest first
//	t, err := task.Named("add")                   // one of them
//	it, err := t.Item(task.Train, seed, n)        // the n-th question of a seed: a pure function of its arguments
//	text, err := t.Demonstrate(it)                // <think>…</think><answer>…</answer>, for fine-tuning
//	v := t.Verify(ctx, it, text)                  // v.Reward, v.Correct, v.Lenient, v.Format
//	held, err := task.HeldOutSet(t, seed, 500)    // distinct questions that training never sees
//
// Questions of the two splits are disjoint by construction: a hash of what is asked, not of how it is worded, puts each
// on one side ([SplitOf]). An addition and its twin with the terms exchanged, or one story in two languages, stand on
// the same side.
//
// # Where things are
//
//	task.go        Task, Item, Verdict, the two splits
//	answer.go      where the answer stands in a text: strictly and leniently
//	tally.go       counts over many verdicts
//	number.go      exact numbers: integers, fractions, decimals, percent, LaTeX
//	ladder.go      the rungs 0 to 9 by name, and what they share
//	letters.go     0 format, 1 copy reverse sort, 2 count
//	arithmetic.go  3 add, 4 scratchpad-add, 5 multiply
//	puzzles.go     6 modular brackets calendar base
//	story.go       7 story: events, facts and questions; story_words.go says them in four languages
//	countdown.go   8 countdown
//	stack.go       9 stack: programs of a small stack machine
//
// Tasks of a user (a Starlark file, a command) and code that a model wrote run in package task/sandbox.
//
// # Caveats
//
// Only an answer in the strict format is rewarded; Lenient tells what a model knows beside how it says it, and a
// difference of the two means that it is the format that is being learned.
package task
