package sandbox

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/haenyeo/haenyeo/task"
)

func TestExampleTask(t *testing.T) {
	s, err := Open("testdata/prices.star")
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	trained := map[string]bool{}
	for n := range uint64(200) {
		it, err := s.Item(task.Train, 1, n)
		if err != nil {
			t.Fatal(err)
		}
		again, _ := s.Item(task.Train, 1, n)
		if again.Prompt != it.Prompt || string(again.Data) != string(it.Data) {
			t.Fatal("another question when asked again")
		}
		trained[it.ID] = true
		text, err := s.Demonstrate(it)
		if err != nil {
			t.Fatal(err)
		}
		if v := s.Verify(ctx, it, text); v.Reward != 1 || !v.Correct || v.Err != nil {
			t.Fatalf("%q: %q is judged %+v", it.Prompt, text, v)
		}
		for answer, want := range map[string]bool{it.Answer + "원": true, it.Answer + "1": false, it.Answer + " 또는 7": false, "원": false, "-" + it.Answer + ".5": false} {
			if v := s.Verify(ctx, it, task.Compose("", answer)); v.Correct != want || v.Err != nil {
				t.Fatalf("%q for %q is judged %+v", answer, it.Answer, v)
			}
		}
		if v := s.Verify(ctx, it, it.Answer); v.Reward != 0 || !v.Lenient || v.Format {
			t.Fatalf("without tags: %+v", v)
		}
	}
	held, err := task.HeldOutSet(s, 1, 500)
	if err != nil {
		t.Fatal(err)
	}
	for _, it := range held {
		if trained[it.ID] {
			t.Fatalf("%s is on both sides", it.ID)
		}
	}
}

// verifier makes a task whose verify has the body.
func verifier(t *testing.T, body string) *Starlark {
	t.Helper()
	s, err := NewStarlark("v.star", []byte("def generate(rng):\n  return {'prompt': 'p%d' % rng.int(1, 1000000)}\ndef verify(item, answer):\n  "+strings.ReplaceAll(body, "\n", "\n  ")+"\n"), Limits{})
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return s
}

// attacks are programs that loop, flood or blow up; each must end as an error soon and in little memory.
var attacks = map[string]string{
	"endless loop":             "while True: pass",
	"endless recursion":        "def f(n): return f(n + 1)\nreturn f(0)",
	"mutual recursion":         "def g(f, n): return f(g, f, n)\ndef f(g, h, n): return g(h, n)\nreturn g(f, 0)",
	"string product":           "x = 'a' * 1000000000",
	"list product":             "x = [0] * 1000000000",
	"product from the left":    "x = 1000000000 * 'a'",
	"string doubling":          "x = 'a'\nfor _ in range(60): x = x + x",
	"string doubling in place": "x = 'a'\nfor _ in range(60): x += x",
	"list doubling":            "x = [1]\nfor _ in range(60): x += x",
	"list extend":              "x = [1]\nfor _ in range(60): x.extend(x)",
	"augmented product":        "x = 'ab'\nx *= 1000000000",
	"augmented item":           "x = {'a': 'b'}\nfor _ in range(60): x['a'] += x['a']",
	"squares":                  "x = 3\nfor _ in range(60): x = x * x",
	"squares in place":         "x = 3\nfor _ in range(60): x *= x",
	"shifts":                   "x = 1\nfor _ in range(100000): x = x << 500",
	"list of a range":          "x = list(range(1000000000))",
	"sorted range":             "x = sorted(range(1000000000))",
	"tuple of a range":         "x = tuple(range(1000000000))",
	"set of a range":           "x = set(range(1000000000))",
	"zip":                      "x = zip(range(1000000000))",
	"extend by a range":        "[].extend(range(1000000000))",
	"star arguments":           "max(*range(1000000000))",
	"join":                     "a = 'a' * 100000\nx = ','.join([a] * 100000)",
	"join by a long text":      "x = ('a' * 1000000).join(['b'] * 100000)",
	"replace":                  "x = ('a' * 100000).replace('a', 'b' * 100000)",
	"replace nothing":          "x = ('a' * 100000).replace('', 'b' * 100000)",
	"format":                   "x = ('{0}' * 10000).format('a' * 100000)",
	"percent":                  "a = 'a' * 100000\nx = ('%s' * 10000) % tuple([a] * 10000)",
	"nested str":               "x = [1]\nfor _ in range(50): x = [x, x]\ns = str(x)",
	"nested percent":           "x = [1]\nfor _ in range(50): x = [x, x]\ns = '%s' % x",
	"nested compare":           "x = [1]\ny = [1]\nfor _ in range(9): x, y = [x] * 100, [y] * 100\ns = x == y",
	"nested hash":              "x = (1,)\nfor _ in range(50): x = (x, x)\nd = {x: 1}",
	"nested hash, index":       "x = (1,)\nfor _ in range(50): x = (x, x)\nd = {}\nd[x] = 1",
	"nested hash, get":         "x = (1,)\nfor _ in range(50): x = (x, x)\nd = {}.get(x)",
	"nested hash, in":          "x = (1,)\nfor _ in range(50): x = (x, x)\nd = x in {}",
	"nested hash, set":         "x = (1,)\nfor _ in range(50): x = (x, x)\nd = {y: 1 for y in [x]}",
	"itself":                   "x = []\nx.append(x)\ns = str(x)",
	"deep":                     "x = []\nfor _ in range(100000): x = [x]\ns = str(x)",
	"slices":                   "x = list(range(100000))\nk = []\nwhile True: k.append(x[:])",
	"appends":                  "x = []\nwhile True: x.append('a' + str(len(x)))",
	"getattr":                  "f = getattr([1], 'extend')\nf(range(1000000000))",
	"method kept":              "f = 'a'.join\ng = [f]\ng[0](['b' * 1000000] * 100000)",
	"sort key":                 "sorted([1, 2], key = lambda x: [x] * 1000000000)",
	"comprehension":            "x = [[0] * 100000 for i in range(100000)]",
	"int of digits":            "x = int('9' * 1000000)",
	"print":                    "while True: print('a' * 100000)",
	"fail with a long text":    "fail('a' * 1000000)",
	"load":                     "return item['nothing']",
	"returns a text":           "return 'yes'",
	"returns nothing":          "pass",
	"returns two":              "return 2",
	"returns NaN":              "return float('nan')",
}

