package chat

// How generations call tools, by the words for it.

// syntax is one way to call tools.
type syntax int

const (
	noCalls     syntax = iota
	fencedCalls        // V2.5, V3, R1: the name, then JSON in a fence
	bareCalls          // V3.1: the name, then JSON
	dsmlV32            // tags with function_calls
	dsmlV4             // tags with tool_calls
	dsmlV41            // tags with a blank
	taggedCalls        // <tool_call>{"name": …, "arguments": …}</tool_call>: Qwen and many others
)

// starts lists what begins a block of calls; the empty line before it belongs to it.
func (s syntax) starts() []string {
	switch s {
	case noCalls:
		return nil
	case fencedCalls, bareCalls:
		return []string{callsBegin}
	case taggedCalls:
		return withNewlines(toolCallBegin)
	}
	return withNewlines(open(dsmlTags[s].block) + ">")
}

func withNewlines(marker string) []string { return []string{marker, "\n" + marker, "\n\n" + marker} }

// block gives the state in which a block is read.
func (s syntax) block() func(*Parser) bool {
	switch s {
	case fencedCalls, bareCalls:
		return (*Parser).callOrEnd
	case taggedCalls:
		return (*Parser).taggedCall
	}
	return (*Parser).invokeOrEnd
}
