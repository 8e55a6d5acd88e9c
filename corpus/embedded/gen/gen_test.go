package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

func TestTreat(t *testing.T) {
	for _, tc := range []struct {
		name, lang, text, want string
		do                     treatment
	}{
		{"code", "id", "Satu dua.\n\n```js\nlet x\n```\n\n\n| a | b |\n\nTiga.", "Satu dua.\n\nTiga.", prose},
		{"fence in a quote", "id", "> ~~~\n> ``` kode\n> ~~~\nSelesai sudah.", "Selesai sudah.", prose},
		{"untranslated", "vi", "Một dòng.\nThis is one of the lines for you.\nHai dòng.", "Một dòng.\nHai dòng.", prose},
		{"english stays", "en", "This is one of the lines for you.", "This is one of the lines for you.", prose},
		{"other script", "ko", "한글 한 줄입니다.\nEnglish only here\n`code`를 쓴 줄", "한글 한 줄입니다.\n`code`를 쓴 줄", prose},
		{"pictograms", "ar", "## 🎓 أهداف التعلم ✅", "## أهداف التعلم", clean},
		{"as it is", "en", "```\ncode\n```", "```\ncode\n```", asIs},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := treat(tc.text, pick{lang: tc.lang, do: tc.do}); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
	if few, many := names("ข่าว นายกรัฐมนตรี"), names("นายสุชาติ นางวรรณ"); few != 0 || many == 0 {
		t.Errorf("names: %v, %v", few, many)
	}
}

// The committed corpus is what this program makes of the data kit.
func TestCommittedCorpusIsCurrent(t *testing.T) {
	data := os.Getenv("HAENYEO_DATA")
	if data == "" {
		t.Skip("SKIPPED: set HAENYEO_DATA to the folder of the data kit to make the corpus anew and compare")
	}
	out := t.TempDir()
	if err := run(data, out); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"corpus.jsonl.zst", "sources.json", "ATTRIBUTION.md"} {
		made, _ := os.ReadFile(filepath.Join(out, name))
		kept, err := os.ReadFile(filepath.Join("..", name))
		if err != nil || !bytes.Equal(made, kept) {
			t.Errorf("%s is not what gen makes: run it and commit", name)
		}
	}
}
