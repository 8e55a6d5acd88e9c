// Package machine measures what this machine can do now: products, memory bandwidth, memory.
//
// In: a kernel.Engine. Out: numbers per second, and bytes. A number is the best of several short
// runs: everything else that runs on the machine can only make it smaller.
package machine
