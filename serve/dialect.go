package serve

// How the dialects report errors: the shape of the body, and the words for what went wrong.

// dialect is an API.
type dialect struct {
	name  string
	error func(f *failure, id string) (status int, body any)
}

var (
	openAI    = &dialect{"openai", openAIError(false)}
	deepSeek  = &dialect{"deepseek", openAIError(true)}
	anthropic = &dialect{"anthropic", anthropicError}
	ollama    = &dialect{"ollama", ollamaError}
)

// errorJSON is the error of the OpenAI and DeepSeek APIs.
type errorJSON struct {
	Error struct {
		Message string  `json:"message"`
		Type    string  `json:"type"`
		Param   *string `json:"param"`
		Code    *string `json:"code"`
	} `json:"error"`
}

// openAIError gives the errors of the OpenAI API; those of DeepSeek's have status 422 where a value cannot be used.
func openAIError(deepSeek bool) func(*failure, string) (int, any) {
	words := map[kind][2]string{ // type, code
		malformed:      {"invalid_request_error", ""},
		outOfRange:     {"invalid_request_error", "invalid_value"},
		tooLong:        {"invalid_request_error", "context_length_exceeded"},
		unauthorized:   {"invalid_request_error", "invalid_api_key"},
		forbidden:      {"invalid_request_error", "forbidden"},
		notFound:       {"invalid_request_error", "unknown_url"},
		noModel:        {"invalid_request_error", "model_not_found"},
		badMethod:      {"invalid_request_error", "method_not_allowed"},
		tooLarge:       {"invalid_request_error", "request_too_large"},
		wrongMedia:     {"invalid_request_error", "unsupported_media_type"},
		busy:           {"rate_limit_error", "rate_limit_exceeded"},
		notImplemented: {"not_implemented_error", "not_implemented"},
		draining:       {"server_error", "service_unavailable"},
		late:           {"server_error", "timeout"},
		broken:         {"server_error", "internal_error"},
	}
	return func(f *failure, _ string) (int, any) {
		var e errorJSON
		e.Error.Message, e.Error.Type = f.message, words[f.kind][0]
		if f.param != "" {
			e.Error.Param = &f.param
		}
		if code := words[f.kind][1]; code != "" {
			e.Error.Code = &code
		}
		status := statusOf[f.kind]
		if deepSeek {
			switch f.kind {
			case outOfRange:
				status = 422
			case unauthorized:
				e.Error.Type = "authentication_error"
			}
		}
		return status, e
	}
}

type anthropicErrorJSON struct {
	Type  string `json:"type"`
	Error struct {
		Type    string `json:"type"`
		Message string `json:"message"`
	} `json:"error"`
	RequestID string `json:"request_id"`
}

func anthropicError(f *failure, id string) (int, any) {
	e := anthropicErrorJSON{Type: "error", RequestID: id}
	e.Error.Message = f.message
	status := statusOf[f.kind]
	switch f.kind {
	case unauthorized:
		e.Error.Type = "authentication_error"
	case forbidden:
		e.Error.Type = "permission_error"
	case notFound, noModel:
		e.Error.Type = "not_found_error"
	case tooLarge:
		e.Error.Type = "request_too_large"
	case busy:
		e.Error.Type = "rate_limit_error"
	case draining:
		e.Error.Type, status = "overloaded_error", 529
	case late, broken, notImplemented:
		e.Error.Type = "api_error"
	default:
		e.Error.Type = "invalid_request_error"
	}
	return status, e
}

type ollamaErrorJSON struct {
	Error string `json:"error"`
}

func ollamaError(f *failure, _ string) (int, any) {
	return statusOf[f.kind], ollamaErrorJSON{f.message}
}
