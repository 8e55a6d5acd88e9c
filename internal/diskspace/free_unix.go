//go:build linux || darwin || freebsd

package diskspace

import "golang.org/x/sys/unix"

// Free returns the bytes that may still be written below dir, false when that is unknown.
func Free(dir string) (int64, bool) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil || st.Bsize <= 0 {
		return 0, false
	}
	return int64(st.Bavail) * int64(st.Bsize), true
}
