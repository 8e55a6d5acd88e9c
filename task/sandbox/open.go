package sandbox

import (
	"strings"

	"github.com/haenyeo/haenyeo/task"
)

// Open finds a task: "cmd:PROGRAM ARG…" in another process, a file that ends in .star, else a rung of the ladder.
// Tasks that have Close (a command) are closed by who opens them.
func Open(spec string) (task.Task, error) {
	if command, ok := strings.CutPrefix(spec, "cmd:"); ok {
		return NewCommand(strings.Fields(command), Limits{})
	}
	if strings.HasSuffix(spec, ".star") {
		return OpenStarlark(spec)
	}
	return task.Named(spec)
}
