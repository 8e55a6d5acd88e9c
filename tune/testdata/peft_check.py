"""Loads an adapter with PEFT on its base and compares with the model into which it was merged.

Usage: peft_check.py BASE OUT   (OUT/adapter is the adapter, OUT the merged model). Needs torch, transformers, peft.
Prints one JSON object: adapters, the largest logit difference base-adapter and adapter-merged.
"""
import json
import sys
import warnings

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

warnings.simplefilter("ignore")
base, out = sys.argv[1:3]
ids = torch.tensor([[5, 17, 99, 30, 41, 7, 8, 100]])
with torch.no_grad():
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    plain = model(ids).logits
    adapted = PeftModel.from_pretrained(model, out + "/adapter")
    n = sum("lora_B" in name for name, _ in adapted.named_parameters())
    with_adapter = adapted(ids).logits
    merged = AutoModelForCausalLM.from_pretrained(out, dtype=torch.float32)(ids).logits
print(json.dumps({"adapters": n, "base_adapter": (plain - with_adapter).abs().max().item(), "adapter_merged": (with_adapter - merged).abs().max().item()}))
