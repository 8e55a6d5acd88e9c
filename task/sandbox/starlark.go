package sandbox

// A task in a Starlark file (docs/guides/new-task.md):
//
//	def generate(rng):            # a new question: {"prompt": ..., "answer": ...}, and what else verify needs
//	def demonstrate(item):        # optional: scratch work and answer, (work, answer)
//	def verify(item, answer):     # optional: True or False, a number from 0 to 1, or either with a text that says why
//
// generate may set "key" (what is asked, where several prompts ask the same), "work", "lang" and "data". rng has
// int(low, high), with both ends, choice(list) and shuffle(list). equal_math(a, b) and spaced(text) are there too.
// verify sees the answer alone; the format around it is judged for it.

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"

	starjson "go.starlark.net/lib/json"
	"go.starlark.net/starlark"

	"github.com/haenyeo/haenyeo/internal/regular"
	"github.com/haenyeo/haenyeo/task"
)

// maxSource is the longest task file.
const maxSource = 256 << 10

// Starlark is a task of a Starlark file.
type Starlark struct {
	name                          string
	lim                           Limits
	generate, demonstrate, verify starlark.Callable
}

// OpenStarlark reads a task file.
func OpenStarlark(path string) (*Starlark, error) {
	source, err := regular.ReadFile(path, maxSource)
	if err != nil {
		return nil, fmt.Errorf("sandbox: task file: %w", err)
	}
	return NewStarlark(path, source, Limits{})
}

// NewStarlark makes a task of a source; its name is that of the file without .star.
func NewStarlark(path string, source []byte, lim Limits) (*Starlark, error) {
	s := &Starlark{name: strings.TrimSuffix(filepath.Base(path), ".star"), lim: lim.filled()}
	globals, err := run(context.Background(), path, source, maxSource, taskFunctions, s.lim)
	if err != nil {
		return nil, fmt.Errorf("sandbox: task file %q: %w", path, err)
	}
	for _, f := range []struct {
		name string
		to   *starlark.Callable
		must bool
	}{{"generate", &s.generate, true}, {"demonstrate", &s.demonstrate, false}, {"verify", &s.verify, false}} {
		v, ok := globals[f.name]
		if !ok && !f.must {
			continue
		}
		fn, isFunction := v.(*starlark.Function)
		if !isFunction {
			return nil, fmt.Errorf("sandbox: task file %q: no function %s: write def %s(…)", path, f.name, f.name)
		}
		*f.to = fn
	}
	return s, nil
}

// run executes a program once and freezes what it defined.
func run(ctx context.Context, path string, source []byte, longest int, predeclared starlark.StringDict, lim Limits) (globals starlark.StringDict, err error) {
	defer recovered(&err)
	if len(source) > longest {
		return nil, fmt.Errorf("longer than %d bytes", longest)
	}
	if err := checkNesting(source); err != nil {
		return nil, err
	}
	p, env, err := compile(path, source, predeclared)
	if err != nil {
		return nil, err
	}
	globals, err = p.Init(newThread(ctx, path, lim), env)
	if err != nil {
		return nil, explain(err)
	}
	globals.Freeze()
	return globals, nil
}

// checkNesting refuses brackets so deep that reading them would take a deep stack.
func checkNesting(source []byte) error {
	depth := 0
	for _, b := range source {
		switch b {
		case '(', '[', '{':
			if depth++; depth > maxBrackets {
				return fmt.Errorf("brackets are nested deeper than %d", maxBrackets)
			}
		case ')', ']', '}':
			depth = max(depth-1, 0)
		}
	}
	return nil
}

const maxBrackets = 200

// recovered makes an error of a panic inside the interpreter: a program of others must not end this one.
func recovered(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("the interpreter failed: %v", p)
	}
}

// explain adds where in the program an error arose, and keeps it short.
func explain(err error) error {
	var e *starlark.EvalError
	if !errors.As(err, &e) {
		return err
	}
	at := ""
	for i := range e.CallStack {
		if p := e.CallStack.At(i).Pos; p.Line > 0 { // functions of the language have no line
			at = fmt.Sprintf("line %d: ", p.Line)
			break
		}
	}
	msg := e.Msg
	if len(msg) > 300 {
		msg = strings.ToValidUTF8(msg[:300], "") + "…"
	}
	return fmt.Errorf("%s%s", at, msg)
}

func (s *Starlark) call(ctx context.Context, f starlark.Callable, args ...starlark.Value) (v starlark.Value, err error) {
	defer recovered(&err)
	v, err = starlark.Call(newThread(ctx, s.name, s.lim), f, args, nil)
	if err != nil {
		return nil, fmt.Errorf("sandbox: task %q: %s: %w", s.name, f.Name(), explain(err))
	}
	return v, nil
}

