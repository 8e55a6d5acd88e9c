"""Conversations to render chat templates with: every shape that clients send."""

TOKENS = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather <now> at a place & \"more\"",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "description": "The city, e.g. 제주"},
                "unit": {"type": "string", "enum": ["c", "f"], "default": "c"},
                "days": {"type": ["integer", "null"], "minimum": 1},
                "at": {"type": "object", "properties": {"lat": {"type": "number"}, "lon": {"type": "number"}}, "required": ["lat"]},
                "tags": {"type": "array", "items": {"type": "string"}},
            },
            "required": ["city"],
        },
    },
}

SEARCH = {
    "type": "function",
    "function": {
        "name": "search",
        "description": "Look it up",
        "parameters": {"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]},
        "return": {"type": "string", "description": "found text"},
    },
}


def user(text):
    return {"role": "user", "content": text}


def assistant(text, **more):
    return {"role": "assistant", "content": text, **more}


def system(text):
    return {"role": "system", "content": text}


def call(name, arguments, id="call00001"):
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def tool(text, id="call00001", name="get_weather"):
    return {"role": "tool", "tool_call_id": id, "name": name, "content": text}


LONG = [
    system("You are  terse.\n"),
    user("Hi <|im_end|> & 'you' \"there\""),
    assistant("Hello.\n"),
    user("  What is 1+1?  \n"),
    assistant("<think>\nsimple\n</think>\n\n2"),
    user("안녕 🌊\tagain"),
]

TOOLED = [
    system("Use tools."),
    user("Weather in Jeju?"),
    assistant("", tool_calls=[call("get_weather", {"city": "제주", "days": 2, "at": {"lat": 33.5, "lon": 126.0}, "ok": True, "none": None})]),
    tool('{"temp": 21.5, "sky": "맑음"}'),
    assistant("21.5 degrees."),
    user("And tomorrow?"),
]

PARALLEL = [
    user("Weather in two places?"),
    assistant(
        "Let me look.",
        reasoning_content="Two calls\nare needed.",
        tool_calls=[call("get_weather", {"city": "Seoul"}, "call00001"), call("search", {"q": "a \"b\" <c>"}, "call00002")],
    ),
    tool("sunny", "call00001"),
    tool("nothing", "call00002", "search"),
]

STRINGS = [
    user("Weather?"),
    assistant(None, tool_calls=[call("get_weather", '{"city": "Paris", "days": 1}')]),
    tool("rain"),
]

PARTS = [
    {"role": "system", "content": [{"type": "text", "text": "You see."}]},
    {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": "x"}}]},
    {"role": "assistant", "content": [{"type": "text", "text": "A gull."}]},
    {"role": "user", "content": [{"type": "text", "text": "Sure?"}]},
]

MESSAGES = {
    "one": [user("Hello")],
    "empty": [],
    "long": LONG,
    "turns": LONG[1:4],
    "system only": [system("Just this.")],
    "developer": [{"role": "developer", "content": "Be kind."}, user("ok?")],
    "prefix": [user("Count"), assistant("one, two,")],
    "two users": [user("a"), user("b")],
    "thinking": [user("why"), assistant("because", reasoning_content="hm\n\nso"), user("and?")],
    "tools": TOOLED,
    "parallel": PARALLEL,
    "string arguments": STRINGS,
    "parts": PARTS,
    "no content": [user("x"), {"role": "assistant", "tool_calls": [call("search", {"q": "y"})]}, tool("z", name="search")],
    "strange role": [{"role": "observer", "content": "hm"}, user("x")],
}


def variables():
    """Yields (name, variables) of every rendering."""
    for name, messages in MESSAGES.items():
        for generation in (True, False):
            base = {"messages": messages, "tools": None, "documents": None, "add_generation_prompt": generation, **TOKENS}
            yield f"{name}, generation {generation}", base
            with_tools = {**base, "tools": [WEATHER, SEARCH]}
            yield f"{name}, generation {generation}, tools", with_tools
        yield f"{name}, thinking on", {**with_tools, "add_generation_prompt": True, "enable_thinking": True, "thinking": True, "reasoning_effort": "high"}
        yield f"{name}, thinking off", {**base, "add_generation_prompt": True, "enable_thinking": False, "thinking": False, "reasoning_effort": "low"}
    docs = [{"title": "Tides", "text": "High at six.", "doc_id": 3}, {"title": "Sea", "text": "Cold <b>.", "doc_id": 4}]
    yield "documents", {**base, "messages": LONG, "documents": docs}
    yield "custom", {**base, "messages": LONG, "tools": [WEATHER], "date_string": "1 Jan 2026", "custom_tools": None,
                     "builtin_tools": ["search"], "model_identity": "You are H.", "tools_in_user_message": False}
