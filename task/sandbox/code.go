package sandbox

// Unit tests for code that a model wrote in Starlark. The code runs first, alone; then each test calls what it defined
// and compares the result. Everything it made is frozen by then, so that one test cannot change the next.

import (
	"context"
	"fmt"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"github.com/haenyeo/haenyeo/task"
)

// Test is one call and what it must return, both as Starlark expressions: "f(3)", "[1, 2]". They are the task's own,
// not the model's.
type Test struct {
	Call string `json:"call"`
	Want string `json:"want"`
}

// maxCode is the longest code of a model.
const maxCode = 16 << 10

// VerifyCode runs the answer of a text against tests: right when all pass. Errors of the code are its own failure;
// Verdict.Err is for tests that cannot be read.
func VerifyCode(ctx context.Context, text string, tests []Test, lim Limits) task.Verdict {
	return task.Score(text, func(code string) (reward float64, why string, err error) {
		passed, why, err := runTests(ctx, code, tests, lim.filled())
		if passed == len(tests) && passed > 0 {
			reward = 1
		}
		return reward, why, err
	})
}

func runTests(ctx context.Context, code string, tests []Test, lim Limits) (passed int, why string, err error) {
	wants := make([]starlark.Value, len(tests))
	for i, t := range tests {
		if wants[i], err = starlark.EvalOptions(options, &starlark.Thread{}, "want", t.Want, nil); err != nil {
			return 0, "", fmt.Errorf("sandbox: test %d: %q is no value: %w", i+1, t.Want, err)
		}
		if _, err := options.ParseExpr("call", t.Call, 0); err != nil {
			return 0, "", fmt.Errorf("sandbox: test %d: %q is no call: %w", i+1, t.Call, err)
		}
	}
	globals, err := run(ctx, "answer", []byte(code), maxCode, nil, lim)
	if err != nil {
		return 0, err.Error(), nil
	}
	for i, t := range tests {
		if failed := runTest(ctx, globals, t, wants[i], lim); failed != "" {
			why = fmt.Sprintf("test %d, %s: %s", i+1, t.Call, failed)
			continue
		}
		passed++
	}
	if why != "" {
		why = fmt.Sprintf("%d of %d tests pass; %s", passed, len(tests), why)
	}
	return passed, why, nil
}

// runTest returns why a test fails, "" when it passes.
func runTest(ctx context.Context, globals starlark.StringDict, t Test, want starlark.Value, lim Limits) (why string) {
	var err error
	defer func() {
		if recovered(&err); err != nil {
			why = err.Error()
		}
	}()
	thread := newThread(ctx, "test", lim)
	got, err := starlark.EvalOptions(options, thread, "call", t.Call, globals)
	if err != nil {
		return explain(err).Error()
	}
	if err := meterOf(thread).chargeDeep(16, got); err != nil {
		return err.Error()
	}
	same, err := starlark.Compare(syntax.EQL, got, want)
	if err != nil {
		return err.Error()
	}
	if !same || got.Type() != want.Type() {
		return fmt.Sprintf("it gives another %s", got.Type())
	}
	return ""
}
