"""The official Ollama client against a server whose models say what peer_test.go has them say."""
import importlib.metadata
import sys
import ollama

c = ollama.Client(host=sys.argv[1])
ask = [{"role": "user", "content": "Hello"}]


tool = {"type": "function", "function": {"name": "weather", "description": "Tell the weather.", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}
r = c.chat("actor", ask, tools=[tool], think=True)
assert r.message.content == "Look." and r.message.thinking == "Hm." and r.done and r.done_reason == "stop", r
assert [dict(t.function.arguments) for t in r.message.tool_calls] == [{"city": "Jeju"}, {}], r
assert r.prompt_eval_count > 0 and r.eval_count > 0 and r.total_duration > 0, r

ask += [r.message, {"role": "tool", "tool_name": "weather", "content": "rain"}, {"role": "tool", "tool_name": "weather", "content": "none"}]
c.chat("actor", ask, tools=[tool])

text, thought, calls, last = "", "", [], None
for part in c.chat("actor:latest", ask[:1], stream=True, options={"temperature": 0, "seed": 1, "num_predict": 500}):
    text += part.message.content or ""
    thought += part.message.thinking or ""
    calls += part.message.tool_calls or []
    last = part
assert (text, thought, len(calls)) == ("Look.", "Hm.", 2) and last.done, (text, thought, calls)
g = c.generate("actor", "Once", think=False, options={"num_predict": 5})
assert g.eval_count == 5 and g.done_reason == "length", g
assert "".join(p.response for p in c.generate("actor", "Once", think=False, stream=True, options={"num_predict": 5})) == g.response
assert c.list().models[0].model == "actor" and c.ps().models[0].model == "actor"
shown = c.show("actor")
assert "tools" in shown.capabilities and shown.modelinfo["llama.context_length"] == 2048, shown
r = c.chat("actor", ask[:1], think=False, options={"num_predict": 200}, format={"type": "object", "properties": {"city": {"enum": ["Jeju"]}}, "required": ["city"], "additionalProperties": False})
assert __import__("json").loads(r.message.content) == {"city": "Jeju"}, r
assert len(c.embed("actor", ["Hello", "x"]).embeddings) == 2
for arguments in ({"model": "gone"}, {"options": {"temperature": -1}}):
    try:
        c.chat(**{"model": "actor", "messages": ask[:1], **arguments})
    except ollama.ResponseError as e:
        assert e.error and e.status_code in (400, 404), e
    else:
        raise AssertionError(arguments)
print("ollama", importlib.metadata.version("ollama"), "agrees")
