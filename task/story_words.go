package task

// The words of the stories, and how each language joins them. People, places, things, fruits and reasons have the same
// index in every language; people of even index are women.
//
// A template has slots: {who} {whom} {what} {where} {n} {feel} {why}. What each language does besides:
//
//	en, es  "apple|apples": one, or more;  es "contento|contenta": of a man, of a woman; "a el" becomes "al"
//	ko      "{who}은/는": the particle after a final consonant, and after a vowel

import (
	"fmt"
	"strings"
)

const (
	storyPeople  = 12
	storyPlaces  = 10
	storyThings  = 10
	storyFruits  = 6
	storyReasons = 8
	storyForms   = 2 // templates of each kind of event
)

type language struct {
	people   [storyPeople]string
	she, he  string
	places   [storyPlaces]string
	things   [storyThings]string
	fruits   [storyFruits]string
	feelings [storyReasons]string
	reasons  [storyReasons]string
	articles []string

	events  [arrives + 1][storyForms]string
	queries [queryKinds]string
}

var storyLanguages = []string{"en", "ko", "id", "es"}

var storyWords = map[string]*language{
	"en": {
		people: [...]string{"Anna", "Tom", "Mia", "Ben", "Sara", "Leo", "Nora", "Max", "Lily", "Sam", "Ella", "Jack"},
		she:    "she", he: "he",
		places:   [...]string{"the kitchen", "the garden", "the school", "the park", "the library", "the market", "the beach", "the bathroom", "the office", "the station"},
		things:   [...]string{"the ball", "the book", "the key", "the cup", "the lamp", "the box", "the hat", "the flute", "the map", "the coat"},
		fruits:   [...]string{"apple|apples", "pear|pears", "orange|oranges", "plum|plums", "lemon|lemons", "mango|mangos"},
		feelings: [...]string{"happy", "sad", "tired", "angry", "afraid", "proud", "hungry", "surprised"},
		reasons:  [...]string{"the sun was shining", "the dog ran away", "the night was short", "the bus was late", "the dog barked", "the picture was good", "the bread was gone", "the door was open"},
		articles: []string{"the", "in the", "at the"},
		events: [...][storyForms]string{
			goes:    {"{who} went to {where}.", "{who} walked to {where}."},
			takes:   {"{who} took {what}.", "{who} picked up {what}."},
			gives:   {"{who} gave {what} to {whom}.", "{who} handed {what} to {whom}."},
			feels:   {"{who} was {feel} because {why}.", "{who} felt {feel} because {why}."},
			buys:    {"{who} bought {n} {what}.", "{who} got {n} {what}."},
			hands:   {"{who} gave {n} {what} to {whom}.", "{who} handed {n} {what} to {whom}."},
			arrives: {"{whom} came to {where} too.", "{whom} also came to {where}."},
		},
		queries: [...]string{"Who has {what}?", "Where is {who}?", "Where is {what}?", "Why was {who} {feel}?", "How many {what} does {who} have?"},
	},
	"ko": {
		people: [...]string{"지은", "민수", "수아", "준호", "하린", "도윤", "유나", "현우", "미나", "성진", "은지", "태민"},
		she:    "그녀", he: "그",
		places:   [...]string{"부엌", "정원", "학교", "공원", "도서관", "시장", "바다", "욕실", "사무실", "역"},
		things:   [...]string{"공", "책", "열쇠", "컵", "등불", "상자", "모자", "피리", "지도", "외투"},
		fruits:   [...]string{"사과", "배", "오렌지", "자두", "레몬", "망고"},
		feelings: [...]string{"기뻤다", "슬펐다", "피곤했다", "화가 났다", "무서웠다", "자랑스러웠다", "배가 고팠다", "놀랐다"},
		reasons:  [...]string{"해가 빛나서", "개가 달아나서", "밤이 짧아서", "버스가 늦어서", "개가 짖어서", "그림이 좋아서", "빵이 없어져서", "문이 열려 있어서"},
		events: [...][storyForms]string{
			goes:    {"{who}은/는 {where}에 갔다.", "{who}은/는 {where}으로/로 갔다."},
			takes:   {"{who}은/는 {what}을/를 들었다.", "{who}은/는 {what}을/를 집었다."},
			gives:   {"{who}은/는 {whom}에게 {what}을/를 주었다.", "{who}은/는 {what}을/를 {whom}에게 건넸다."},
			feels:   {"{who}은/는 {why} {feel}.", "{why} {who}은/는 {feel}."},
			buys:    {"{who}은/는 {what} {n}개를 샀다.", "{who}은/는 {what}을/를 {n}개 샀다."},
			hands:   {"{who}은/는 {whom}에게 {what} {n}개를 주었다.", "{who}은/는 {what} {n}개를 {whom}에게 건넸다."},
			arrives: {"{whom}도 {where}에 왔다.", "{whom}도 {where}으로/로 왔다."},
		},
		queries: [...]string{"{what}은/는 누가 가지고 있나?", "{who}은/는 어디에 있나?", "{what}은/는 어디에 있나?", "{who}은/는 왜 {feel}?", "{who}은/는 {what}을/를 몇 개 가지고 있나?"},
	},
	"id": {
		people: [...]string{"Sari", "Budi", "Dewi", "Agus", "Rina", "Joko", "Ayu", "Dimas", "Putri", "Bayu", "Wati", "Eko"},
		she:    "dia", he: "dia",
		places:   [...]string{"dapur", "kebun", "sekolah", "taman", "perpustakaan", "pasar", "pantai", "kamar mandi", "kantor", "stasiun"},
		things:   [...]string{"bola", "buku", "kunci", "cangkir", "lampu", "kotak", "topi", "seruling", "peta", "mantel"},
		fruits:   [...]string{"apel", "pir", "jeruk", "plum", "lemon", "mangga"},
		feelings: [...]string{"senang", "sedih", "lelah", "marah", "takut", "bangga", "lapar", "terkejut"},
		reasons:  [...]string{"matahari bersinar", "anjing itu lari", "malam itu pendek", "bus terlambat", "anjing itu menggonggong", "gambar itu bagus", "rotinya habis", "pintunya terbuka"},
		articles: []string{"di"},
		events: [...][storyForms]string{
			goes:    {"{who} pergi ke {where}.", "{who} berjalan ke {where}."},
			takes:   {"{who} mengambil {what}.", "{who} membawa {what}."},
			gives:   {"{who} memberikan {what} kepada {whom}.", "{who} menyerahkan {what} kepada {whom}."},
			feels:   {"{who} {feel} karena {why}.", "{who} merasa {feel} karena {why}."},
			buys:    {"{who} membeli {n} {what}.", "{who} mendapat {n} {what}."},
			hands:   {"{who} memberikan {n} {what} kepada {whom}.", "{who} menyerahkan {n} {what} kepada {whom}."},
			arrives: {"{whom} juga datang ke {where}.", "{whom} juga tiba di {where}."},
		},
		queries: [...]string{"Siapa yang memegang {what}?", "Di mana {who}?", "Di mana {what}?", "Mengapa {who} {feel}?", "Berapa {what} yang dimiliki {who}?"},
	},
	"es": {
		people: [...]string{"Ana", "Luis", "Marta", "Pablo", "Lucía", "Diego", "Elena", "Hugo", "Clara", "Mario", "Rosa", "Juan"},
		she:    "ella", he: "él",
		places:   [...]string{"la cocina", "el jardín", "la escuela", "el parque", "la biblioteca", "el mercado", "la playa", "el baño", "la oficina", "la estación"},
		things:   [...]string{"la pelota", "el libro", "la llave", "la taza", "la lámpara", "la caja", "el sombrero", "la flauta", "el mapa", "el abrigo"},
		fruits:   [...]string{"manzana|manzanas", "pera|peras", "naranja|naranjas", "ciruela|ciruelas", "limón|limones", "mango|mangos"},
		feelings: [...]string{"contento|contenta", "triste|triste", "cansado|cansada", "enfadado|enfadada", "asustado|asustada", "orgulloso|orgullosa", "hambriento|hambrienta", "sorprendido|sorprendida"},
		reasons:  [...]string{"brillaba el sol", "el perro se escapó", "la noche fue corta", "el autobús llegó tarde", "el perro ladró", "el dibujo era bueno", "no quedaba pan", "la puerta estaba abierta"},
		articles: []string{"en el", "en la", "el", "la"},
		events: [...][storyForms]string{
			goes:    {"{who} fue a {where}.", "{who} caminó a {where}."},
			takes:   {"{who} tomó {what}.", "{who} cogió {what}."},
			gives:   {"{who} dio {what} a {whom}.", "{who} entregó {what} a {whom}."},
			feels:   {"{who} estaba {feel} porque {why}.", "{who} se sentía {feel} porque {why}."},
			buys:    {"{who} compró {n} {what}.", "{who} consiguió {n} {what}."},
			hands:   {"{who} dio {n} {what} a {whom}.", "{who} entregó {n} {what} a {whom}."},
			arrives: {"{whom} también vino a {where}.", "{whom} llegó también a {where}."},
		},
		queries: [...]string{"¿Quién tiene {what}?", "¿Dónde está {who}?", "¿Dónde está {what}?", "¿Por qué estaba {feel} {who}?", "¿Qué número de {what} tiene {who}?"},
	},
}

