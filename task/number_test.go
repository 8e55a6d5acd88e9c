package task

import (
	"errors"
	"strings"
	"testing"
)

func TestParseNumber(t *testing.T) {
	for in, want := range map[string]string{
		"42": "42", "-7": "-7", "+7": "7", " 3 ": "3", "−5": "-5", "007": "7", "3/4": "3/4", "-6/8": "-3/4", "1.5/2": "3/4",
		"0.125": "1/8", ".5": "1/2", "1,234,567": "1234567", "1_000": "1000", "12\u2009345": "12345", "1'000.5": "2001/2",
		"50%": "1/2", `12.5\%`: "1/8", "1.5e3": "1500", "2E-2": "1/50", `3\times 10^{4}`: "30000", `3 \cdot 10^2`: "300",
		`\frac{1}{2}`: "1/2", `\dfrac{-3}{4}`: "-3/4", `-\tfrac12`: "-1/2", `1\frac{1}{2}`: "3/2", `\frac{1,000}{3}`: "1000/3",
		`\boxed{7}`: "7", `\boxed{ \frac{1}{2} }`: "1/2", `$8$`: "8", `$\boxed{8}$`: "8", "$18": "18", `\$1,200.50`: "2401/2", "5.": "5", `1{,}234`: "1234",
	} {
		x, err := ParseNumber(in)
		if err != nil || x.RatString() != want {
			t.Errorf("%q: %v, %v, want %s", in, x, err, want)
		}
	}
	for _, in := range []string{
		"", "-", "--3", "abc", "3 4", "1/0", `\frac{1}{0}`, "1,23", "1,2345", "12,34,567", "1,234_567", "1.2.3", "1e", "1e999", "1e-401",
		`\frac{1}`, `\frac{1{2}`, `\frac`, "3 or 4", "x=3", "0x10", "1e400e400", "NaN", "Inf", "٣", "½", "5%%", "%", "$", "$$", `\boxed{}`, `\boxed{1}+{2}`,
		strings.Repeat("9", 513), "1/2/3", `1.5\frac{1}{2}`, "1\x00",
	} {
		if x, err := ParseNumber(in); err == nil {
			t.Errorf("%q is read as %s", in, x.RatString())
		}
	}
}

func TestEqualMath(t *testing.T) {
	for _, c := range []struct {
		want, got string
		ok        bool
	}{
		{"1/2", "0.5", true}, {"0.5", `\frac{1}{2}`, true}, {"50%", "1/2", true}, {"50%", "50", false}, {"1/3", "0.333", false}, {"1/3", "0.33333333333333333333", false},
		{"1000", "1,000", true}, {"3", "3, 4", false}, {"3", "3 or 4", false}, {"3", "33", false}, {"12", "1 2", false},
		{`x^2 + 1`, `x^2+1`, true}, {`\frac{x}{2}`, `\dfrac{x}{2}`, true}, {"x", "y", false}, {"x", "", false}, {"", "", false}, {"3", "x", false},
		{`\left(1, 2\right)`, "(1,2)", true}, {"(1,2)", "(2,1)", false},
	} {
		if ok := EqualMath(c.want, c.got); ok != c.ok {
			t.Errorf("%q and %q: %v", c.want, c.got, ok)
		}
	}
}

func TestRead(t *testing.T) {
	for in, want := range map[string]Reading{
		"<answer> 4 </answer>":                        {Strict: true, Found: true, Answer: "4"},
		"<think>2+2</think>\n<answer>4</answer>\n":    {Strict: true, Found: true, Answer: "4"},
		"2+2</think><answer>4</answer>":               {Strict: true, Found: true, Answer: "4"},
		"so the answer is \\boxed{\\frac{1}{2}} done": {Found: true, Answer: `\frac{1}{2}`},
		"steps\n#### 42\nbye":                         {Found: true, Answer: "42"},
		"a\nb\n":                                      {Found: true, Answer: "b"},
		"<answer>4</answer><answer>4</answer>":        {Found: true, Answer: "4"},
		"<answer>4</answer><answer>5</answer>":        {},
		"<answer>":                                    {},
	} {
		got := Read(in)
		got.Problem = ""
		if got != want {
			t.Errorf("%q: %+v, want %+v", in, got, want)
		}
	}
}

func TestTally(t *testing.T) {
	var c Tally
	for i := range 100 {
		if i < failuresFrom && c.Err() != nil {
			t.Fatal("judged too early")
		}
		v := Verdict{Lenient: true}
		if i%3 > 0 {
			v = Verdict{Err: errors.New("crashed")}
		}
		c.Add(v)
	}
	if c.Samples != 100 || c.Lenient != 34 || c.Failed != 66 || c.Err() == nil || !strings.Contains(c.Err().Error(), "66 of 100") {
		t.Errorf("%+v, %v", c, c.Err())
	}
}

func FuzzParseNumber(f *testing.F) {
	for _, s := range []string{"42", "-3/4", "1,234.5", "50%", `\frac{1}{2}`, `1\frac12`, `\boxed{$7$}`, "1.5e-3", `3\times 10^{4}`, "1e400/1e-400"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		x, err := ParseNumber(s)
		if err != nil {
			return
		}
		if n := x.Num().BitLen() + x.Denom().BitLen(); n > 16*1024 {
			t.Fatalf("%q makes %d bits", s, n)
		}
		y, err := ParseNumber(x.RatString())
		if len(x.RatString()) <= maxNumber && (err != nil || x.Cmp(y) != 0) {
			t.Fatalf("%q: %s is read back as %v, %v", s, x.RatString(), y, err)
		}
	})
}

func FuzzRead(f *testing.F) {
	for _, s := range []string{"<think>a</think><answer>b</answer>", "<answer>", `\boxed{{}`, "#### 4", "</think></think>"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if r := Read(s); r.Strict && (!r.Found || hasTag(r.Answer)) {
			t.Fatalf("%q: %+v", s, r)
		}
	})
}

func FuzzEvaluate(f *testing.F) {
	for _, s := range []string{"(1+2)*3", "1/3", "((((1))))", "2*"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v, used, err := evaluate(s)
		if err == nil && (v == nil || len(used) == 0) {
			t.Fatalf("%q: %v of %v", s, v, used)
		}
	})
}

func FuzzRunStack(f *testing.F) {
	for _, s := range []string{"x y add", "1 dup mul", "999 dup mul dup mul"} {
		f.Add(s, int64(3), int64(-4))
	}
	f.Fuzz(func(t *testing.T, s string, x, y int64) {
		if v, err := RunStack(s, x%10000, y%10000); err == nil && abs(v) >= limit {
			t.Fatalf("%q: %d", s, v)
		}
	})
}
