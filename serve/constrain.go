package serve

// constrain refuses forms of answers that cannot be promised.
func (p *prepared) constrain() error {
	switch {
	case p.shape != nil:
		return fail(notImplemented, p.shape.param, "%s is not supported: only text", p.shape.param)
	case p.must:
		return fail(notImplemented, "tool_choice", "tool_choice can be \"auto\" or \"none\": a call cannot be forced")
	}
	return nil
}
