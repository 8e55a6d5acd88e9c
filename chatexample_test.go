package haenyeo_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"

	"github.com/haenyeo/haenyeo"
	"github.com/haenyeo/haenyeo/chat"
)

// Open a model and stream text. The model here is so small that it knows a few conversations by heart.
func Example_stream() {
	m, err := haenyeo.Open("testdata/talker", haenyeo.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	r := haenyeo.Request{Prompt: "<｜User｜>Hello<｜Assistant｜></think>", MaxTokens: 50}
	_, err = m.Generate(context.Background(), r, func(text string) error {
		_, err := fmt.Print(text)
		return err
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output: Hello! What would you like to know?
}

// Offer a tool, run what the model calls, hand the results back, and get the answer.
func Example_tools() {
	m, err := haenyeo.Open("testdata/talker", haenyeo.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	c, err := m.NewChat("", 0)
	if err != nil {
		log.Fatal(err)
	}
	c.Sampling.Temperature = 0
	c.Options.Thinking = false
	c.Options.Tools = []chat.Tool{{
		Name: "get_weather", Description: "The weather in a city now.",
		Parameters: json.RawMessage(`{"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}`),
	}}
	weather := func(arguments string) string {
		var a struct{ City string }
		if err := json.Unmarshal([]byte(arguments), &a); err != nil {
			return "error: " + err.Error() // the model may try again
		}
		fmt.Println("looking at the sky of", a.City)
		return `{"sky": "clear", "celsius": 21}`
	}

	c.Messages = append(c.Messages, chat.Message{Role: chat.User, Content: "What is the weather in Busan?"})
	for range 5 { // rounds of calls, at most
		r, err := c.Reply(context.Background(), nil)
		if err != nil {
			log.Fatal(err)
		}
		if len(r.Message.ToolCalls) == 0 {
			fmt.Println(r.Message.Content)
			break
		}
		for _, call := range r.Message.ToolCalls {
			c.Messages = append(c.Messages, chat.Message{
				Role: chat.ToolRole, ToolCallID: call.ID, Name: call.Name, Content: weather(call.Arguments),
			})
		}
	}
	// Output:
	// looking at the sky of Busan
	// It is clear in Busan, at 21 °C.
}