// sentence says an event with one of its templates; a pronoun stands for a person of the sentence before.
func (l *language) sentence(e event, form int) string {
	who := l.people[e.who]
	if e.same {
		who = l.he
		if e.who%2 == 0 {
			who = l.she
		}
	}
	what := l.things[e.what%storyThings]
	if e.kind == buys || e.kind == hands {
		what = counted(l.fruits[e.what], e.n)
	}
	s := fill(l.events[e.kind][form], map[string]string{
		"who": who, "whom": l.people[e.whom], "what": what, "where": l.places[e.where], "n": fmt.Sprint(e.n),
		"feel": gendered(l.feelings[e.why], e.who), "why": l.reasons[e.why],
	})
	return capital(contract(s))
}

// ask says the question of a story.
func (l *language) ask(s story) string {
	what, feel := "", ""
	switch s.query {
	case howMany:
		what = counted(l.fruits[s.what], 2)
	case whyFeels:
		feel = gendered(l.feelings[s.what], s.who)
	default:
		what = l.things[s.what]
	}
	return capital(contract(fill(l.queries[s.query], map[string]string{"who": l.people[s.who], "what": what, "feel": feel})))
}

// answer says the answer, without an article where the language has one.
func (l *language) answer(s story) string {
	switch s.query {
	case whoHas:
		return l.people[s.answer]
	case whyFeels:
		return l.reasons[s.answer]
	case howMany:
		return fmt.Sprint(s.answer)
	}
	place := l.places[s.answer]
	for _, article := range l.articles {
		if rest, ok := strings.CutPrefix(place, article+" "); ok {
			return rest
		}
	}
	return place
}

