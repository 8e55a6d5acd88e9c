// Package tune trains models further on conversations: supervised fine-tuning of all weights, of adapters
// (LoRA) or of the experts that a task uses (ESFT), and direct preference optimisation.
//
// The path of a conversation, in file order:
//
//	read.go      a line of JSONL, in one of three shapes, becomes a Conversation, or an error with line and field
//	shapes.go    the shapes: OpenAI messages, ShareGPT, Alpaca
//	check.go     roles in order, no empty answer, calls with arguments that are JSON
//	encode.go    a Conversation becomes Examples: tokens, and which of them the assistant wrote
//	source.go    examples are packed into rows, and rows become the batches of train.Run
//	request.go   what a run is asked for, and the places that it reads and writes
//	sft.go       the run
//	pairs.go     preference pairs, for dpo.go, the other run
//	experts.go   which experts a task uses
//	peft.go      adapters in the files of Hugging Face PEFT
//	card.go      the stage in the model's README.md
//
// # Basics
//
// What the model sees is what it will see when it is used: the prompt of a turn is what chat.Format.Render
// gives for the messages before it, and the loss is on what the assistant is to write after that, to its end
// token. Turns of one conversation share a sequence as far as the prompt of the later one, token by token,
// begins with the earlier prompt and answer; where it does not (because the generation leaves the reasoning
// of earlier turns out), a turn is a sequence of its own.
//
// A sequence is never cut in two. One that is longer than a row is refused, or its end is left out
// (Truncate). A token attends to its own sequence alone, whatever else is in its row.
package tune
