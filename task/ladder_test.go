package task

import (
	"context"
	"strings"
	"testing"
	"unicode/utf8"
)

// TestLadder draws from every rung: demonstrations are right, strict, and the same again; wrong answers are wrong; the
// splits are disjoint; 500 different questions are held out.
func TestLadder(t *testing.T) {
	for _, g := range Ladder() {
		t.Run(g.Name(), func(t *testing.T) {
			trained := map[string]bool{}
			for n := range uint64(400) {
				it, err := g.Item(Train, 7, n)
				if err != nil {
					t.Fatal(err)
				}
				again, _ := g.Item(Train, 7, n)
				if again.Prompt != it.Prompt || again.Work != it.Work || again.ID != it.ID {
					t.Fatalf("question %d is another when it is asked for again", n)
				}
				trained[it.ID] = true
				checkDemonstration(t, g, it)
				other, _ := g.Item(Train, 7, n+1000)
				if other.Answer != it.Answer && g.Level < 8 {
					if v := g.Verify(context.Background(), it, Compose("", other.Answer)); v.Reward != 0 || v.Lenient {
						t.Fatalf("%q: %q is taken for right", it.Prompt, other.Answer)
					}
				}
			}
			held, err := HeldOutSet(g, 3, 500)
			if err != nil {
				t.Fatal(err)
			}
			for _, it := range held {
				if trained[it.ID] {
					t.Fatalf("%s is on both sides", it.ID)
				}
			}
		})
	}
}

func checkDemonstration(t *testing.T, g *Rung, it Item) {
	t.Helper()
	text, err := g.Demonstrate(it)
	if err != nil {
		t.Fatal(err)
	}
	v := g.Verify(context.Background(), it, text)
	if v.Reward != 1 || !v.Correct || !v.Lenient || !v.Format || v.Err != nil {
		t.Fatalf("%q: the demonstration %q is judged %+v", it.Prompt, text, v)
	}
	if !utf8.ValidString(it.Prompt + text) {
		t.Fatalf("%q is not UTF-8", it.Prompt+text)
	}
}

// TestAttacks gives every rung texts that are made to look right, to flood, or to break what reads them.
func TestAttacks(t *testing.T) {
	for _, g := range Ladder() {
		it, err := g.Item(HeldOut, 1, 0)
		if err != nil {
			t.Fatal(err)
		}
		a := it.Answer
		for _, c := range []struct {
			name, text string
			lenient    bool
		}{
			{"nothing", "", false},
			{"no tags", a, true},
			{"empty answer", Compose("", ""), false},
			{"answer in the thought", "<think><answer>" + a + "</answer></think>", false},
			{"two answers", Compose("", a) + Compose("", "zzz"), false},
			{"two answers, right one last", Compose("", "zzz") + Compose("", a), false},
			{"all in one", Compose("", "0 or "+a), false},
			{"right and more", Compose("", a+" or 12345"), false},
			{"not closed", "<answer>" + a, true},
			{"text behind", Compose("", a) + " hope that helps", true},
			{"nested", "<answer><answer>" + a + "</answer></answer>", false},
			{"not UTF-8", Compose("", a+"\xff"), false},
			{"NUL", Compose("", a+"\x00"), false},
			{"flood", Compose(strings.Repeat("9", MaxText), a), false},
			{"flood of digits", Compose("", strings.Repeat("9", MaxText-100)), false},
			{"flood of tags", strings.Repeat("<answer>", MaxText/8), false},
			{"flood of brackets", Compose("", strings.Repeat("(", 30000)), false},
			{"the question again", Compose("", it.Prompt), false},
		} {
			if c.name == "the question again" && g.Name() == "sort" {
				continue // the letters may be in order already
			}
			v := g.Verify(context.Background(), it, c.text)
			if v.Reward != 0 || v.Correct || v.Lenient != c.lenient {
				t.Errorf("%s, %s: %q is judged %+v", g.Name(), c.name, c.text[:min(80, len(c.text))], v)
			}
		}
	}
}

func TestCountdownTakesAnyRightExpression(t *testing.T) {
	it := Item{Data: []byte(`{"numbers":[3,7,2],"target":20}`)}
	for answer, want := range map[string]bool{
		"(3+7)*2": true, "2 * ( 7 + 3 )": true, "((3) + 7)*2": true,
		"20": false, "3+7+2": false, "(3+7)*2*1": false, "(3+7)+(3+7)": false, "10*2": false, "(3+7)*2 = 20": false,
		"(3+7)*2)": false, "((3+7)*2": false, "3/0+7+2": false, "3 7 2": false, "37-2": false, "-3+7+2": false,
		"99999999999999999999": false, "": false, "(3+7)*２": false,
	} {
		if ok, why := reachesTarget(it, answer); ok != want {
			t.Errorf("%q: %v (%s), want %v", answer, ok, why, want)
		}
	}
	if ok, _ := reachesTarget(Item{Data: []byte(`{"numbers":[1,3,8],"target":3}`)}, "1*3"); ok {
		t.Error("a number is left out")
	}
	if ok, why := reachesTarget(Item{Data: []byte(`{"numbers":[8,3,8],"target":3}`)}, "8/(8/3)"); !ok {
		t.Error("a fraction on the way is exact:", why)
	}
}

