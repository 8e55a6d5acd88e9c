//go:build unix

package regular

import (
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Neither makes the reader wait.
func TestPipesAndDevices(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := unix.Mkfifo(pipe, 0o666); err != nil {
		t.Skip("this file system has no pipes: ", err)
	}
	for path, kind := range map[string]string{pipe: "pipe", "/dev/zero": "device"} {
		if _, err := ReadFile(path, 10); err == nil || !strings.Contains(err.Error(), path+`" is a `+kind) {
			t.Errorf("%s: %v", path, err)
		}
	}
}
