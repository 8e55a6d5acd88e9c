package terminal

import (
	"os"

	"golang.org/x/sys/windows"
)

// draws turns control sequences on, which consoles have since Windows 10.
func draws(out *os.File) bool {
	var mode uint32
	h := windows.Handle(out.Fd())
	if err := windows.GetConsoleMode(h, &mode); err != nil {
		return false
	}
	return windows.SetConsoleMode(h, mode|windows.ENABLE_PROCESSED_OUTPUT|windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING) == nil
}

// watchSize does nothing: the size is looked at when something is drawn.
func watchSize(chan<- os.Signal) {}

// suspend does nothing: Windows has no such thing.
func suspend() {}
