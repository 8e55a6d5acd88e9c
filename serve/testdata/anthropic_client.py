"""The official Anthropic client against a server whose models say what peer_test.go has them say."""
import sys
import anthropic

for base in (sys.argv[1], sys.argv[1] + "/anthropic"):
    c = anthropic.Anthropic(base_url=base, api_key="not-needed", max_retries=0)
    tools = [{"name": "weather", "description": "Tells the weather.", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}]
    ask = {"model": "claude-of-tomorrow", "max_tokens": 500, "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
           "messages": [{"role": "user", "content": "Hello"}], "tools": tools, "thinking": {"type": "enabled", "budget_tokens": 1024}}
    r = c.messages.create(**ask)
    assert [b.type for b in r.content] == ["thinking", "text", "tool_use", "tool_use"], r
    assert r.content[0].thinking == "Hm." and r.content[1].text == "Look." and r.content[2].input == {"city": "Jeju"}, r
    assert r.stop_reason == "tool_use" and r.usage.input_tokens + r.usage.cache_read_input_tokens > 0, r

    with c.messages.stream(**ask) as s:
        kinds = [e.type for e in s]
        final = s.get_final_message()
    assert final.content[0].thinking == "Hm." and final.content[0].signature == r.content[0].signature, final
    assert final.content[2].input == {"city": "Jeju"} and final.content[3].input == {}, final
    assert final.stop_reason == "tool_use" and final.usage.output_tokens == r.usage.output_tokens, final
    assert kinds[0] == "message_start" and kinds[-1] == "message_stop", kinds

    n = c.messages.count_tokens(**{k: v for k, v in ask.items() if k != "max_tokens"})
    assert n.input_tokens == r.usage.input_tokens + r.usage.cache_read_input_tokens, (n, r.usage)

    # The turn after the calls, sent back as they came.
    ask["messages"] += [{"role": "assistant", "content": [b.model_dump() for b in r.content]},
                        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": b.id, "content": "rain"} for b in r.content if b.type == "tool_use"]
                         + [{"type": "text", "text": "And now?"}]}]
    c.messages.create(**ask)
    assert c.models.list().data[0].id == "actor"
    for kind, arguments in ((anthropic.BadRequestError, {"extra_body": {"temperature": 9}}), (anthropic.BadRequestError, {"messages": []})):
        try:
            c.messages.create(**{**ask, **arguments})
        except kind as e:
            assert e.body["type"] == "error" and e.body["error"]["type"] == "invalid_request_error", e.body
        else:
            raise AssertionError(arguments)
print("anthropic", anthropic.__version__, "agrees")
