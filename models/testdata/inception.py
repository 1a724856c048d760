"""Golden values of inception.npz: torchvision's Inception-v3 with the FID network's pooling, on weights by a formula.

The weights are 95 MB, so both sides compute them: element i of the tensor called name is drawn from SplitMix64 started at
the FNV-1a hash of the name (see weights)."""
import numpy as np, torch, torch.nn.functional as F, torchvision
from torchvision.models import inception as tv

M = (1 << 64) - 1


def uniform(name, count):
    """count float64 in [0, 1): the top 53 bits of SplitMix64's outputs from the hash of name."""
    h = 0xCBF29CE484222325
    for c in name.encode():
        h = (h ^ c) * 0x100000001B3 & M
    x = np.uint64(h) + (np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15))
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((x ^ (x >> np.uint64(31))) >> np.uint64(11)).astype(np.float64) / (1 << 53)


def weights(net):
    """A state dict in which activations neither grow nor vanish: He's bound for weights, batch norms near the identity."""
    state = {}
    for name, t in net.state_dict().items():
        u = uniform(name, t.numel())
        if name.endswith("num_batches_tracked"):
            value = np.zeros(1)
        elif t.dim() > 1:
            value = (2 * u - 1) * np.sqrt(6 / t[0].numel())
        elif name.endswith("bn.weight"):
            value = 0.8 + 0.4 * u
        elif name.endswith("running_var"):
            value = 0.6 + 0.8 * u
        else:
            value = 0.4 * u - 0.2
        state[name] = torch.from_numpy(value.astype(np.float32)).reshape(t.shape).to(t.dtype)
    return state


def pooling(kind):
    """A stand-in for torch.nn.functional inside one block: its average pool is the FID network's."""
    class Functional:
        def __getattr__(self, name):
            return getattr(F, name)

        def avg_pool2d(self, x, kernel_size, stride, padding):
            if kind == "max":
                return F.max_pool2d(x, kernel_size, stride, padding)
            return F.avg_pool2d(x, kernel_size, stride, padding, count_include_pad=False)
    return Functional()


def patched(block, kind):
    """Runs block.forward with the module's F replaced meanwhile."""
    plain = block.forward

    def forward(x):
        keep, tv.F = tv.F, pooling(kind)
        try:
            return plain(x)
        finally:
            tv.F = keep
    block.forward = forward


def network(state=None):
    net = torchvision.models.inception_v3(weights=None, num_classes=1008, aux_logits=False, init_weights=False)
    for name in ["5b", "5c", "5d", "6b", "6c", "6d", "6e", "7b"]:
        patched(getattr(net, "Mixed_" + name), "avg")
    patched(net.Mixed_7c, "max")
    net.load_state_dict(state or weights(net))
    return net.eval()


def pool3(net, x):
    """x: [n,3,299,299] in [-1,1] to [n,2048]."""
    for name, block in net.named_children():
        if name in ("avgpool", "dropout", "fc"):
            break
        x = block(x)
    return x.mean((2, 3))


def images(n, size):
    """uint8 images [n,size,size,3] that differ much: gradients, waves and noise."""
    y, x = np.mgrid[0:size, 0:size] / size
    out = np.empty((n, size, size, 3), np.uint8)
    for i in range(n):
        u = uniform(f"image {size} {i}", 24 + size * size * 3)
        for c in range(3):
            a = u[8 * c:8 * c + 8]
            wave = np.sin(2 * np.pi * (8 * a[0] * x + 8 * a[1] * y + a[2]))
            noise = u[24:].reshape(size, size, 3)[:, :, c] - 0.5
            out[i, :, :, c] = np.clip(255 * (a[3] + 0.4 * a[4] * wave + a[5] * a[6] * noise), 0, 255)
    return out


if __name__ == "__main__":
    torch.set_num_threads(2)
    net = network()
    pixels = images(3, 40)
    with torch.no_grad():
        x = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
        x = 2 * F.interpolate(x, (299, 299), mode="bilinear", align_corners=False) - 1
        f = pool3(net, x)
        np.savez("inception.npz", images=pixels, features=f.numpy(), logits=net.fc(f).numpy(), unbiased=(f @ net.fc.weight.T).numpy(),
                 versions=np.frombuffer(f"torch {torch.__version__} torchvision {torchvision.__version__}".encode(), np.uint8))
    print(f.mean(), f.std(0).mean(), f.max())
