package task

// Where the answer stands in a text. Strictly: optional thought, then one answer, then nothing.
//
//	<think>scratch work</think><answer>42</answer>
//
// The opening <think> may be missing, because some templates write it before the model begins. Leniently: the only
// answer in tags wherever it stands, the last \boxed{…}, what follows "####" (GSM8K), or the last line.

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// MaxText is the longest text that is verified, in bytes: what is longer is wrong.
const MaxText = 64 << 10

// Tags around thought and answer.
const (
	ThinkOpen, ThinkClose   = "<think>", "</think>"
	AnswerOpen, AnswerClose = "<answer>", "</answer>"
)

// Compose writes an answer in the strict format; work may be empty.
func Compose(work, answer string) string {
	if work == "" {
		return AnswerOpen + answer + AnswerClose
	}
	return ThinkOpen + work + ThinkClose + AnswerOpen + answer + AnswerClose
}

// Reading is what was found in a text.
type Reading struct {
	Strict  bool   // the strict format is met, and Answer stands in it
	Found   bool   // there is an answer at all
	Answer  string // white space around it removed
	Problem string // why it is not strict
}

// Read finds the answer in a text. A text with two different answers in tags has none.
func Read(text string) Reading {
	if len(text) > MaxText {
		return Reading{Problem: "the text is longer than 64 KiB"}
	}
	if !utf8.ValidString(text) {
		return Reading{Problem: "the text is not UTF-8"}
	}
	answer, err := readStrict(text)
	if err == nil {
		return Reading{Strict: true, Found: true, Answer: answer}
	}
	answer, found := readLenient(text)
	return Reading{Found: found, Answer: answer, Problem: err.Error()}
}

func readStrict(text string) (string, error) {
	rest := strings.TrimSpace(text)
	if thought, after, ok := strings.Cut(rest, ThinkClose); ok {
		thought = strings.TrimPrefix(thought, ThinkOpen)
		if hasTag(thought) {
			return "", errors.New("there is a tag inside the thought")
		}
		rest = strings.TrimSpace(after)
	}
	if !strings.HasPrefix(rest, AnswerOpen) {
		return "", errors.New("no <answer> at the beginning or right after the thought")
	}
	answer, ok := strings.CutSuffix(rest[len(AnswerOpen):], AnswerClose)
	if !ok {
		return "", errors.New("the text does not end with </answer>")
	}
	if hasTag(answer) {
		return "", errors.New("there is a tag inside the answer")
	}
	return strings.TrimSpace(answer), nil
}

func hasTag(s string) bool {
	for _, tag := range []string{ThinkOpen, ThinkClose, AnswerOpen, AnswerClose} {
		if strings.Contains(s, tag) {
			return true
		}
	}
	return false
}

func readLenient(text string) (string, bool) {
	if i := strings.LastIndex(text, ThinkClose); i >= 0 {
		text = text[i+len(ThinkClose):]
	}
	if _, after, ok := strings.Cut(text, AnswerOpen); ok {
		return onlyAnswer(after)
	}
	if boxed, ok := Boxed(text); ok {
		return boxed, true
	}
	if i := strings.LastIndex(text, "####"); i >= 0 {
		line, _, _ := strings.Cut(text[i+4:], "\n")
		return strings.TrimSpace(line), true
	}
	lines := strings.Split(strings.TrimSpace(text), "\n")
	last := strings.TrimSpace(lines[len(lines)-1])
	return last, last != ""
}

// onlyAnswer reads answers from after the first <answer>; they must all be the same.
func onlyAnswer(after string) (string, bool) {
	first, seen := "", false
	for {
		answer, rest, _ := strings.Cut(after, AnswerClose)
		answer = strings.TrimSpace(answer)
		if seen && answer != first || hasTag(answer) {
			return "", false
		}
		first, seen = answer, true
		var more bool
		if _, after, more = strings.Cut(rest, AnswerOpen); !more {
			return first, first != ""
		}
	}
}

// Boxed returns what the last \boxed{…} of a text holds.
func Boxed(text string) (string, bool) {
	const open = `\boxed{`
	i := strings.LastIndex(text, open)
	if i < 0 {
		return "", false
	}
	text = text[i+len(open):]
	depth := 1
	for j := 0; j < len(text); j++ {
		switch text[j] {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return strings.TrimSpace(text[:j]), true
			}
		}
	}
	return "", false
}

// Judge makes the verdict of a text whose answer right approves. right sees at most MaxText bytes of UTF-8.
func Judge(text string, right func(answer string) (ok bool, why string)) Verdict {
	return Score(text, func(answer string) (reward float64, why string, err error) {
		ok, why := right(answer)
		if ok {
			reward = 1
		}
		return reward, why, nil
	})
}

// Score is Judge with a reward from 0 to 1, of which 1 is right, and a verifier that may fail.
func Score(text string, rewardOf func(answer string) (reward float64, why string, err error)) Verdict {
	r := Read(text)
	v := Verdict{Format: r.Strict, Detail: r.Problem}
	if !r.Found {
		return v
	}
	reward, why, err := rewardOf(r.Answer)
	if err != nil {
		v.Err = err
		return v
	}
	v.Lenient = reward == 1
	v.Correct = v.Lenient && r.Strict
	if r.Strict {
		v.Reward = reward
	}
	if why != "" {
		v.Detail = strings.TrimSuffix(why+"; "+r.Problem, "; ")
	}
	return v
}
