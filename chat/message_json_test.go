package chat

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestContentOfMessages(t *testing.T) {
	for raw, want := range map[string]string{
		`"x"`: "x", `null`: "", `[]`: "", `[{"type":"text","text":"a"},{"type":"text","text":"b"}]`: "ab",
	} {
		var m Message
		if err := json.Unmarshal([]byte(`{"role":"user","content":`+raw+`}`), &m); err != nil || m.Content != want {
			t.Errorf("%s: %q, %v", raw, m.Content, err)
		}
	}
	for raw, says := range map[string]string{
		`7`: "neither", `{"a":1}`: "neither", `[7]`: "content", `[{"type":"image_url","image_url":{"url":"x"}}]`: "image_url", `[{"type":"text"}]`: "only those",
	} {
		if err := json.Unmarshal([]byte(`{"role":"user","content":`+raw+`}`), new(Message)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want an error that says %q", raw, err, says)
		}
	}
}
