"""Writes encoder.npz: h as Table 12 has it, with each stem. Weights have liebm's names.

The same function with torchvision's own weights must give what torchvision's ResNet-18 gives: that
is checked here before anything is written.
"""
import numpy as np
import torch
import torch.nn.functional as F
import torchvision

torch.manual_seed(6)
torch.set_num_threads(1)
out = {"versions": np.array([f"torch {torch.__version__}", f"torchvision {torchvision.__version__}", f"numpy {np.__version__}"])}


def make(channels, stem, widths, blocks, hdim, zdim):
    w = {}

    def layer(name, *shape, bias=False):
        w[name + ".weight"] = torch.randn(shape) * (2 / np.prod(shape[1:])) ** 0.5
        if bias:
            w[name + ".bias"] = torch.randn(shape[0]) / 2

    def norm(name, n):
        w[name + ".weight"], w[name + ".bias"] = torch.rand(n) + 0.5, torch.randn(n) / 2
        w[name + ".running_mean"], w[name + ".running_var"] = torch.randn(n) / 2, torch.rand(n) + 0.5

    k = 7 if stem == "large" else 3
    layer("stem", widths[0], channels, k, k)
    norm("bn", widths[0])
    n = widths[0]
    for i, width in enumerate(widths):
        for j in range(blocks[i]):
            name = f"stages.{i}.{j}."
            layer(name + "conv1", width, n, 3, 3)
            norm(name + "bn1", width)
            layer(name + "conv2", width, width, 3, 3)
            norm(name + "bn2", width)
            if n != width or (i > 0 and j == 0):
                layer(name + "skip", width, n, 1, 1)
                norm(name + "skip_bn", width)
            n = width
    layer("head1", hdim, n, bias=True)
    norm("head_bn", hdim)
    layer("head2", zdim, hdim, bias=True)
    return w


def norm(w, name, x, training):
    return F.batch_norm(x, w[name + ".running_mean"], w[name + ".running_var"], w[name + ".weight"], w[name + ".bias"], training=training)


def backbone(w, stem, x, training):
    """x is normalised already."""
    x = F.conv2d(x, w["stem.weight"], stride=2 if stem == "large" else 1, padding=w["stem.weight"].shape[-1] // 2)
    x = F.relu(norm(w, "bn", x, training))
    if stem != "small":
        x = F.max_pool2d(x, 3, 2, 1)
    i = 0
    while f"stages.{i}.0.conv1.weight" in w:
        j = 0
        while f"stages.{i}.{j}.conv1.weight" in w:
            name = f"stages.{i}.{j}."
            stride = 2 if i > 0 and j == 0 else 1
            h = F.relu(norm(w, name + "bn1", F.conv2d(x, w[name + "conv1.weight"], stride=stride, padding=1), training))
            h = norm(w, name + "bn2", F.conv2d(h, w[name + "conv2.weight"], padding=1), training)
            if name + "skip.weight" in w:
                x = norm(w, name + "skip_bn", F.conv2d(x, w[name + "skip.weight"], stride=stride), training)
            x = F.relu(h + x)
            j += 1
        i += 1
    return x.mean(dim=(2, 3))


def encoder(w, stem, x, training):
    h = F.linear(backbone(w, stem, x, training), w["head1.weight"], w["head1.bias"])
    return F.linear(F.relu(norm(w, "head_bn", h, training)), w["head2.weight"], w["head2.bias"])


def check_against_torchvision():
    theirs = torchvision.models.resnet18()
    theirs.fc = torch.nn.Identity()
    with torch.no_grad():
        for name, t in theirs.named_buffers():
            if "running" in name:
                t.copy_(torch.rand(t.shape) + 0.5)
    ours = {}
    for name, t in theirs.state_dict().items():
        if name.startswith("layer"):
            stage, block, rest = name.split(".", 2)
            name = f"stages.{int(stage[5:]) - 1}.{block}." + rest.replace("downsample.0", "skip").replace("downsample.1", "skip_bn")
        else:
            name = name.replace("conv1", "stem").replace("bn1", "bn")
        ours[name] = t
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        for training in [False, True]:
            theirs.train(training)
            want = theirs(x)
            assert torch.allclose(want, backbone(ours, "large", x, training), atol=1e-4 * float(want.abs().max()))


check_against_torchvision()
for case, channels, low, size, widths, blocks in [("small", 3, 0, 12, [4, 6], [2, 1]), ("medium", 1, -1, 16, [4, 4, 5], [1, 1, 2]),
                                                  ("large", 3, -1, 20, [3, 4, 5], [1, 1, 1])]:
    w = make(channels, case, widths, blocks, 8, 6)
    mean, std = torch.rand(channels) * 0.3 + 0.3, torch.rand(channels) * 0.2 + 0.1
    x = torch.rand(3, channels, size, size) * (1 - low) + low
    learnt = [n for n in w if "running" not in n]
    out.update({f"{case}.w.{n}": t.numpy().copy() for n, t in w.items()})
    out.update({f"{case}.mean": mean.double().numpy(), f"{case}.std": std.double().numpy()})
    for t in [x, *(w[n] for n in learnt)]:
        t.requires_grad_()
    for mode in ["eval", "train"]:  # train last: it moves the statistics
        normalised = ((x - low) / (1 - low) - mean.view(-1, 1, 1)) / std.view(-1, 1, 1)
        y = encoder(w, case, normalised, mode == "train")
        z = F.normalize(y, dim=1) if mode == "eval" else y
        probe = torch.randn(z.shape)
        some = ["stem.weight", "bn.bias", "stages.0.0.bn1.weight", "stages.1.0.skip.weight", "stages.1.0.skip_bn.weight", "head2.bias"]
        grads = torch.autograd.grad((z * probe).sum(), [x, *(w[n] for n in some)])
        arrays = {"y": y, "z": z, "probe": probe, "dx": grads[0]}
        if mode == "eval":
            arrays["features"] = backbone(w, case, normalised, False)
        arrays |= {"g." + n: g for n, g in zip(some, grads[1:])}
        out.update({f"{case}.{mode}.{n}": np.ascontiguousarray(t.detach().numpy()) for n, t in arrays.items()})
    out[f"{case}.x"] = x.detach().numpy()
    out.update({f"{case}.moved.{n}": w[n].numpy() for n in w if "running" in n})

# What torchvision's ResNet-18 holds before its classifier, with each stem.
for case, k in [("small", 3), ("medium", 3), ("large", 7)]:
    theirs = torchvision.models.resnet18()
    theirs.fc, theirs.conv1 = torch.nn.Identity(), torch.nn.Conv2d(3, 64, k, bias=False)
    out[f"resnet18.{case}.parameters"] = np.array([sum(p.numel() for p in theirs.parameters())])

np.savez("encoder.npz", **out)
