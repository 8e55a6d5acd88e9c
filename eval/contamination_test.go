package eval

import (
	"context"
	"iter"
	"slices"
	"strings"
	"testing"
)

func texts(ts ...Text) iter.Seq2[Text, error] {
	return func(yield func(Text, error) bool) {
		for _, t := range ts {
			if !yield(t, nil) {
				return
			}
		}
	}
}

func TestContaminated(t *testing.T) {
	long := "one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
	thai := strings.Repeat("กขคงจฉ", 8)
	sets := []*Set{{Items: []Item{{ID: "a", Text: long}, {ID: "b", Text: "only a few words"}, {ID: "c", Text: strings.ReplaceAll(long, "seven", "7")}, {ID: "d", Text: thai}}}}
	for _, c := range []struct {
		name string
		docs []Text
		want []string
	}{
		{"whole", []Text{{Text: "Before it. One, TWO three\nfour five six seven eight nine ten; eleven twelve -- thirteen!"}}, []string{"a"}},
		{"twelve words", []Text{{Text: "two three four five six seven eight nine ten eleven twelve thirteen"}}, nil},
		{"cut", []Text{{Text: "one two three four five six"}, {Text: " seven eight nine ten eleven twelve thirteen", GoesOn: true}}, []string{"a"}},
		{"two documents", []Text{{Text: "one two three four five six"}, {Text: " seven eight nine ten eleven twelve thirteen"}}, nil},
		{"Thai", []Text{{Text: "ฮ" + thai[:3*39] + "ฮ"}}, []string{"d"}},
		{"less Thai", []Text{{Text: "ฮ" + thai[:3*38] + "ฮ"}}, nil},
	} {
		got, err := Contaminated(context.Background(), sets, texts(c.docs...))
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got[0].IDs, c.want) || got[0].Short != 1 || got[0].Items != 3 || got[0].Found != len(c.want) {
			t.Errorf("%s: %+v, not %v", c.name, got[0], c.want)
		}
	}
}
