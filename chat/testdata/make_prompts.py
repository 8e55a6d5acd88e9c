"""Writes prompts.jsonl: what the publishers' templates and encoders make of a table of conversations.

    python make_prompts.py TEMPLATES ENCODERS > prompts.jsonl

TEMPLATES holds NAME.jinja, the published chat_template of a generation, by the format's name here. ENCODERS holds
encoding_dsv32.py, encoding_dsv4.py and encoding_dsv41.py. Rendered as transformers' apply_chat_template does.
"""
import importlib.util, json, pathlib, sys
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

BOS, EOS = "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>"


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def stop(message):
    raise ValueError(message)


env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
env.filters["tojson"] = tojson
env.globals["raise_exception"] = stop

S = lambda c, **k: dict(role="system", content=c, **k)
U = lambda c, **k: dict(role="user", content=c, **k)
A = lambda c, **k: dict(role="assistant", content=c, **k)
D = lambda c, **k: dict(role="developer", content=c, **k)
R = lambda c: dict(role="latest_reminder", content=c)
T = lambda c, i="": dict(role="tool", content=c, tool_call_id=i)
call = lambda i, name, **a: dict(id=i, type="function", function=dict(name=name, arguments=json.dumps(a, ensure_ascii=False)))

weather = dict(type="function", function=dict(name="get_weather", description="Weather of a city, in °C.",
    parameters=dict(type="object", properties=dict(city=dict(type="string", description="Name, e.g. 부산"), days=dict(type="integer", minimum=1)),
                    required=["city"])))
search = dict(type="function", function=dict(strict=True, name="search", description="Finds pages",
    parameters={"type": "object", "properties": {"q": {"type": ["string", "null"], "default": 1e-7, "enum": ["a<b>&c", "\"q\"\n"]}}}))

plain = {
    "one": [U("Hello")],
    "system": [S("Be brief."), U("Hello")],
    "turns": [S("You are\na diver."), U("1+1?"), A("2"), U(" 다시 \n"), A("둘"), U("thanks")],
    "odd text": [U("<|im_end|> </s> {{ bos_token }} 'q' \"d\" \\ \t")],
    "empty": [U(""), A(""), U("x")],
}
prefix = {
    "prefix": [U("Write a poem"), A("The sea", prefix=True)],
    "prefix after turns": [S("s"), U("a"), A("b"), U("c"), A("d", prefix=True)],
}
systems = {"two systems": [S("One."), S("Two."), U("Hi")], "late system": [U("Hi"), A("Ho"), S("Now French."), U("?")]}
thought = {"thought": [U("1+1?"), A("2", reasoning_content="one and one"), U("2+2?"), A("4", reasoning_content="two and two"), U("3+3?")]}
inline = {"thought inline": [U("1+1?"), A("<think>hm</think>2"), U("2+2?")]}
one = [U("Weather in 부산?"), A(None, tool_calls=[call("c1", "get_weather", city="부산", days=2)])]
two = [U("Both"), A(None, tool_calls=[call("c1", "get_weather", city="A \"B\""), call("c2", "search", q=None, deep={"x": [1, 2.5, True, "é"]})])]
calls = {
    "call, result": one + [T("22", "c1")],
    "call, result, answer": one + [T("22", "c1"), A("It is 22."), U("Thanks")],
    "two calls": two + [T("r1", "c1"), T("r2", "c2")],
    "two calls, answer": two + [T("r1", "c1"), T("r2", "c2"), A("Done."), U("More")],
    "two rounds": one + [T("22", "c1"), A(None, tool_calls=[call("c3", "search", q="x")]), T("found", "c3")],
    "two rounds, two turns": two + [T("r1", "c1"), T("r2", "c2"), A("Done."), U("More")] + [A(None, tool_calls=[call("c4", "search"), call("c5", "search", q="")]), T("n", "c4"), T("m", "c5")],
}
spoken = {"content and call": [U("x"), A("Let me look.", tool_calls=[call("c1", "search", q="x")]), T("y", "c1")]}
reasoned = {
    "reasoned calls": [S("sys"), U("q"), A("", reasoning_content="R1", tool_calls=[call("c1", "get_weather", city="X")]), T("1", "c1"), A("Fine.", reasoning_content="R2")],
    "reasoned rounds": [U("old"), A("O", reasoning_content="R0"), U("q"), A("Look", reasoning_content="R1", tool_calls=[call("c1", "search", q="1"), call("c2", "search", q="2")]),
                        T("1", "c1"), T("2", "c2"), A("", reasoning_content="R2", tool_calls=[call("c3", "get_weather", city="Z", days=-1)]), T("3", "c3")],
    "reasoned past": [U("q"), A("", reasoning_content="R1", tool_calls=[call("c1", "search", q="1")]), T("1", "c1"), A("Fine.", reasoning_content="R2"), U("next")],
}
unordered = {"unordered results": two + [T("second", "c2"), T("first", "c1"), U("and?")], "result, then user": one + [T("22", "c1"), U("and?")]}
developers = {
    "developer": [S("s"), D("Do it", tools=[weather])],
    "old developer": [D("Do it"), A("Did", reasoning_content="R"), U("x")],
    "developer format": [D("Do it", response_format={"type": "object"}), A("Did", reasoning_content="R")],
}
reminders = {"reminder": [S("s"), U("a"), A("b"), U("c"), R("2026-11-24")], "reminder before": [R("2026"), U("a")]}
tasks = {f"task {t}": [U("a"), A("b"), U("c", task=t)] for t in ("action", "query", "authority", "domain", "read_url")}
tasks["task title"] = [U("a"), A("b", task="title")]
tasks["after a task"] = [U("a", task="query"), A("b"), U("c")]


