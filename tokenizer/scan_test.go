package tokenizer

// The scanners against the published expressions, written out alternative by alternative over code points, as slow as
// they are plain.

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

// expression gives the end of its match at r[i], or -1. r is one piece: its ends are the ends of the text.
type expression func(r []rune, i int) int

type set func(r rune) bool

var (
	isL = set(func(r rune) bool { return unicodeClasses()[r]&letter != 0 })
	isM = set(func(r rune) bool { return unicodeClasses()[r]&mark != 0 })
	isN = set(func(r rune) bool { return unicodeClasses()[r]&number != 0 })
	isP = set(func(r rune) bool { return unicodeClasses()[r]&punct != 0 })
	isS = set(unicode.IsSpace)
)

func of(chars string) set     { return func(r rune) bool { return strings.ContainsRune(chars, r) } }
func not(sets ...set) set     { return func(r rune) bool { return !anyOf(sets...)(r) } }
func between(lo, hi rune) set { return func(r rune) bool { return lo <= r && r <= hi } }
func anyOf(sets ...set) set {
	return func(r rune) bool { return slices.ContainsFunc(sets, func(s set) bool { return s(r) }) }
}

// times matches s from least to most times, greedily, then rest, giving back while rest does not match.
func times(s set, least, most int, rest expression) expression {
	return func(r []rune, i int) int {
		n := 0
		for n < most && i+n < len(r) && s(r[i+n]) {
			n++
		}
		for ; n >= least; n-- {
			if end := rest(r, i+n); end >= 0 {
				return end
			}
		}
		return -1
	}
}

const ever = 1 << 30

func end(_ []rune, i int) int { return i }

func notBefore(s set) expression {
	return func(r []rune, i int) int {
		if i < len(r) && s(r[i]) {
			return -1
		}
		return i
	}
}

func either(alternatives ...expression) expression {
	return func(r []rune, i int) int {
		for _, a := range alternatives {
			if end := a(r, i); end >= 0 {
				return end
			}
		}
		return -1
	}
}

func literal(s string, fold bool) expression {
	return func(r []rune, i int) int {
		for _, c := range s {
			if i >= len(r) || r[i] != c && !(fold && unicode.SimpleFold(r[i]) != r[i] && sameFold(r[i], c)) {
				return -1
			}
			i++
		}
		return i
	}
}

func sameFold(a, b rune) bool {
	for f := unicode.SimpleFold(a); f != a; f = unicode.SimpleFold(f) {
		if f == b {
			return true
		}
	}
	return a == b
}

var (
	lineEnds  = of("\r\n")
	spaceTail = []expression{times(isS, 0, ever, times(lineEnds, 1, ever, end)), times(isS, 1, ever, notBefore(not(isS))), times(isS, 1, ever, end)}
)

func contractions(fold bool) (list []expression) {
	for _, s := range []string{"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"} {
		list = append(list, literal(s, fold))
	}
	return list
}

func llamaExpression(digits int) expression {
	return either(append(append(contractions(true),
		times(not(lineEnds, isL, isN), 0, 1, times(isL, 1, ever, end)),
		times(isN, 1, digits, end),
		times(of(" "), 0, 1, times(not(isS, isL, isN), 1, ever, times(lineEnds, 0, ever, end)))),
		spaceTail...)...)
}

var referenceStages = map[scanner][]expression{
	deepseekV3: {
		times(isN, 1, 3, end),
		times(anyOf(between('一', '龥'), between(0x3040, 0x309F), between(0x30A0, 0x30FF)), 1, ever, end),
		either(append([]expression{
			times(of("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"), 1, 1, times(anyOf(between('A', 'Z'), between('a', 'z')), 1, ever, end)),
			times(not(lineEnds, isL, isP), 0, 1, times(anyOf(isL, isM), 1, ever, end)),
			times(of(" "), 0, 1, times(isP, 1, ever, times(lineEnds, 0, ever, end))),
		}, spaceTail...)...),
	},
	llamaBPE: {llamaExpression(3)},
	qwen2:    {llamaExpression(1)},
	gpt2: {either(append(contractions(false),
		times(of(" "), 0, 1, times(isL, 1, ever, end)),
		times(of(" "), 0, 1, times(isN, 1, ever, end)),
		times(of(" "), 0, 1, times(not(isS, isL, isN), 1, ever, end)),
		spaceTail[1], spaceTail[2])...)},
	smollm: {
		times(isN, 1, 1, end),
		either(append(contractions(false),
			times(of(" "), 0, 1, times(isL, 1, ever, end)),
			times(of(" "), 0, 1, times(isN, 1, ever, end)),
			times(of(" "), 0, 1, times(not(isS, isL, isN), 1, ever, end)),
			spaceTail[1], spaceTail[2])...),
	},
	deepseekLLM: {
		times(lineEnds, 1, 1, end),
		times(isS, 0, 1, times(among(casedLetters), 1, ever, end)),
		times(isS, 0, 1, times(among(llmSigns), 1, ever, end)),
		times(isS, 1, ever, notBefore(between(0, unicode.MaxRune))),
		times(among(wideRanges), 1, ever, end),
		times(isN, 1, 1, end),
	},
	deepseekCoder: {
		times(lineEnds, 1, 1, end),
		times(isS, 0, 1, times(isL, 1, ever, end)),
		times(isS, 0, 1, times(isPunctuation, 1, ever, end)),
		times(among(wideRanges), 1, ever, end),
		times(isN, 1, 1, end),
	},
}

