package machine

import (
	"math"
	"os"
	"path/filepath"
	"testing"
)

func TestGroupMemory(t *testing.T) {
	const (
		v2 = "30 20 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
		v1 = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n" +
			"32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n" +
			"35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n" +
			"41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
		docker1 = "35 31 0:32 /docker/abc /sys/fs/cgroup/memory ro master:1 - cgroup cgroup rw,memory\n"
		none    = int64(math.MaxInt64)
	)
	for _, c := range []struct {
		name, group, mounts string
		files               map[string]string // below sys/fs/cgroup
		limit, left         int64
	}{
		{"no limits", "0::/user.slice\n", v2, map[string]string{"user.slice/memory.max": "max\n", "user.slice/memory.current": "5000\n"}, none, none},
		{"nothing readable", "0::/user.slice\n", v2, nil, none, none},
		{"no groups", "", "", nil, none, none},
		{"broken", "0\n:::::\n0::/a\n", "30 - cgroup2\n" + v2, map[string]string{"a/memory.max": "many\n", "a/memory.high": "-3\n"}, none, none},
		{"v2, in a namespace", "0::/\n", v2, map[string]string{"memory.max": "1000000\n", "memory.high": "max\n", "memory.current": "700000\n",
			"memory.stat": "anon 500000\nfile 200000\ninactive_file 150000\nactive_file 50000\n"}, 1000000, 500000},
		{"v2, high below max", "0::/a\n", v2, map[string]string{"a/memory.max": "1000\n", "a/memory.high": "800\n", "a/memory.current": "300\n"}, 800, 500},
		{"v2, the parent is smaller and fuller", "0::/a/b\n", v2, map[string]string{"a/b/memory.max": "5000\n", "a/b/memory.current": "10\n",
			"a/memory.max": "2000\n", "a/memory.current": "1900\n"}, 2000, 100},
		{"v2, over its limit", "0::/a\n", v2, map[string]string{"a/memory.high": "800\n", "a/memory.current": "900\n"}, 800, -100},
		{"v1", "4:memory:/x/y\n0::/\n", v1, map[string]string{"memory/x/y/memory.limit_in_bytes": "4096\n", "memory/x/y/memory.usage_in_bytes": "4000\n",
			"memory/x/y/memory.stat": "inactive_file 1\ntotal_inactive_file 1000\ntotal_active_file 96\n", "memory/x/memory.limit_in_bytes": "9223372036854771712\n"}, 4096, 1192},
		{"v1, a container sees its own group only", "4:cpu,memory:/docker/abc\n", docker1, map[string]string{"memory/memory.limit_in_bytes": "777\n", "memory/memory.usage_in_bytes": "7\n"}, 777, 770},
		{"v1, a mount of another group", "4:memory:/elsewhere\n", docker1, map[string]string{"memory/memory.limit_in_bytes": "777\n"}, 777, 777},
	} {
		root := t.TempDir()
		write := func(path, text string) {
			path = filepath.Join(root, path)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		write("proc/self/cgroup", c.group)
		write("proc/self/mountinfo", c.mounts)
		for path, text := range c.files {
			write("sys/fs/cgroup/"+path, text)
		}
		if limit, left := groupMemory(root); limit != c.limit || left != c.left {
			t.Errorf("%s: limit %d, left %d; want %d, %d", c.name, limit, left, c.limit, c.left)
		}
	}
}