func TestAttacksOnTheVerifier(t *testing.T) {
	for name, body := range attacks {
		s := verifier(t, body)
		it, err := s.Item(task.Train, 1, 0)
		if err != nil {
			t.Fatal(err)
		}
		v := s.Verify(context.Background(), it, task.Compose("", "x"))
		if v.Err == nil || v.Reward != 0 || v.Correct || v.Lenient {
			t.Errorf("%s: %+v", name, v)
		} else if len(v.Err.Error()) > 600 {
			t.Errorf("%s: an error of %d bytes", name, len(v.Err.Error()))
		}
	}
}

// TestOrdinaryPrograms: what is rewritten computes what the language says.
func TestOrdinaryPrograms(t *testing.T) {
	for _, body := range []string{
		"x = [3, 1, 2]\ny = x\ny += [4]\nreturn x == [3, 1, 2, 4] and sorted(x) == [1, 2, 3, 4]",
		"d = {}\nfor c in 'banana'.elems(): d[c] = d.get(c, 0) + 1\nd['a'] *= 2\nreturn d == {'b': 1, 'a': 6, 'n': 2} and 'b' in d and 'z' not in d",
		"def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)\nreturn fib(15) == 610",
		"x = 'a,b,c'.split(',')\nreturn '-'.join(x)[::-1] == 'c-b-a' and x[1:] == ['b', 'c'] and '%s %d' % ('a', 3) == 'a 3'",
		"def f(*args, **kw): return len(args) + len(kw)\nreturn f(*[1, 2], **{'a': 1}) == 3 and max([1, 5], key = lambda x: -x) == 1",
		"x = set([1, 2]) | set([3])\nx.add(4)\nreturn len(x) == 4 and (1, 2) < (1, 3) and 7 // 2 == 3 and -7 % 3 == 2 and 1 << 4 == 16 and not 0",
		"m = [[0] * 3 for _ in range(3)]\nm[1][2] += 5\n(a, b), c = (1, 2), 3\nreturn m[1][2] == 5 and m[0][2] == 0 and a + b + c == 6 and getattr('x', 'nope', 3) == 3",
		"n = 0\nfor i in range(20000): n += i % 7\nreturn n > 0 and hasattr('', 'upper') and {k: v for k, v in zip('ab'.elems(), [1, 2])}['b'] == 2",
		"return 1.0", "return True, 'well done'", "return 1, 'x'",
	} {
		s := verifier(t, body)
		it, _ := s.Item(task.Train, 1, 0)
		if v := s.Verify(context.Background(), it, task.Compose("", "x")); !v.Correct || v.Err != nil {
			t.Errorf("%s: %+v", body, v)
		}
	}
	s := verifier(t, "return 0.5, 'half'")
	it, _ := s.Item(task.Train, 1, 0)
	if v := s.Verify(context.Background(), it, task.Compose("", "x")); v.Reward != 0.5 || v.Correct || v.Lenient || v.Detail != "half" {
		t.Errorf("half: %+v", v)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if v := verifier(t, "while True: pass").Verify(ctx, it, task.Compose("", "x")); v.Err == nil || !strings.Contains(v.Err.Error(), "cancel") {
		t.Errorf("cancelled: %+v", v)
	}
}

func TestTaskFilesThatAreWrong(t *testing.T) {
	for source, want := range map[string]string{
		"":                               "no function generate",
		"generate = 3":                   "no function generate",
		"def generate(rng)\n  return 1":  "2:1",
		"load('x.star', 'y')":            "load",
		"def generate(rng):\n  return y": "undefined",
		"while True: pass":               "steps",
		"def generate(rng): return 1\nverify = 2": "no function verify",
		strings.Repeat("(", 1000):                 "nested",
		"x = " + strings.Repeat("[", 300):         "nested",
		"def generate(rng): return 1\nx = [1]\ndef f(): return x\nf()[0 + len([1])] += 1": "left side",
		"#" + strings.Repeat("a", maxSource):                                              "longer",
		"def generate(rng): return 1\n\xff\xfe":                                           "",
	} {
		_, err := NewStarlark("bad.star", []byte(source), Limits{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: %v, want %q", source, err, want)
		}
	}
	for body, want := range map[string]string{
		"return 3":               "not a dict",
		"return {}":              "prompt is missing",
		"return {'prompt': 3.5}": "prompt is float",
		"return {'prompt': 'a'}": "answer is missing",
		"return {'prompt': 'a', 'answer': 'b', 'data': generate}": "data",
		"return {'prompt': 'a', 'answer': 'b'}":                   "none of 4096",
		"return {'prompt': rng.int(3, 2)}":                        "must not be above",
		"return {'prompt': rng.choice([])}":                       "nothing to choose",
		"return 1 // 0":                                           "line 2",
		"return rng.shuffle(range(1000000000))":                   "memory",
	} {
		s, err := NewStarlark("bad.star", []byte("def generate(rng):\n  "+body), Limits{})
		if err != nil {
			t.Fatal(body, err)
		}
		_, errTrain := s.Item(task.Train, 1, 0)
		_, errHeld := s.Item(task.HeldOut, 1, 0)
		if got := fmt.Sprint(errTrain, errHeld); !strings.Contains(got, want) {
			t.Errorf("%s: %v, want %q", body, got, want)
		}
	}
}

func TestVerifyCode(t *testing.T) {
	tests := []Test{{"f(0)", "0"}, {"f(5)", "25"}, {"f(-3)", "9"}}
	for code, want := range map[string]bool{
		"def f(x): return x * x": true,
		"def f(x):\n  s = 0\n  for _ in range(abs(x)): s += abs(x)\n  return s": true,
		"f = lambda x: x * x":               true,
		"def f(x): return 25":               false,
		"def f(x): return x + x":            false,
		"def f(x): return float(x * x)":     false, // equal, and of another type
		"def f(x): return str(x * x)":       false,
		"def f(x):\n  while True: pass":     false,
		"def f(x): return f(x)":             false,
		"def f(x): return [x] * 1000000000": false,
		"g = 1":                             false, "": false, "def f(": false, "f = 3": false, "fail('x')": false,
		"n = []\ndef f(x):\n  n.append(x)\n  return x * x": false, // what one test leaves cannot change the next
		"x = '" + strings.Repeat("a", maxCode) + "'":       false,
		strings.Repeat("(", maxCode-1):                     false,
		strings.Repeat("-", maxCode-1):                     false,
		"x = " + strings.Repeat("not ", 3000) + "1":        false,
	} {
		v := VerifyCode(context.Background(), task.Compose("", code), tests, Limits{Steps: 20000})
		if v.Correct != want || v.Err != nil {
			t.Errorf("%.80q: %+v", code, v)
		}
	}
	for _, bad := range [][]Test{{{"f(", "1"}}, {{"f(1)", "g"}}} {
		if v := VerifyCode(context.Background(), task.Compose("", "f = len"), bad, Limits{}); v.Err == nil || v.Correct {
			t.Errorf("%v: %+v", bad, v)
		}
	}
	if v := VerifyCode(context.Background(), task.Compose("", "f = len"), nil, Limits{}); v.Correct {
		t.Error("no tests is no pass")
	}
}

func FuzzStarlark(f *testing.F) {
	for _, body := range attacks {
		f.Add(body)
	}
	f.Add("def f(a, b = [1][0], *c, **d): return {k: v for k, v in d.items() if k not in c}\nx = f(1)")
	f.Fuzz(func(t *testing.T, source string) {
		lim := Limits{Steps: 5000, Memory: 1 << 20}
		_, _ = run(context.Background(), "fuzz", []byte(source), maxCode, taskFunctions, lim.filled())
	})
}
