package main

// The flags of guessing ahead, and what is said about it.

import (
	"fmt"

	"github.com/haenyeo/haenyeo/infer"
)

type speculateFlags struct {
	Speculate string `enum:"off,ngram,mtp,all" default:"off" placeholder:"HOW" help:"Guess tokens ahead and read several in a step, while that is measured to pay; the text stays the same. ngram: from what followed the same words before; mtp: by the model's own prediction layer; all. Default: ${default}."`
	GuessMost int    `name:"speculate-most" placeholder:"N" help:"At most N guesses in a step; 0: as many as pay."`
}

// speculation is what the flags ask for.
func (f *speculateFlags) speculation() (s infer.Speculation, err error) {
	switch {
	case f.GuessMost < 0:
		return s, misuse("--speculate-most %d: give 0 (as many as pay) or more", f.GuessMost)
	case f.GuessMost > 0 && f.Speculate == "off":
		return s, misuse("--speculate-most has no effect without --speculate")
	}
	return infer.Speculation{NGram: f.Speculate == "ngram" || f.Speculate == "all", MTP: f.Speculate == "mtp" || f.Speculate == "all", Most: f.GuessMost}, nil
}

// guesses says how guessing ahead went.
func guesses(guessed, right int) string {
	return fmt.Sprintf("%s of %s guesses right", grouped(right), grouped(guessed))
}
