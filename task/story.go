package task

// Rung 7: a short story and a question about it. A story is drawn as events first, without any language; facts follow
// from the events; story_words.go says both in English, Korean, Indonesian and Spanish. One story in two languages is
// one question, so that what is held out in one is held out in all.

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"golang.org/x/text/unicode/norm"
)

// Kinds of events. Numbers are indices of words in story_words.go, the same in every language.
type eventKind uint8

const (
	goes    eventKind = iota // who goes to where
	takes                    // who takes what
	gives                    // who gives what to whom
	feels                    // who is how, because of why
	buys                     // who buys n fruits
	hands                    // who gives n of them to whom
	arrives                  // whom comes along
)

type event struct {
	kind             eventKind
	who, whom        int
	what, where, why int
	n                int
	same             bool // who is the one of the sentence before: a pronoun may stand
}

// Kinds of questions.
type queryKind uint8

const (
	whoHas    queryKind = iota // who has the thing
	whereIs                    // where the person is
	whereItIs                  // where the thing is: where its holder is
	whyFeels                   // why the person feels so
	howMany                    // how many fruits the person has
	queryKinds
)

type story struct {
	events    []event
	query     queryKind
	who, what int   // what the question asks about
	answer    int   // index of the word, or the count
	forms     []int // the template of each event: wording, no part of what is asked
}

// drawEvents draws a story with its question. Two persons, one thing that changes hands or not, and places; a sentence
// that has nothing to do with the question stands in between.
func drawEvents(r *rand.Rand) story {
	people := r.Perm(storyPeople)
	places := r.Perm(storyPlaces)
	a, b := people[0], people[1]
	what, fruit := r.IntN(storyThings), r.IntN(storyFruits)
	s := story{query: queryKind(r.IntN(int(queryKinds)))}
	switch s.query {
	case howMany:
		n := 3 + r.IntN(7)
		k := 1 + r.IntN(n-1)
		s.events = []event{
			{kind: goes, who: a, where: places[0]},
			{kind: buys, who: a, what: fruit, n: n, same: true},
			{kind: arrives, whom: b, where: places[0]},
			{kind: hands, who: a, whom: b, what: fruit, n: k},
		}
		s.who, s.what, s.answer = a, fruit, n-k
		if r.IntN(3) == 0 {
			s.who, s.answer = b, k
		}
	case whyFeels:
		s.why(r, a, b, places[0])
	default:
		s.hold(r, a, b, what, places)
	}
	return s
}

func (s *story) why(r *rand.Rand, a, b, place int) {
	i := r.IntN(storyReasons)
	j := (i + 1 + r.IntN(storyReasons-1)) % storyReasons
	s.events = []event{
		{kind: goes, who: a, where: place},
		{kind: feels, who: a, why: i, same: true},
		{kind: feels, who: b, why: j},
	}
	s.who, s.what, s.answer = a, i, i
	if r.IntN(2) == 0 {
		s.who, s.what, s.answer = b, j, j
	}
}

// hold tells who holds a thing and where, through 3 or 4 events.
func (s *story) hold(r *rand.Rand, a, b, what int, places []int) {
	holder, at := a, map[int]int{a: places[0], b: places[0]}
	s.events = []event{
		{kind: goes, who: a, where: places[0]},
		{kind: takes, who: a, what: what, same: true},
		{kind: arrives, whom: b, where: places[0]},
	}
	if r.IntN(2) == 0 {
		s.events = append(s.events, event{kind: gives, who: a, whom: b, what: what})
		holder = b
	}
	mover := []int{a, b}[r.IntN(2)]
	at[mover] = places[1]
	s.events = append(s.events, event{kind: goes, who: mover, where: places[1]})
	s.who, s.what = []int{a, b}[r.IntN(2)], what
	switch s.query {
	case whoHas:
		s.answer = holder
	case whereIs:
		s.answer = at[s.who]
	default:
		s.answer = at[holder]
	}
}

// drawStory says a story in one of the languages.
func drawStory(r *rand.Rand) question {
	s := drawEvents(r)
	for range s.events {
		s.forms = append(s.forms, r.IntN(storyForms))
	}
	lang := storyLanguages[r.IntN(len(storyLanguages))]
	return tell(s, lang)
}

func tell(s story, lang string) question {
	w := storyWords[lang]
	var lines, work []string
	for i, e := range s.events {
		lines = append(lines, w.sentence(e, s.forms[i]))
		if s.bears(e) { // the scratch work repeats what bears on the answer, with names for pronouns
			e.same = false
			work = append(work, w.sentence(e, s.forms[i]))
		}
	}
	return question{
		key:    fmt.Sprint(s.events, s.query, s.who, s.what),
		prompt: strings.Join(lines, " ") + "\n" + w.ask(s),
		work:   strings.Join(work, " "),
		answer: w.answer(s),
		lang:   lang,
	}
}

// bears says whether an event is needed for the answer.
func (s story) bears(e event) bool {
	switch e.kind {
	case goes:
		return s.query == whereItIs || s.query == whereIs && e.who == s.who
	case takes, gives:
		return s.query == whoHas || s.query == whereItIs
	case arrives:
		return s.query == whereItIs || s.query == whereIs && e.whom == s.who
	case feels:
		return e.who == s.who
	default:
		return true
	}
}

// sameName compares words of an answer: letters in any case and composed or not, without the final stop and without an
// article before them.
func sameName(it Item, answer string) (bool, string) {
	return compare(bare(it.Lang, it.Answer), bare(it.Lang, answer))
}

func bare(lang, s string) string {
	s = strings.ToLower(norm.NFC.String(strings.Join(strings.Fields(s), " ")))
	s = strings.TrimRight(s, ".!")
	w, ok := storyWords[lang]
	if !ok {
		return s
	}
	for _, article := range w.articles {
		if rest, ok := strings.CutPrefix(s, article+" "); ok {
			return rest
		}
	}
	return s
}
