package grammar

import (
	"slices"
	"strings"
	"sync"
	"testing"
)

func mustFree(t *testing.T, marks ...string) *Grammar {
	t.Helper()
	g, err := Free(marks...)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func mustSequence(t *testing.T, parts ...*Grammar) *Grammar {
	t.Helper()
	g, err := Sequence(parts...)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// Free text holds no mark, wherever one begins inside another.
func TestFree(t *testing.T) {
	marks := []string{"aab", "abc", "ca"}
	m := newMachine(mustFree(t, marks...))
	var try func(s string)
	try = func(s string) {
		want := !slices.ContainsFunc(marks, func(mark string) bool { return strings.Contains(s, mark) })
		if got, _ := m.match([]byte(s)); got != want {
			t.Fatalf("%q: %v", s, got)
		}
		if len(s) < 8 {
			for _, c := range "abc" {
				try(s + string(c))
			}
		}
	}
	try("")
	if whole, _ := newMachine(mustFree(t)).match([]byte("any\x00thing é")); !whole {
		t.Error("free text without marks is not free")
	}
	if _, err := Free("a", ""); err == nil {
		t.Error("an empty mark is accepted")
	}
}

// A grammar that begins after the thinking, or at a call of a tool, whichever way the vocabulary writes the marks.
func TestGrammarAfterMark(t *testing.T) {
	call, err := FromJSONSchema([]byte(`{"type":"object","properties":{"city":{"enum":["Jeju"]}},"required":["city"],"additionalProperties":false}`), Options{Compact: true})
	if err != nil {
		t.Fatal(err)
	}
	one := mustSequence(t, Mark("<call>"), call, Mark("</call>"))
	calls, err := Repeat(mustSequence(t, one, mustFree(t, "<call>")), 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	g := mustSequence(t, mustFree(t, "</think>"), Mark("</think>"), mustFree(t, "<call>"), calls)
	words := []string{"", "<call>", "</call>", "</think>", "<end>", "<other>", "I", " think", "<", "call", ">", `{"city":"Jeju"}`, `{"city":"Bus`, ">I", "/think", "é"}
	for _, controls := range []bool{false, true} {
		v := NewVocabulary(len(words), func(id int32) []byte { return []byte(words[id]) }, func(id int32) bool { return id == 4 || id == 5 || controls && id < 4 })
		k, err := g.For(v, []int32{4})
		if err != nil {
			t.Fatal(err)
		}
		m := k.Matcher()
		for _, step := range []struct {
			token string
			may   bool
		}{
			{"<end>", false}, {"I", true}, {"<call>", !controls}, {"<", true}, {"/think", true}, {"<other>", false}, {"I", true}, {"</think>", true}, {"<end>", true}, {" think", true},
			{"<", true}, {"call", true}, {">I", false}, {"I", true}, {"<call>", true}, {"I", false}, {"<end>", false}, {`{"city":"Bus`, false}, {`{"city":"Jeju"}`, true}, {"<end>", false}, {"</call>", true}, {"<end>", true},
			{" think", true}, {"<call>", true}, {`{"city":"Jeju"}`, true}, {"</call>", true}, {"<end>", true}, {"I", true},
		} {
			id := int32(slices.Index(words, step.token))
			mask, err := m.Mask()
			if err != nil {
				t.Fatal(err)
			}
			if got := mask[0]>>id&1 == 1; got != step.may {
				t.Errorf("controls %v: %q is permitted %v, want %v", controls, step.token, got, step.may)
			}
			if step.may && step.token != "<end>" {
				if err := m.Accept(id); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if _, err := mustSequence(t, Text("a"), Control("<absent>")).For(NewVocabulary(3, func(int32) []byte { return []byte("a") }, nil), nil); err == nil || !strings.Contains(err.Error(), "<absent>") {
		t.Errorf("a control token that the model has not: %v", err)
	}
	if g, err := Either(Text("a"), Text("b")); err != nil {
		t.Error(err)
	} else if whole, _ := newMachine(g).match([]byte("b")); !whole {
		t.Error("b is not either a or b")
	}
}

// Goroutines that share a masker see what each would see alone.
func TestSharedMasker(t *testing.T) {
	v, end := byteVocabulary()
	g, err := FromJSONSchema([]byte(person), Options{})
	if err != nil {
		t.Fatal(err)
	}
	shared, err := g.For(v, []int32{end})
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for i := range 4 {
		group.Go(func() {
			alone, err := g.For(v, []int32{end})
			if err != nil {
				t.Error(err)
				return
			}
			a, b := alone.Matcher(), shared.Matcher()
			for n, c := range []byte(someone)[:200+50*i] {
				x, errX := a.Mask()
				y, errY := b.Mask()
				if errX != nil || errY != nil || !slices.Equal(x, y) {
					t.Errorf("byte %d: the masks differ, or %v, %v", n, errX, errY)
					return
				}
				if a.Accept(int32(c)) != nil || b.Accept(int32(c)) != nil {
					t.Errorf("byte %d %q is refused", n, c)
					return
				}
			}
		})
	}
	group.Wait()
}

// A matcher says no to what is not permitted, begins again for a shorter answer, and ends once.
func TestMatcher(t *testing.T) {
	g, err := FromChoices([]string{"ab", "ac"})
	if err != nil {
		t.Fatal(err)
	}
	v := NewVocabulary(4, func(id int32) []byte { return []byte{"abc<"[id]} }, func(id int32) bool { return id == 3 })
	k, err := g.For(v, []int32{3})
	if err != nil {
		t.Fatal(err)
	}
	m := k.Matcher()
	for _, c := range []struct {
		made []int32
		want uint64
	}{{nil, 1}, {[]int32{0}, 0b110}, {[]int32{0, 2}, 0b1000}, {[]int32{0}, 0b110}, {[]int32{0, 1, 3}, 0}} {
		set := m.Allowed(c.made)
		if c.want == 0 && set != nil || c.want != 0 && (len(set) != 1 || set[0] != c.want) {
			t.Errorf("after %v: %b, want %b", c.made, set, c.want)
		}
	}
	if m.Accept(3) == nil || m.Err() == nil {
		t.Error("it ends twice")
	}
	for _, id := range []int32{-1, 4, 1, 3} {
		m := k.Matcher()
		if set := m.Allowed([]int32{id}); set == nil || len(set) != 0 || m.Err() == nil {
			t.Errorf("token %d: %b, %v", id, set, m.Err())
		}
	}
	bare, err := g.For(v, nil)
	if err != nil {
		t.Fatal(err)
	}
	if set := bare.Matcher().Allowed([]int32{0, 1}); set != nil {
		t.Errorf("a complete text without end token: %b", set)
	}
	if _, err := g.For(v, []int32{4}); err == nil {
		t.Error("an end token beyond the vocabulary is accepted")
	}
}
