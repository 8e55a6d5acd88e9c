"""Writes sampling.json: what a token is drawn from, by implementations that are not this project's.

    python make_sampling.py --llama DIR > sampling.json

DIR holds libllama.so of llama.cpp (0c1e570, the tree inside PyPI llama-cpp-python 0.3.36). The order is that of
package infer: bias, penalties, DRY, no-repeat n-grams, temperature, top-k, top-p, min-p, typical-p. Each step is

    bias, repetition, temperature, top-k, top-p, min-p, typical-p, no-repeat without a window   transformers 5.23
    presence, frequency, DRY                                                                     llama.cpp
    no-repeat with a window and exempt ids      the definition, searched by brute force

Every case: the sampling, the prompt, the answer so far, logits, and the ids that may be drawn with their
probabilities. Numbers are random.
"""

import argparse
import ctypes
import json
import os
import random
import sys

import torch
from transformers.generation import logits_process as lp

VOCAB = 80


class TokenData(ctypes.Structure):
    _fields_ = [("id", ctypes.c_int32), ("logit", ctypes.c_float), ("p", ctypes.c_float)]


class TokenDataArray(ctypes.Structure):
    _fields_ = [("data", ctypes.POINTER(TokenData)), ("size", ctypes.c_size_t),
                ("selected", ctypes.c_int64), ("sorted", ctypes.c_bool)]


class Vector(ctypes.Structure):
    """std::vector: begin, end, end of storage."""
    _fields_ = [("begin", ctypes.c_void_p), ("end", ctypes.c_void_p), ("cap", ctypes.c_void_p)]


class Llama:
    def __init__(self, folder):
        for name in ("libggml-base.so", "libggml-cpu.so", "libggml.so"):
            ctypes.CDLL(os.path.join(folder, name), mode=ctypes.RTLD_GLOBAL)
        self.lib = ctypes.CDLL(os.path.join(folder, "libllama.so"))
        self.lib.llama_sampler_init_penalties.restype = ctypes.c_void_p
        self.lib.llama_sampler_init_penalties.argtypes = [ctypes.c_int32, ctypes.c_int32] + [ctypes.c_float] * 3
        self.dry_init = self.lib["_Z30llama_sampler_init_dry_testingffiiRKSt6vectorIS_IiSaIiEESaIS1_EE"]
        self.dry_init.restype = ctypes.c_void_p
        self.dry_init.argtypes = [ctypes.c_float, ctypes.c_float, ctypes.c_int32, ctypes.c_int32, ctypes.c_void_p]
        self.lib.llama_sampler_accept.argtypes = [ctypes.c_void_p, ctypes.c_int32]
        self.lib.llama_sampler_apply.argtypes = [ctypes.c_void_p, ctypes.POINTER(TokenDataArray)]
        self.lib.llama_sampler_free.argtypes = [ctypes.c_void_p]

    def run(self, sampler, tokens, logits):
        for t in tokens:
            self.lib.llama_sampler_accept(sampler, t)
        data = (TokenData * len(logits))(*[(i, v, 0) for i, v in enumerate(logits.tolist())])
        array = TokenDataArray(data, len(logits), -1, False)
        self.lib.llama_sampler_apply(sampler, ctypes.byref(array))
        out = torch.empty_like(logits)
        for i in range(array.size):
            out[array.data[i].id] = array.data[i].logit
        self.lib.llama_sampler_free(sampler)
        return out

    def penalties(self, tokens, logits, window, presence, frequency):
        s = self.lib.llama_sampler_init_penalties(len(logits), window or 1 << 20, 1.0, frequency, presence)
        return self.run(s, tokens, logits)

    def dry(self, tokens, logits, d):
        inner = [(ctypes.c_int32 * 1)(b) for b in d.get("Breakers", [])]
        vectors = (Vector * max(1, len(inner)))()
        for v, a in zip(vectors, inner):
            v.begin = ctypes.addressof(a)
            v.end = v.cap = v.begin + 4
        outer = Vector(ctypes.addressof(vectors), ctypes.addressof(vectors) + 24 * len(inner),
                       ctypes.addressof(vectors) + 24 * len(inner))
        s = self.dry_init(d["Multiplier"], d["Base"], d["Allowed"], d.get("Window") or 4096, ctypes.addressof(outer))
        return self.run(s, tokens, logits)


def no_repeat(tokens, logits, n, window, exempt):
    """Bans t if the last n-1 tokens and t stand next to each other within the last `window` tokens."""
    if not window and not exempt:
        return lp.NoRepeatNGramLogitsProcessor(n)(torch.tensor([tokens]), logits[None])[0]
    out = logits.clone()
    last = tokens[-window:] if window else tokens
    grams = {tuple(last[i:i + n]) for i in range(len(last) - n + 1)}
    for t in range(len(logits)):
        if t not in exempt and len(tokens) >= n - 1 and tuple(tokens[len(tokens) - n + 1:] + [t]) in grams:
            out[t] = -float("inf")
    return out


