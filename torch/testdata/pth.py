"""Writes the .pth files: what torch.save makes of one checkpoint in both forms, and files that only
older programs, other machines or attackers write. checkpoint.torch2.pth is checkpoint.zip.pth as
PyTorch 2.14 writes it.
"""
import collections
import io
import os
import pickle
import struct
import zipfile

import torch

torch.set_num_threads(1)
ramp = torch.arange(6).reshape(2, 3) - 2  # -2 .. 3
state = collections.OrderedDict()
for name in "uint8 int8 int16 int32 int64 float16 float32 float64 bool bfloat16".split():
    state["x." + name] = ramp.to(getattr(torch, name))
base = torch.arange(24, dtype=torch.float32)
state["whole"] = base
state["part"] = base[5:8]
state["permuted"] = base.reshape(2, 3, 4).permute(2, 0, 1)
state["scalar"] = torch.tensor(2.5)
state["empty"] = torch.zeros(0, 3)
state["expanded"] = torch.ones(1).expand(3)
state["parameter"] = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
state._metadata = collections.OrderedDict([("", {"version": 1})])
checkpoint = {
    "model": state,
    "optimizer": {"state": {0: {"step": torch.tensor(4.0)}}, "param_groups": [{"lr": 0.5, "betas": (0.5, 0.999), "params": [0]}]},
    "epoch": 3,
    "done": True,
    "name": "näme",
    "none": None,
    "large": 2**70,
    "size": torch.Size([2, 3]),
    "dtype": torch.float32,
    "device": torch.device("cpu"),
}
torch.save(checkpoint, "checkpoint.zip.pth")
torch.save(checkpoint, "checkpoint.legacy.pth", _use_new_zipfile_serialization=False)
torch.save(checkpoint, "checkpoint.protocol4.pth", pickle_protocol=4)
torch.save(ramp, "tensor.pth")
torch.save(torch.nn.Linear(1, 1), "model.pth")


class Evil:
    def __reduce__(self):
        return os.system, ("true",)


torch.save({"weight": Evil()}, "evil.pth")
torch.jit.script(torch.nn.Linear(1, 1)).save("script.pth")

# A machine with the other byte order.
small = io.BytesIO()
torch.save({"x": ramp.to(torch.int32), "h": ramp.to(torch.float16)}, small)
with zipfile.ZipFile(small) as old, zipfile.ZipFile("bigendian.pth", "w") as new:
    for f in old.namelist():
        data = old.read(f)
        if "/data/" in f:
            size = len(data) // 6
            data = b"".join(data[i : i + size][::-1] for i in range(0, len(data), size))
        new.writestr(f, data)
    new.writestr("archive/byteorder", "big")


# A view as PyTorch 0.3 saved it: elements 4 to 9 of the storage "1", named by the persistent id.
class Pickler(pickle.Pickler):
    def persistent_id(self, obj):
        return obj.id if isinstance(obj, Stored) else None


class Stored:
    def __init__(self, *id):
        self.id = ("storage", torch.FloatStorage, "1", "cpu", 24, id or None)


class Rebuilt:
    def __init__(self, *args):
        self.args = args

    def __reduce__(self):
        return torch._utils._rebuild_tensor, self.args


out = io.BytesIO()
for value in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}):
    pickle.dump(value, out, protocol=2)
Pickler(out, protocol=2).dump({"all": Rebuilt(Stored(), 0, (24,), (1,)), "view": Rebuilt(Stored("2", 4, 6), 1, (2, 2), (3, 1))})
pickle.dump(["1"], out, protocol=2)
out.write(struct.pack("<q", 24) + base.numpy().tobytes())
with open("view.pth", "wb") as f:
    f.write(out.getvalue())
