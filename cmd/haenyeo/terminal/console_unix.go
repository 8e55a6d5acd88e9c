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
	continued := make(chan os.Signal, 1)
	signal.Notify(continued, syscall.SIGCONT)
	defer signal.Stop(continued)
	if syscall.Kill(0, syscall.SIGTSTP) == nil {
		<-continued // the stop itself may come a little later
	}
}
