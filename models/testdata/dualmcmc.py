"""Writes dualmcmc.*.pth, small checkpoints in the layout of Dual-MCMC (Cui & Han 2023), and dualmcmc.npz,
what its networks make of them. Names, shapes and order of operations are facts of its published files:

  netE  conv_1, block2, …: conv1, conv2 (3×3), sc (1×1, where the block halves); no biases; lin_<blocks+1> to one
        number, which is minimised; old-style spectral norm everywhere (weight_orig, weight_u, weight_v)
  netG  lin_1; block2, …: bn_1, relu, ×2, conv1, bn_2, relu, conv2, beside ×2 and sc; bn_<n>, relu, conv<n>, tanh
  netI  main.0, main.2, … with LeakyReLU 0.2 between; conv51 to μ, conv52 to log σ²

in one file with epoch, optG, optE and optI. Both released shapes are here, narrow: CIFAR-10's at 32 pixels
and CelebA's at 64. Its scripts never leave the training mode, so both modes are recorded: "moving" has one
power iteration in each evaluation of the energy, "batch" the batch's statistics.
"""
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(11)
torch.set_num_threads(1)
out = {"versions": np.array([f"torch {torch.__version__}", f"numpy {np.__version__}"])}


def convolution(n_in, n_out, k, bias=False, stride=1):
    return nn.Conv2d(n_in, n_out, k, stride, {4: 1, 3: 1, 1: 0}[k], bias=bias)


class Residual(nn.Module):
    """A block of either network: norm is whether it is G's."""

    def __init__(self, n_in, n_out, resizes, norm, first=False):
        super().__init__()
        self.resizes, self.first = resizes, first
        if norm:
            self.bn_1, self.bn_2 = nn.BatchNorm2d(n_in), nn.BatchNorm2d(n_out)
        self.conv1, self.conv2 = convolution(n_in, n_out, 3, norm), convolution(n_out, n_out, 3, norm)
        if resizes or n_in != n_out:
            self.sc = convolution(n_in, n_out, 1, norm)

    def energy(self, x):
        h = self.conv2(F.relu(self.conv1(x if self.first else F.relu(x))))
        skip = self.sc(x) if hasattr(self, "sc") else x
        return F.avg_pool2d(h, 2) + F.avg_pool2d(skip, 2) if self.resizes else h + skip

    def generator(self, x):
        up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
        h = self.conv2(F.relu(self.bn_2(self.conv1(up(F.relu(self.bn_1(x)))))))
        return h + self.sc(up(x))


class NetE(nn.Module):
    def __init__(self, widths, downs):
        super().__init__()
        self.blocks = ["conv_1"] + [f"block{i}" for i in range(2, len(widths) + 1)]
        for i, (n_in, n_out) in enumerate(zip([3] + widths, widths)):
            setattr(self, self.blocks[i], Residual(n_in, n_out, downs[i], False, i == 0))
        self.last = f"lin_{len(widths) + 1}"
        setattr(self, self.last, nn.Linear(widths[-1], 1, bias=False))
        for m in list(self.modules()):
            if isinstance(m, (nn.Conv2d, nn.Linear)):
                nn.utils.spectral_norm(m)

    def forward(self, x):
        for name in self.blocks:
            x = getattr(self, name).energy(x)
        return getattr(self, self.last)(F.relu(x).mean(dim=(2, 3)))


class NetG(nn.Module):
    def __init__(self, nz, widths):
        super().__init__()
        self.lin_1, self.n = nn.Linear(nz, 16 * widths[0]), len(widths) + 1
        for i, (n_in, n_out) in enumerate(zip(widths, widths[1:])):
            setattr(self, f"block{i + 2}", Residual(n_in, n_out, True, True))
        setattr(self, f"bn_{self.n}", nn.BatchNorm2d(widths[-1]))
        setattr(self, f"conv{self.n}", convolution(widths[-1], 3, 3, True))

    def forward(self, z):
        x = self.lin_1(z.flatten(1)).unflatten(1, (-1, 4, 4))
        for i in range(2, self.n):
            x = getattr(self, f"block{i}").generator(x)
        return torch.tanh(getattr(self, f"conv{self.n}")(F.relu(getattr(self, f"bn_{self.n}")(x))))


