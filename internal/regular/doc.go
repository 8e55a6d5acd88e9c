// Package regular opens files that must be regular ones: a pipe would make the reader wait for ever, a
// device would never end. A path flows in, an open file or its bytes flow out. Instead names what often stands in a
// file's place.
package regular
