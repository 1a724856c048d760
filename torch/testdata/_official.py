"""Writes official.safetensors with the format's own library. make golden leaves it out, since Debian 12
has no python3-safetensors; Debian 13 has 0.5, with which the file was made (and 0.8 makes the same
bytes). Run with a file as argument it reads that instead and prints what it finds.
"""
import sys

sys.path.pop(0)  # a script beside this one is called safetensors.py

import torch
from safetensors import safe_open
from safetensors.torch import save_file

ramp = torch.arange(6).reshape(2, 3) - 2  # -2 .. 3
if len(sys.argv) > 1:
    with safe_open(sys.argv[1], "pt") as f:
        print(f.metadata())
        for name in f.keys():
            t = f.get_tensor(name)
            print(repr(name), t.dtype, tuple(t.shape), t.tolist())
    sys.exit()
state = {"x." + d: ramp.to(getattr(torch, d)) for d in "uint8 int8 int16 int32 int64 float16 float32 float64 bool bfloat16".split()}
state["a.float32"] = ramp.to(torch.float32)
state["scalar"] = torch.tensor(2.5)
state["empty"] = torch.zeros(0, 3)
state["half.empty"] = torch.zeros(2, 0, dtype=torch.float16)
state["quo\"te & <näme>\u2028"] = torch.tensor([7], dtype=torch.uint8)
save_file(state, "official.safetensors", {"note": "ε & <\"δ\">\n\x01\u2028"})  # of several, the order is random
