package serve

// The one request that every dialect translates into, and the events that every dialect translates from.

import (
	"github.com/haenyeo/haenyeo/chat"
	"github.com/haenyeo/haenyeo/infer"
)

// request is a completion that a client asks for. What is nil was not asked for and is the model's own choice.
type request struct {
	model string

	// One of these is the prompt.
	messages []chat.Message
	text     *string // raw, with special tokens as they are spelled
	ids      []int32
	middle   *middle

	tools     []chat.Tool
	strict    []string // names of tools whose arguments follow their schemas
	must      bool     // call a tool
	oneCall   bool     // end after the first call
	shape     *shape   // of the content; nil: any
	thinking  *bool
	effort    string
	sampling  sampling
	stop      []string // end the content; they are not part of it
	maxTokens int      // 0: what the context has room for
	n         int      // answers; 0 is 1
	logprobs  bool
	priority  int    // below 0: when nobody else waits
	client    string // who asks
	salt      string // shares beginnings with requests of the same salt alone
	top       int    // alternatives of every token
}

// middle is a text to be filled in.
type middle struct{ prefix, suffix string }

// sampling is how the client wants tokens to be chosen. Its fields go over the model's own.
type sampling struct {
	temperature, topP, minP, typicalP *float64
	presence, frequency, repetition   *float64
	topK, penaltyWindow               *int
	seed                              *int64
	bias                              map[int32]float64
}

// eventKind says what an event reports.
type eventKind int

const (
	started   eventKind = iota // the prompt is being read: usage.prompt
	reasoning                  // text goes on the reasoning
	content                    // text goes on the content
	callStart                  // call begins; text is its name, id its id
	callArgs                   // text goes on the arguments of call
	callEnd                    // call is complete; what says whether its arguments are JSON is broken
	finished                   // the answer of this choice is complete: finish, usage
)

// event is a step in an answer.
type event struct {
	kind     eventKind
	choice   int
	text     string
	call     int
	id       string
	unusable bool                 // callEnd: the arguments are no JSON object
	logprobs []infer.TokenLogprob // of the tokens that this text came from
	finish   finish
	stopped  string // finished: the stop text that ended it
	usage    usage
}

// finish says why an answer ended.
type finish string

const (
	finishStop   finish = "stop"
	finishLength finish = "length"
	finishCalls  finish = "tool_calls"
)

// usage counts tokens.
type usage struct {
	prompt    int
	reused    int // of prompt, not computed again
	answer    int
	reasoning int // of answer
}

// add counts a further answer to the same prompt, which the first one has read.
func (u *usage) add(v usage) {
	if u.prompt == 0 {
		u.prompt, u.reused = v.prompt, v.reused
	}
	u.answer += v.answer
	u.reasoning += v.reasoning
}
