package chat

// Calls between tokens: those of V2.5 to V3.1, and those that other models put between tags.
//
//	<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>{name}␊```json␊{arguments}␊```<｜tool▁call▁end｜>…<｜tool▁calls▁end｜>
//	<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>{name}<｜tool▁sep｜>{arguments}<｜tool▁call▁end｜>…<｜tool▁calls▁end｜>
//	<tool_call>␊{"name": "{name}", "arguments": {arguments}}␊</tool_call>␊…

import (
	"encoding/json"
	"strings"
)

// Texts that end a call, the fence of V2.5 to R1 first.
var (
	callEnds  = []string{callEnd}
	fenceEnds = []string{"\n```" + callEnd, "```" + callEnd}
	outside   = []string{callBegin, callsEnd}
)

const (
	toolCallBegin = "<tool_call>"
	toolCallEnd   = "</tool_call>"
)

// callOrEnd is the state between calls.
func (p *Parser) callOrEnd() bool {
	text, marker, ok := p.upTo(outside, p.stops)
	if !ok {
		return false
	}
	p.between(text, marker)
	switch marker {
	case callBegin:
		p.state = (*Parser).callHeader
	case callsEnd:
		p.state = (*Parser).after
	default:
		p.state = (*Parser).ended
	}
	return true
}

// between reports text before a marker, or the end, where only white space should stand.
func (p *Parser) between(text, marker string) {
	switch {
	case strings.TrimSpace(text) == "":
	case marker == "":
		p.emit(Malformed, text, errCut)
	default:
		p.emit(Malformed, text, errNoCall)
	}
}

// callHeader reads up to the arguments.
func (p *Parser) callHeader() bool {
	ends := append(append([]string{callEnd}, outside...), p.stops...)
	at := first(p.rest, ends)
	header := p.rest
	if at >= 0 {
		header = p.rest[:at]
	}
	name, body, found := strings.Cut(header, callSep)
	if found && p.f.calls() == fencedCalls {
		name, body, found = strings.Cut(body, "\n")
		if found {
			fence := "```json\n"
			if at < 0 && strings.HasPrefix(fence, body) && body != fence {
				if !p.closing {
					return false
				}
				body = ""
			}
			body = strings.TrimPrefix(body, fence)
		}
	}
	if name = strings.TrimSpace(name); found && name != "" {
		p.rest = p.rest[len(header)-len(body):]
		p.start(name)
		p.state = (*Parser).callBody
		return true
	}
	if at < 0 && !p.closing {
		return false
	}
	// Something else, or the end, came where the arguments should.
	err := errNoCall
	if at < 0 {
		err = errCut
	}
	p.emit(Malformed, callBegin+header, err)
	p.rest = p.rest[len(header):]
	if p.state = (*Parser).callOrEnd; at >= 0 {
		p.skip(callEnd)
	}
	return true
}

// first gives where the first of the markers stands, or -1.
func first(s string, markers []string) int {
	at := -1
	for _, m := range markers {
		if i := strings.Index(s, m); i >= 0 && (at < 0 || i < at) {
			at = i
		}
	}
	return at
}

// callBody reads the arguments.
func (p *Parser) callBody() bool {
	ends := callEnds
	if p.f.calls() == fencedCalls {
		ends = append(ends[:1:1], fenceEnds...)
	}
	text, marker := p.take(ends, outside, p.stops)
	p.argue(text)
	if marker == "" {
		if !p.closing {
			return false
		}
		// What is held may be a part of the end.
		p.argue(strings.TrimSuffix(strings.TrimRight(cutAt(p.rest, "<｜"), "`"), "\n"))
		p.rest = ""
	}
	if strings.TrimSpace(p.arguments.String()) == "" && marker != "" {
		p.argue("{}")
	}
	p.finish(nil)
	switch {
	case marker == callsEnd:
		p.state = (*Parser).after
	case marker == callBegin:
		p.state = (*Parser).callHeader
	case marker == "" || first(marker, p.stops) >= 0:
		p.state = (*Parser).ended
	default:
		p.state = (*Parser).callOrEnd
	}
	return true
}

// cutAt gives s up to the first sep.
func cutAt(s, sep string) string {
	before, _, _ := strings.Cut(s, sep)
	return before
}

// taggedCall reads one call between tags, as a whole: its name may stand behind its arguments.
func (p *Parser) taggedCall() bool {
	ends := append([]string{toolCallEnd, toolCallBegin}, p.stops...)
	at := first(p.rest, ends)
	if at < 0 && !p.closing {
		return false
	}
	text, err := p.rest, errNoCall
	if at < 0 {
		err = errCut
	} else {
		text = p.rest[:at]
	}
	var call struct {
		Name                  string
		Arguments, Parameters json.RawMessage
	}
	if json.Unmarshal([]byte(text), &call) != nil || call.Name == "" {
		p.emit(Malformed, toolCallBegin+text, err)
	} else {
		p.start(call.Name)
		given := call.Arguments
		if len(given) == 0 {
			given = call.Parameters
		}
		var quoted string // some models write the arguments as a string
		if json.Unmarshal(given, &quoted) == nil && quoted != "" {
			given = json.RawMessage(quoted)
		}
		if len(given) == 0 || string(given) == "null" {
			given = json.RawMessage("{}")
		}
		p.argue(string(given))
		p.finish(nil)
	}
	p.rest = p.rest[len(text):]
	p.skip(toolCallEnd)
	p.state = (*Parser).nextTagged
	return true
}

// nextTagged is the state behind a call between tags: another may follow, or content.
func (p *Parser) nextTagged() bool {
	trimmed := strings.TrimLeft(p.rest, " \r\n\t")
	switch {
	case strings.HasPrefix(trimmed, toolCallBegin):
		p.rest = trimmed[len(toolCallBegin):]
		p.state = (*Parser).taggedCall
	case !p.closing && strings.HasPrefix(toolCallBegin, trimmed):
		return false
	default:
		p.state = (*Parser).after
	}
	return true
}
