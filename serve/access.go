package serve

// The record of a request, for the log. It holds nothing of what was said.

import (
	"net/http"
	"time"
)

// Access is one record of the access log.
type Access struct {
	Time     time.Time `json:"time"`
	ID       string    `json:"id"`
	Key      string    `json:"key,omitempty"` // the name of the API key
	Remote   string    `json:"remote"`
	Method   string    `json:"method"`
	Path     string    `json:"path"`
	Status   int       `json:"status"`          // 499: the client went away before the answer was complete
	Duration float64   `json:"duration"`        // seconds
	First    float64   `json:"first,omitempty"` // seconds until the first byte of the answer
	Bytes    int64     `json:"bytes"`
	Stream   bool      `json:"stream,omitempty"`
	Model    string    `json:"model,omitempty"`
	Prompt   int       `json:"prompt_tokens,omitempty"`
	Cached   int       `json:"cached_tokens,omitempty"` // of Prompt
	Answer   int       `json:"completion_tokens,omitempty"`
	Error    string    `json:"error,omitempty"` // what the client was told
}

// statusGone is what proxies write down for a client that went away.
const statusGone = 499

// exchange is one request with its answer.
type exchange struct {
	http.ResponseWriter
	request *http.Request
	server  *Server
	dialect *dialect
	access  Access
	control *http.ResponseController

	client   string // who asks: a key, or an address
	priority int    // of its key
	key      *key   // nil without keys
	releases []func()
	blank    bool // nothing but blanks was written yet
}

// WriteHeader notes the status.
func (x *exchange) WriteHeader(status int) {
	if x.access.Status == 0 {
		x.access.Status = status
		x.access.First = time.Since(x.access.Time).Seconds()
	}
	x.ResponseWriter.WriteHeader(status)
}

// Write notes how much was written. A client that takes nothing for Options.Stall fails it.
func (x *exchange) Write(p []byte) (int, error) {
	if x.access.Status == 0 {
		x.WriteHeader(http.StatusOK)
	}
	x.control.SetWriteDeadline(time.Now().Add(x.server.options.Stall)) // not supported: then there is none
	n, err := x.ResponseWriter.Write(p)
	x.access.Bytes += int64(n)
	return n, err
}

func (x *exchange) count(model string, u usage) {
	x.access.Model = model
	x.access.Prompt, x.access.Cached, x.access.Answer = u.prompt, u.reused, u.answer
}
