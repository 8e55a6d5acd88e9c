package chat

// The form of calls, for those who let a model write nothing else.

// CallForm is what stands around the parts of a block of calls:
//
//	Begin {call} Between {call} … End
//
// where a call is Head {name} Middle {arguments} Tail. The arguments are a JSON object; or, if Parameters are set, one
// after the other Parameter {key} AsText {text} ParameterEnd, or Parameter {key} AsJSON {JSON} ParameterEnd.
type CallForm struct {
	Begin, Between, End string
	Head, Middle, Tail  string

	Parameters                              bool
	Parameter, AsText, AsJSON, ParameterEnd string
}

// CallForm tells how models of this format write calls; not ok where they make none.
func (f *Format) CallForm() (form CallForm, ok bool) {
	switch s := f.calls(); s {
	case noCalls:
		return CallForm{}, false
	case fencedCalls:
		return CallForm{
			Begin: callsBegin, Between: "\n", End: callsEnd,
			Head: callBegin + "function" + callSep, Middle: "\n```json\n", Tail: "\n```" + callEnd,
		}, true
	case bareCalls:
		return CallForm{Begin: callsBegin, End: callsEnd, Head: callBegin, Middle: callSep, Tail: callEnd}, true
	case taggedCalls:
		return CallForm{Between: "\n", Head: toolCallBegin + "\n{\"name\": \"", Middle: `", "arguments": `, Tail: "}\n" + toolCallEnd}, true
	default:
		d := dsmlTags[s]
		return CallForm{
			Begin: open(d.block) + ">\n", Between: "\n", End: "\n" + closed(d.block),
			Head: open(d.invoke) + ` name="`, Middle: `">`, Tail: "\n" + closed(d.invoke), Parameters: true,
			Parameter: "\n" + open(d.parameter) + ` name="`, AsText: `" string="true">`, AsJSON: `" string="false">`, ParameterEnd: closed(d.parameter),
		}, true
	}
}

// Thinks tells whether the reply to a prompt begins within reasoning, as Parser takes it.
func (f *Format) Thinks(prompt []Segment) bool {
	return f.kind.thinking != NeverThinks && endsInThought(prompt)
}