def process(llama, s, prompt, made, logits):
    both = prompt + made
    x = logits.clone()
    if "Bias" in s:
        finite = {(int(i),): b for i, b in s["Bias"].items() if b is not None}
        x = lp.SequenceBiasLogitsProcessor(finite)(torch.tensor([both]), x[None])[0] if finite else x
        for i, b in s["Bias"].items():
            if b is None:
                x[int(i)] = -float("inf")
    if s.get("RepetitionPenalty"):
        seen = both[-s["PenaltyWindow"]:] if s.get("PenaltyWindow") else both
        x = lp.RepetitionPenaltyLogitsProcessor(s["RepetitionPenalty"])(torch.tensor([seen]), x[None])[0]
    if s.get("PresencePenalty") or s.get("FrequencyPenalty"):
        x = llama.penalties(made, x, s.get("PenaltyWindow", 0), s.get("PresencePenalty", 0), s.get("FrequencyPenalty", 0))
    if "DRY" in s:
        x = llama.dry(both, x, s["DRY"])
    if "NoRepeat" in s:
        n = s["NoRepeat"]
        x = no_repeat(both, x, n["N"], n.get("Window", 0), n.get("Exempt", []))
    x = x[None]
    ids = torch.tensor([both])
    x = lp.TemperatureLogitsWarper(s["Temperature"])(ids, x) if s["Temperature"] != 1 else x
    if s.get("TopK"):
        x = lp.TopKLogitsWarper(s["TopK"])(ids, x)
    if s.get("TopP"):
        x = lp.TopPLogitsWarper(s["TopP"])(ids, x)
    if s.get("MinP"):
        x = lp.MinPLogitsWarper(s["MinP"])(ids, x)
    if s.get("TypicalP"):
        x = lp.TypicalLogitsWarper(s["TypicalP"])(ids, x)
    return torch.softmax(x[0].double(), -1)


def settings(rng):
    """One case for every rule and cut alone, then mixtures."""
    cuts = [{"TopK": 5}, {"TopK": 70}, {"TopP": 0.3}, {"TopP": 0.95}, {"MinP": 0.05}, {"MinP": 0.5},
            {"TypicalP": 0.2}, {"TypicalP": 0.9}, {"TopK": 20, "TopP": 0.8, "MinP": 0.02},
            {"TopP": 0.9, "TypicalP": 0.7}, {"TopK": 30, "TypicalP": 0.5}]
    yield {"Temperature": 1.0}
    for c in cuts:
        yield {"Temperature": 1.0} | c
        yield {"Temperature": rng.choice([0.3, 0.6, 1.5])} | c
    rules = [{"RepetitionPenalty": 1.3}, {"RepetitionPenalty": 0.8}, {"RepetitionPenalty": 1.2, "PenaltyWindow": 6},
             {"PresencePenalty": 0.7}, {"FrequencyPenalty": 0.4}, {"FrequencyPenalty": -0.3},
             {"PresencePenalty": 1.1, "FrequencyPenalty": 0.2, "PenaltyWindow": 5},
             {"Bias": {"3": 2.5, "7": -1.0}}, {"Bias": {"1": None, "2": None, "60": 4.0}},
             {"DRY": {"Multiplier": 0.8, "Base": 1.75, "Allowed": 2}},
             {"DRY": {"Multiplier": 1.5, "Base": 1.2, "Allowed": 1}},
             {"DRY": {"Multiplier": 0.8, "Base": 1.75, "Allowed": 2, "Window": 12}},
             {"DRY": {"Multiplier": 0.8, "Base": 1.75, "Allowed": 1, "Breakers": [1]}},
             {"DRY": {"Multiplier": 0.8, "Base": 1.5, "Allowed": 1, "Breakers": [0, 4]}},
             {"NoRepeat": {"N": 2}}, {"NoRepeat": {"N": 3}}, {"NoRepeat": {"N": 1, "Window": 4}},
             {"NoRepeat": {"N": 2, "Window": 10, "Exempt": [2]}}, {"NoRepeat": {"N": 3, "Window": 20}}]
    for r in rules:
        yield {"Temperature": 1.0} | r
        yield {"Temperature": 0.8} | r | rng.choice(cuts)
    for _ in range(24):
        s = {"Temperature": rng.choice([0.5, 0.7, 1.0, 1.3])}
        for r in rng.sample(rules, 3):
            s |= r
        yield s | rng.choice(cuts)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--llama", required=True)
    llama = Llama(p.parse_args().llama)
    rng = random.Random(17)
    cases = []
    for s in settings(rng):
        # Few different tokens, so that the end repeats what came before.
        prompt = [rng.randrange(6) for _ in range(rng.randrange(1, 20))]
        made = [rng.randrange(6) for _ in range(rng.randrange(0, 20))]
        logits = torch.tensor([rng.gauss(0, 2.5) for _ in range(VOCAB)], dtype=torch.float32)
        probs = process(llama, s, prompt, made, logits)
        cases.append({
            "sampling": s, "prompt": prompt, "made": made, "logits": [round(v, 9) for v in logits.tolist()],
            "ids": [i for i in range(VOCAB) if probs[i] > 0],
            "probabilities": [float("%.9g" % probs[i]) for i in range(VOCAB) if probs[i] > 0],
        })
    sys.stdout.write("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")


if __name__ == "__main__":
    main()
