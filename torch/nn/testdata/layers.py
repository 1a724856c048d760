"""Writes layers.npz: each layer's output and gradients as PyTorch computes them."""
import numpy as np
import torch
from torch import nn

torch.manual_seed(1)
torch.set_num_threads(1)
out = {"versions": np.array([f"torch {torch.__version__}", f"numpy {np.__version__}"])}


def save(case, **arrays):
    out.update({f"{case}.{name}": a.detach().numpy().copy() for name, a in arrays.items() if a is not None})


def record(case, layer, x):
    """Output and the gradients of sum(output * probe)."""
    x = x.clone().requires_grad_()
    y = layer(x)
    probe = torch.randn(y.shape)
    params = dict(layer.named_parameters())
    grads = torch.autograd.grad((y * probe).sum(), [x, *params.values()])
    save(case, x=x, out=y, probe=probe, dx=grads[0])
    for (name, p), g in zip(params.items(), grads[1:]):
        save(case, **{name: p, "d" + name: g})


record("linear", nn.Linear(7, 4), torch.randn(5, 7))
record("linear_no_bias", nn.Linear(7, 4, bias=False), torch.randn(5, 7))
record("conv_k3", nn.Conv2d(3, 4, 3, padding=1), torch.randn(2, 3, 6, 5))
record("conv_k4_stride_2", nn.Conv2d(3, 4, 4, stride=2, padding=1, bias=False), torch.randn(2, 3, 8, 6))
record("conv_k1", nn.Conv2d(5, 3, 1), torch.randn(2, 5, 4, 3))
record("conv_k7_stride_2", nn.Conv2d(2, 3, 7, stride=2, padding=3, bias=False), torch.randn(2, 2, 9, 11))
record("conv_k4_no_padding", nn.Conv2d(2, 3, 4), torch.randn(2, 2, 4, 4))

for case, make, shape in [("bn1d", nn.BatchNorm1d, (6, 5)), ("bn2d", nn.BatchNorm2d, (4, 5, 3, 6))]:
    bn = make(5)
    with torch.no_grad():
        bn.weight.copy_(torch.rand(5) + 0.5)
        bn.bias.copy_(torch.randn(5))
        bn.running_mean.copy_(torch.randn(5))
        bn.running_var.copy_(torch.rand(5) + 0.5)
    save(case, running_mean=bn.running_mean, running_var=bn.running_var)
    bn.train()
    record(case + "_train", bn, torch.randn(shape) * 2 + 1)
    save(case + "_train", running_mean=bn.running_mean, running_var=bn.running_var)
    bn.eval()  # with the statistics that the training step left
    record(case + "_eval", bn, torch.randn(shape))

for case, layer, x in [("sn_linear", nn.Linear(6, 4), torch.randn(3, 6)),
                       ("sn_conv", nn.Conv2d(3, 4, 3, padding=1, bias=False), torch.randn(2, 3, 5, 4))]:
    layer = nn.utils.spectral_norm(layer)
    save(case, weight=layer.weight_orig, bias=layer.bias, weight_u=layer.weight_u, weight_v=layer.weight_v)
    layer.eval()  # u and v as they are
    record(case + "_still", layer, x)
    layer.train()  # one power iteration, then the product
    record(case + "_moved", layer, x)
    save(case + "_moved", weight_u=layer.weight_u, weight_v=layer.weight_v)

np.savez("layers.npz", **out)