func fill(template string, slots map[string]string) string {
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(template, "{")
		b.WriteString(before)
		if !ok {
			return b.String()
		}
		name, after, _ := strings.Cut(rest, "}")
		b.WriteString(slots[name])
		template = after
	}
}

// counted chooses between "one|more".
func counted(word string, n int) string {
	one, more, ok := strings.Cut(word, "|")
	if n == 1 || !ok {
		return one
	}
	return more
}

// gendered chooses between "of a man|of a woman".
func gendered(word string, who int) string {
	man, woman, ok := strings.Cut(word, "|")
	if who%2 == 0 && ok {
		return woman
	}
	return man
}

func capital(s string) string {
	r := []rune(s)
	for i, c := range r {
		if c == '¿' {
			continue
		}
		r[i] = []rune(strings.ToUpper(string(c)))[0]
		break
	}
	return string(r)
}

// contract does what words do to each other: Spanish contractions and Korean particles.
func contract(s string) string {
	s = strings.ReplaceAll(s, " a el ", " al ")
	for _, p := range [][2]string{{"은", "는"}, {"을", "를"}, {"으로", "로"}} {
		both := p[0] + "/" + p[1]
		for {
			before, after, ok := strings.Cut(s, both)
			if !ok {
				break
			}
			final := lastConsonant(before)
			particle := p[0]
			if final == 0 || p[1] == "로" && final == rieul {
				particle = p[1]
			}
			s = before + particle + after
		}
	}
	return s
}

// rieul is the final consonant ㄹ, after which 로 stands as after a vowel.
const rieul = 8

// lastConsonant is the number of the final consonant of the last syllable, 0 without one. Hangul syllables stand in
// order of 19 initials, 21 vowels, 28 finals from U+AC00 on (Unicode, section 3.12).
func lastConsonant(s string) int {
	r := []rune(s)
	if len(r) == 0 || r[len(r)-1] < 0xAC00 || r[len(r)-1] > 0xD7A3 {
		return 0
	}
	return int(r[len(r)-1]-0xAC00) % 28
}
