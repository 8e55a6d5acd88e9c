package chat

// JSON as the publisher's Python writes it into prompts: json.dumps(value, ensure_ascii=False), keys in their order.

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/haenyeo/haenyeo/chat/jinja"
)

// dumps rewrites JSON: ", " and ": " between things, numbers as Python prints them, no escapes that JSON does not need.
// Nothing is an empty object, as a schema of no parameters.
func dumps(raw json.RawMessage) (string, error) {
	if len(bytes.TrimSpace(raw)) == 0 {
		return "{}", nil
	}
	v, err := jinja.FromJSON(raw)
	if err != nil {
		return "", err
	}
	t, err := toJSON()
	if err != nil {
		return "", err
	}
	return t.Render(context.Background(), map[string]any{"v": v}, jinja.Options{})
}

// toJSON is the filter of the templates: there is one way to write JSON.
var toJSON = sync.OnceValues(func() (*jinja.Template, error) { return jinja.Parse("{{ v | tojson }}") })

// dump writes the function whole.
func (t Tool) dump() (string, error) {
	raw, err := t.MarshalJSON()
	if err != nil {
		return "", t.wrong("parameters", err)
	}
	s, err := dumps(raw)
	if err != nil {
		return "", t.wrong("description", err)
	}
	return s, nil
}

func (t Tool) wrong(what string, err error) error {
	return fmt.Errorf("the %s of tool %q: %w", what, t.Name, err)
}

// argument is a key of the arguments of a call with its value, which is JSON.
type argument struct {
	key   string
	value json.RawMessage
}

// arguments takes a JSON object apart; of equal keys the last counts, at the place of the first. What is not an object
// becomes one, with the text as its only value, as the publisher does it.
func arguments(object string) []argument {
	list, err := objectFields([]byte(object))
	if err != nil {
		text, _ := json.Marshal(object) // a string cannot fail
		return []argument{{"arguments", text}}
	}
	return list
}

func objectFields(raw []byte) ([]argument, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.Join(errors.New("not a JSON object"), err)
	}
	list, at := []argument{}, map[string]int{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, err
		}
		key := t.(string) // the decoder gives strings as keys
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, err
		}
		if i, again := at[key]; again {
			list[i].value = value
			continue
		}
		at[key] = len(list)
		list = append(list, argument{key, value})
	}
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	if d.More() {
		return nil, fmt.Errorf("something follows the object at offset %d", d.InputOffset())
	}
	return list, nil
}
