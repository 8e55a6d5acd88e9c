package serve

// Log-probabilities as clients read them.

import (
	"math"

	"github.com/haenyeo/haenyeo/infer"
)

// logged is a token with its log-probability, and the most probable ones at its place.
type logged struct {
	alternative
	Top []alternative `json:"top_logprobs"`
}

// alternative is a token that could stand somewhere. Bytes are there because a token may be a part of a character.
type alternative struct {
	Token   string  `json:"token"`
	Logprob float64 `json:"logprob"`
	Bytes   []int   `json:"bytes"`
}

// least is written for what has no probability: JSON has no infinity. It is the number that OpenAI's API has there.
const least = -9999

func alternativeOf(m *Model, p infer.Logprob) alternative {
	raw := m.Tokenizer.TokenBytes(p.ID)
	a := alternative{Token: m.Tokenizer.Decode([]int32{p.ID}, false), Logprob: math.Max(p.Logprob, least), Bytes: make([]int, len(raw))}
	for i, b := range raw {
		a.Bytes[i] = int(b)
	}
	return a
}

// logOf gives the tokens of an event.
func logOf(m *Model, e *event) []logged {
	if len(e.logprobs) == 0 {
		return nil
	}
	list := make([]logged, len(e.logprobs))
	for i, p := range e.logprobs {
		list[i] = logged{alternativeOf(m, p.Logprob), make([]alternative, len(p.Top))}
		for j, t := range p.Top {
			list[i].Top[j] = alternativeOf(m, t)
		}
	}
	return list
}
