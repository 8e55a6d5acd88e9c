package regular

import (
	"strings"
	"testing"
)

func TestInstead(t *testing.T) {
	for head, want := range map[string]string{
		"version https://git-lfs.github.com/spec/v1\noid sha256:aa\nsize 9\n": "Git LFS",
		"\ufeff\n <!DOCTYPE html><html>":                                      "web page",
		"<HTML lang=en>":                                                      "web page",
		"":                                                                    "",
		"GGUF\x03\x00\x00\x00":                                                "",
		"\x08\x00\x00\x00\x00\x00\x00\x00{}      ":                            "",
	} {
		if got := Instead([]byte(head)); (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%q: %q", head, got)
		}
	}
}
