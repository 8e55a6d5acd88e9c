"""The official OpenAI client against a server whose models say what peer_test.go has them say."""
import sys
import openai

base = sys.argv[1]
c = openai.OpenAI(base_url=base + "/v1", api_key="not-needed", max_retries=0)
r = c.embeddings.create(model="actor", input=["Hello", "x"])
assert len(r.data) == 2 and len(r.data[0].embedding) == 3 and abs(sum(v * v for v in r.data[0].embedding) - 1) < 1e-6, r
for path in ("/v1", "", "/beta"):
    c = openai.OpenAI(base_url=base + path, api_key="not-needed", max_retries=0)
    ask = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": [{"type": "text", "text": "Hello"}]}]
    r = c.chat.completions.create(model="actor", messages=ask, temperature=0, seed=1)
    assert r.choices[0].message.content == "Look." and r.choices[0].message.reasoning_content == "Hm.", r
    assert r.choices[0].finish_reason == "tool_calls" and len(r.choices[0].message.tool_calls) == 2, r
    assert r.usage.prompt_tokens > 0 and r.usage.completion_tokens_details.reasoning_tokens > 0, r.usage
    call = r.choices[0].message.tool_calls[0]
    assert call.function.name == "weather" and call.function.arguments == '{"city": "Jeju"}', call

    # The turn after a call, sent back as it came.
    ask += [r.choices[0].message.model_dump(exclude_none=True)]
    ask += [{"role": "tool", "tool_call_id": t.id, "content": "rain"} for t in r.choices[0].message.tool_calls]
    c.chat.completions.create(model="actor", messages=ask)

    text, thought, calls, usage = "", "", {}, None
    for chunk in c.chat.completions.create(model="actor", messages=ask[:2], stream=True, stream_options={"include_usage": True}):
        usage = chunk.usage or usage
        for choice in chunk.choices:
            d = choice.delta
            text += d.content or ""
            thought += getattr(d, "reasoning_content", None) or ""
            for t in d.tool_calls or []:
                calls.setdefault(t.index, "")
                calls[t.index] += (t.function.name or "") + t.function.arguments
    assert (text, thought) == ("Look.", "Hm."), (text, thought)
    assert calls == {0: 'weather{"city": "Jeju"}', 1: "weather{}"}, calls
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens, usage

    with c.chat.completions.stream(model="actor", messages=ask[:2], tools=[{"type": "function", "function": {"name": "weather", "parameters": {}}}]) as s:
        final = s.get_final_completion()
    assert final.choices[0].message.content == "Look.", final

    r = c.chat.completions.create(model="actor", messages=ask[:2], logprobs=True, top_logprobs=2, n=2)
    assert len(r.choices) == 2 and len(r.choices[0].logprobs.content[0].top_logprobs) == 2, r
    tool = {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}
    r = c.responses.create(model="actor", input="Hello", instructions="Be brief.", tools=[tool])
    assert r.output_text == "Look." and [o.type for o in r.output] == ["reasoning", "message", "function_call", "function_call"], r
    assert r.output[2].arguments == '{"city": "Jeju"}' and r.usage.total_tokens == r.usage.input_tokens + r.usage.output_tokens, r
    again = [{"role": "user", "content": "Hello"}] + [o.model_dump(exclude_none=True) for o in r.output]
    again += [{"type": "function_call_output", "call_id": o.call_id, "output": "rain"} for o in r.output if o.type == "function_call"]
    c.responses.create(model="actor", input=again, tools=[tool])
    text, thought, arguments, last = "", "", "", None
    for e in c.responses.create(model="actor", input="Hello", tools=[tool], stream=True):
        last = e
        if e.type == "response.output_text.delta":
            text += e.delta
        elif e.type == "response.reasoning_summary_text.delta":
            thought += e.delta
        elif e.type == "response.function_call_arguments.delta":
            arguments += e.delta
    assert (text, thought, arguments) == ("Look.", "Hm.", '{"city": "Jeju"}{}') and last.type == "response.completed", last
    with c.responses.stream(model="actor", input="Hello", tools=[tool]) as stream:
        final = stream.get_final_response()
    assert final.output_text == "Look." and len(final.output) == 4, final
    schema = {"type": "object", "properties": {"city": {"type": "string", "enum": ["Jeju"]}}, "required": ["city"], "additionalProperties": False}
    r = c.chat.completions.create(model="actor", messages=ask[:2], max_tokens=200, response_format={"type": "json_schema", "json_schema": {"name": "place", "schema": schema, "strict": True}})
    assert __import__("json").loads(r.choices[0].message.content) == {"city": "Jeju"}, r
    assert c.models.list().data[0].id == "actor" and c.models.retrieve("actor").id == "actor"
    r = c.completions.create(model="actor", prompt="Once", max_tokens=5, logprobs=1)
    assert r.usage.completion_tokens == 5 and r.choices[0].finish_reason == "length", r
    assert "".join(x.choices[0].text for x in c.completions.create(model="actor", prompt="Once", max_tokens=5, stream=True)) == r.choices[0].text

    for kind, arguments in (
        (openai.NotFoundError, {"model": "gone"}),
        ((openai.BadRequestError, openai.UnprocessableEntityError), {"temperature": 9}),
        (openai.InternalServerError, {"modalities": ["text", "audio"]}),
    ):
        try:
            c.chat.completions.create(**{"model": "actor", "messages": ask[:2], **arguments})
        except kind as e:
            assert e.body["message"] and e.request_id.startswith("req_"), e
        else:
            raise AssertionError(arguments)
print("openai", openai.__version__, "agrees")
