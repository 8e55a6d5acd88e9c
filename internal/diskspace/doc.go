// Package diskspace says how much room a disk has, so that long work that will not fit is refused before it
// begins.
package diskspace
