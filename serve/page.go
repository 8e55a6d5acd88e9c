package serve

// The chat page, for people with a browser. It asks for nothing but what is here.

import (
	"embed"
	"net/http"
	"path"
	"strings"
)

//go:embed web
var web embed.FS

// mediaOf gives the types of the page's files.
var mediaOf = map[string]string{".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}

// page answers GET / and the files that the page consists of. Clients of the Ollama API look for its words at /.
func (s *Server) page(x *exchange) error {
	name := path.Base(x.request.URL.Path)
	h := x.Header()
	if name == "/" {
		if name = "page.html"; !strings.Contains(x.request.Header.Get("Accept"), "text/html") {
			h.Set("Content-Type", "text/plain; charset=utf-8")
			_, err := x.Write([]byte("Ollama is running"))
			return err
		}
	}
	text, err := web.ReadFile("web/" + name)
	if err != nil {
		return err
	}
	h.Set("Content-Type", mediaOf[path.Ext(name)])
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-cache")
	h.Add("Vary", "Accept")
	x.WriteHeader(http.StatusOK)
	_, err = x.Write(text)
	return err
}