// Name is the name of the file without .star.
func (s *Starlark) Name() string { return s.name }

// Item calls generate until a question of the split comes.
func (s *Starlark) Item(split task.Split, seed, n uint64) (task.Item, error) {
	r := task.Random(s.name, seed, n)
	for range task.Draws {
		v, err := s.call(context.Background(), s.generate, &random{r})
		if err != nil {
			return task.Item{}, err
		}
		it, key, err := s.item(v)
		if err != nil {
			return task.Item{}, fmt.Errorf("sandbox: task %q: generate: %w", s.name, err)
		}
		if task.SplitOf(s.name, key) == split {
			it.ID = task.ItemID(s.name, key)
			return it, nil
		}
	}
	return task.Item{}, fmt.Errorf("sandbox: task %q: none of %d questions is of the %s split: let generate make more different ones", s.name, task.Draws, split)
}

func (s *Starlark) item(v starlark.Value) (it task.Item, key string, err error) {
	d, ok := v.(*starlark.Dict)
	if !ok {
		return it, "", fmt.Errorf("it returns %s, not a dict with prompt and answer", v.Type())
	}
	for _, field := range []struct {
		name string
		to   *string
	}{{"prompt", &it.Prompt}, {"answer", &it.Answer}, {"work", &it.Work}, {"lang", &it.Lang}, {"key", &key}} {
		v, found, _ := d.Get(starlark.String(field.name))
		if !found {
			continue
		}
		text, isText := starlark.AsString(v)
		if n, isInt := v.(starlark.Int); isInt && n.BigInt().BitLen() <= maxBits {
			text, isText = n.String(), true
		}
		if !isText || len(text) > task.MaxText {
			return it, "", fmt.Errorf("%s is %s: it must be a text of at most %d bytes", field.name, v.Type(), task.MaxText)
		}
		*field.to = strings.ToValidUTF8(text, "\uFFFD")
	}
	if it.Prompt == "" {
		return it, "", errors.New("prompt is missing or empty")
	}
	if it.Answer == "" && s.verify == nil {
		return it, "", errors.New("answer is missing, and there is no verify to do without it")
	}
	if key == "" {
		key = it.Prompt
	}
	if data, found, _ := d.Get(starlark.String("data")); found {
		it.Data, err = s.encode(data)
	}
	return it, key, err
}

func (s *Starlark) encode(v starlark.Value) (raw json.RawMessage, err error) {
	defer recovered(&err)
	if _, err := deep(v, 1<<20, 0); err != nil {
		return nil, fmt.Errorf("data is too large: %w", err)
	}
	t := newThread(context.Background(), s.name, s.lim)
	text, err := starlark.Call(t, starjson.Module.Members["encode"], starlark.Tuple{v}, nil)
	if err != nil {
		return nil, fmt.Errorf("data: %w", explain(err))
	}
	return json.RawMessage(text.(starlark.String)), nil
}

// value is an item as a program sees it.
func (s *Starlark) value(it task.Item) (v starlark.Value, err error) {
	defer recovered(&err)
	d := starlark.NewDict(6)
	for k, v := range map[string]string{"id": it.ID, "prompt": it.Prompt, "answer": it.Answer, "work": it.Work, "lang": it.Lang} {
		if err := d.SetKey(starlark.String(k), starlark.String(v)); err != nil {
			return nil, err
		}
	}
	if len(it.Data) > 0 {
		t := newThread(context.Background(), s.name, s.lim)
		data, err := starlark.Call(t, starjson.Module.Members["decode"], starlark.Tuple{starlark.String(it.Data)}, nil)
		if err != nil {
			return nil, fmt.Errorf("sandbox: task %q: data of %s: %w", s.name, it.ID, explain(err))
		}
		if err := d.SetKey(starlark.String("data"), data); err != nil {
			return nil, err
		}
	}
	d.Freeze()
	return d, nil
}

// Demonstrate calls demonstrate, or writes the work and answer of the item.
func (s *Starlark) Demonstrate(it task.Item) (string, error) {
	if s.demonstrate == nil {
		if it.Answer == "" {
			return "", nil
		}
		return task.Compose(it.Work, it.Answer), nil
	}
	item, err := s.value(it)
	if err != nil {
		return "", err
	}
	v, err := s.call(context.Background(), s.demonstrate, item)
	if err != nil {
		return "", err
	}
	if pair, ok := v.(starlark.Tuple); ok && len(pair) == 2 {
		work, okW := starlark.AsString(pair[0])
		answer, okA := starlark.AsString(pair[1])
		if okW && okA && len(work)+len(answer) < task.MaxText-64 {
			return task.Compose(work, answer), nil
		}
	}
	return "", fmt.Errorf("sandbox: task %q: demonstrate returns %s: it must return two texts, (work, answer), of less than %d bytes", s.name, v.Type(), task.MaxText-64)
}

