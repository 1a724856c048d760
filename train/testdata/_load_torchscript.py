"""python3 _load_torchscript.py FOLDER...: opens every TorchScript file that liebm export wrote there, and prints how
far its outputs, and a step along the energy's gradient, are from those in FOLDER/reference.npz (go test ./train
-run PyTorch).
"""
import glob
import os
import sys
import numpy as np
import torch

torch.set_num_threads(1)


def compare(folder):
    reference = {k: torch.from_numpy(v) for k, v in np.load(f"{folder}/reference.npz").items()}
    net = {os.path.basename(p)[:-3]: torch.jit.load(p).eval() for p in glob.glob(f"{folder}/*.pt")}
    assert set(net) == {"energy", "generator", "score"} | ({"encoder"} if "latent" in reference else set()), net.keys()
    x, images, score = reference["x"].requires_grad_(), reference["images"], net["score"]
    got = {"g": net["generator"](reference["m"]), "marginal": net["energy"](x)}
    got["gradient"], = torch.autograd.grad(got["marginal"].sum(), x, retain_graph=True)
    got.update({"score": score(images), "energy": score.energy(images), "cosine": score.cosine(images)})
    if "encoder" in net:
        got["latent"] = net["encoder"](x)
    if hasattr(net["energy"], "joint"):
        got["joint"] = net["energy"].joint(x, reference["z"])
    for name, y in got.items():
        size = reference[name].abs().max().item() or 1  # the cosine is 0 without a latent term
        off = (y - reference[name]).abs().max().item() / size
        print(f"{name}: off by {off:.3g} of {size:.3g}")
        assert off < 1e-5, name
    try:
        score(torch.nn.functional.pad(images, [1, 1]))
    except (RuntimeError, torch.jit.Error) as e:
        assert "use images [n," in str(e), e
    else:
        raise AssertionError("the score takes images of another size")


for path in sys.argv[1:]:
    print(path)
    compare(path)
