// Package machine says what this machine has beside its processor: memory and its bandwidth.
//
// In: a kernel.Engine. Out: bytes, and bytes per second. A speed is the best of several short runs:
// everything else that runs on the machine can only make it smaller.
package machine
