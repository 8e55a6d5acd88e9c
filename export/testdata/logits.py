"""Logits of transformers for the peer test: MODEL_DIR on the command line, token ids as JSON on stdin.

Prints one JSON list of logits [T][V]."""
import json
import sys

import torch
import transformers

model = transformers.AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=torch.float32)
model.eval()
ids = torch.tensor([json.load(sys.stdin)])
with torch.no_grad():
    print(json.dumps(model(ids).logits[0].tolist()))
