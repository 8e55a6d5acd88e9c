package haenyeo

// A conversation on disk: a JSON file with the messages as the OpenAI and DeepSeek APIs write them, and beside it, under
// its name and ".session", what the model has read of them (infer.Session). The second only saves time.

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"github.com/haenyeo/haenyeo/chat"
	"github.com/haenyeo/haenyeo/infer"
	"github.com/haenyeo/haenyeo/internal/atomicfile"
	"github.com/haenyeo/haenyeo/internal/regular"
)

// SessionSuffix is what the name of a conversation's cache has behind that of its file.
const SessionSuffix = ".session"

// maxChatFile is far above any conversation that fits a window.
const maxChatFile = 256 << 20

// chatFile is the JSON of a conversation.
type chatFile struct {
	Model    string         `json:"model"`  // for people: what it was called
	Format   string         `json:"format"` // for a model that names none itself
	Thinking bool           `json:"thinking"`
	Effort   string         `json:"reasoning_effort,omitempty"`
	Tools    []chat.Tool    `json:"tools,omitempty"`
	Messages []chat.Message `json:"messages"`
}

// Save writes the conversation to path, and what the model has read of it to path and SessionSuffix. Each file is
// replaced once the new one is complete.
func (c *Chat) Save(path string) error {
	if err := c.saveMessages(path); err != nil {
		return fmt.Errorf("haenyeo: the conversation cannot be saved as %q: %w", path, cause(err))
	}
	c.forget()
	if len(c.session.Tokens()) == 0 { // an older cache would still fit as far as it is the same
		return nil
	}
	id, err := c.model.identity()
	if err != nil {
		return err
	}
	return c.session.Save(path+SessionSuffix, id)
}

// cause is what is wrong with a place, without the name of the file that is written until it is complete.
func cause(err error) error {
	var at *fs.PathError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errors.New("its directory does not exist, make it first")
	case errors.As(err, &at):
		return at.Err
	}
	return err
}

// forget drops what was read and is no longer in the conversation: it may be long, or private.
func (c *Chat) forget() { c.session.Rewind(c.written()) }

func (c *Chat) saveMessages(path string) error {
	text, err := c.marshal()
	if err != nil {
		return err
	}
	f, err := atomicfile.Create(path)
	if err != nil {
		return err
	}
	defer f.Abort()
	if _, err := f.Write(text); err != nil {
		return err
	}
	return f.Commit()
}

func (c *Chat) marshal() ([]byte, error) {
	file := chatFile{
		Model: c.model.name(), Format: c.format.Name(), Thinking: c.Options.Thinking, Effort: c.Options.Effort,
		Tools: c.Options.Tools, Messages: c.Messages,
	}
	if file.Messages == nil {
		file.Messages = []chat.Message{}
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(file)
	return b.Bytes(), err
}

// LoadChat goes on with the conversation that Save wrote to path, as NewChat begins one: with the format that is named,
// else with the model's own, else with the one in the file. The cache beside the file spares reading the conversation
// again; reread says why it could not be used, nil if it was.
func (m *Model) LoadChat(path, format string, size int) (c *Chat, reread error, err error) {
	text, err := regular.ReadFile(path, maxChatFile)
	if err != nil {
		return nil, nil, fmt.Errorf("haenyeo: conversation: %w", err)
	}
	file, err := readChatFile(text)
	if err != nil {
		return nil, nil, fmt.Errorf("haenyeo: conversation %q: %w", path, err)
	}
	if c, err = m.NewChat(format, size); err != nil && format == "" && file.Format != "" {
		if named, again := m.NewChat(file.Format, size); again == nil {
			c, err = named, nil
		}
	}
	if err != nil {
		return nil, nil, err
	}
	c.Messages = file.Messages
	c.Options.Thinking = file.Thinking
	c.Options.Effort = file.Effort
	c.Options.Tools = file.Tools
	id, err := m.identity()
	if err != nil {
		return nil, nil, err
	}
	session, err := infer.OpenSession(path+SessionSuffix, m.net, c.context, id)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return c, errors.New("no cache was saved with it"), nil
	case err != nil:
		return c, err, nil
	}
	c.session = session
	return c, nil, nil
}

// readChatFile reads the JSON of a conversation.
func readChatFile(text []byte) (file chatFile, err error) {
	if err := json.Unmarshal(text, &file); err != nil {
		return file, fmt.Errorf("it is no conversation, or damaged: %w", err)
	}
	if file.Messages == nil {
		return file, errors.New("it is no conversation: \"messages\" is missing")
	}
	for i := range file.Messages {
		file.Messages[i].Prefix = false // of the request that somebody else wrote it for: here an answer is gone on with when that is asked
	}
	return file, nil
}

// identity ties a session to this model and its tokenizer.
func (m *Model) identity() (id infer.Identity, err error) {
	id.Model, err = m.source.Fingerprint()
	id.Tokenizer = infer.TokenizerFingerprint(m.tok)
	return id, err
}
