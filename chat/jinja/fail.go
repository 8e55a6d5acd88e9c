package jinja

import (
	"errors"
	"fmt"
)

// ErrLimit is wrapped by the error of a template that was stopped because it took too many steps, too much memory or
// too much depth.
var ErrLimit = errors.New("over the limit")

// failure is the one error that parsing and rendering end with. It travels as a panic from where it happens to Parse
// or Render, which return it: every expression of a template can fail, and an interpreter that hands an error through
// each of them hides what it computes.
type failure struct {
	line  int // 0 where it is not known
	err   error
	parse bool
	marks *Marks // that may stand in what err quotes
}

func (f *failure) Error() string {
	what := "rendering"
	if f.parse {
		what = "parsing"
	}
	why := f.marks.plain(f.err.Error())
	if f.line == 0 {
		return fmt.Sprintf("jinja: %s: %s", what, why)
	}
	return fmt.Sprintf("jinja: %s: line %d: %s", what, f.line, why)
}

func (f *failure) Unwrap() error { return f.err }

// fail ends the parsing or rendering. At run time line is 0: the renderer knows where it stands.
func fail(line int, format string, args ...any) {
	panic(&failure{line: line, err: fmt.Errorf(format, args...)})
}

// caught turns a failure on its way up into an error; anything else that panics is a bug of this package and goes on.
func caught(err *error, parse bool, line *int, marks *Marks) {
	switch p := recover().(type) {
	case nil:
	case *failure:
		p.parse, p.marks = parse, marks
		if p.line == 0 {
			p.line = *line
		}
		*err = p
	default:
		panic(p)
	}
}
