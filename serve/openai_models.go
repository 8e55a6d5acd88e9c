package serve

// What there is: models, health, the description of the API.

import (
	_ "embed"
	"net/http"
)

type modelJSON struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Created int64  `json:"created"`
	OwnedBy string `json:"owned_by"`
	Context int    `json:"context_length"`
}

type modelListJSON struct {
	Object string      `json:"object"`
	Data   []modelJSON `json:"data"`
}

func modelOf(m *Model) modelJSON {
	return modelJSON{m.Name, "model", m.Published.Unix(), "haenyeo", m.Context}
}

// listModels answers GET models.
func (s *Server) listModels(x *exchange) error {
	if x.request.Header.Get("Anthropic-Version") != "" { // a client of that API, at the same address
		return s.anthropicModels(x)
	}
	list := modelListJSON{Object: "list"}
	for _, m := range s.models {
		list.Data = append(list.Data, modelOf(m))
	}
	return x.reply(http.StatusOK, list)
}

// showModel answers GET models/{id}.
func (s *Server) showModel(x *exchange) error {
	m, err := s.find(x.request.PathValue("id"))
	if err != nil {
		return err
	}
	return x.reply(http.StatusOK, modelOf(m))
}

// health answers GET /health: 503 while the server ends.
func (s *Server) health(x *exchange) error {
	h := struct {
		Status  string `json:"status"`
		Working int    `json:"working"` // requests that are answered
		Waiting int    `json:"waiting"` // requests in queues
	}{Status: "ok"}
	for _, m := range s.models {
		working, waiting := m.gate.load()
		h.Working += working
		h.Waiting += waiting
	}
	status := http.StatusOK
	if s.draining.Load() {
		h.Status, status = "draining", http.StatusServiceUnavailable
	}
	return x.reply(status, h)
}

//go:embed openapi.yaml
var specification []byte

// specification answers GET /openapi.yaml.
func (s *Server) specification(x *exchange) error {
	x.Header().Set("Content-Type", "application/yaml")
	_, err := x.Write(specification)
	return err
}
