package chat

import (
	"strings"
	"testing"
)

// What is written in the form of calls is read as calls.
func TestCallForm(t *testing.T) {
	for _, k := range kinds {
		f := &Format{name: k.name, kind: k, eos: eosToken}
		if k.name == "jinja" {
			continue // the template decides
		}
		form, ok := f.CallForm()
		if ok != f.CallsTools() {
			t.Errorf("%s: a form %v, calls %v", k.name, ok, f.CallsTools())
		}
		if !ok {
			continue
		}
		checkCallForm(t, k.name, f, form)
	}
	f := &Format{name: "v3", kind: kindOf("v3"), eos: eosToken}
	tagged := *f.kind
	tagged.calls = taggedCalls
	f.kind = &tagged
	form, _ := f.CallForm()
	checkCallForm(t, "tagged", f, form)
}

func checkCallForm(t *testing.T, name string, f *Format, form CallForm) {
	t.Helper()
	arguments := `{"city": "Jeju", "days": 3}`
	if form.Parameters {
		arguments = form.Parameter + "city" + form.AsText + "Jeju" + form.ParameterEnd + form.Parameter + "days" + form.AsJSON + "3" + form.ParameterEnd
	}
	call := form.Head + "weather" + form.Middle + arguments + form.Tail
	p := f.Parser([]Segment{{assistantToken + endThinkToken, true}})
	var m Message
	for _, e := range append(p.Push("Look."+form.Begin+call+form.Between+call+form.End), p.Close()...) {
		if e.Err != nil {
			t.Errorf("%s: %+v", name, e)
		}
		m.Add(e)
	}
	if m.Content != "Look." || len(m.ToolCalls) != 2 || m.ToolCalls[1].Name != "weather" || strings.ReplaceAll(m.ToolCalls[1].Arguments, " ", "") != `{"city":"Jeju","days":3}` {
		t.Errorf("%s: %+v", name, m)
	}
}