func among(ranges [][2]rune) set {
	return func(r rune) bool {
		return slices.ContainsFunc(ranges, func(a [2]rune) bool { return a[0] <= r && r <= a[1] })
	}
}

// TestStagedClasses checks what the pass over the stages takes for granted: no letter or sign is a number, and no white
// space but U+3000 is a letter or a sign.
func TestStagedClasses(t *testing.T) {
	for name, stages := range map[string]*staged{"deepseek-llm": deepseekLLMStages(), "deepseek-coder": deepseekCoderStages()} {
		for r, k := range stages.bits {
			if k&(stagedWord|stagedSign) != 0 && k&(stagedNumber|stagedNewline) != 0 || k&stagedWord != 0 && k&stagedSpace != 0 ||
				k&stagedSign != 0 && k&stagedSpace != 0 && r != 0x3000 {
				t.Errorf("%s: %U has the bits %b", name, r, k)
			}
		}
	}
}

// TestStagedIsLinear encodes what makes a scanner that looks ahead slow, if it looks over the same text again and again.
func TestStagedIsLinear(t *testing.T) {
	for _, unit := range []string{"ع \u2003", " \u2003", "\u3000", "。\u3000", " ", "ع ", "\u2003\u3000", "1 "} {
		s := strings.Repeat(unit, 1<<20/len(unit))
		for _, stages := range []*staged{deepseekLLMStages(), deepseekCoderStages()} {
			start := time.Now()
			for i := 0; i < len(s); {
				i = stages.next(s, i)
			}
			if d := time.Since(start); d > 5*time.Second {
				t.Errorf("a megabyte of %q took %v", unit, d)
			}
		}
	}
}

// referenceSplit applies every stage to the pieces of the one before; matches and gaps both stay.
func referenceSplit(by scanner, s string) (pieces []string) {
	// A byte that is not UTF-8 is one code point U+FFFD of one byte.
	var runes []rune
	var starts []int
	for i, r := range s {
		runes, starts = append(runes, r), append(starts, i)
	}
	starts = append(starts, len(s))
	borders := []int{0, len(runes)}
	for _, e := range referenceStages[by] {
		var finer []int
		for p := 0; p+1 < len(borders); p++ {
			piece := runes[borders[p]:borders[p+1]]
			finer = append(finer, borders[p])
			for i := 0; i < len(piece); {
				n := e(piece, i)
				if n <= i {
					i++
					continue
				}
				finer = append(finer, borders[p]+i, borders[p]+n)
				i = n
			}
		}
		borders = slices.Compact(append(finer, len(runes)))
	}
	for p := 0; p+1 < len(borders); p++ {
		pieces = append(pieces, s[starts[borders[p]]:starts[borders[p+1]]])
	}
	return pieces
}

func scan(by scanner, s string) (pieces []string) {
	c := unicodeClasses()
	for i := 0; i < len(s); {
		j := c.next(by, s, i)
		pieces = append(pieces, s[i:j])
		i = j
	}
	return pieces
}

// awkward is what strings for scanners are composed of.
var awkward = []string{"a", "Z", "é", "ß", "ſ", "s", "S", "t", "r", "e", "v", "m", "l", "L", "d", "'", "'", "’", " ", " ", " ", "\n", "\r", "\t",
	"\u00a0", "\u3000", "\u0085", "\u2028", "\u200b", "\u200d", "\ufeff", "\x00", "\x7f", "1", "23", "²", "Ⅷ", "٣", ".", "..", "-", "€", "+",
	"·", "漢", "字", "か", "ン", "・", "\u3040", "\u3099", "ー", "가", "ᄊ", "ᆞ", "ก", "ำ", "ี", "เ", "ខ", "្", "မ", "္", "ع", "ً", "ि", "\u0301",
	"\U0001F600", "\U0001F3FD", "\ue000", "\U000E0100", "\U00013460", "\u1b4e", "Ꭰ", "\u2003", "\u2003", "\u3000", "‘", "。", "Ω", "ａ", "！", "〇", "Ἀ", "\xff", "\xe4\xb8", "中", "\u9fa6"}

