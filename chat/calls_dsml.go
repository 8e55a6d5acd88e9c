package chat

// Calls in DSML, from V3.2 on. The tags become a JSON object while they are read: a string is escaped, any other value is
// JSON already; one that is not becomes a string.

import (
	"encoding/json"
	"slices"
	"strings"
)

// dsmlState is where a parser stands in a call.
type dsmlState struct {
	keys   []string // of the parameters so far
	err    error    // what is wrong with the call
	quoted bool     // the value being read is a string
}

func (p *Parser) tags() dsml { return dsmlTags[p.f.calls()] }

// invokeOrEnd is the state between calls.
func (p *Parser) invokeOrEnd() bool {
	d := p.tags()
	invoke, end := open(d.invoke)+` name="`, closed(d.block)
	text, marker, ok := p.upTo([]string{invoke, end}, p.stops)
	if !ok {
		return false
	}
	p.between(text, marker)
	switch marker {
	case invoke:
		p.state = (*Parser).invokeName
	case end:
		p.state = (*Parser).after
	default:
		p.state = (*Parser).ended
	}
	return true
}

// invokeName reads the rest of the tag that begins a call.
func (p *Parser) invokeName() bool {
	d := p.tags()
	wrong := append([]string{"<" + dsmlToken, "</" + dsmlToken}, p.stops...)
	at := first(p.rest, wrong)
	header := p.rest
	if at >= 0 {
		header = p.rest[:at]
	}
	if name, body, found := strings.Cut(header, `">`); found && name != "" {
		p.rest = p.rest[len(header)-len(body):]
		p.dsml = dsmlState{}
		p.start(name)
		p.state = (*Parser).parameterOrEnd
		return true
	}
	if at < 0 && !p.closing {
		return false
	}
	err := errNoCall
	if at < 0 {
		err = errCut
	}
	p.emit(Malformed, open(d.invoke)+` name="`+header, err)
	p.rest = p.rest[len(header):]
	p.state = (*Parser).strayed
	return true
}

// strayed passes the parts of a call that could not be read, up to the end of the call.
func (p *Parser) strayed() bool {
	d := p.tags()
	invoke, end := open(d.invoke)+` name="`, closed(d.block)
	text, marker, ok := p.upTo([]string{closed(d.invoke), invoke, end}, p.stops)
	if !ok {
		return false
	}
	p.between(text, marker)
	switch marker {
	case closed(d.invoke):
		p.state = (*Parser).invokeOrEnd
	case invoke:
		p.state = (*Parser).invokeName
	case end:
		p.state = (*Parser).after
	default:
		p.state = (*Parser).ended
	}
	return true
}

// parameterOrEnd is the state between the parameters of a call.
func (p *Parser) parameterOrEnd() bool {
	d := p.tags()
	parameter, invoke := open(d.parameter)+` name="`, open(d.invoke)+` name="`
	text, marker, ok := p.upTo([]string{parameter, closed(d.invoke), closed(d.block), invoke}, p.stops)
	if !ok {
		return false
	}
	if p.between(text, marker); strings.TrimSpace(text) != "" {
		p.dsml.err = errNoCall
	}
	if marker == parameter {
		p.state = (*Parser).parameterName
		return true
	}
	if marker != closed(d.invoke) {
		p.dsml.err = errCut
	}
	p.close()
	switch marker {
	case closed(d.invoke):
		p.state = (*Parser).invokeOrEnd
	case closed(d.block):
		p.state = (*Parser).after
	case invoke:
		p.state = (*Parser).invokeName
	default:
		p.state = (*Parser).ended
	}
	return true
}

// close ends the JSON object and the call.
func (p *Parser) close() {
	if p.dsml.err == nil {
		if len(p.dsml.keys) == 0 {
			p.argue("{")
		}
		p.argue("}")
	}
	p.finish(p.dsml.err)
}

// parameterName reads the rest of the tag that begins a parameter.
func (p *Parser) parameterName() bool {
	d := p.tags()
	at := first(p.rest, append([]string{closed(d.parameter), closed(d.invoke), closed(d.block)}, p.stops...))
	header := p.rest
	if at >= 0 {
		header = p.rest[:at]
	}
	asString, asJSON := strings.Index(header, `" string="true">`), strings.Index(header, `" string="false">`)
	if asString >= 0 || asJSON >= 0 {
		p.dsml.quoted = asString >= 0 && (asJSON < 0 || asString < asJSON)
		key, length := header, len(`" string="true">`)
		if p.dsml.quoted {
			key = header[:asString]
		} else {
			key, length = header[:asJSON], len(`" string="false">`)
		}
		p.rest = p.rest[len(key)+length:]
		if slices.Contains(p.dsml.keys, key) {
			p.dsml.err = errRepeated
		}
		p.argue(map[bool]string{true: "{", false: ", "}[len(p.dsml.keys) == 0] + quote(key) + ": ")
		p.dsml.keys = append(p.dsml.keys, key)
		if p.dsml.quoted {
			p.argue(`"`)
		}
		p.state = (*Parser).parameterValue
		return true
	}
	if at < 0 && !p.closing {
		return false
	}
	p.emit(Malformed, open(d.parameter)+` name="`+header, errNoCall)
	p.dsml.err = errNoCall
	p.rest = p.rest[len(header):]
	p.skip(closed(d.parameter))
	p.state = (*Parser).parameterOrEnd
	return true
}

// parameterValue reads a value up to its closing tag: a string as it comes, any other when it is whole.
func (p *Parser) parameterValue() bool {
	end := closed(p.tags().parameter)
	if p.dsml.quoted {
		text, marker := p.take([]string{end}, p.stops)
		p.argue(escape(text))
		switch {
		case marker == end:
			p.argue(`"`)
			p.state = (*Parser).parameterOrEnd
			return true
		case marker == "" && !p.closing:
			return false
		case !strings.Contains(p.rest, "｜"):
			p.argue(escape(p.rest))
		}
		return p.cutInValue()
	}
	at := first(p.rest, append([]string{end}, p.stops...))
	if at < 0 && !p.closing {
		return false
	}
	if at < 0 || !strings.HasPrefix(p.rest[at:], end) {
		p.argue(cutAt(p.rest, "</｜"))
		return p.cutInValue()
	}
	value := strings.TrimSpace(p.rest[:at])
	if !json.Valid([]byte(value)) {
		value = quote(p.rest[:at])
	}
	p.argue(value)
	p.rest = p.rest[at+len(end):]
	p.state = (*Parser).parameterOrEnd
	return true
}

// cutInValue ends a call that the reply breaks off in.
func (p *Parser) cutInValue() bool {
	p.finish(errCut)
	p.state = (*Parser).ended
	return true
}

// quote writes a string as JSON, as Python's json.dumps(s, ensure_ascii=False) does.
func quote(s string) string { return `"` + escape(s) + `"` }

func escape(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		switch {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c == '\n':
			b.WriteString(`\n`)
		case c == '\r':
			b.WriteString(`\r`)
		case c == '\t':
			b.WriteString(`\t`)
		case c == '\b':
			b.WriteString(`\b`)
		case c == '\f':
			b.WriteString(`\f`)
		case c < 0x20:
			const hex = "0123456789abcdef"
			b.WriteString(`\u00`)
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}
