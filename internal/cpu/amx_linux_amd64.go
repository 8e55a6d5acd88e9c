package cpu

import "syscall"

// EnableAMX asks the kernel for the right to use tile registers. It holds for every thread of the
// process and is not inherited over exec. Without it the first tile load is an illegal
// instruction, whatever CPUID says.
//
// Source: Linux Documentation/arch/x86/xstate.rst.
func EnableAMX() bool {
	const archReqXcompPerm, xfeatureXtiledata = 0x1023, 18
	_, _, errno := syscall.RawSyscall(syscall.SYS_ARCH_PRCTL, archReqXcompPerm, xfeatureXtiledata, 0)
	return errno == 0
}