func TestScannersEqualExpressions(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	tries := 60000
	if testing.Short() {
		tries = 5000
	}
	for range tries {
		var b strings.Builder
		for range 1 + random.IntN(9) {
			b.WriteString(awkward[random.IntN(len(awkward))])
		}
		compareScanners(t, b.String())
	}
}

func compareScanners(t *testing.T, s string) {
	t.Helper()
	for by := range referenceStages {
		if got, want := scan(by, s), referenceSplit(by, s); !slices.Equal(got, want) {
			t.Fatalf("%v of %q:\n got %q\nwant %q", by, s, got, want)
		}
	}
}

func FuzzScanners(f *testing.F) {
	for _, s := range []string{"don't  stop\n\n 12345", "ภาษาไทย・漢字", "\u200b\u200b a"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) < 2000 {
			compareScanners(t, s)
		}
	})
}

// TestClasses checks that no code point has two general categories and that Go's tables are within the classes.
func TestClasses(t *testing.T) {
	c := unicodeClasses()
	for r := rune(0); r <= unicode.MaxRune; r++ {
		n := 0
		for _, bit := range []uint8{letter, mark, number, punct} {
			if c[r]&bit != 0 {
				n++
			}
		}
		if n > 1 {
			t.Errorf("%U has %d categories", r, n)
		}
		if unicode.IsLetter(r) != (c[r]&letter != 0) && r < 0x870 || unicode.IsSpace(r) != (c[r]&space != 0) {
			t.Errorf("%U is misclassified", r)
		}
	}
}

// TestScriptsStayWhole checks that the pre-tokenizer of the models made here does not tear vowel signs, tone marks or
// stacked consonants from their letters, nor Hangul jamo from each other.
func TestScriptsStayWhole(t *testing.T) {
	for name, words := range map[string][]string{
		"Thai":       {"กำลัง", "น้ำ", "ที่นี่", "เพื่อน"},
		"Khmer":      {"ស្ត្រី", "ក្រុង", "ល្អ"},
		"Burmese":    {"မြန်မာ", "အင်္ဂလိပ်", "ပြည်ထောင်စု"},
		"Arabic":     {"العَرَبِيَّة", "كِتَابٌ", "اللّٰه"},
		"Hangul":     {"안녕하세요", "\u1112\u1161\u11ab\u1100\u1173\u11af", "나랏말ᄊᆞ미"},
		"Lao":        {"ພາສາລາວ", "ນ້ຳ"},
		"Hindi":      {"क्षत्रिय", "हिन्दी"},
		"Vietnamese": {"tiếng", "Vie\u0323\u0302t"},
	} {
		for _, w := range words {
			if got := scan(deepseekV3, w+" "+w); !slices.Equal(got, []string{w, " " + w}) {
				t.Errorf("%s %q is torn: %q", name, w, got)
			}
		}
	}
}

// TestCutKeepsClusters checks where training cuts long runs.
func TestCutKeepsClusters(t *testing.T) {
	c := unicodeClasses()
	for name, text := range map[string]string{
		"Thai":    "ที่นี่มีน้ำและเพื่อนกำลังจะไปเที่ยวทะเลด้วยกัน",
		"Khmer":   "ស្ត្រីក្រុងល្អខ្ញុំស្រឡាញ់ភាសាខ្មែរ",
		"Burmese": "အင်္ဂလိပ်မြန်မာပြည်ထောင်စုသမ္မတ",
		"Arabic":  "العَرَبِيَّةكِتَابٌاللّٰه",
		"Hangul":  "\u1112\u1161\u11ab\u1100\u1173\u11af\u1112\u1161\u11ab\u1100\u1173\u11af",
		"Hindi":   "क्षत्रियहिन्दीविश्वविद्यालय",
	} {
		for n := 1; n < 12; n++ {
			for rest := text; ; {
				i := c.cut(rest, n)
				if i == len(rest) {
					break
				}
				before, _ := utf8.DecodeLastRuneInString(rest[:i])
				after, _ := utf8.DecodeRuneInString(rest[i:])
				if utf8.RuneCountInString(rest[:i]) < 2*n && (unicode.Is(unicode.M, after) || strings.ContainsRune("ำຳ", after) ||
					strings.ContainsRune("\u1039\u17d2\u094d", before) || after >= 0x1160 && after < 0x1200) {
					t.Errorf("%s: cut between %q and %q", name, before, after)
				}
				rest = rest[i:]
			}
		}
	}
	if i := c.cut(strings.Repeat("\u0301", 100), 8); i != 2*16 {
		t.Errorf("endless marks are cut at byte %d, want 32", i)
	}
}
