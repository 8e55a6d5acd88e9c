//go:build !unix

package atomicfile

// syncDir does nothing: these systems cannot sync a directory, and Windows
// journals the rename itself.
func syncDir(string) error { return nil }
