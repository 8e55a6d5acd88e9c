package eval

import (
	"context"
	"testing"
)

func TestNumbersOfAnswers(t *testing.T) {
	for _, c := range []struct {
		text, answer     string
		strict, flexible bool
	}{
		{" 3 + 4 = 7\n#### 7", "7", true, true},
		{"#### 1,000.\n\n", "1000", true, true},
		{"#### 7 and later 9", "7", true, false},
		{"The answer is $18.", "18", false, true},
		{"#### -3", "-3", true, true},
		{"#### 18.00", "18", false, false}, // as lm-eval: what is written is compared
		{"no number", "18", false, false},
		{"", "0", false, false},
	} {
		got := (&Item{Answer: c.answer}).judgeAnswer(context.Background(), c.text)
		if got["exact_match"] != c.strict || got["exact_match_flexible"] != c.flexible {
			t.Errorf("%q for %q: %v", c.text, c.answer, got)
		}
	}
}
