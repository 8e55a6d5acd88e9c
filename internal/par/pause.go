package par

// pause waits for some tens of nanoseconds without keeping a sibling thread from the core. It is
// never inlined: its prologue is a point where the goroutine can be stopped.
//
//go:noinline
func pause() { relax() }
