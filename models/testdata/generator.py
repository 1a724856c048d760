"""Writes generator.npz: G in its plain form, as Table 12 has it; the shortcut upsamples
before its 1x1 convolution. Weights have liebm's names.
"""
import numpy as np
import torch
import torch.nn.functional as F

torch.manual_seed(4)
torch.set_num_threads(1)
out = {"versions": np.array([f"torch {torch.__version__}", f"numpy {np.__version__}"])}


def make(channels, dim, widths):
    w = {}

    def layer(name, *shape):
        w[name + ".weight"] = torch.randn(shape) / np.prod(shape[1:]) ** 0.5
        w[name + ".bias"] = torch.randn(shape[0]) / 2

    def norm(name, n):
        w[name + ".weight"], w[name + ".bias"] = torch.rand(n) + 0.5, torch.randn(n) / 2
        w[name + ".running_mean"], w[name + ".running_var"] = torch.randn(n) / 2, torch.rand(n) + 0.5

    layer("in", widths[0] * 16, dim)
    for i, (n, width) in enumerate(zip(widths, widths[1:])):
        norm(f"blocks.{i}.bn1", n)
        layer(f"blocks.{i}.conv1", width, n, 3, 3)
        norm(f"blocks.{i}.bn2", width)
        layer(f"blocks.{i}.conv2", width, width, 3, 3)
        layer(f"blocks.{i}.skip", width, n, 1, 1)
    norm("bn", widths[-1])
    layer("out", channels, widths[-1], 3, 3)
    return w


def generator(w, widths, m, low, training):
    def conv(name, x, padding):
        return F.conv2d(x, w[name + ".weight"], w[name + ".bias"], padding=padding)

    def norm(name, x):
        return F.batch_norm(x, w[name + ".running_mean"], w[name + ".running_var"], w[name + ".weight"], w[name + ".bias"],
                            training=training, momentum=0.1, eps=1e-5)

    def up(x):
        return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)

    x = F.linear(m, w["in.weight"], w["in.bias"]).view(-1, widths[0], 4, 4)
    for i in range(len(widths) - 1):
        h = conv(f"blocks.{i}.conv1", up(F.relu(norm(f"blocks.{i}.bn1", x))), 1)
        h = conv(f"blocks.{i}.conv2", F.relu(norm(f"blocks.{i}.bn2", h)), 1)
        x = h + conv(f"blocks.{i}.skip", up(x), 0)
    x = torch.tanh(conv("out", F.relu(norm("bn", x)), 1))
    return (x + 1) / 2 if low == 0 else x


for case, channels, widths, low in [("unit", 3, [6, 5, 4], 0), ("symmetric", 1, [4, 4, 3], -1)]:
    w = make(channels, 5, widths)
    m = torch.randn(3, 5)
    learnt = [n for n in w if "running" not in n]
    out.update({f"{case}.w.{n}": t.numpy().copy() for n, t in w.items()})
    for t in [m, *(w[n] for n in learnt)]:
        t.requires_grad_()
    for mode in ["eval", "train"]:  # train last: it moves the statistics
        x = generator(w, widths, m, low, mode == "train")
        probe = torch.randn(x.shape)
        grads = torch.autograd.grad((x * probe).sum(), [m, *(w[n] for n in learnt)])
        arrays = {"x": x, "probe": probe, "dm": grads[0]} | {"g." + n: g for n, g in zip(learnt, grads[1:])}
        out.update({f"{case}.{mode}.{n}": np.ascontiguousarray(t.detach().numpy()) for n, t in arrays.items()})
    out[f"{case}.m"] = m.detach().numpy()
    out.update({f"{case}.moved.{n}": w[n].numpy() for n in w if "running" in n})

np.savez("generator.npz", **out)
