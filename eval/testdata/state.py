"""Small files of torch.save in both of its forms: state.zip.pth, state.legacy.pth, and evil.pth, which asks for a function."""
import os, torch
torch.manual_seed(0)
x = torch.arange(24, dtype=torch.float32).reshape(2, 3, 4)
state = {"plain": x.clone(), "permuted": x.permute(2, 0, 1), "part": x.flatten()[5:8], "bn.num_batches_tracked": torch.tensor(3)}
from collections import OrderedDict
for form in ["zip", "legacy"]:
    torch.save(OrderedDict(state), f"state.{form}.pth", _use_new_zipfile_serialization=form == "zip")
torch.save(OrderedDict(half=x.double()), "double.pth")


class Evil:
    def __reduce__(self):
        return os.getcwd, ()


torch.save(OrderedDict(x=Evil()), "evil.pth")
