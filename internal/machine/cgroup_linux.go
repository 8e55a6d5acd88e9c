// This file holds the limits that control groups set on memory: those of containers and of systemd units.
// Source: the kernel's admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst, proc(5).

package machine

import (
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// groupMemory returns the smallest limit on memory of the groups that this process is in, and what they leave
// it, both math.MaxInt64 without one. Page cache that no limit protects counts as left: it is taken back before
// anything fails. root is "/" but in tests.
func groupMemory(root string) (limit, left int64) {
	limit, left = math.MaxInt64, math.MaxInt64
	groups, _ := os.ReadFile(filepath.Join(root, "proc/self/cgroup"))
	mounts, _ := os.ReadFile(filepath.Join(root, "proc/self/mountinfo"))
	for line := range strings.Lines(string(groups)) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(f) != 3 {
			continue
		}
		files := &groupFiles2
		if f[1] != "" {
			files = &groupFiles1
			if !contains(f[1], "memory") {
				continue
			}
		}
		mount, below, ok := groupMount(string(mounts), files.system)
		if !ok {
			continue
		}
		top := filepath.Join(root, mount)
		dir := filepath.Join(top, below(f[2]))
		for {
			l, r := files.read(dir)
			limit, left = min(limit, l), min(left, r)
			if dir == top || len(dir) < len(top) {
				break
			}
			dir = filepath.Dir(dir)
		}
	}
	return limit, left
}

// groupMount finds where the groups of a file system ("cgroup2", or "cgroup" with the memory controller) are
// mounted, and how the path of a group continues below. Inside a container the mount may show only a part of
// the tree.
func groupMount(mounts, system string) (point string, below func(group string) string, ok bool) {
	for line := range strings.Lines(mounts) {
		// id parent major:minor root point options [optional...] - type source super-options
		head, tail, _ := strings.Cut(line, " - ")
		h, t := strings.Fields(head), strings.Fields(tail)
		if len(h) < 5 || len(t) < 3 || t[0] != system || system == "cgroup" && !contains(t[2], "memory") {
			continue
		}
		root := h[3]
		return h[4], func(group string) string {
			if rest, inside := strings.CutPrefix(group, root); inside {
				return rest
			}
			return "/"
		}, true
	}
	return "", nil, false
}

// groupFiles are the names that a version of control groups gives to what is read.
type groupFiles struct {
	system           string
	limits           []string
	current          string
	inactive, active string // lines of memory.stat
	unlimited        int64  // limits from here on are none
}

var (
	groupFiles2 = groupFiles{"cgroup2", []string{"memory.max", "memory.high"}, "memory.current", "inactive_file", "active_file", math.MaxInt64}
	groupFiles1 = groupFiles{"cgroup", []string{"memory.limit_in_bytes"}, "memory.usage_in_bytes", "total_inactive_file", "total_active_file", 1 << 62}
)

// read returns the limit of the group in dir and what is left of it.
func (g *groupFiles) read(dir string) (limit, left int64) {
	limit, left = math.MaxInt64, math.MaxInt64
	for _, name := range g.limits {
		if v, ok := readNumber(filepath.Join(dir, name)); ok && v < g.unlimited {
			limit = min(limit, v)
		}
	}
	if limit == math.MaxInt64 {
		return limit, left
	}
	current, _ := readNumber(filepath.Join(dir, g.current))
	stat, _ := os.ReadFile(filepath.Join(dir, "memory.stat"))
	for line := range strings.Lines(string(stat)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if v, err := strconv.ParseInt(value, 10, 64); err == nil && (name == g.inactive || name == g.active) {
			current -= v
		}
	}
	return limit, limit - max(0, current)
}

// readNumber reads a file of one whole number; false if it holds none, such as "max".
func readNumber(path string) (int64, bool) {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, false
	}
	v, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	return v, err == nil && v >= 0
}

// contains says whether a list with commas has an item.
func contains(list, item string) bool {
	for x := range strings.SplitSeq(list, ",") {
		if x == item {
			return true
		}
	}
	return false
}
