"""Golden values and gradients of losses.npz, by PyTorch's autograd in float64."""
import numpy as np, torch, torch.nn.functional as F

torch.manual_seed(1)
torch.set_default_dtype(torch.float64)
out = {}


def save(name, loss, **inputs):
    grads = torch.autograd.grad(loss, list(inputs.values()))
    out[name] = loss.detach().numpy().reshape(1)
    for (key, x), g in zip(inputs.items(), grads):
        out[f"{name}.{key}"], out[f"{name}.d{key}"] = x.detach().numpy(), g.numpy()


leaf = lambda *shape: torch.randn(*shape).requires_grad_()

gm, xt, tau2 = leaf(3, 2, 4, 4), torch.randn(3, 2, 4, 4), 0.7
out["generator.xt"] = xt.numpy()
save("generator", ((gm - xt) ** 2).flatten(1).sum(1).div(2 * tau2).mean(), gm=gm)  # Eq. 8

fake, joint = leaf(5), leaf(5)
save("energy", fake.mean() - joint.mean(), fake=fake, joint=joint)  # Eq. 4, descended


def nt_xent(z, tau):
    """SimCLR's loss by its definition, one view at a time."""
    z, n, total = F.normalize(z), len(z) // 2, 0.0
    for i in range(2 * n):
        sims = z @ z[i] / tau
        partner = (i + n) % (2 * n)
        others = torch.cat([sims[:i], sims[i + 1:]])
        total = total + torch.logsumexp(others, 0) - sims[partner]
    return total / (2 * n)


z = leaf(8, 6)
save("nt_xent", nt_xent(z, 0.5), z=z)
out["versions"] = np.frombuffer(f"torch {torch.__version__} numpy {np.__version__}".encode(), np.uint8)
np.savez("losses.npz", **out)
