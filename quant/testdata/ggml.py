"""Quantises or decodes rows with ggml's own library.

    python ggml.py FOLDER encode TYPE-ID BLOCK BLOCK-BYTES K [IMPORTANCE-FILE] < float32 rows > packed rows
    python ggml.py FOLDER decode NAME BLOCK BLOCK-BYTES < packed rows > float32 numbers

FOLDER holds libggml-base.so. NAME is the end of a symbol dequantize_row_NAME.
"""

import ctypes as C
import sys

folder, action, what, block, size, *rest = sys.argv[1:]
block, size = int(block), int(size)
lib = C.CDLL(folder + "/libggml-base.so")
data = sys.stdin.buffer.read()
if action == "encode":
    k = int(rest[0])
    n = len(data) // 4
    importance = open(rest[1], "rb").read() if len(rest) > 1 else None
    out = C.create_string_buffer(n // block * size)
    lib.ggml_quantize_chunk.restype = C.c_size_t
    lib.ggml_quantize_chunk.argtypes = [C.c_int, C.c_char_p, C.c_void_p, C.c_int64, C.c_int64, C.c_int64, C.c_char_p]
    lib.ggml_quantize_init.argtypes = [C.c_int]
    lib.ggml_quantize_init(int(what))
    lib.ggml_quantize_chunk(int(what), data, out, 0, n // k, k, importance)
else:
    n = len(data) // size * block
    out = C.create_string_buffer(4 * n)
    decode = getattr(lib, "dequantize_row_" + what)
    decode.argtypes = [C.c_char_p, C.c_void_p, C.c_int64]
    decode.restype = None
    decode(data, out, n)
sys.stdout.buffer.write(out.raw)
