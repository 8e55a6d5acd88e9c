package haenyeo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/haenyeo/haenyeo/chat"
	"github.com/haenyeo/haenyeo/infer"
	"github.com/haenyeo/haenyeo/tokenizer"
)

// talk begins a conversation with testdata/talker at temperature 0.
func talk(t *testing.T, m *Model, messages ...chat.Message) *Chat {
	t.Helper()
	c, err := m.NewChat("", 0)
	if err != nil {
		t.Fatal(err)
	}
	c.Sampling.Temperature = 0
	c.Messages = messages
	return c
}

func says(role chat.Role, text string) chat.Message { return chat.Message{Role: role, Content: text} }

func reply(t *testing.T, c *Chat) Reply {
	t.Helper()
	r, err := c.Reply(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A turn reads what is new, and answers as one who reads everything.
func TestChatReadsOnlyWhatIsNew(t *testing.T) {
	m := open(t, talker)
	c := talk(t, m, says(chat.User, "How deep is the sea?"))
	var seen []int
	c.Token = func(n int) { seen = append(seen, n) }
	first := reply(t, c)
	if first.Reused != 0 || first.Prompt < 5 || first.FinishReason != infer.FinishStop || !strings.Contains(first.Message.Reasoning, "Challenger") {
		t.Errorf("%+v", first)
	}
	if len(seen) != first.Tokens || seen[len(seen)-1] != first.Tokens {
		t.Errorf("%d tokens were told of, of %d", len(seen), first.Tokens)
	}
	c.Messages = append(c.Messages, says(chat.User, "And who dives there?"))
	second := reply(t, c)
	if second.Reused < first.Prompt-1 { // reasoning is dropped from the next prompt, what stood before it is known
		t.Errorf("of %d tokens, %d before the first answer, %d were known", second.Prompt, first.Prompt, second.Reused)
	}
	fresh := talk(t, m, c.Messages[:3]...)
	if again := reply(t, fresh); again.Reused != 0 || !reflect.DeepEqual(again.Message, second.Message) {
		t.Errorf("going on: %+v, from the beginning: %+v", second.Message, again.Message)
	}
}

// What was said when the context ended is kept, and can be gone on with.
func TestChatInterrupted(t *testing.T) {
	m := open(t, talker)
	c := talk(t, m, says(chat.User, "Sing"))
	c.Options.Thinking = false
	ctx, cancel := context.WithCancel(context.Background())
	var heard strings.Builder
	r, err := c.Reply(ctx, func(e chat.Event) error {
		if heard.WriteString(e.Text); heard.Len() > 3*len(song) {
			cancel()
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) || len(c.Messages) != 2 || c.Messages[1].Content != heard.String() || r.Message.Content != heard.String() {
		t.Fatalf("%v, kept %+v, heard %q", err, c.Messages[1:], heard.String())
	}
	c.Messages[1].Prefix, c.MaxTokens = true, 12
	r = reply(t, c)
	if len(c.Messages) != 2 || c.Messages[1].Prefix || r.FinishReason != infer.FinishLength || r.Reused < r.Prompt-3 ||
		!strings.HasPrefix(strings.Repeat(song, 99), c.Messages[1].Content) || c.Messages[1].Content != heard.String()+r.Message.Content {
		t.Errorf("went on with %+v to %q", r, c.Messages[1].Content)
	}
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	before := slices.Clone(c.Messages)
	c.Messages = append(c.Messages, says(chat.User, "Hello"))
	if _, err := c.Reply(cancelled, nil); !errors.Is(err, context.Canceled) || len(c.Messages) != len(before)+1 {
		t.Errorf("interrupted before the first token: %v, %d messages", err, len(c.Messages))
	}
	// The error of who listens ends a reply too.
	deaf := errors.New("deaf")
	if _, err := c.Reply(context.Background(), func(chat.Event) error { return deaf }); !errors.Is(err, deaf) {
		t.Errorf("got %v", err)
	}
}

func TestChatOutgrowsItsContext(t *testing.T) {
	m := open(t, talker)
	c, err := m.NewChat("", 40)
	if err != nil {
		t.Fatal(err)
	}
	c.Sampling.Temperature, c.Options.Thinking = 0, false
	c.Messages = []chat.Message{says(chat.User, "Sing")}
	if r := reply(t, c); r.FinishReason != infer.FinishLength || r.Prompt+r.Tokens != c.Context() {
		t.Errorf("%d of the prompt and %d tokens in a context of %d", r.Prompt, r.Tokens, c.Context())
	}
	c.Messages = append(c.Messages, says(chat.User, "Hello"))
	before := len(c.Messages)
	if _, err := c.Reply(context.Background(), nil); !errors.Is(err, ErrContextFull) || !strings.Contains(err.Error(), "40") || len(c.Messages) != before {
		t.Errorf("got %v", err)
	}
	c.Messages = c.Messages[:0]
	if _, err := c.Reply(context.Background(), nil); err == nil {
		t.Error("an answer to nothing")
	}
}

// A call that the answer breaks off in is text, so that the conversation can go on.
func TestChatBrokenCall(t *testing.T) {
	m := open(t, talker)
	l := lessons()[0]
	c := talk(t, m, l.messages[0])
	c.Options.Thinking, c.Options.Tools, c.MaxTokens = false, l.tools, 6
	r := reply(t, c)
	if len(r.Message.ToolCalls) != 0 || !strings.HasPrefix(r.Message.Content, "get_weather") {
		t.Fatalf("%+v", r.Message)
	}
	c.Messages = append(c.Messages, says(chat.User, "Hello"))
	reply(t, c)
}

func TestChatFile(t *testing.T) {
	m := open(t, talker)
	c := talk(t, m, says(chat.User, "How deep is the sea?"))
	reply(t, c)
	path := filepath.Join(t.TempDir(), "talk.json")
	if err := c.Save(path); err != nil {
		t.Fatal(err)
	}
	if text, _ := os.ReadFile(path); !strings.Contains(string(text), `"reasoning_content": "The deepest`) {
		t.Errorf("the file holds %s", text)
	}
	next := says(chat.User, "And who dives there?")
	load := func(m *Model) (*Chat, error) {
		t.Helper()
		l, reread, err := m.LoadChat(path, "", 0)
		if err != nil {
			t.Fatal(err)
		}
		l.Sampling.Temperature = 0
		if !reflect.DeepEqual(l.Messages, c.Messages) || !l.Options.Thinking {
			t.Errorf("loaded %+v, %+v", l.Messages, l.Options)
		}
		l.Messages = append(l.Messages, next)
		return l, reread
	}
	restored, reread := load(m)
	if reread != nil {
		t.Error(reread)
	}
	with := reply(t, restored)
	cache := path + SessionSuffix
	bytes, err := os.ReadFile(cache)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func() error{
		"damaged": func() error {
			bad := slices.Clone(bytes)
			bad[len(bad)/2] ^= 1
			return os.WriteFile(cache, bad, 0o666)
		},
		"cut short": func() error { return os.WriteFile(cache, bytes[:len(bytes)/2], 0o666) },
		"missing":   func() error { return os.Remove(cache) },
	} {
		if err := change(); err != nil {
			t.Fatal(err)
		}
		again, reread := load(m)
		if reread == nil {
			t.Errorf("%s: the cache was used", name)
		}
		without := reply(t, again)
		if with.Reused == 0 || without.Reused != 0 || !reflect.DeepEqual(with.Message, without.Message) {
			t.Errorf("%s: with the cache %d of %d known, without %d; %+v and %+v", name, with.Reused, with.Prompt, without.Reused, with.Message, without.Message)
		}
	}
	// Another model reads the words and not the cache.
	if err := os.WriteFile(cache, bytes, 0o666); err != nil {
		t.Fatal(err)
	}
	if l, reread, err := open(t, tiny(t)).LoadChat(path, "raw", 0); err != nil || reread == nil || len(l.Messages) != 2 {
		t.Errorf("another model: %v, %v", reread, err)
	}
}

// What was taken out of a conversation is not written beside it.
func TestChatFileForgets(t *testing.T) {
	m := open(t, talker)
	c := talk(t, m, says(chat.User, "How deep is the sea?"))
	reply(t, c)
	c.Messages = []chat.Message{says(chat.User, "How are you?")}
	if err := c.Save(filepath.Join(t.TempDir(), "talk.json")); err != nil {
		t.Fatal(err)
	}
	prompt, err := c.format.Render(c.Messages, c.Options)
	if err != nil {
		t.Fatal(err)
	}
	kept, now := c.session.Tokens(), chat.Encode(m.tok, prompt)
	if len(kept) >= len(now) || !slices.Equal(kept, now[:len(kept)]) {
		t.Errorf("the session holds %v of a conversation %v", kept, now)
	}
}

func TestChatFileRefuses(t *testing.T) {
	m := open(t, talker)
	dir := t.TempDir()
	for name, text := range map[string]string{
		"nothing": "", "words": "hello", "other": `{"a": 1}`, "list": `[]`, "role": `{"messages": [{"role": "wizard", "content": "x"}]}`,
		"cut": `{"messages": [{"role": "user", "content": "x"`, "null": `{"messages": null}`,
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		if _, _, err := m.LoadChat(path, "", 0); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := m.LoadChat(filepath.Join(dir, "missing"), "", 0); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing: %v", err)
	}
	if err := talk(t, m).Save(filepath.Join(dir, "no", "such", "place")); err == nil || !strings.Contains(err.Error(), "make it first") ||
		strings.Contains(err.Error(), ".partial") || strings.Contains(err.Error(), "atomicfile") {
		t.Errorf("saved nowhere: %v", err)
	}
	empty := filepath.Join(dir, "empty.json")
	if err := talk(t, m).Save(empty); err != nil {
		t.Fatal(err)
	}
	if c, _, err := m.LoadChat(empty, "", 0); err != nil || len(c.Messages) != 0 {
		t.Errorf("an empty conversation: %v", err)
	}
}

// A model without a format says so, and talks in the one that is named.
func TestChatFormats(t *testing.T) {
	dir := tiny(t)
	special := []tokenizer.AddedToken{{Content: "<s>", Special: true}, {Content: "</s>", Special: true}}
	tok, err := tokenizer.Train(context.Background(), func(yield func(string, error) bool) { yield("the sea, the sea", nil) },
		tokenizer.TrainOptions{VocabSize: 260, SpecialTokens: special, BOS: "<s>", EOS: "</s>"})
	if err != nil {
		t.Fatal(err)
	}
	if err := tok.Save(dir); err != nil {
		t.Fatal(err)
	}
	base := open(t, dir)
	if _, err := base.NewChat("", 0); err == nil || !strings.Contains(err.Error(), "raw") {
		t.Errorf("a base model: %v", err)
	}
	c, err := base.NewChat("raw", 0)
	if err != nil {
		t.Fatal(err)
	}
	c.Messages, c.MaxTokens = []chat.Message{says(chat.User, "The sea")}, 3
	reply(t, c)
	if _, err := base.NewChat("v9", 0); err == nil || !strings.Contains(err.Error(), "v3.2") {
		t.Errorf("an unknown format: %v", err)
	}
}

func FuzzChatFile(f *testing.F) {
	f.Add([]byte(`{"format":"v3.1","thinking":true,"messages":[{"role":"user","content":"x"}],"tools":[{"type":"function","function":{"name":"f"}}]}`))
	f.Add([]byte(`{"messages":[{"role":"user","content":"x"},{"role":"assistant","content":"y","prefix":true}]}`))
	f.Add([]byte(`{"messages":[{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{"}}]}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		file, err := readChatFile(text)
		if err != nil {
			return
		}
		if n := len(file.Messages); n > 0 && file.Messages[n-1].Prefix {
			t.Error("the last message is a prefix")
		}
		written, err := json.Marshal(file)
		if err != nil {
			return // a tool's parameters that are no JSON object
		}
		again, err := readChatFile(written)
		if rewritten, _ := json.Marshal(again); err != nil || !bytes.Equal(written, rewritten) {
			t.Errorf("%v\n%s\n%s", err, written, rewritten)
		}
	})
}

// A context beyond the window is made, with a warning.
func TestContextBeyondTheWindow(t *testing.T) {
	var log strings.Builder
	m, err := Open(talker, Options{Threads: 1, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	window := m.Config().MaxPositionEmbeddings
	for _, size := range []int{0, window, window + 1} {
		c, err := m.NewChat("", size)
		if err != nil {
			t.Fatal(err)
		}
		if warned := strings.Contains(log.String(), "longer than the model's window"); warned != (size > window) || size > 0 && c.Context() != size {
			t.Errorf("a context of %d in a window of %d: %d, log %q", size, window, c.Context(), log.String())
		}
	}
}

// An answer that ends at once has read its prompt all the same; and what a conversation takes is known at any time.
func TestChatEmptyAnswer(t *testing.T) {
	m := open(t, talker)
	c := talk(t, m, says(chat.User, "How deep is the sea?"))
	c.Sampling.Bias = map[int32]float64{}
	for _, id := range m.End() {
		c.Sampling.Bias[id] = 100
	}
	if c.Used() == 0 {
		t.Error("a conversation that takes nothing")
	}
	used := c.Used()
	r := reply(t, c)
	if r.Tokens != 0 && r.Message.Content != "" || r.Reading <= 0 || r.Prompt != used {
		t.Errorf("%+v, %d used before", r, used)
	}
	c.Messages = nil
	if n := c.Used(); n != 0 {
		t.Errorf("an empty conversation takes %d tokens", n)
	}
}
