package serve

// Bodies in and out.

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"
)

// read decodes the body, a JSON object, into v. The body is read whole within Options.BodyTime, or refused.
func (x *exchange) read(v any) error {
	if e := x.request.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		return fail(wrongMedia, "", "content encoding %q: send the body as it is", e)
	}
	switch media, _, _ := mime.ParseMediaType(x.request.Header.Get("Content-Type")); media {
	case "", "application/json", "text/json", "application/x-www-form-urlencoded": // the last is what curl -d says
	default:
		return fail(wrongMedia, "", "content type %q: send application/json", media)
	}
	x.control.SetReadDeadline(time.Now().Add(x.server.options.BodyTime))
	body, err := io.ReadAll(http.MaxBytesReader(x.ResponseWriter, x.request.Body, x.server.options.MaxBody))
	if large := (*http.MaxBytesError)(nil); errors.As(err, &large) {
		return fail(tooLarge, "", "the body is larger than %d bytes", large.Limit)
	}
	if err != nil {
		return fail(malformed, "", "the body could not be read")
	}
	x.control.SetReadDeadline(time.Time{}) // from now on reading means to notice that the client goes away
	if depth(body) > x.server.options.MaxDepth {
		return fail(malformed, "", "the JSON of the body is nested deeper than %d levels", x.server.options.MaxDepth)
	}
	return decode(body, v)
}

// depth is how deep JSON is nested.
func depth(body []byte) (most int) {
	at, quoted := 0, false
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			at++
			most = max(most, at)
		case c == '}' || c == ']':
			at--
		}
	}
	return most
}

// decode reads one JSON object and nothing after it.
func decode(body []byte, v any) error {
	if body = bytes.TrimSpace(body); len(body) == 0 || body[0] != '{' {
		return fail(malformed, "", "the body must be a JSON object")
	}
	err := json.Unmarshal(body, v)
	var f *failure
	var kind *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &f):
		return f
	case errors.As(err, &kind):
		field := kind.Field
		if first, rest, ok := strings.Cut(field, "."); ok && strings.HasSuffix(first, "JSON") {
			field = rest // of a struct that shares its fields
		}
		return fail(malformed, field, "field %q: a JSON %s cannot be used here", field, kind.Value)
	case errors.As(err, &syntax):
		return fail(malformed, "", "the body is no JSON: at byte %d: %v", syntax.Offset, syntax)
	}
	return fail(malformed, "", "%v", err)
}

// encode writes v as JSON without a newline at the end.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err) // types of this package, which JSON can write
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// stillHere writes a blank, which JSON may begin with, so that nobody on the way takes the silence for the end.
func (x *exchange) stillHere() error {
	if !x.blank {
		x.Header().Set("Content-Type", "application/json")
		x.WriteHeader(http.StatusOK)
		x.blank = true
	}
	if _, err := x.Write([]byte("\n")); err != nil || x.control.Flush() != nil {
		return errGone
	}
	return nil
}

// reply writes v as the whole answer.
func (x *exchange) reply(status int, v any) error {
	if !x.blank {
		x.Header().Set("Content-Type", "application/json")
		x.WriteHeader(status)
	}
	_, err := x.Write(append(encode(v), '\n'))
	return err
}
