"""Algorithm 1 as plain eager PyTorch would have it: the yardstick of `make bench`.

Networks as in Table 12, pooling after the convolutions, spectral norm by hooks (one power
iteration per forward in train mode), float32, NCHW. Prints one JSON line: seconds per iteration,
median, and the process's peak resident memory.

    /usr/bin/python3 _eager_step.py --energy 256,256,256,256 --downs 1,1,0,0 --generator 256,256,256,256 --batch 16
"""
import argparse, json, statistics, time
import torch, torch.nn as nn, torch.nn.functional as F
from torch.nn.utils import spectral_norm

p = argparse.ArgumentParser()
p.add_argument("--energy", default="256,256,256,256")
p.add_argument("--downs", default="1,1,0,0")
p.add_argument("--generator", default="256,256,256,256")
p.add_argument("--channels", type=int, default=3)
p.add_argument("--batch", type=int, default=16)
p.add_argument("--steps", type=int, default=15)
p.add_argument("--iters", type=int, default=3)
p.add_argument("--threads", type=int, default=2)
p.add_argument("--encoder", default="64,128,256,512")
p.add_argument("--blocks", type=int, default=2)
p.add_argument("--head", type=int, default=1024)
p.add_argument("--no-sn", action="store_true")
p.add_argument("--bias", action="store_true")
a = p.parse_args()
torch.set_num_threads(a.threads)
torch.manual_seed(1)
sn = (lambda m: m) if a.no_sn else spectral_norm


class EBlock(nn.Module):
    def __init__(self, i, o, down, first):
        super().__init__()
        self.c1 = sn(nn.Conv2d(i, o, 3, padding=1, bias=a.bias))
        self.c2 = sn(nn.Conv2d(o, o, 3, padding=1, bias=a.bias))
        self.sc = sn(nn.Conv2d(i, o, 1, bias=a.bias)) if i != o or down else None
        self.down, self.first = down, first

    def forward(self, x):
        h = x if self.first else F.relu(x)
        h = self.c2(F.relu(self.c1(h)))
        s = x if self.sc is None else self.sc(x)
        if self.down:
            h, s = F.avg_pool2d(h, 2), F.avg_pool2d(s, 2)
        return h + s


class E(nn.Module):
    def __init__(self, c, widths, downs):
        super().__init__()
        ins = [c] + widths[:-1]
        self.blocks = nn.Sequential(*[EBlock(i, o, d, k == 0) for k, (i, o, d) in enumerate(zip(ins, widths, downs))])
        self.out = sn(nn.Linear(widths[-1], 512, bias=a.bias))
        self.g = nn.Sequential(sn(nn.Linear(512, 1024)), nn.ReLU(), sn(nn.Linear(1024, 64)))

    def f(self, x):
        return self.out(F.relu(self.blocks(x)).mean((2, 3)))

    def forward(self, x, z=None):
        f = self.f(x)
        e = -0.5 * (f * f).sum(1)
        return e if z is None else e + 0.01 * F.cosine_similarity(self.g(f), z)


class GBlock(nn.Module):
    def __init__(self, i, o):
        super().__init__()
        self.b1, self.c1 = nn.BatchNorm2d(i), nn.Conv2d(i, o, 3, padding=1)
        self.b2, self.c2 = nn.BatchNorm2d(o), nn.Conv2d(o, o, 3, padding=1)
        self.sc = nn.Conv2d(i, o, 1)

    def forward(self, x):
        up = lambda t: F.interpolate(t, scale_factor=2, mode="bilinear", align_corners=True)
        h = self.c1(up(F.relu(self.b1(x))))
        return self.c2(F.relu(self.b2(h))) + self.sc(up(x))


class G(nn.Module):
    def __init__(self, c, widths):
        super().__init__()
        self.w, self.lin = widths[0], nn.Linear(128, 16 * widths[0])
        self.blocks = nn.Sequential(*[GBlock(i, o) for i, o in zip(widths, widths[1:])])
        self.bn, self.out = nn.BatchNorm2d(widths[-1]), nn.Conv2d(widths[-1], c, 3, padding=1)

    def forward(self, m):
        return torch.tanh(self.out(F.relu(self.bn(self.blocks(self.lin(m).view(-1, self.w, 4, 4))))))


class RBlock(nn.Module):
    def __init__(self, i, o, s):
        super().__init__()
        self.c1, self.b1 = nn.Conv2d(i, o, 3, s, 1, bias=False), nn.BatchNorm2d(o)
        self.c2, self.b2 = nn.Conv2d(o, o, 3, 1, 1, bias=False), nn.BatchNorm2d(o)
        self.sc = nn.Sequential(nn.Conv2d(i, o, 1, s, bias=False), nn.BatchNorm2d(o)) if s != 1 or i != o else nn.Identity()

    def forward(self, x):
        return F.relu(self.b2(self.c2(F.relu(self.b1(self.c1(x))))) + self.sc(x))


class H(nn.Module):
    def __init__(self, c, ws, blocks):
        super().__init__()
        layers, i = [nn.Conv2d(c, ws[0], 3, 1, 1, bias=False), nn.BatchNorm2d(ws[0]), nn.ReLU()], ws[0]
        for k, o in enumerate(ws):
            for j in range(blocks):
                layers.append(RBlock(i, o, 2 if k and not j else 1))
                i = o
        self.body = nn.Sequential(*layers)
        self.head = nn.Sequential(nn.Linear(i, a.head), nn.BatchNorm1d(a.head), nn.ReLU(), nn.Linear(a.head, 64))

    def forward(self, x):
        return F.normalize(self.head(self.body(x).mean((2, 3))))


def ints(text):
    return [int(w) for w in text.split(",")]


e, g = E(a.channels, ints(a.energy), ints(a.downs)), G(a.channels, ints(a.generator))
h = H(a.channels, ints(a.encoder), a.blocks).eval().requires_grad_(False)
opt_e = torch.optim.Adam(e.parameters(), 1e-4, (0, 0.999))
opt_g = torch.optim.Adam(g.parameters(), 2e-4, (0, 0.9))


def chain(x):
    x = x.detach()
    for _ in range(a.steps):
        x = x.requires_grad_()
        grad, = torch.autograd.grad(e(x).sum(), x)
        x = (x + 12.5 * grad + 1e-3 * torch.randn_like(x)).detach()
    return x


def iteration(x):
    with torch.no_grad():
        z = h(x)
    m = torch.randn(a.batch, 128)
    gm = g(m)
    loss_g = ((gm - chain(gm)) ** 2).sum() / a.batch
    opt_g.zero_grad()
    loss_g.backward()
    opt_g.step()
    with torch.no_grad():
        fake = g(m)
    neg = chain(fake)
    loss_e = e(neg).mean() - e(x, z).mean()
    opt_e.zero_grad()
    loss_e.backward()
    opt_e.step()
    return loss_g.item(), loss_e.item()


times = []
for i in range(a.iters + 1):
    x = torch.rand(a.batch, a.channels, 32, 32) * 2 - 1
    start = time.perf_counter()
    iteration(x)
    if i:
        times.append(time.perf_counter() - start)
# not getrusage, whose maximum begins with that of the process that started this one
peak_kb = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps({"seconds": statistics.median(times), "peak_mb": peak_kb / 1024}))
