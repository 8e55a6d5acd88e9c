package chat

// The formats of plain text: LLM, Math, MoE-16B, V2-Chat and Coder-V2; Coder v1; and no format at all.
//
// Source: the chat templates in tokenizer_config.json of deepseek-llm-7b-chat, DeepSeek-V2-Chat and
// deepseek-coder-6.7b-instruct.

// writeLLM writes
//
//	{bos}{system}␊␊User: {user}␊␊Assistant: {answer}{eos}User: {user}␊␊Assistant:
//
// There is no space after the last colon: the reply begins with it.
func writeLLM(w *writer, f *Format, conversation []Message, o Options) error {
	if err := refuseTools(o); err != nil {
		return err
	}
	w.control(f.bos)
	for _, m := range conversation {
		switch m.Role {
		case System:
			w.text(m.Content)
			w.control("\n\n")
		case User:
			w.control("User: ")
			w.text(m.Content)
			w.control("\n\n")
		case Assistant:
			w.control("Assistant: ")
			w.text(m.Content)
			if m.Prefix {
				return nil
			}
			w.control(f.eos)
		}
	}
	w.control("Assistant:")
	return nil
}

// coderSystem is what Coder v1 was trained to read where a conversation has no system message.
const coderSystem = "You are an AI programming assistant, utilizing the Deepseek Coder model, developed by Deepseek Company, and you " +
	"only answer questions related to computer science. For politically sensitive questions, security and privacy issues, and other " +
	"non-computer science questions, you will refuse to answer\n"

// writeCoder writes
//
//	{bos}{system}### Instruction:␊{user}␊### Response:␊{answer}␊<|EOT|>␊### Instruction:␊{user}␊### Response:␊
//
// The default system text ends in a newline; a system message is written as it is.
func writeCoder(w *writer, f *Format, conversation []Message, o Options) error {
	if err := refuseTools(o); err != nil {
		return err
	}
	w.control(f.bos)
	if !hasRole(conversation, System) {
		w.control(f.system)
	}
	for _, m := range conversation {
		switch m.Role {
		case System:
			w.text(m.Content)
		case User:
			w.control("### Instruction:\n")
			w.text(m.Content)
			w.control("\n")
		case Assistant:
			w.control("### Response:\n")
			w.text(m.Content)
			if m.Prefix {
				return nil
			}
			w.control("\n"+eot, "\n")
		}
	}
	w.control("### Response:\n")
	return nil
}

func hasRole(conversation []Message, role Role) bool {
	for _, m := range conversation {
		if m.Role == role {
			return true
		}
	}
	return false
}

// writeRaw writes the messages one after the other, for base models: what they continue.
func writeRaw(w *writer, f *Format, conversation []Message, o Options) error {
	if err := refuseTools(o); err != nil {
		return err
	}
	w.control(f.bos)
	for _, m := range conversation {
		w.text(m.Content)
	}
	return nil
}
