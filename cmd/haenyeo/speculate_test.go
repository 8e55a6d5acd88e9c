package main

import (
	"strings"
	"testing"
)

// Guessing ahead changes no text, and says how it went.
func TestSpeculate(t *testing.T) {
	const talker = "../../testdata/talker"
	args := []string{"generate", testModel(t), "--tokens=5,6,7,5,6,7,5,6,7", "--max-tokens=60", "--temperature=0", "--json"}
	want := works(t, "", args...)
	status, got, says := execute(t, "", append(args, "--speculate=ngram", "-v")...)
	if status != exitDone || got != want {
		t.Errorf("status %d: another text: %q, want %q", status, got, want)
	}
	if !strings.Contains(says, "guessed=") || !strings.Contains(says, "right=") {
		t.Errorf("nothing is said about guesses: %s", says)
	}
	chat := []string{"chat", talker, "--temperature=0", "--prompt=How deep is the sea?"}
	if plain, ahead := works(t, "", chat...), works(t, "", append(chat, "--speculate=ngram", "--speculate-most=2")...); plain != ahead || plain == "" {
		t.Errorf("the answer is %q, with guesses %q", plain, ahead)
	}
	for _, c := range []struct {
		flags  string
		status int
		says   string
	}{
		{"--speculate=mtp", exitFailed, "MTP"},
		{"--speculate=often", exitUsage, "ngram"},
		{"--speculate=ngram --speculate-most=-1", exitUsage, "speculate-most"},
		{"--speculate-most=3", exitUsage, "no effect"},
	} {
		status, _, says := execute(t, "", append([]string{"generate", talker, "--tokens=1"}, strings.Fields(c.flags)...)...)
		if status != c.status || !strings.Contains(says, c.says) {
			t.Errorf("%s: status %d, %s", c.flags, status, says)
		}
	}
}
