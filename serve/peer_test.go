package serve

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// The official clients, unmodified, on this machine alone.
func TestPeerClients(t *testing.T) {
	python := os.Getenv("HAENYEO_PYTHON")
	if python == "" {
		t.Skip("set HAENYEO_PYTHON to a Python with openai, anthropic and ollama: see testdata/README.md")
	}
	for _, client := range []string{"openai", "anthropic", "ollama"} {
		t.Run(client, func(t *testing.T) {
			if exec.Command(python, "-c", "import "+client).Run() != nil {
				t.Skipf("%s has no package %s: see testdata/README.md", python, client)
			}
			s := play(t, "v3.1", "Hm.</think>"+calls)
			s.actor.reply = func(prompt string) string {
				if strings.HasSuffix(prompt, "</think>") || !strings.HasSuffix(prompt, "<think>") {
					return calls
				}
				return "Hm.</think>" + calls
			}
			out, err := exec.Command(python, "testdata/"+client+"_client.py", s.URL).CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			t.Logf("%s", out)
		})
	}
}
