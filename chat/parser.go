package chat

// The text of a reply, piece by piece, into events: reasoning, content and calls. calls_json.go and calls_dsml.go go on
// where a block of calls begins.
//
// A parser gives the same events wherever the text is cut. It holds back what may be the beginning of a marker until more
// text decides; Close gives what is left.

import (
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
)

// EventKind says what an event reports.
type EventKind int

const (
	ReasoningDelta EventKind = iota // Text goes on the reasoning
	ContentDelta                    // Text goes on the content
	CallStart                       // call Index begins; Text is its name
	CallArguments                   // Text goes on the arguments of call Index, which are JSON
	CallEnd                         // call Index is complete, or cannot be used: Err
	Malformed                       // Text stood where a call should, or broke off in its marker; Err says what is wrong with it
)

// Event is a step in a reply.
type Event struct {
	Kind  EventKind
	Text  string
	Index int // of the call, from 0; -1 for others
	Err   error
}

// Parser reads one reply. Make one with Format.Parser.
type Parser struct {
	f         *Format
	state     func(*Parser) bool // takes something off rest; false when it needs more text
	rest      string
	pending   []byte   // not yet put to rest: see Push
	closing   bool     // no more text comes
	starts    []string // markers that begin a block of calls, with the newlines before it
	stops     []string // texts that end the reply
	events    []Event
	calls     int // begun so far
	arguments strings.Builder
	dsml      dsmlState
}

// Parser reads the reply to a prompt that this format rendered; the end of the prompt says whether the reply begins within
// reasoning. The reply must be decoded with special tokens kept.
func (f *Format) Parser(prompt []Segment) *Parser {
	p := &Parser{f: f, state: (*Parser).begin, starts: f.calls().starts()}
	if f.Thinks(prompt) {
		p.state = (*Parser).reopened
	}
	for _, s := range f.Stops() {
		p.stops = append(p.stops, s)
		if f.kind.tail != "" {
			p.stops = append(p.stops, f.kind.tail+s)
		}
	}
	return p
}

// endsInThought tells whether a prompt ends in reasoning that was begun and not ended.
func endsInThought(prompt []Segment) bool {
	for _, s := range slices.Backward(prompt) {
		if !s.Control {
			continue
		}
		at, thinks := -1, false
		for _, token := range []string{thinkToken, endThinkToken, userToken, assistantToken} {
			if i := strings.LastIndex(s.Text, token); i > at {
				at, thinks = i, token == thinkToken
			}
		}
		if at >= 0 {
			return thinks
		}
	}
	return false
}

// Push takes the next piece of the reply, whole characters, and gives the events that it decides.
func (p *Parser) Push(text string) []Event {
	// What is held long, as the whole of a large argument may be, is not searched anew for every token: markers end in >.
	const long = 4096
	p.pending = append(p.pending, text...)
	if len(p.rest) > long && len(p.pending) < len(p.rest)/8 && !strings.Contains(text, ">") {
		return nil
	}
	return p.run()
}

// Close ends the reply and gives the last events: what was held back, and the end of a call that was under way.
func (p *Parser) Close() []Event {
	p.closing = true
	return p.run()
}

func (p *Parser) run() []Event {
	p.rest += string(p.pending)
	p.pending = p.pending[:0]
	for p.state(p) {
	}
	events := p.events
	p.events = nil
	return events
}

// emit adds an event; text that goes on the last one joins it.
func (p *Parser) emit(kind EventKind, text string, err error) {
	delta := kind == ReasoningDelta || kind == ContentDelta || kind == CallArguments
	if delta && text == "" {
		return
	}
	index := p.calls - 1
	if kind == ReasoningDelta || kind == ContentDelta || kind == Malformed {
		index = -1
	}
	if n := len(p.events); delta && n > 0 && p.events[n-1].Kind == kind && p.events[n-1].Index == index {
		p.events[n-1].Text += text
		return
	}
	p.events = append(p.events, Event{kind, text, index, err})
}

// take removes text up to the first of the markers, and the marker. Without any it removes what cannot be the beginning of
// one. No marker begins with another.
func (p *Parser) take(markers ...[]string) (text, marker string) {
	at, hold := -1, 0
	for _, list := range markers {
		for _, m := range list {
			if i := strings.Index(p.rest, m); i >= 0 && (at < 0 || i < at) {
				at, marker = i, m
			}
			hold = max(hold, overlap(p.rest, m))
		}
	}
	if at >= 0 {
		text = p.rest[:at]
		p.rest = p.rest[at+len(marker):]
		return text, marker
	}
	text = p.rest[:len(p.rest)-hold]
	p.rest = p.rest[len(p.rest)-hold:]
	return text, ""
}

// upTo removes all text up to the first of the markers, and the marker; everything without a marker if no more text
// comes. It is not ok while a marker may still come.
func (p *Parser) upTo(markers ...[]string) (text, marker string, ok bool) {
	at := -1
	for _, list := range markers {
		for _, m := range list {
			if i := strings.Index(p.rest, m); i >= 0 && (at < 0 || i < at) {
				at, marker = i, m
			}
		}
	}
	if at < 0 {
		if !p.closing {
			return "", "", false
		}
		text, p.rest = p.rest, ""
		return text, "", true
	}
	text = p.rest[:at]
	p.rest = p.rest[at+len(marker):]
	return text, marker, true
}

// overlap gives the length of the longest end of s that m begins with and goes on from.
func overlap(s, m string) int {
	for n := min(len(s), len(m)-1); n > 0; n-- {
		if strings.HasSuffix(s, m[:n]) {
			return n
		}
	}
	return 0
}