func TestStackPrograms(t *testing.T) {
	it := Item{Data: []byte(`{"program":"x y add 3 mul"}`)}
	for answer, want := range map[string]bool{
		"x y add 3 mul": true, "y x add dup dup add add": true, "3 x mul 3 y mul add": true, "3 y x add mul": true,
		"9": false, "x y add": false, "x y add 3 mul 1": false, "x y add 3 mul drop": false, "x y add 3 mul x 0 mul add": true,
		"mul": false, "": false, "x y add +3 mul": false, "x y add 3 mul # ": false, "jump 0": false,
	} {
		if ok, why := programPasses(it, answer); ok != want {
			t.Errorf("%q: %v (%s), want %v", answer, ok, why, want)
		}
	}
	for _, p := range []string{strings.Repeat("1 ", 65), strings.Repeat("x ", 40), "999 " + strings.Repeat("dup mul ", 20)} {
		if v, err := RunStack(p, 1, 1); err == nil {
			t.Errorf("%q gives %d", p, v)
		}
	}
}

// TestStoryAnswers follows stories with a reader that knows nothing of how they were drawn.
func TestStoryAnswers(t *testing.T) {
	for n := range uint64(2000) {
		s := drawEvents(Random("t", 1, n))
		place, holder, count, why := map[int]int{}, -1, map[int]int{}, map[int]int{}
		for _, e := range s.events {
			switch e.kind {
			case goes:
				place[e.who] = e.where
			case arrives:
				place[e.whom] = e.where
			case takes:
				holder = e.who
			case gives:
				if holder != e.who {
					t.Fatal("gives what it does not have")
				}
				holder = e.whom
			case feels:
				why[e.who] = e.why
			case buys:
				count[e.who] += e.n
			case hands:
				count[e.who] -= e.n
				count[e.whom] += e.n
			}
		}
		want := map[queryKind]int{whoHas: holder, whereIs: place[s.who], whereItIs: place[holder], whyFeels: why[s.who], howMany: count[s.who]}[s.query]
		if s.answer != want {
			t.Fatalf("story %d, %+v: the answer is %d, the reader says %d", n, s, s.answer, want)
		}
	}
}

func TestStoryLanguages(t *testing.T) {
	s := story{events: []event{{kind: goes, who: 2, where: 3}, {kind: takes, who: 2, what: 1, same: true}, {kind: arrives, whom: 3, where: 3}, {kind: gives, who: 2, whom: 3, what: 1}}, forms: []int{0, 0, 0, 0}, query: whereItIs, who: 2, what: 1, answer: 3}
	for lang, want := range map[string]string{
		"en": "Mia went to the park. She took the book. Ben came to the park too. Mia gave the book to Ben.\nWhere is the book?|park",
		"ko": "수아는 공원에 갔다. 그녀는 책을 들었다. 준호도 공원에 왔다. 수아는 준호에게 책을 주었다.\n책은 어디에 있나?|공원",
		"id": "Dewi pergi ke taman. Dia mengambil buku. Agus juga datang ke taman. Dewi memberikan buku kepada Agus.\nDi mana buku?|taman",
		"es": "Marta fue al parque. Ella tomó el libro. Pablo también vino al parque. Marta dio el libro a Pablo.\n¿Dónde está el libro?|parque",
	} {
		q := tell(s, lang)
		if got := q.prompt + "|" + q.answer; got != want {
			t.Errorf("%s:\n got %s\nwant %s", lang, got, want)
		}
	}
	if got := contract("공원으로/로 역으로/로 교실으로/로 바다으로/로"); got != "공원으로 역으로 교실로 바다로" {
		t.Error(got)
	}
	for _, c := range []struct {
		lang, want, got string
		ok              bool
	}{
		{"en", "park", "The Park.", true}, {"en", "park", "in the park", true}, {"en", "park", "the parking", false}, {"en", "park", "not the park", false},
		{"ko", "공원", "공원", true}, {"ko", "공원", "공원", true}, {"ko", "공원", "정원", false},
		{"es", "jardín", "El jardín", true}, {"es", "jardín", "jardin", false}, {"xx", "a", "a", true},
	} {
		if ok, _ := sameName(Item{Lang: c.lang, Answer: c.want}, c.got); ok != c.ok {
			t.Errorf("%s: %q for %q: %v", c.lang, c.got, c.want, ok)
		}
	}
}

func FuzzVerify(f *testing.F) {
	ladder := Ladder()
	for i, g := range ladder {
		it, err := g.Item(HeldOut, 1, 0)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(i), Compose(it.Work, it.Answer))
	}
	f.Add(uint8(13), "<answer>((1+2)*3/0</answer>")
	f.Fuzz(func(t *testing.T, i uint8, text string) {
		g := ladder[int(i)%len(ladder)]
		it, err := g.Item(HeldOut, 1, 0)
		if err != nil {
			t.Fatal(err)
		}
		v := g.Verify(context.Background(), it, text)
		if v.Correct != (v.Reward == 1) || v.Correct && (!v.Lenient || !v.Format) || v.Err != nil {
			t.Fatalf("%q: %+v", text, v)
		}
	})
}
