// Package house holds the tests of the project's structure: which package may import which, and
// which modules the engine may depend on (docs/architecture.md). It exports nothing.
package house
