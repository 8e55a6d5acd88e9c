package jinja_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/haenyeo/haenyeo/chat/jinja"
)

// TestLimits renders templates that would run, grow or nest without end, or whose work is far larger than their text.
// Each must end soon with ErrLimit.
func TestLimits(t *testing.T) {
	for name, template := range map[string]string{
		"loops":              `{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}`,
		"recursive macro":    `{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}`,
		"recursive loop":     `{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}`,
		"doubling text":      `{% set ns = namespace(s='xx') %}{% for i in range(99) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}`,
		"repeat":             `{{ 'x' * 10**12 }}`,
		"repeat a list":      `{{ [1] * 10**12 }}`,
		"huge repeat":        `{{ 'x' * 10**40 }}`,
		"replace":            `{% set x = 'x' * 10**6 %}{{ x|replace('', x) }}`,
		"join":               `{% set x = 'x' * 10**6 %}{{ x|join(x) }}`,
		"center":             `{{ 'x'|center(10**12) }}`,
		"indent":             `{{ 'x\ny'|indent(10**12) }}`,
		"format":             `{{ '{:>99999999999}'.format(1) }}`,
		"percent":            `{{ '%99999999999d' % 1 }}`,
		"percent star":       `{{ '%*d' % (10**12, 1) }}`,
		"batch":              `{{ [1]|batch(10**12, 'x')|list }}`,
		"slice":              `{{ [1]|slice(10**12)|list }}`,
		"expandtabs":         `{{ '\t'.expandtabs(10**12) }}`,
		"json indent":        `{{ [1]|tojson(indent=10**12) }}`,
		"power":              `{{ 10 ** (10 ** 9) }}`,
		"power of powers":    `{% set ns = namespace(x=10) %}{% for i in range(99) %}{% set ns.x = ns.x * ns.x %}{% endfor %}`,
		"range":              `{{ range(10**6)|list }}`,
		"range of big":       `{{ range(10**30)|list }}`,
		"shared tuples":      `{% set ns = namespace(t=(1,1)) %}{% for i in range(99) %}{% set ns.t = (ns.t, ns.t) %}{% endfor %}{{ ns.t }}`,
		"equal tuples":       `{% set a = namespace(t=1) %}{% set b = namespace(t=1) %}{% for i in range(60) %}{% set a.t = (a.t, a.t) %}{% set b.t = (b.t, b.t) %}{% endfor %}{{ a.t == b.t }}`,
		"hashed tuples":      `{% set a = namespace(t=1) %}{% for i in range(60) %}{% set a.t = (a.t, a.t) %}{% endfor %}{{ {a.t: 1} }}`,
		"nested list":        `{% set ns = namespace(t=[]) %}{% for i in range(5000) %}{% set ns.t = [ns.t] %}{% endfor %}{{ ns.t }}`,
		"nested json":        `{% set ns = namespace(t=[]) %}{% for i in range(5000) %}{% set ns.t = [ns.t] %}{% endfor %}{{ ns.t|tojson }}`,
		"namespace in self":  `{% set ns = namespace() %}{% set ns.x = ns %}{{ ns }}`,
		"chained generators": `{% set ns = namespace(g=[1]) %}{% for i in range(90000) %}{% set ns.g = ns.g|map('string') %}{% endfor %}{{ ns.g|list }}`,
		"macro makes text":   `{% macro m(s) %}{{ s }}{{ s }}{% endmacro %}{% set ns = namespace(s='xx') %}{% for i in range(99) %}{% set ns.s = m(ns.s) %}{% endfor %}`,
		"split":              `{% set x = 'x ' * 10**6 %}{% for i in range(99999) %}{% set y = x.split() %}{% endfor %}`,
		"long keys":          `{% set x = 'x' * 10**7 %}{% set d = {x: 1} %}{% for i in range(99999) %}{% set y = d[x] %}{% endfor %}`,
		"long texts":         `{% set x = 'x' * 10**7 %}{% set y = 'x' * 10**7 %}{% for i in range(99999) %}{% set z = x == y and x < y or x|length or x[::2] or x is lower %}{% endfor %}`,
		"searching":          `{% set x = 'x' * 10**7 %}{% for i in range(99999) %}{% set y = 'y' in x %}{% endfor %}`,
		"sorting":            `{% set x = range(99999)|list %}{% for i in range(99999) %}{% set y = x|sort %}{% endfor %}`,
		"unpacking":          `{% for i in range(99999) %}{% for i in range(99999) %}{% set a, b = 'xy' %}{% endfor %}{% endfor %}`,
		"star arguments":     `{% macro m() %}{{ varargs|length }}{% endmacro %}{% for i in range(99999) %}{{ m(*range(99999)) }}{% endfor %}`,
	} {
		t.Run(name, func(t *testing.T) {
			tmpl, err := jinja.Parse(template)
			if err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			out, err := tmpl.Render(context.Background(), nil, jinja.Options{Steps: 2_000_000, Memory: 64 << 20})
			if !errors.Is(err, jinja.ErrLimit) {
				t.Errorf("got %.50q and %v, want ErrLimit", out, err)
			}
			if took := time.Since(start); took > 20*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

// TestContext stops a rendering that has no other limit.
func TestContext(t *testing.T) {
	tmpl, err := jinja.Parse(`{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}`)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if _, err := tmpl.Render(ctx, nil, jinja.Options{Steps: 1 << 60}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

// TestDeepTemplates parses templates nested or chained deeper than any stack should have to hold.
func TestDeepTemplates(t *testing.T) {
	const n = 100_000
	for name, template := range map[string]string{
		"brackets":    "{{ " + strings.Repeat("(", n) + "1" + strings.Repeat(")", n) + " }}",
		"lists":       "{{ " + strings.Repeat("[", n) + strings.Repeat("]", n) + " }}",
		"not":         "{{ " + strings.Repeat("not ", n) + "1 }}",
		"minus":       "{{ " + strings.Repeat("-", n) + "1 }}",
		"plus":        "{{ 1" + strings.Repeat("+1", n) + " }}",
		"attributes":  "{{ a" + strings.Repeat(".a", n) + " }}",
		"filters":     "{{ a" + strings.Repeat("|e", n) + " }}",
		"else":        "{{ " + strings.Repeat("1 if x else ", n) + "1 }}",
		"if":          strings.Repeat("{% if 1 %}", n) + strings.Repeat("{% endif %}", n),
		"for target":  "{% for " + strings.Repeat("(", n) + "x" + strings.Repeat(",)", n) + " in y %}{% endfor %}",
		"calls":       "{{ a" + strings.Repeat("()", n) + " }}",
		"set filters": "{% set x" + strings.Repeat("|e", n) + " %}{% endset %}",
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := jinja.Parse(template); err == nil || len(err.Error()) > 500 {
				t.Errorf("got %v", err)
			}
		})
	}
	long := "{{ " + strings.Repeat("'a' ", n) + "}}" + strings.Repeat("{% if no %}{% elif no %}{% endif %}", n)
	tmpl, err := jinja.Parse(long)
	if err != nil {
		t.Fatalf("long but flat: %v", err)
	}
	if out, err := tmpl.Render(context.Background(), nil, jinja.Options{}); err != nil || len(out) != n {
		t.Errorf("%d bytes, %v", len(out), err)
	}
}

// TestCallerData checks that a template has no way to change what it was given.
func TestCallerData(t *testing.T) {
	given := map[string]any{"messages": []any{map[string]any{"role": "user", "content": "x"}}}
	before := fmt.Sprint(given)
	for _, template := range []string{
		`{% set messages[0].role = 'system' %}`, `{% set messages.x = 1 %}`, `{{ messages.append(1) }}`, `{{ messages[0].update({'role': 'y'}) }}`,
		`{{ messages[0].pop('role') }}`, `{{ messages.clear() }}`, `{% set x = messages[0] %}{% set x.role = 'y' %}`, `{{ messages[0].setdefault('z', 1) }}`,
		`{% set messages = [] %}`, `{{ (messages|sort(attribute='role')) }}{{ messages|reverse|list }}`, `{{ messages.sort() }}`, `{{ messages.__setitem__(0, 1) }}`,
	} {
		tmpl, err := jinja.Parse(template)
		if err == nil {
			_, _ = tmpl.Render(context.Background(), given, jinja.Options{})
		}
		if after := fmt.Sprint(given); after != before {
			t.Errorf("%s changed the data to %s", template, after)
		}
	}
}

// TestErrors checks that messages say where and what.
func TestErrors(t *testing.T) {
	for _, c := range []struct{ template, want string }{
		{"a\nb {{ 1 +* 2 }}", `jinja: parsing: line 2: unexpected "*"`},
		{"{% for m in messages %}\n{{ m.role }}", "jinja: parsing: line 2: the template ends inside {% for %}; expected {% endfor %} or {% else %}"},
		{"x\n\n{{ raise_exception('Only user roles') }}", "jinja: rendering: line 3: the template says: Only user roles"},
		{"{% if a %}\n{{ b.c }}{% endif %}", "jinja: rendering: line 2: 'b' is undefined"},
		{"{{ a|nothing }}", `jinja: parsing: line 1: there is no filter "nothing"`},
		{"{{ a|pprint }}", `jinja: parsing: line 1: the filter "pprint" of Jinja is not supported`},
		{"{% include 'x' %}", "jinja: rendering: line 1: {% include %} cannot be used: a chat template is one text"},
		{"a\n\xff", "jinja: parsing: line 2: the byte at offset 2 is not UTF-8"},
		{"{{ 'a' + 1 }}", `jinja: rendering: line 1: "+" does not apply to str and int`},
	} {
		tmpl, err := jinja.Parse(c.template)
		if err == nil {
			_, err = tmpl.Render(context.Background(), map[string]any{"a": 1}, jinja.Options{})
		}
		if err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%q:\n got %v\nwant %s", c.template, err, c.want)
		}
	}
}

// TestValues reads Go data and JSON.
func TestValues(t *testing.T) {
	type text string
	seven := 7
	tmpl, err := jinja.Parse("{{ v }}")
	if err != nil {
		t.Fatal(err)
	}
	fromJSON := func(s string) any {
		v, err := jinja.FromJSON([]byte(s))
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for _, c := range []struct {
		v    any
		want string
	}{
		{nil, "None"}, {true, "True"}, {int8(-3), "-3"}, {uint64(1 << 63), "9223372036854775808"}, {float32(0.5), "0.5"}, {text("é\xff"), "é\uFFFD"}, {&seven, "7"},
		{[]string{"a"}, "['a']"}, {[]any{nil, 1.0}, "[None, 1.0]"}, {map[string]any{"b": 1, "a": []int{2}}, "{'a': [2], 'b': 1}"}, {[]string(nil), "None"},
		{jinja.Value{}, "None"}, {[]any{fromJSON(`{"b": 1, "a": {"z": 0, "y": 1}, "b": 3}`)}, "[{'b': 3, 'a': {'z': 0, 'y': 1}}]"},
		{fromJSON(`[1e2, 1E400, -0, 12345678901234567890123, "\ud800x", null, false]`), "[100.0, inf, 0, 12345678901234567890123, '\uFFFDx', None, False]"},
	} {
		got, err := tmpl.Render(context.Background(), map[string]any{"v": c.v}, jinja.Options{})
		if err != nil || got != c.want {
			t.Errorf("%v: got %q and %v, want %q", c.v, got, err, c.want)
		}
	}
	for _, bad := range []any{make(chan int), struct{}{}, map[int]int{}, []any{func() {}}} {
		if _, err := jinja.From(bad); err == nil {
			t.Errorf("From(%T) was taken", bad)
		}
	}
	ring := []any{nil}
	ring[0] = ring
	if _, err := jinja.From(ring); err == nil {
		t.Error("From took data without end")
	}
	for _, bad := range []string{"", "[", `{"a"`, `{"a":1`, "[1,]", "1 2", "{1:2}", "nope", strings.Repeat("[", 5000) + strings.Repeat("]", 5000), strings.Repeat("9", 5000)} {
		if v, err := jinja.FromJSON([]byte(bad)); err == nil {
			t.Errorf("FromJSON(%.20q) gave %v", bad, v)
		}
	}
}

// FuzzRender parses and renders any text with a conversation. Nothing may panic, and what is rendered twice is equal.
func FuzzRender(f *testing.F) {
	g := loadGolden(f)
	for _, c := range g.Cases {
		f.Add(c.Template)
	}
	for _, name := range []string{"plain.jinja", "tools.jinja", "everything.jinja"} {
		template, err := os.ReadFile("testdata/templates/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(template))
	}
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(g.Vars, &raw); err != nil {
		f.Fatal(err)
	}
	given := map[string]any{}
	for name, r := range raw {
		v, err := jinja.FromJSON(r)
		if err != nil {
			f.Fatal(err)
		}
		given[name] = v
	}
	f.Fuzz(func(t *testing.T, template string) {
		tmpl, err := jinja.Parse(template)
		if err != nil {
			return
		}
		o := jinja.Options{Steps: 100_000, Memory: 1 << 20, Now: clock}
		start := time.Now()
		first, err1 := tmpl.Render(context.Background(), given, o)
		second, err2 := tmpl.Render(context.Background(), given, o)
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("took %v", took)
		}
		if first != second || (err1 == nil) != (err2 == nil) {
			t.Errorf("two renderings differ: %q, %v and %q, %v", first, err1, second, err2)
		}
	})
}

// FuzzFromJSON reads any JSON; what encoding/json takes has the same value.
func FuzzFromJSON(f *testing.F) {
	for _, s := range []string{`{"b":[1,2.5,"x\u00e9"],"a":null}`, `[{}]`, `-0`, `"\ud83c\udf0a"`, `{"a":1,"a":2}`} {
		f.Add([]byte(s))
	}
	tmpl, err := jinja.Parse("{{ v|tojson }}")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		v, err := jinja.FromJSON(raw)
		if err != nil {
			return
		}
		out, err := tmpl.Render(context.Background(), map[string]any{"v": v}, jinja.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(out, "Infinity") {
			return
		}
		var want, got any
		if err := json.Unmarshal(raw, &want); err != nil {
			return
		}
		if err := json.Unmarshal([]byte(out), &got); err != nil {
			t.Fatalf("%s is no JSON: %v", out, err)
		}
		if !reflect.DeepEqual(want, got) {
			t.Errorf("%s became %s", raw, out)
		}
	})
}
