package serve

// What can go wrong with a request, before a dialect puts it into its own words.

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// kind says what went wrong.
type kind int

const (
	malformed      kind = iota // the body is not what the API describes
	outOfRange                 // it is, but a value cannot be used
	tooLong                    // the prompt leaves no room in the context
	unauthorized               // no key, or none that is known
	forbidden                  // Host or Origin
	notFound                   // no such address
	noModel                    // no such model
	badMethod                  // the address knows other methods
	tooLarge                   // the body
	wrongMedia                 // its type or encoding
	busy                       // the queue is full
	notImplemented             // the API has it, this server does not
	draining                   // the server is about to end
	late                       // the deadline has passed
	broken                     // the server's or the model's fault
)

var statusOf = map[kind]int{
	malformed: http.StatusBadRequest, outOfRange: http.StatusBadRequest, tooLong: http.StatusBadRequest,
	unauthorized: http.StatusUnauthorized, forbidden: http.StatusForbidden, notFound: http.StatusNotFound,
	noModel: http.StatusNotFound, badMethod: http.StatusMethodNotAllowed, tooLarge: http.StatusRequestEntityTooLarge,
	wrongMedia: http.StatusUnsupportedMediaType, busy: http.StatusTooManyRequests, notImplemented: http.StatusNotImplemented,
	draining: http.StatusServiceUnavailable, late: http.StatusGatewayTimeout, broken: http.StatusInternalServerError,
}

// failure is an error that a client is told of.
type failure struct {
	kind    kind
	param   string // the field that is wrong, "" if none is
	message string
	retry   time.Duration // when to come again, 0: not said
}

func (f *failure) Error() string { return f.message }

func fail(k kind, param, format string, args ...any) *failure {
	return &failure{kind: k, param: param, message: fmt.Sprintf(format, args...)}
}

// failureOf finds what a client is told of an error. Errors of others may hold paths and numbers of this machine, so
// they are not told.
func failureOf(err error) *failure {
	var f *failure
	if errors.As(err, &f) {
		return f
	}
	return fail(broken, "", "the server could not finish the answer; its log says why")
}
