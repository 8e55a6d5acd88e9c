//go:build linux || darwin

package train

import (
	"context"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestFullDisk lets no file grow beyond a few kilobytes from some step on: writes fail as they do
// on a full disk. The limit holds for the whole process, so it runs in one of its own: go test
// writes a log file from this one.
func TestFullDisk(t *testing.T) {
	if os.Getenv("HAENYEO_FULL_DISK") == "" {
		c := exec.Command(os.Args[0], "-test.run=^TestFullDisk$")
		c.Env = append(os.Environ(), "HAENYEO_FULL_DISK=1")
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	signal.Ignore(syscall.SIGXFSZ)
	defer signal.Reset(syscall.SIGXFSZ)
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &old); err != nil {
		t.Skip(err)
	}
	restore := func() {
		if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &old); err != nil {
			t.Fatal(err)
		}
	}
	defer restore()
	want := whole(t)
	job, _ := fakeJob(t, t.TempDir())
	job.Emit = func(e Event) {
		if s, ok := e.(Step); ok && s.Step == 14 {
			info, err := os.Stat(filepath.Join(job.Dir, LogName))
			if err != nil {
				t.Error(err)
			}
			// The log may grow a little; optimizer.safetensors, the largest, may not be written whole.
			limit := old
			limit.Cur = uint64(info.Size()) + 100
			if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &limit); err != nil {
				t.Error(err)
			}
		}
	}
	job.Validation, job.Sample = nil, nil
	_, err := Run(context.Background(), job)
	restore()
	if err == nil || !strings.Contains(err.Error(), "checkpoint of step 7 is intact") {
		t.Fatalf("full disk: %v", err)
	}
	left, _ := filepath.Glob(filepath.Join(job.Dir, checkpointsDir, "*"))
	hidden, _ := filepath.Glob(filepath.Join(job.Dir, checkpointsDir, ".*"))
	if len(left) != 1 || len(hidden) != 0 {
		t.Errorf("left behind: %v %v", left, hidden)
	}
	again, m := fakeJob(t, job.Dir)
	if _, err := Run(context.Background(), again); err != nil {
		t.Fatal(err)
	}
	// Only the evaluations of the first part are missing, because this test switched them off.
	got, ref := result(t, again, m), want
	if got[:strings.Index(got, "\n")] != ref[:strings.Index(ref, "\n")] {
		t.Error("weights differ after going on with room on the disk")
	}
}