// Verify reads the answer and calls verify, or compares it with that of the item.
func (s *Starlark) Verify(ctx context.Context, it task.Item, text string) task.Verdict {
	return task.Score(text, func(answer string) (float64, string, error) { return s.judge(ctx, it, answer) })
}

func (s *Starlark) judge(ctx context.Context, it task.Item, answer string) (float64, string, error) {
	if s.verify == nil {
		if answer == strings.TrimSpace(it.Answer) {
			return 1, "", nil
		}
		return 0, "it is not the answer of the item", nil
	}
	item, err := s.value(it)
	if err != nil {
		return 0, "", err
	}
	v, err := s.call(ctx, s.verify, item, starlark.String(answer))
	if err != nil {
		return 0, "", err
	}
	why := ""
	if pair, ok := v.(starlark.Tuple); ok && len(pair) == 2 {
		v = pair[0]
		text, _ := starlark.AsString(pair[1])
		why = strings.ToValidUTF8(text[:min(len(text), 300)], "")
	}
	if b, ok := v.(starlark.Bool); ok {
		if b {
			return 1, why, nil
		}
		return 0, why, nil
	}
	x, ok := starlark.AsFloat(v)
	if !ok || !(x >= 0 && x <= 1) {
		return 0, "", fmt.Errorf("sandbox: task %q: verify returns %s: it must return True, False or a number from 0 to 1", s.name, v.Type())
	}
	return x, why, nil
}

// random is what generate draws from.
type random struct{ r *rand.Rand }

func (*random) String() string        { return "rng" }
func (*random) Type() string          { return "rng" }
func (*random) Freeze()               {}
func (*random) Truth() starlark.Bool  { return true }
func (*random) Hash() (uint32, error) { return 0, errors.New("unhashable: rng") }
func (*random) AttrNames() []string   { return []string{"choice", "int", "shuffle"} }

// Attr gives a method.
func (g *random) Attr(name string) (starlark.Value, error) {
	switch name {
	case "int":
		return starlark.NewBuiltin(name, g.int), nil
	case "choice":
		return starlark.NewBuiltin(name, g.choice), nil
	case "shuffle":
		return starlark.NewBuiltin(name, g.shuffle), nil
	}
	return nil, nil
}

func (g *random) int(_ *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var low, high int
	if err := starlark.UnpackPositionalArgs(b.Name(), args, kwargs, 2, &low, &high); err != nil {
		return nil, err
	}
	if n := uint64(high) - uint64(low) + 1; low <= high && n != 0 {
		return starlark.MakeInt(int(uint64(low) + g.r.Uint64N(n))), nil
	}
	return nil, fmt.Errorf("int(%d, %d): the first must not be above the second", low, high)
}

func (g *random) choice(_ *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var from starlark.Indexable
	if err := starlark.UnpackPositionalArgs(b.Name(), args, kwargs, 1, &from); err != nil {
		return nil, err
	}
	if from.Len() == 0 {
		return nil, errors.New("choice: nothing to choose from")
	}
	return from.Index(g.r.IntN(from.Len())), nil
}

func (g *random) shuffle(_ *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var from starlark.Indexable
	if err := starlark.UnpackPositionalArgs(b.Name(), args, kwargs, 1, &from); err != nil {
		return nil, err
	}
	list := make([]starlark.Value, from.Len())
	for i := range list {
		list[i] = from.Index(i)
	}
	g.r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return starlark.NewList(list), nil
}

// taskFunctions are there in task files besides the language.
var taskFunctions = starlark.StringDict{
	"equal_math": starlark.NewBuiltin("equal_math", func(_ *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		var want, got string
		if err := starlark.UnpackPositionalArgs(b.Name(), args, kwargs, 2, &want, &got); err != nil {
			return nil, err
		}
		return starlark.Bool(task.EqualMath(want, got)), nil
	}),
	"spaced": meterBuiltin(starlark.NewBuiltin("spaced", func(_ *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		var text string
		if err := starlark.UnpackPositionalArgs(b.Name(), args, kwargs, 1, &text); err != nil {
			return nil, err
		}
		return starlark.String(strings.Join(strings.Split(text, ""), " ")), nil
	}), nil),
}
