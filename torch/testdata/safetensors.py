"""Writes reference.safetensors by hand from the format's description: 8 bytes of header length, a
JSON header, then the elements, row by row, little-endian. Tensors lie in the order below, which is
neither by name nor by size, and an odd number of bytes in front leaves the rest unaligned.
"""
import json
import struct

import numpy as np
import torch

torch.set_num_threads(1)
ramp = torch.arange(6).reshape(2, 3) - 2  # -2 .. 3
tensors = {
    "bool": ("BOOL", ramp > 0),
    "u8": ("U8", (ramp + 2).to(torch.uint8) * 51),
    "f32": ("F32", ramp.to(torch.float32) / 3),
    "f16": ("F16", ramp.to(torch.float16) / 3),
    "bf16": ("BF16", ramp.to(torch.bfloat16) / 3),
    "f64": ("F64", ramp.to(torch.float64) / 3),
    "i8": ("I8", (ramp * 32).to(torch.int8)),
    "i16": ("I16", ramp.to(torch.int16) * 10000),
    "i32": ("I32", (ramp * 5 * 10**8).to(torch.int32)),
    "i64": ("I64", ramp * 10**18),
    "scalar": ("F32", torch.tensor(2.5)),
    "empty": ("F32", torch.zeros(0, 3)),
    "näme with \"quotes\"": ("U8", torch.tensor([7], dtype=torch.uint8)),
}
header = {"__metadata__": {"torch": torch.__version__, "numpy": np.__version__, "step": "12"}}
body = b""
for name, (dtype, t) in tensors.items():
    raw = (t.view(torch.int16) if t.dtype == torch.bfloat16 else t).numpy().tobytes()
    header[name] = {"dtype": dtype, "shape": list(t.shape), "data_offsets": [len(body), len(body) + len(raw)]}
    body += raw
text = json.dumps(header).encode()
with open("reference.safetensors", "wb") as f:
    f.write(struct.pack("<Q", len(text)) + text + body)
