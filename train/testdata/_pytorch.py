"""The yardstick of `make bench`: the work of liebm in plain PyTorch, float32.

The argument is a job as JSON (pytorch_bench_test.go's). For each number n that it reads, the script makes one iteration
that is not timed and n that are. It prints the median of their seconds and the process's peak resident memory, as a line of JSON.

The networks are those of Table 12 with pooling after the convolutions. Spectral norm makes one power iteration per
update, weights are constants during a chain, E sees data and negatives in one pass, and views are drawn for a whole
batch at once. The margin of E's loss and the limit of its updates are left out, which makes PyTorch a little faster.
"""
import json, math, statistics, sys, time
import torch, torch.nn as nn, torch.nn.functional as F
from torch.nn.utils.parametrizations import spectral_norm

job = json.loads(sys.argv[1])
if job["Compile"] and not hasattr(torch, "compile"):
    sys.exit(f"PyTorch {torch.__version__} has no torch.compile")
cfg, enc, batch = job["Config"], job["Encoder"], job["Batch"]
energy, chain_of, (low, high) = cfg["Energy"], cfg["Chain"], (cfg["Data"]["Range"][k] for k in ("Low", "High"))
channels, size, latent = energy["Channels"], cfg["Data"]["Size"], cfg["Generator"]["LatentDim"]
layout = torch.channels_last if job["ChannelsLast"] else torch.contiguous_format
torch.set_num_threads(job["Threads"])
torch.manual_seed(1)
sn = spectral_norm if energy["SpectralNorm"] else lambda m: m


