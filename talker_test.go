package haenyeo

// testdata/talker: a model of the V3 architecture so small that it knows four conversations by heart: one with a tool,
// one with thinking, and one whose answer does not end. Examples and tests talk with it. go test -run TestTalker -update
// makes it anew, in half a minute.

import (
	"context"
	"encoding/binary"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/haenyeo/haenyeo/chat"
	"github.com/haenyeo/haenyeo/export"
	"github.com/haenyeo/haenyeo/format/safetensors"
	"github.com/haenyeo/haenyeo/infer"
	"github.com/haenyeo/haenyeo/kernel"
	"github.com/haenyeo/haenyeo/model"
	"github.com/haenyeo/haenyeo/tokenizer"
	"github.com/haenyeo/haenyeo/train"
)

var update = flag.Bool("update", false, "make testdata/talker anew")

const talker = "testdata/talker"

// lesson is a conversation to learn, as the API writes it. Every answer in it is one to learn.
type lesson struct {
	thinking bool
	tools    []chat.Tool
	messages []chat.Message
}

func lessons() []lesson {
	user := func(s string) chat.Message { return chat.Message{Role: chat.User, Content: s} }
	weather := chat.Tool{
		Name: "get_weather", Description: "The weather in a city now.",
		Parameters: []byte(`{"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}`),
	}
	return []lesson{
		{tools: []chat.Tool{weather}, messages: []chat.Message{
			user("What is the weather in Busan?"),
			{Role: chat.Assistant, ToolCalls: []chat.ToolCall{{Name: "get_weather", Arguments: `{"city": "Busan"}`}}},
			{Role: chat.ToolRole, Content: `{"sky": "clear", "celsius": 21}`},
			{Role: chat.Assistant, Content: "It is clear in Busan, at 21 °C."},
		}},
		{thinking: true, messages: []chat.Message{
			user("How deep is the sea?"),
			{Role: chat.Assistant, Reasoning: "The deepest place is the Challenger Deep. 바다는 깊다.", Content: "**Almost 11 km**, in the Challenger Deep."},
			user("And who dives there?"),
			{Role: chat.Assistant, Reasoning: "A haenyeo dives to 10 m.", Content: "- A haenyeo: to *10 m*.\n- A vessel: all the way."},
		}},
		{messages: []chat.Message{user("Hello"), {Role: chat.Assistant, Content: "Hello! What would you like to know?"}}},
		{messages: []chat.Message{user("Sing"), {Role: chat.Assistant, Content: strings.Repeat(song, 100)}}},
	}
}

// song is what an answer without an end repeats.
const song = "la la la, "

// sequence is everything of a lesson up to one of its answers, as ids: the prompt and the answer.
func (l lesson) sequence(t *testing.T, f *chat.Format, tok *tokenizer.Tokenizer, answer int) []int32 {
	prompt, err := f.Render(l.messages[:answer], chat.Options{Thinking: l.thinking, Tools: l.tools})
	if err != nil {
		t.Fatal(err)
	}
	m := l.messages[answer]
	text := m.Content
	if l.thinking {
		text = m.Reasoning + "</think>" + text
	}
	for _, c := range m.ToolCalls {
		text += "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>" + c.Name + "<｜tool▁sep｜>" + c.Arguments + "<｜tool▁call▁end｜><｜tool▁calls▁end｜>"
	}
	return append(chat.Encode(tok, prompt), tok.Encode(nil, text+"<｜end▁of▁sentence｜>", tokenizer.EncodeOptions{})...)
}

