"""Renders templates with Python's Jinja2 exactly as transformers does.

In (stdin): a JSON list of {"template": ..., "vars": {...}}. Out (stdout): a JSON list of {"text": ...} or {"error": ...}.
The clock stands at 2026-02-03 04:05:06.
"""

import datetime as dt
import json
import signal
import sys

import transformers.utils.chat_template_utils as ctu


class Stopped(dt.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(2026, 2, 3, 4, 5, 6)


ctu.datetime = Stopped


def render(template, variables):
    try:
        signal.alarm(20)
        text = ctu._compile_jinja_template(template).render(**variables)
        text.encode("utf-8")
        return {"text": text}
    except BaseException as e:
        return {"error": f"{type(e).__name__}: {e}"}
    finally:
        signal.alarm(0)


def timeout(*_):
    raise TimeoutError


signal.signal(signal.SIGALRM, timeout)

if __name__ == "__main__":
    json.dump([render(r["template"], r["vars"]) for r in json.load(sys.stdin)], sys.stdout, ensure_ascii=True)
