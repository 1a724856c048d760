"""Writes energy.npz: E in its plain form, as Table 12 has it: convolve, then pool; the
shortcut convolves before it pools; nothing fused. Weights have liebm's names.
"""
import numpy as np
import torch
import torch.nn.functional as F

torch.manual_seed(3)
torch.set_num_threads(1)
out = {"versions": np.array([f"torch {torch.__version__}", f"numpy {np.__version__}"])}
GAMMA = 0.3


def make(channels, widths, downs, fdim, hdim, zdim, bias, spectral, linear):
    w = {}

    def layer(name, shape, bias):
        fan_in = int(np.prod(shape[1:]))
        w[name + ".weight"] = torch.randn(shape) * (2 / fan_in) ** 0.5
        if bias:
            w[name + ".bias"] = torch.randn(shape[0]) / 2
        if spectral:  # any unit vectors: the estimate of the norm need not be good
            w[name + ".weight_u"] = F.normalize(torch.randn(shape[0]), dim=0)
            w[name + ".weight_v"] = F.normalize(torch.randn(fan_in), dim=0)

    n = channels
    for i, (width, down) in enumerate(zip(widths, downs)):
        layer(f"blocks.{i}.conv1", (width, n, 3, 3), bias)
        layer(f"blocks.{i}.conv2", (width, width, 3, 3), bias)
        if n != width or down:
            layer(f"blocks.{i}.skip", (width, n, 1, 1), bias)
        n = width
    if fdim:
        layer("out", (fdim, n), bias)
    fdim = fdim or n
    layer("head1", (hdim, fdim), True)
    layer("head2", (zdim, hdim), True)
    if linear:
        layer("f", (1, fdim), True if linear == "bias" else False)
    return w


def weight(w, name):
    """W, divided by u'Wv where there are u and v."""
    m = w[name + ".weight"]
    if name + ".weight_u" not in w:
        return m
    sigma = torch.dot(w[name + ".weight_u"], torch.mv(m.reshape(m.shape[0], -1), w[name + ".weight_v"]))
    return m / sigma


def energy(w, downs, x):
    def conv(name, x, padding):
        return F.conv2d(x, weight(w, name), w.get(name + ".bias"), padding=padding)

    def linear(name, x):
        return F.linear(x, weight(w, name), w.get(name + ".bias"))

    for i, down in enumerate(downs):
        h = x if i == 0 else F.relu(x)
        h = conv(f"blocks.{i}.conv2", F.relu(conv(f"blocks.{i}.conv1", h, 1)), 1)
        shortcut = conv(f"blocks.{i}.skip", x, 0) if f"blocks.{i}.skip.weight" in w else x
        if down:
            h, shortcut = F.avg_pool2d(h, 2), F.avg_pool2d(shortcut, 2)
        x = h + shortcut
    f = F.relu(x).mean(dim=(2, 3))
    if "out.weight" in w:
        f = linear("out", f)
    score = linear("f", f)[:, 0] if "f.weight" in w else -0.5 * (f**2).sum(1)
    return f, score, linear("head2", F.relu(linear("head1", f)))


for case, channels, widths, downs, size, bias, spectral, linear in [
    ("bias", 3, [4, 6, 6, 5], [1, 1, 0, 0], (12, 12), True, False, False),
    ("no_bias", 3, [4, 4, 4, 4], [1, 1, 0, 0], (8, 8), False, False, False),
    ("spectral", 1, [4, 6, 6], [1, 0, 0], (8, 8), True, True, False),
    ("linear_f", 3, [3, 4, 5], [1, 1, 1], (16, 16), False, True, True),
    ("pooled", 3, [4, 5], [1, 0], (8, 8), False, True, True),
]:
    w = make(channels, widths, downs, 0 if case == "pooled" else 7, 9, 6, bias, spectral, linear)
    x, z = torch.rand(3, channels, *size) * 2 - 1, F.normalize(torch.randn(3, 6), dim=1)
    learnt = [n for n in w if not n.endswith(("_u", "_v"))]
    for t in [x, *(w[n] for n in learnt)]:
        t.requires_grad_()
    f, score, latent = energy(w, downs, x)
    cosine = F.cosine_similarity(latent, z, dim=1)
    joint = score + GAMMA * cosine
    probe = torch.randn(2, 3)
    grads = torch.autograd.grad((probe[0] * score + probe[1] * joint).sum(), [x, *(w[n] for n in learnt)], retain_graph=True)
    dx, = torch.autograd.grad(score.sum(), x)  # what a Langevin step of Eq. 9 follows
    arrays = {"x": x, "z": z, "features": f, "score": score, "cosine": cosine, "joint": joint, "probe": probe, "dx": grads[0], "dscore": dx}
    arrays |= {"w." + n: t for n, t in w.items()} | {"g." + n: g for n, g in zip(learnt, grads[1:])}
    out.update({f"{case}.{n}": np.ascontiguousarray(t.detach().numpy()) for n, t in arrays.items()})

np.savez("energy.npz", **out)
