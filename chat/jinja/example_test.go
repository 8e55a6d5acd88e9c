package jinja_test

import (
	"context"
	"fmt"
	"log"

	"github.com/haenyeo/haenyeo/chat/jinja"
)

func Example() {
	t, err := jinja.Parse(`{{ bos_token }}
{% for m in messages %}
<{{ m.role }}>{{ m.content | trim }}</{{ m.role }}>
{% endfor %}
{% if add_generation_prompt %}<assistant>{% endif %}`)
	if err != nil {
		log.Fatal(err)
	}
	messages, err := jinja.FromJSON([]byte(`[{"role": "system", "content": "Be brief."}, {"role": "user", "content": " Hello! "}]`))
	if err != nil {
		log.Fatal(err)
	}
	prompt, err := t.Render(context.Background(), map[string]any{
		"messages": messages, "bos_token": "<s>", "add_generation_prompt": true,
	}, jinja.Options{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(prompt)
	// Output:
	// <s>
	// <system>Be brief.</system>
	// <user>Hello!</user>
	// <assistant>
}
