"""Writes inference.npz: q as Table 12 has it. Weights have liebm's names."""
import numpy as np
import torch
import torch.nn.functional as F

torch.manual_seed(5)
torch.set_num_threads(1)
out = {"versions": np.array([f"torch {torch.__version__}", f"numpy {np.__version__}"])}

for case, channels, stem, widths, size in [("stem", 3, 4, [5, 6, 4], 32), ("no_stem", 1, 0, [4, 6], 16)]:
    w, n = {}, channels
    def layer(name, *shape):
        w[name + ".weight"] = torch.randn(shape) / np.prod(shape[1:]) ** 0.5
    if stem:
        layer("stem", stem, n, 3, 3)
        n = stem
    for i, width in enumerate(widths):
        layer(f"convs.{i}", width, n, 4, 4)
        n = width
    for head in ["mean", "log_var"]:
        layer(head, 5, n, 4, 4)
        w[head + ".bias"] = torch.randn(5)

    x = torch.rand(2, channels, size, size, requires_grad=True)
    for t in w.values():
        t.requires_grad_()
    h = F.leaky_relu(F.conv2d(x, w["stem.weight"], padding=1), 0.2) if stem else x
    for i in range(len(widths)):
        h = F.leaky_relu(F.conv2d(h, w[f"convs.{i}.weight"], stride=2, padding=1), 0.2)
    mean, log_var = (F.conv2d(h, w[head + ".weight"], w[head + ".bias"])[:, :, 0, 0] for head in ["mean", "log_var"])
    probe = torch.randn(2, 2, 5)
    grads = torch.autograd.grad((mean * probe[0] + log_var * probe[1]).sum(), [x, *w.values()])
    arrays = {"x": x, "mean": mean, "log_var": log_var, "probe": probe, "dx": grads[0]}
    arrays |= {"w." + n: t for n, t in w.items()} | {"g." + n: g for n, g in zip(w, grads[1:])}
    out.update({f"{case}.{n}": np.ascontiguousarray(t.detach().numpy()) for n, t in arrays.items()})

np.savez("inference.npz", **out)
