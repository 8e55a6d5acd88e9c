"""Scores the questions of files with lm-eval (EleutherAI, lm-evaluation-harness 0.4) and compares with `haenyeo eval`.

    haenyeo convert MODEL.gguf --out HF --type f32          # what transformers reads
    haenyeo eval HF --task FILE... --limit N --out OURS     # leaves OURS/items.jsonl
    python peer_lm_eval.py HF N OURS FILE...

Needs lm-eval, transformers, torch and zstandard. Each file becomes a task of lm-eval with its own templates, those of
the task that lm-eval has for such records. Prints for every file and score both values, and how far the log
probabilities of the choices are apart at most. Ends with 1 where a score differs by more than 0.2 points.
"""

import io
import json
import os
import re
import sys
import tempfile

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_OFFLINE", "1")

import lm_eval
import zstandard
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager
from lm_eval.tasks.kobest import utils as kobest
from lm_eval.tasks.xcopa import utils as xcopa

BOTH = [{"metric": "acc"}, {"metric": "acc_norm"}]


def records(path, n):
    f = open(path, "rb")
    if path.endswith(".zst"):
        f = zstandard.ZstdDecompressor().stream_reader(f)
    for i, line in enumerate(io.TextIOWrapper(f, "utf-8")):
        if i == n:
            return
        yield json.loads(line)


def adapt(doc, path):
    """Fields under the names that lm-eval's own tasks read; returns the document and the task's settings."""
    if "good" in doc:  # blimp/_template_yaml
        return {"good": doc["good"], "bad": doc["bad"]}, dict(
            doc_to_text="", doc_to_target=0, doc_to_choice="{{[good, bad]}}", metric_list=BOTH)
    if "context_options" in doc:  # winogrande
        return doc, dict(doc_to_text="gold", doc_to_target="continuation", doc_to_choice="context_options", metric_list=BOTH[:1])
    if "query" in doc:  # arc_easy, piqa: Question: ... Answer:
        q = doc["query"].rstrip()
        if q.startswith("Question:") or "\nQuestion:" in q:
            q += "\nAnswer:"
        return {"query": q, "choices": doc["choices"], "gold": doc["gold"]}, dict(
            doc_to_text="{{query}}", doc_to_target="gold", doc_to_choice="choices", metric_list=BOTH)
    if "premise" in doc and "kobest" in path:
        new = dict(doc, alternative_1=doc["choices"][0], alternative_2=doc["choices"][1])
        return {"text": kobest.copa_doc_to_text(new), "choices": kobest.copa_doc_to_choice(new), "gold": doc["label"]}, dict(
            doc_to_text="{{text}}", doc_to_target="gold", doc_to_choice="choices", metric_list=BOTH)
    if "premise" in doc:
        lang = os.path.basename(path).split(".")[0]
        new = dict(doc, choice1=doc["choices"][0], choice2=doc["choices"][1])
        return {"text": getattr(xcopa, "doc_to_text_" + lang)(new), "choices": xcopa.doc_to_choice(new), "gold": doc["label"]}, dict(
            doc_to_text="{{text}}", doc_to_target="gold", doc_to_choice="choices", metric_list=BOTH)
    if "choices" in doc and "context" in doc:  # kobest_hellaswag
        return {"text": "문장: " + doc["context"], "choices": doc["choices"], "gold": doc["label"]}, dict(
            doc_to_text="{{text}}", doc_to_target="gold", doc_to_choice="choices", metric_list=BOTH)
    if "passage" in doc:  # kobest_boolq
        return {"paragraph": doc["passage"], "question": doc["question"], "gold": doc["label"]}, dict(
            doc_to_text="{{paragraph}} 질문: {{question}} 답변: ", doc_to_target="gold", doc_to_choice=["아니오", "예"], metric_list=BOTH)
    if "question" in doc and "answer" in doc:  # gsm8k, without examples
        import yaml
        import lm_eval.tasks as tasks
        own = yaml.safe_load(open(os.path.join(os.path.dirname(tasks.__file__), "gsm8k", "gsm8k.yaml")))
        keep = ("doc_to_text", "metric_list", "generation_kwargs", "filter_list", "repeats")
        return {"question": doc["question"], "answer": "#### " + doc["answer"]}, dict(
            {k: own[k] for k in keep}, doc_to_target="{{answer}}", output_type="generate_until")
    sys.exit(f"{path}: no task of lm-eval is known for fields {sorted(doc)}")


def main():
    hf, n, ours, *files = sys.argv[1:]
    mine = {}
    for line in open(os.path.join(ours, "items.jsonl"), encoding="utf-8"):
        x = json.loads(line)
        mine.setdefault(x["task"], []).append(x)
    scratch = tempfile.mkdtemp()
    lm = HFLM(pretrained=hf, dtype="float32", device="cpu", batch_size=1)
    manager = TaskManager()
    bad = False
    for i, path in enumerate(files):
        docs = [adapt(d, path) for d in records(path, int(n))]
        data = os.path.join(scratch, f"{i}.jsonl")
        with open(data, "w", encoding="utf-8") as f:
            f.writelines(json.dumps(d, ensure_ascii=False) + "\n" for d, _ in docs)
        task = dict({"task": f"file_{i}", "dataset_path": "json", "dataset_kwargs": {"data_files": {"test": data}},
                     "test_split": "test", "output_type": "multiple_choice", "num_fewshot": 0}, **docs[0][1])
        result = lm_eval.simple_evaluate(model=lm, tasks=[task], task_manager=manager, log_samples=True, bootstrap_iters=0)
        name = re.sub(r"\.jsonl.*", "", path)
        own = next((v for k, v in mine.items() if name == k or name.endswith("/" + k)), None)
        if own is None:
            sys.exit(f"{path}: not among the tasks of {ours}/items.jsonl: {sorted(mine)}")
        score = {k: v for k, v in result["results"][f"file_{i}"].items() if isinstance(v, float) and "stderr" not in k}
        for key, theirs in sorted(score.items()):
            metric, _, kind = key.partition(",")
            metric = {"strict-match": "exact_match", "flexible-extract": "exact_match_flexible"}.get(kind, metric)
            us = sum(x["right"][metric] for x in own) / len(own)
            bad |= abs(us - theirs) > 0.002
            print(f"{name:60} {metric:22} ours {100 * us:6.2f}  lm-eval {100 * theirs:6.2f}  of {len(own)}", flush=True)
        samples = sorted(result["samples"][f"file_{i}"], key=lambda s: s["doc_id"])
        if "choices" in own[0]:
            far = max(abs(float(r[0]) - c["logprob"]) for s, x in zip(samples, own)
                      for r, c in zip(s["filtered_resps"], x["choices"], strict=True))
            print(f"{name:60} log probabilities differ by at most {far:.2g}", flush=True)
    sys.exit(bad)


main()
