package serve

// Which address is answered by whom.

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// route is what one method of one address does.
type route struct {
	method, path string
	dialect      *dialect
	open         bool // needs no key
	handle       func(x *exchange) error
}

// routes lists what there is. Paths of the OpenAI dialect stand under /v1; those of DeepSeek under / and /beta.
func (s *Server) routes() []route {
	list := []route{
		{"GET", "/health", openAI, true, s.health},
		{"GET", "/ready", openAI, true, s.health},
		{"GET", "/metrics", openAI, false, s.showMetrics},
		{"POST", "/models/load", openAI, false, s.loadModel},
		{"POST", "/models/unload", openAI, false, s.unloadModel},
		{"GET", "/openapi.yaml", openAI, true, s.specification},
		{"GET", "/", ollama, true, s.page},
		{"GET", "/page.css", openAI, true, s.page},
		{"GET", "/page.js", openAI, true, s.page},
		{"GET", "/markdown.js", openAI, true, s.page},
		{"GET", "/api/version", ollama, false, s.ollamaVersionOf},
		{"GET", "/api/tags", ollama, false, s.ollamaTags},
		{"GET", "/api/ps", ollama, false, s.ollamaRunning},
		{"POST", "/api/show", ollama, false, s.ollamaShow},
		{"POST", "/api/chat", ollama, false, s.ollamaChat},
		{"POST", "/api/generate", ollama, false, s.ollamaGenerate},
		{"POST", "/api/embed", ollama, false, s.ollamaEmbed},
		{"POST", "/api/embeddings", ollama, false, s.ollamaEmbedding},
		{"POST", "/v1/embeddings", openAI, false, s.embeddings},
		{"GET", "/anthropic/v1/models", anthropic, false, s.anthropicModels},
	}
	for _, base := range []string{"/v1", "/anthropic/v1"} {
		list = append(list,
			route{"POST", base + "/messages", anthropic, false, s.messages},
			route{"POST", base + "/messages/count_tokens", anthropic, false, s.countTokens},
		)
	}
	for _, base := range []struct {
		path    string
		dialect *dialect
	}{{"/v1", openAI}, {"", deepSeek}, {"/beta", deepSeek}} {
		list = append(list,
			route{"GET", base.path + "/models", base.dialect, false, s.listModels},
			route{"GET", base.path + "/models/{id...}", base.dialect, false, s.showModel},
			route{"POST", base.path + "/chat/completions", base.dialect, false, s.chatCompletions},
			route{"POST", base.path + "/completions", base.dialect, false, s.completions},
			route{"POST", base.path + "/responses", base.dialect, false, s.responses},
		)
	}
	return list
}

// handler answers every address.
func (s *Server) handler() http.Handler {
	byPath := map[string]map[string]route{}
	for _, r := range s.routes() {
		if byPath[r.path] == nil {
			byPath[r.path] = map[string]route{}
		}
		byPath[r.path][r.method] = r
	}
	mux := http.NewServeMux()
	for path, byMethod := range byPath {
		methods := slices.Sorted(maps.Keys(byMethod))
		if _, get := byMethod["GET"]; get {
			methods = append(methods, "HEAD")
		}
		pattern := path
		if path == "/" {
			pattern = "/{$}"
		}
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			method := r.Method
			if method == http.MethodHead {
				method = http.MethodGet
			}
			found, ok := byMethod[method]
			if !ok {
				found = route{path: path, dialect: byMethod[methods[0]].dialect, handle: func(x *exchange) error {
					if strings.HasSuffix(path, "/responses") { // a WebSocket is tried here, and 404 leads clients back to POST
						return fail(notFound, "", "there is no WebSocket here: POST to this address")
					}
					w.Header().Set("Allow", strings.Join(methods, ", "))
					return fail(badMethod, "", "method %s: this address knows %s", r.Method, strings.Join(methods, ", "))
				}}
			}
			s.serve(w, r, found, methods)
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.serve(w, r, route{path: "other", dialect: dialectOf(r.URL.Path), handle: func(x *exchange) error {
			return fail(notFound, "", "there is nothing at %q; /openapi.yaml lists what there is", r.URL.Path)
		}}, nil)
	})
	return mux
}

// dialectOf guesses whose client asks for an address that is not there.
func dialectOf(path string) *dialect {
	switch {
	case strings.HasPrefix(path, "/api/"):
		return ollama
	case strings.HasPrefix(path, "/anthropic/"), strings.HasPrefix(path, "/v1/messages"):
		return anthropic
	}
	return openAI
}

// serve answers one request and writes the record of it.
func (s *Server) serve(w http.ResponseWriter, r *http.Request, to route, methods []string) {
	x := &exchange{ResponseWriter: w, request: r, server: s, dialect: to.dialect, control: http.NewResponseController(w), client: clientOf(r.RemoteAddr)}
	x.access = Access{Time: time.Now(), ID: "req_" + random(12), Remote: r.RemoteAddr, Method: r.Method, Path: r.URL.Path}
	defer func() {
		x.access.Duration = time.Since(x.access.Time).Seconds()
		for _, release := range x.releases {
			release()
		}
		s.metrics.request(methodLabel(r.Method), to.path, x.access.Status)
		s.record(x.access)
	}()
	w.Header().Set("X-Request-Id", x.access.ID)
	w.Header().Set("Request-Id", x.access.ID) // as Anthropic's clients read it
	w.Header().Set("X-Content-Type-Options", "nosniff")
	err := s.admit(x, to)
	if err == nil && r.Method == http.MethodOptions && methods != nil {
		x.access.Status = http.StatusNoContent
		preflight(w, methods)
		return
	}
	if err == nil && !to.open {
		err = s.authorize(x)
	}
	if err == nil {
		err = to.handle(x)
	}
	if err != nil {
		x.complain(err)
	}
}

// methodLabel is a method in metrics, where a client must not choose names.
func methodLabel(method string) string {
	switch method {
	case "GET", "HEAD", "POST", "DELETE", "OPTIONS":
		return method
	}
	return "other"
}

// admit checks what must hold before anything of a request is read.
func (s *Server) admit(x *exchange, to route) error {
	if err := s.admitHost(x.request); err != nil {
		return err
	}
	if err := s.admitOrigin(x.Header(), x.request); err != nil {
		return err
	}
	if s.draining.Load() && !to.open {
		f := fail(draining, "", "the server is about to end: ask another one, or again later")
		f.retry = 5 * time.Second
		return f
	}
	return nil
}

// complain tells the client of an error, if anything can still be told.
func (x *exchange) complain(err error) {
	if gone(x.request.Context(), err) {
		x.access.Status = statusGone
		return
	}
	f := failureOf(err)
	x.access.Error = f.message
	status, body := x.dialect.error(f, x.access.ID)
	if x.blank {
		x.Write(append(encode(body), '\n'))
	}
	if x.access.Status != 0 {
		return // the answer had begun
	}
	if f.retry > 0 {
		x.Header().Set("Retry-After", seconds(f.retry))
	}
	if f.kind == unauthorized {
		x.Header().Set("WWW-Authenticate", "Bearer")
	}
	x.reply(status, body) // a client that does not read it is gone
}