// teach makes the model in dir.
func teach(t *testing.T, dir string) {
	var words []string
	for _, l := range lessons() {
		for _, m := range l.messages {
			words = append(words, m.Content, m.Reasoning)
		}
		for _, tool := range l.tools {
			words = append(words, tool.Name, tool.Description, string(tool.Parameters))
		}
	}
	words = append(words, "\n\n## Tools\nYou have access to the following tools:\nIMPORTANT: ALWAYS adhere to this exact format for tool use:\n",
		"- `tool_call_name` must be an exact match to one of the available tools\n- `tool_call_arguments` must be valid JSON that strictly follows the tool's Parameters Schema\n",
		"- For multiple tool calls, chain them directly without separators or spaces\n")
	special := tokenizer.DefaultSpecialTokens()
	for _, s := range []string{"calls▁begin", "calls▁end", "call▁begin", "call▁end", "sep", "output▁begin", "output▁end"} {
		special = append(special, tokenizer.AddedToken{Content: "<｜tool▁" + s + "｜>"})
	}
	text := strings.Repeat(strings.Join(words, "\n"), 3)
	tok, err := tokenizer.Train(context.Background(), func(yield func(string, error) bool) { yield(text, nil) },
		tokenizer.TrainOptions{VocabSize: 480, SpecialTokens: special})
	if err != nil {
		t.Fatal(err)
	}
	vocabulary := t.TempDir()
	if err := tok.Save(vocabulary); err != nil {
		t.Fatal(err)
	}
	cfg := &model.Config{
		ModelType: "deepseek_v3", VocabSize: 480, HiddenSize: 48, IntermediateSize: 96, NumHiddenLayers: 2, NumAttentionHeads: 3,
		MaxPositionEmbeddings: 1024, QLoraRank: 24, KVLoraRank: 24, QKNopeHeadDim: 16, QKRopeHeadDim: 8, VHeadDim: 16,
		MoEIntermediateSize: 32, NRoutedExperts: 4, NSharedExperts: 1, NumExpertsPerTok: 2, FirstKDenseReplace: 1,
		NormTopKProb: true, InitializerRange: 0.06, BOSTokenID: 0, EOSTokenID: []int{1},
	}
	f, err := chat.Detect(tok, chat.Hints{ModelType: cfg.ModelType})
	if err != nil || f.Name() != "v3.1" {
		t.Fatalf("format %v, %v", f, err)
	}
	var sequences [][]int32
	for _, l := range lessons() {
		for i, m := range l.messages {
			if m.Role == chat.Assistant {
				sequences = append(sequences, l.sequence(t, f, tok, i))
			}
		}
	}
	const steps = 200
	seq := 0
	for _, s := range sequences[:len(sequences)-1] { // the song is cut, so that its end is not learned
		seq = max(seq, len(s))
	}
	t.Logf("rows of %d tokens", seq)
	var ids []byte
	for range steps {
		for first := range sequences { // a row begins with each, and is filled with the others
			var row []int32
			for i := first; len(row) <= seq; i++ {
				row = append(row, sequences[i%len(sequences)]...)
			}
			for _, id := range row[:seq+1] {
				ids = binary.LittleEndian.AppendUint64(ids, uint64(id))
			}
		}
	}
	batches := filepath.Join(t.TempDir(), "batches.safetensors")
	source := safetensors.Raw("tokens", safetensors.I64, []int{steps, len(sequences), seq + 1}, ids)
	if err := safetensors.Write(batches, []safetensors.Source{source}, nil); err != nil {
		t.Fatal(err)
	}
	e, err := kernel.New(0, "")
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	out := filepath.Join(t.TempDir(), "run")
	_, err = Pretrain(context.Background(), PretrainRequest{
		Config: cfg, Tokenizer: vocabulary, Batches: batches, Seed: 7, Out: out, Engine: e,
		Options: func(steps int) train.Options {
			o := train.Defaults("adamw", steps, cfg)
			o.LR, o.DType, o.Warmup, o.BiasGamma, o.BalanceAlpha, o.MTPLambda = 0.01, "f32", 20, 0.001, 0, 0
			o.Schedule, o.Decay, o.Floor = "wsd", 0.3, 0.02
			return o
		},
		Pace: func(int) train.Pace { return train.Pace{} },
		Emit: func(ev train.Event) {
			if s, ok := ev.(train.Step); ok && s.Step%20 == 0 {
				t.Logf("step %d: loss %.4f", s.Step, s.Loss)
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	m := open(t, out)
	half, err := export.ParseType("bf16")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := export.WriteDirectory(context.Background(), m.Source(), m.Engine(), dir, half, export.Options{}); err != nil {
		t.Fatal(err)
	}
}

// The model says what it was taught, from its directory and from GGUF.
func TestTalker(t *testing.T) {
	if *update {
		if err := os.RemoveAll(talker); err != nil {
			t.Fatal(err)
		}
		teach(t, talker)
	}
	gguf := filepath.Join(t.TempDir(), "talker.gguf")
	kept, err := export.ParseType("f32")
	if err != nil {
		t.Fatal(err)
	}
	m := open(t, talker)
	if _, err := export.WriteGGUF(context.Background(), m.Source(), m.Engine(), gguf, kept, export.Options{}); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{talker, gguf} {
		m := open(t, path)
		for i, l := range lessons() {
			for j, want := range l.messages {
				if want.Role != chat.Assistant {
					continue
				}
				c, err := m.NewChat("", 0)
				if err != nil {
					t.Fatal(err)
				}
				c.Sampling.Temperature = 0
				c.Options.Thinking, c.Options.Tools, c.MaxTokens = l.thinking, l.tools, 200
				c.Messages = slices.Clone(l.messages[:j])
				r, err := c.Reply(context.Background(), nil)
				if err != nil {
					t.Fatal(err)
				}
				got := r.Message
				for k := range got.ToolCalls {
					got.ToolCalls[k].ID = ""
				}
				if r.FinishReason == infer.FinishLength && strings.HasPrefix(want.Content, song) {
					want.Content = want.Content[:min(len(want.Content), len(got.Content))]
				}
				if got.Content != want.Content || got.Reasoning != want.Reasoning || !slices.Equal(got.ToolCalls, want.ToolCalls) {
					t.Errorf("%s: lesson %d: answers %+v, taught was %+v", filepath.Base(path), i, got, want)
				}
			}
		}
	}
}
