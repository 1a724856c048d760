"""python3 _load_torchscript.py FOLDER: loads the TorchScript that liebm export wrote there, and prints how far
its outputs, and a step along the energy's gradient, are from those in FOLDER/reference.npz (go test ./train
-run PyTorch).
"""
import sys
import numpy as np
import torch

torch.set_num_threads(1)
folder = sys.argv[1]
reference = {k: torch.from_numpy(v) for k, v in np.load(f"{folder}/reference.npz").items()}
energy, generator = torch.jit.load(f"{folder}/energy.pt").eval(), torch.jit.load(f"{folder}/generator.pt").eval()
x = reference["x"].requires_grad_()
got = {"g": generator(reference["m"]), "marginal": energy(x), "joint": energy.joint(x, reference["z"])}
got["gradient"], = torch.autograd.grad(got["marginal"].sum(), x, retain_graph=True)
worst = 0
for name, y in got.items():
    off = ((y - reference[name]).abs().max() / max(1, reference[name].abs().max())).item()
    worst = max(worst, off)
    print(f"{name}: off by {off:.3g} of {max(1, reference[name].abs().max().item()):.3g}")
assert worst < 1e-5, worst
