"""Renders the templates named as arguments with every conversation; writes a JSON list to stdout."""

import json
import sys

from conversations import variables
from peer import render

out = []
for path in sys.argv[1:]:
    with open(path, encoding="utf-8", newline="") as f:
        template = f.read()
    for name, given in variables():
        out.append({"file": path, "name": name, "template": template, "vars": given, **render(template, given)})
json.dump(out, sys.stdout)