class EBlock(nn.Module):
    def __init__(self, i, o, down, first):
        super().__init__()
        conv = lambda i, k: sn(nn.Conv2d(i, o, k, padding=k // 2, bias=energy["Bias"]))
        self.c1, self.c2 = conv(i, 3), conv(o, 3)
        self.sc = conv(i, 1) if i != o or down else None
        self.down, self.first = down, first

    def forward(self, x):
        h = self.c2(F.relu(self.c1(x if self.first else F.relu(x))))
        s = x if self.sc is None else self.sc(x)
        if self.down:
            h, s = F.avg_pool2d(h, 2), F.avg_pool2d(s, 2)
        return h + s


class E(nn.Module):
    def __init__(self):
        super().__init__()
        widths, f = energy["Widths"], energy["FeatureDim"]
        ins = [channels] + widths[:-1]
        self.blocks = nn.Sequential(*[EBlock(i, o, d, k == 0) for k, (i, o, d) in enumerate(zip(ins, widths, energy["Downs"]))])
        self.out = sn(nn.Linear(widths[-1], f, bias=energy["Bias"]))
        self.g = nn.Sequential(sn(nn.Linear(f, energy["HeadDim"])), nn.ReLU(), sn(nn.Linear(energy["HeadDim"], energy["LatentDim"])))

    def forward(self, x):
        return self.out(F.relu(self.blocks(x)).mean((2, 3)))


class GBlock(nn.Module):
    def __init__(self, i, o):
        super().__init__()
        self.b1, self.c1 = nn.BatchNorm2d(i), nn.Conv2d(i, o, 3, padding=1)
        self.b2, self.c2 = nn.BatchNorm2d(o), nn.Conv2d(o, o, 3, padding=1)
        self.sc = nn.Conv2d(i, o, 1)

    def forward(self, x):
        up = lambda t: F.interpolate(t, scale_factor=2, mode="bilinear", align_corners=True)
        return self.c2(F.relu(self.b2(self.c1(up(F.relu(self.b1(x))))))) + self.sc(up(x))


class G(nn.Module):
    def __init__(self):
        super().__init__()
        widths = cfg["Generator"]["Widths"]
        self.w, self.lin = widths[0], nn.Linear(latent, 16 * widths[0])
        self.blocks = nn.Sequential(*[GBlock(i, o) for i, o in zip(widths, widths[1:])])
        self.bn, self.out = nn.BatchNorm2d(widths[-1]), nn.Conv2d(widths[-1], channels, 3, padding=1)

    def forward(self, m):
        x = self.lin(m).view(-1, self.w, 4, 4).contiguous(memory_format=layout)
        return torch.tanh(self.out(F.relu(self.bn(self.blocks(x)))))


class RBlock(nn.Module):
    def __init__(self, i, o, s):
        super().__init__()
        self.c1, self.b1 = nn.Conv2d(i, o, 3, s, 1, bias=False), nn.BatchNorm2d(o)
        self.c2, self.b2 = nn.Conv2d(o, o, 3, 1, 1, bias=False), nn.BatchNorm2d(o)
        self.sc = nn.Sequential(nn.Conv2d(i, o, 1, s, bias=False), nn.BatchNorm2d(o)) if s != 1 or i != o else nn.Identity()

    def forward(self, x):
        return F.relu(self.b2(self.c2(F.relu(self.b1(self.c1(x))))) + self.sc(x))


class H(nn.Module):
    def __init__(self):
        super().__init__()
        ws, i = enc["Widths"], enc["Widths"][0]
        layers = [nn.Conv2d(channels, i, 3, 1, 1, bias=False), nn.BatchNorm2d(i), nn.ReLU()]
        layers += [] if enc["Stem"] == "small" else [nn.MaxPool2d(3, 2, 1)]
        for k, o in enumerate(ws):
            for j in range(enc["Blocks"][k]):
                layers.append(RBlock(i, o, 2 if k and not j else 1))
                i = o
        self.body, hidden = nn.Sequential(*layers), enc["HeadDim"]
        self.head = nn.Sequential(nn.Linear(i, hidden), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Linear(hidden, enc["LatentDim"]))

    def forward(self, x):
        x = ((x - low) / (high - low) - 0.5) / 0.25
        return self.head(self.body(x).mean((2, 3)))


def gray(x):
    return x if channels == 1 else (x * torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)


def shift_hue(x, turns):
    value, low = x.amax(1), x.amin(1)
    chroma = value - low
    r, g, b = x.unbind(1)
    safe = chroma + 1e-12
    hue = torch.where(r == value, (g - b) / safe, torch.where(g == value, (b - r) / safe + 2, (r - g) / safe + 4)) + 6 * turns
    ramp = lambda k: value - chroma * torch.minimum(k, 4 - k).clamp_(0, 1)
    return torch.stack([ramp((hue + k).remainder(6)) for k in (5, 3, 1)], 1)


def view(x):
    """A random view of every image in [0,1]: colour jitter, grayscale, resized crop and flip."""
    n, v = len(x), cfg["Views"]
    uniform = lambda lo, hi, *shape: torch.empty(n, *shape).uniform_(lo, hi)
    y = x
    for kind in torch.randperm(4).tolist():
        s = v["Jitter"][kind]
        if kind == 0:
            y = (y * uniform(1 - s, 1 + s, 1, 1, 1)).clamp_(0, 1)
        elif kind == 1:
            y = torch.lerp(gray(y).mean((1, 2, 3), keepdim=True), y, uniform(1 - s, 1 + s, 1, 1, 1)).clamp_(0, 1)
        elif kind == 2 and channels == 3:
            y = torch.lerp(gray(y), y, uniform(1 - s, 1 + s, 1, 1, 1)).clamp_(0, 1)
        elif kind == 3 and channels == 3:
            y = shift_hue(y, uniform(-s, s, 1, 1))
    x = torch.where(torch.rand(n, 1, 1, 1) < v["JitterProb"], y, x)
    if channels == 3:
        x = torch.where(torch.rand(n, 1, 1, 1) < v["GrayProb"], gray(x), x)
    area, ratio = uniform(*v["Crop"], 10), uniform(-math.log(4 / 3), math.log(4 / 3), 10).exp_()
    w, h = (area * ratio).sqrt_(), (area / ratio).sqrt_()
    fits = (w <= 1) & (h <= 1)
    first, none = fits.float().argmax(1, keepdim=True), ~fits.any(1)
    w, h = (t.gather(1, first)[:, 0].masked_fill_(none, 1) for t in (w, h))
    left, top, zero = torch.rand(n) * (1 - w), torch.rand(n) * (1 - h), torch.zeros(n)
    mirrored = torch.where(torch.rand(n) < v["FlipProb"], -w, w)
    theta = torch.stack([mirrored, zero, 2 * left + w - 1, zero, h, 2 * top + h - 1], 1).view(n, 2, 3)
    grid = F.affine_grid(theta, x.shape, align_corners=False)
    return F.grid_sample(x, grid, mode="bicubic", padding_mode="border", align_corners=False).clamp_(0, 1)


def chain(x):
    x = x.detach()
    for _ in range(chain_of["Steps"]):
        grad, = torch.autograd.grad(score(features(x.requires_grad_())).sum(), x)
        with torch.no_grad():
            if chain_of["Clip"]:
                limit = 2 * chain_of["Clip"] / chain_of["Delta2"]
                grad *= limit / grad.square().mean((1, 2, 3), keepdim=True).sqrt_().clamp_(min=limit)
            x = x + chain_of["Delta2"] / 2 * grad
            x.add_(torch.randn_like(x), alpha=chain_of["Sigma"])
            if chain_of["Clamp"] == "step":
                x.clamp_(low, high)
    return x.clamp_(low, high) if chain_of["Clamp"] == "end" else x


def score(f):
    return -0.5 * (f * f).sum(1)


def frozen(f, *args):
    """f with E's weights as constants."""
    e.requires_grad_(False).eval()
    out = f(*args)
    e.requires_grad_(True).train()
    return out


def train(unit):
    x = unit * (high - low) + low
    with torch.no_grad():
        z = F.normalize(encode(view(unit) * (high - low) + low))
    m = torch.randn(batch, latent)
    gm = generate(m)
    loss_g = ((gm - frozen(chain, gm)) ** 2).sum() / batch
    opt_g.zero_grad(set_to_none=True)
    loss_g.backward()
    opt_g.step()
    with torch.no_grad():
        fake = generate(m)
        viewed = view((fake - low) / (high - low)) * (high - low) + low
        fake = torch.where(torch.rand(batch, 1, 1, 1) < cfg["ReplaceProb"], viewed, fake)
    neg = frozen(chain, fake)
    real, neg = features(torch.cat([x, neg])).chunk(2)
    loss_e = score(neg).mean() - (score(real) + energy["Gamma"] * F.cosine_similarity(e.g(real), z)).mean()
    opt_e.zero_grad(set_to_none=True)
    loss_e.backward()
    opt_e.step()
    torch._foreach_mul_(average, cfg["EMA"])
    torch._foreach_add_(average, live, alpha=1 - cfg["EMA"])
    return torch.stack([loss_g.detach(), loss_e.detach()]).tolist()


def pretrain(unit):
    views = torch.cat([view(unit), view(unit)]) * (high - low) + low
    out = bn(torch.cat([encode(v) for v in views.chunk(2)]))
    z = F.normalize(out)
    logits = (z @ z.T / 0.5).fill_diagonal_(-1e9)
    loss = F.cross_entropy(logits, torch.arange(2 * batch).roll(batch))
    opt_h.zero_grad(set_to_none=True)
    loss.backward()
    opt_h.step()
    return loss.item()


def sample(_):
    with torch.no_grad():
        x = generate(torch.randn(batch, latent))
    x = chain(x)
    return ((x - low) / (high - low)).clamp_(0, 1).mul_(255).add_(0.5).to(torch.uint8).permute(0, 2, 3, 1).contiguous()


@torch.inference_mode()
def scores(unit):
    x = unit * (high - low) + low
    f = features(x)
    return (score(f) + energy["Gamma"] * F.cosine_similarity(e.g(f), F.normalize(encode(x)))).tolist()


e, g, h, bn = (net.to(memory_format=layout) for net in (E(), G(), H(), nn.BatchNorm1d(enc["LatentDim"])))
if job["Work"] != "pretrain":
    h.eval().requires_grad_(False)
if job["Work"] in ("sample", "scores"):
    e.eval().requires_grad_(False)
    g.eval().requires_grad_(False)
features, generate, encode = (torch.compile(net) if job["Compile"] else net for net in (e, g, h))
fast = "fused" if tuple(map(int, torch.__version__.split(".")[:2])) >= (2, 4) else "foreach"  # the fastest Adam on the CPU
opt_e = torch.optim.Adam(e.parameters(), 1e-4, (0.0, 0.999), **{fast: True})
opt_g = torch.optim.Adam(g.parameters(), 2e-4, (0.0, 0.9), **{fast: True})
opt_h = torch.optim.Adam([*h.parameters(), *bn.parameters()], 3e-3, weight_decay=1e-6, **{fast: True})
live = [t.detach() for net in (e, g) for t in [*net.parameters(), *net.buffers()] if t.is_floating_point()]
average = [t.clone() for t in live]
work = {"train": train, "pretrain": pretrain, "sample": sample, "scores": scores}[job["Work"]]

for line in sys.stdin:
    times = []
    for _ in range(1 + int(line)):
        x = torch.rand(batch, channels, size, size).contiguous(memory_format=layout)
        start = time.perf_counter()
        work(x)
        times.append(time.perf_counter() - start)
    # not getrusage, whose maximum begins with that of the process that started this one
    peak_kb = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
    print(json.dumps({"Seconds": statistics.median(times[1:]), "PeakMB": peak_kb / 1024}), flush=True)
