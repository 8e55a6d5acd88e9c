"""Loss and gradients of LoRA adapters by Hugging Face PEFT, for TestLoRAAgainstPEFT.

    python peft_lora.py MODEL_DIR WORK_DIR RANK ALPHA TARGET...

WORK_DIR/in.safetensors: tokens [B,T+1] and the adapters under our names; WORK_DIR/out.safetensors: loss, gradients.
"""
import sys

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

model_dir, work, rank, alpha, *targets = sys.argv[1:]
given = load_file(work + "/in.safetensors")
base = AutoModelForCausalLM.from_pretrained(model_dir, dtype=torch.float32, attn_implementation="eager")
model = get_peft_model(base, LoraConfig(r=int(rank), lora_alpha=float(alpha), target_modules=targets, lora_dropout=0.0))
adapters = {n.removeprefix("base_model.model.").replace(".default.", "."): p for n, p in model.named_parameters() if "lora_" in n}
tokens = given.pop("tokens").long()
assert set(adapters) == set(given), (sorted(adapters), sorted(given))
with torch.no_grad():
    for name, value in given.items():
        adapters[name].copy_(value)
logits = model(tokens[:, :-1]).logits
loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
loss.backward()
save_file({"loss": loss.detach().reshape(1), **{n: p.grad.contiguous() for n, p in adapters.items()}}, work + "/out.safetensors")