def table():
    every = lambda *groups: {k: v for g in groups for k, v in g.items()}
    for name, messages in every(plain, systems, {"prefix": prefix["prefix"]}).items():
        yield "llm", name, messages, {}
        yield "coder", name, messages, {}
    for name, messages in every(plain, systems, prefix, calls).items():
        yield "v3", name, messages, dict(published=True)
    # The template of the distilled models takes the last system message alone.
    for name, messages in every(plain, prefix, inline, calls).items():
        yield "r1", name, messages, dict(published=True)
    for name, messages in every(plain, systems, prefix, inline).items():
        yield "r1-0528", name, messages, {}
    for name, messages in every(calls, spoken).items():
        messages = [dict(m, content="") if m.get("content") is None else m for m in messages]
        yield "r1-0528", name, messages, {}
    for thinking in (False, True):
        for name, messages in every(plain, systems, prefix, inline, thought, calls, spoken).items():
            yield "v3.1", name, messages, dict(thinking=thinking)
        for name in ("one", "system", "two calls, answer"):
            yield "v3.1", name + " with tools", every(plain, calls)[name], dict(thinking=thinking, tools=[weather, search])
        with_reasons = every(plain, systems, calls, spoken, reasoned, thought)
        for name, messages in every(with_reasons, developers).items():
            if thinking and name == "old developer":
                continue  # the published encoder drops the message and then counts on it
            yield "v3.2", name, messages, dict(thinking=thinking)
        for name, messages in every(with_reasons, developers, unordered, reminders, tasks, {"prefix": prefix["prefix"]}).items():
            for keep in ((False, True) if thinking else (False,)):
                yield "v4", name, messages, dict(thinking=thinking, keep_thinking=keep)
            yield "v4.1", name, messages, dict(thinking=thinking)
        for fmt in ("v3.2", "v4", "v4.1"):
            for name in ("one", "system", "reasoned rounds", "reasoned past"):
                yield fmt, name + " with tools", every(plain, reasoned)[name], dict(thinking=thinking, tools=[weather, search])
            yield fmt, "response format", plain["system"], dict(thinking=thinking, response_format=search["function"]["parameters"])
        for effort in ("high", "max"):
            yield "v4", "effort " + effort, plain["turns"], dict(thinking=thinking, effort=effort)


def load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def attach(messages, o):
    if not (o.get("tools") or o.get("response_format")):
        return messages
    messages = [dict(m) for m in messages]
    if messages[0]["role"] != "system":
        messages.insert(0, S(""))
    for key in ("tools", "response_format"):
        if o.get(key):
            messages[0][key] = o[key]
    return messages


def main():
    templates, encoders = map(pathlib.Path, sys.argv[1:3])
    code = {fmt: load(encoders / f"encoding_ds{name}.py") for fmt, name in (("v3.2", "v32"), ("v4", "v4"), ("v4.1", "v41"))}
    compiled = {}
    for fmt, name, messages, o in table():
        thinking = o.get("thinking", False)
        last = messages[-1]
        if fmt in code:
            given = attach(messages, o)
            for m in given:
                if m["role"] == "assistant" and m.get("prefix"):
                    m["wo_eos"] = True
            kind = dict(thinking_mode="thinking" if thinking else "chat", drop_thinking=not o.get("keep_thinking", False))
            if fmt != "v3.2":
                kind["reasoning_effort"] = o.get("effort")
            expected = code[fmt].encode_messages(given, **kind)
        else:
            if fmt not in compiled:
                compiled[fmt] = env.from_string((templates / f"{fmt}.jinja").read_text(encoding="utf-8").rstrip("\n"))
            shown = json.loads(json.dumps(messages))
            if last.get("prefix"):
                shown[-1]["content"] += "\0"  # the place to go on from
            expected = compiled[fmt].render(messages=shown, bos_token=BOS, eos_token=EOS, add_generation_prompt=not last.get("prefix"),
                                            thinking=thinking, tools=o.get("tools"))
            if last.get("prefix"):
                expected = expected[: expected.index("\0")]
        print(json.dumps(dict(format=fmt, name=name, options=o, messages=messages, expected=expected), ensure_ascii=False))


main()