class NetI(nn.Module):
    def __init__(self, nz, widths, stem):
        super().__init__()
        layers = []
        for i, (n_in, n_out) in enumerate(zip([3] + widths, widths)):
            first = stem and i == 0
            layers += [convolution(n_in, n_out, 3) if first else convolution(n_in, n_out, 4, stride=2), nn.LeakyReLU(0.2)]
        self.main = nn.Sequential(*layers)
        self.conv51, self.conv52 = nn.Conv2d(widths[-1], nz, 4), nn.Conv2d(widths[-1], nz, 4)

    def forward(self, x):
        h = self.main(x)
        return self.conv51(h).flatten(1), self.conv52(h).flatten(1)


def chain(net_e, x, steps, step_size):
    """Dual-MCMC's Langevin dynamics without its noise: every state after x."""
    states = []
    for _ in range(steps):
        x = x.detach().requires_grad_()
        gradient, = torch.autograd.grad(net_e(x).sum(), x)
        x = x - 0.5 * step_size**2 * gradient
        states.append(x.detach())
    return states


def shake(net):
    """Weights as after some training: Xavier's, and norms that matter."""
    with torch.no_grad():
        for m in net.modules():
            if isinstance(m, nn.BatchNorm2d):
                for t in [m.weight, m.bias, m.running_mean]:
                    t.normal_(0.5, 0.5)
                m.running_var.uniform_(0.5, 2)
            elif isinstance(m, nn.Conv2d):
                nn.init.xavier_normal_(getattr(m, "weight_orig", m.weight))
    return net


for case, nz, wide_e, downs, wide_g, wide_i, stem, n, step_size in [
    ("cifar10", 6, [8, 8, 8, 8], [1, 1, 0, 0], [8, 8, 8, 8], [2, 4, 8, 16], True, 2, 20),
    ("celeba64", 5, [1, 2, 4, 8, 16], [1, 1, 1, 1, 1], [16, 8, 4, 2, 1], [2, 4, 8, 16], False, 1, 60),
]:
    makers = {"netG": lambda: NetG(nz, wide_g), "netE": lambda: NetE(wide_e, downs), "netI": lambda: NetI(nz, wide_i, stem)}
    net_g, net_e, net_i = (shake(make()) for make in makers.values())
    size = 2 ** (len(wide_g) + 1)
    m, x = torch.randn(n, nz), torch.rand(n, 3, size, size) * 2 - 1
    for _ in range(20):  # each moves the estimates of spectral norms, which shall be near their limits
        net_e(x)
    checkpoint = {"epoch": 7, "netG": net_g, "netE": net_e, "netI": net_i}
    if case == "cifar10":  # with its optimisers, as training leaves them
        for name, net, y in [("optG", net_g, net_g(m)), ("optE", net_e, net_e(x)), ("optI", net_i, net_i(x)[0])]:
            checkpoint[name] = torch.optim.Adam(net.parameters(), lr=1e-4, betas=(0.0, 0.9))
            torch.optim.lr_scheduler.ExponentialLR(checkpoint[name], 0.998)
            y.square().sum().backward()
            checkpoint[name].step()
    states = {k: v if k == "epoch" else v.state_dict() for k, v in checkpoint.items()}
    torch.save(states, f"dualmcmc.{case}.pth")

    moving, batch = makers["netE"](), makers["netG"]()
    moving.load_state_dict(states["netE"])
    batch.load_state_dict(states["netG"])
    for net in [net_e, net_g, net_i]:
        net.eval()
    x0 = net_g(m).detach()
    states = chain(net_e, x0, 10, step_size)
    mean, log_var = net_i(x)
    arrays = {"m": m, "x": x, "g": x0, "g_batch": batch(m[:, :, None, None]), "energy": -net_e(x)[:, 0], "mean": mean, "log_var": log_var,
              "x1": states[0], "xT": states[-1], "xT_moving": chain(moving, x0, 10, step_size)[-1], "delta2": torch.tensor(step_size**2.0)}
    print(case, "rms(xT - x0)", (states[-1] - x0).square().mean().sqrt().item(), "moving", (arrays["xT_moving"] - states[-1]).abs().max().item())
    out.update({f"{case}.{k}": np.ascontiguousarray(t.detach().numpy()) for k, t in arrays.items()})

np.savez("dualmcmc.npz", **out)
