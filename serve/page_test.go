package serve

import (
	"path"
	"strings"
	"testing"
)

// Every file of the page is served as what it is, asks for nothing from elsewhere, and makes no HTML of what a model says.
func TestPage(t *testing.T) {
	s := play(t, "v3", "ok")
	files, err := web.ReadDir("web")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		address := "/" + f.Name()
		if f.Name() == "page.html" {
			address = "/"
		}
		status, h, text := s.ask("GET", address, "", "Accept", "text/html,*/*")
		if status != 200 || h.Get("Content-Type") != mediaOf[path.Ext(f.Name())] || !strings.HasPrefix(h.Get("Content-Security-Policy"), "default-src 'none'; script-src 'self';") {
			t.Errorf("%s: %d %v", address, status, h)
		}
		for _, bad := range []string{"innerHTML", "insertAdjacentHTML", "document.write", "eval(", "//cdn", `src="http`, `href="http`, "url(", "@import"} {
			if strings.Contains(text, bad) {
				t.Errorf("%s has %q", f.Name(), bad)
			}
		}
	}
	if _, _, text := s.ask("GET", "/", "", "Accept", "text/html"); !strings.Contains(text, "You are talking to an AI") {
		t.Error("the page does not say who is talking")
	}
	if status, _, _ := s.ask("HEAD", "/", ""); status != 200 {
		t.Errorf("HEAD /: %d", status)
	}
}
