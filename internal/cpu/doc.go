// Package cpu says which vector instructions the program may use on this machine.
//
// In: nothing. Out: Features, from CPUID or the kernel's auxiliary vector, and, for AMX, the
// kernel's permission, which must be asked for (EnableAMX) before the first tile instruction.
// A feature says that an instruction works, never that it pays: on some processors it does not,
// so package kernel measures before it chooses.
package cpu
