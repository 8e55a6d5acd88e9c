# Encodes texts with the `tokenizers` library and, where it is installed, `transformers`.
#
# python encode.py DIR < texts > ids: texts is one JSON string a line; for each, one line of
# {"plain": ids without special tokens, "special": ids with them, "decoded": text of plain, "transformers": ids with them or null}.
import json
import sys

from tokenizers import Tokenizer

try:
    from transformers import AutoTokenizer, PreTrainedTokenizerFast
except ImportError:
    AutoTokenizer = None

folder = sys.argv[1]
fast = Tokenizer.from_file(folder + "/tokenizer.json")
whole = None
if AutoTokenizer:
    whole = PreTrainedTokenizerFast.from_pretrained(folder)
for line in sys.stdin.buffer.read().decode("utf-8").split("\n"):
    if not line:
        continue
    text = json.loads(line)
    plain = fast.encode(text, add_special_tokens=False).ids
    print(json.dumps({
        "plain": plain,
        "special": fast.encode(text).ids,
        "decoded": fast.decode(plain, skip_special_tokens=False),
        "transformers": whole(text)["input_ids"] if whole else None,
    }))
