//go:build unix

package terminal

import (
	"os"
	"os/signal"
	"syscall"
)

// draws says whether a terminal follows control sequences: all do here, but TERM=dumb.
func draws(*os.File) bool { return true }

// watchSize reports on changed when the terminal has another size.
func watchSize(changed chan<- os.Signal) { signal.Notify(changed, syscall.SIGWINCH) }

// suspend stops the program and what it was started with, until it is continued.
func suspend() {
	syscall.Kill(0, syscall.SIGTSTP) // a process may always stop its own group
}
