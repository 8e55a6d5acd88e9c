package cpu

import "golang.org/x/sys/unix"

func brand() string {
	s, _ := unix.Sysctl("machdep.cpu.brand_string")
	return s
}