// skip removes s from the front of rest. It says whether it did, and whether more text is needed to know.
func (p *Parser) skip(s string) (done, wait bool) {
	if strings.HasPrefix(p.rest, s) {
		p.rest = p.rest[len(s):]
		return true, false
	}
	return false, !p.closing && strings.HasPrefix(s, p.rest)
}

// begin is the state before anything was read.
func (p *Parser) begin() bool {
	if lead := p.f.kind.lead; lead != "" {
		if _, wait := p.skip(lead); wait {
			return false
		}
	}
	p.state = (*Parser).opening
	return true
}

// opening is the state in which the model may begin to think, after white space if need be.
func (p *Parser) opening() bool {
	p.state = (*Parser).content
	if p.f.kind.thinking == NeverThinks {
		return true
	}
	trimmed := strings.TrimLeft(p.rest, " \t\r\n")
	if after, thinks := strings.CutPrefix(trimmed, thinkToken); thinks {
		p.rest = after
		p.state = (*Parser).reasoning
	} else if !p.closing && strings.HasPrefix(thinkToken, trimmed) {
		p.state = (*Parser).opening
		return false
	}
	return true
}

// reopened is the state after a prompt that began the reasoning, which some models begin once more.
func (p *Parser) reopened() bool {
	if _, wait := p.skip(thinkToken); wait {
		return false
	}
	p.state = (*Parser).reasoning
	return true
}

// reasoning goes up to </think>. A block of calls ends it too: the model forgot to.
func (p *Parser) reasoning() bool {
	text, marker := p.take([]string{endThinkToken}, p.starts, p.stops)
	p.emit(ReasoningDelta, text, nil)
	switch {
	case marker == endThinkToken:
		p.state = (*Parser).content
	case marker != "":
		p.enter(marker)
	default:
		return p.leave(ReasoningDelta)
	}
	return true
}

func (p *Parser) content() bool {
	text, marker := p.take(p.starts, p.stops)
	p.emit(ContentDelta, text, nil)
	if marker == "" {
		return p.leave(ContentDelta)
	}
	p.enter(marker)
	return true
}

// enter goes on after a marker that ends the reply or begins a block of calls.
func (p *Parser) enter(marker string) {
	if slices.Contains(p.stops, marker) {
		p.state = (*Parser).ended
		return
	}
	p.state = p.f.calls().block()
}

// leave gives what was held back when no more text comes.
func (p *Parser) leave(kind EventKind) bool {
	if !p.closing {
		return false
	}
	switch held := p.rest; {
	case strings.Contains(held, "｜"):
		p.emit(Malformed, held, errCut)
	case held != p.f.kind.tail:
		p.emit(kind, held, nil)
	}
	p.state = (*Parser).ended
	return true
}

// after is the state behind a block of calls, where nothing should stand but white space.
func (p *Parser) after() bool {
	trimmed := strings.TrimSpace(p.rest)
	markers := append(slices.Clone(p.starts), p.stops...)
	if !p.closing && (trimmed == "" || slices.ContainsFunc(markers, func(m string) bool { return strings.HasPrefix(m, trimmed) && m != trimmed })) {
		return false
	}
	if at := first(p.rest, markers); trimmed == "" || at >= 0 && strings.TrimSpace(p.rest[:at]) == "" {
		p.rest = p.rest[max(at, 0):]
		if trimmed == "" {
			p.rest = ""
		}
	}
	p.state = (*Parser).content
	return true
}

// ended drops whatever follows the end of a reply.
func (p *Parser) ended() bool {
	p.rest = ""
	return false
}

var (
	errCut       = errors.New("chat: the reply ends in the middle of a call")
	errArguments = errors.New("chat: the arguments are not a JSON object")
	errRepeated  = errors.New("chat: a parameter stands twice")
	errNoCall    = errors.New("chat: not a call")
)

// start begins a call.
func (p *Parser) start(name string) {
	p.calls++
	p.arguments.Reset()
	p.emit(CallStart, name, nil)
}

// argue goes on with the arguments of the call.
func (p *Parser) argue(text string) {
	p.arguments.WriteString(text)
	p.emit(CallArguments, text, nil)
}

// finish ends the call; arguments that are no JSON object are its error, unless there is one already.
func (p *Parser) finish(err error) {
	var object map[string]json.RawMessage
	if err == nil && json.Unmarshal([]byte(p.arguments.String()), &object) != nil {
		err = errArguments
	}
	p.emit(CallEnd, "", err)
}

// Add puts an event into the message that it is a part of; calls are numbered call_0 and so on. What could not be read as a
// call, and a call that cannot be used, become content: no prompt could repeat it as a call.
func (m *Message) Add(e Event) {
	switch e.Kind {
	case ReasoningDelta:
		m.Reasoning += e.Text
	case ContentDelta, Malformed:
		m.Content += e.Text
	case CallStart:
		m.ToolCalls = append(m.ToolCalls, ToolCall{ID: "call_" + strconv.Itoa(e.Index), Name: e.Text})
	case CallArguments:
		m.ToolCalls[len(m.ToolCalls)-1].Arguments += e.Text
	case CallEnd:
		if e.Err != nil {
			last := len(m.ToolCalls) - 1
			m.Content += m.ToolCalls[last].Name + " " + m.ToolCalls[last].Arguments
			if m.ToolCalls = m.ToolCalls[:last]; last == 0 {
				m.ToolCalls = nil
			}
		}
	}
}
