"""Writes posterior.npz: E(x,z) and its marginal of the posteriors of Fig. 8 but the cosine, on features f, by
torch.distributions and, for CEBM, by the definitions of Sec. 3.1. Weights have liebm's names.
"""
import numpy as np
import torch
import torch.nn.functional as F

torch.manual_seed(8)
torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)
out = {"versions": np.array([f"torch {torch.__version__}", f"numpy {np.__version__}"])}
N, FDIM, HDIM, ZDIM = 5, 7, 9, 6


def gaussian(f, u, z):
    """Normalised mean and log-variance, each within [-1, 1] (Sec. 4.5)."""
    mean, log_var = F.normalize(u[:, :ZDIM], dim=1), torch.tanh(u[:, ZDIM:])
    normal = torch.distributions.Normal(mean, (log_var / 2).exp())
    return -0.5 * (f**2).sum(1), normal.log_prob(z).sum(1)


def cebm(f, u, z):
    """eta(z) = (z, z^2), lambda = (0, -1/2); u moves the first natural parameter only: the variance is fixed."""
    def b(l1, l2):
        return -(l1**2) / (4 * l2) - 0.5 * torch.log(-2 * l2)

    l1, l2 = torch.zeros_like(u), torch.full_like(u, -0.5)
    score = (b(l1 + u, l2) - b(l1, l2)).sum(1)
    log_h0 = -0.5 * np.log(2 * np.pi)  # the base measure
    return score, (z * (l1 + u) + z**2 * l2 - b(l1 + u, l2) + log_h0).sum(1)


for name, form, width in [("gaussian", gaussian, 2 * ZDIM), ("cebm", cebm, ZDIM)]:
    w = {"head1.weight": torch.randn(HDIM, FDIM) / 2, "head1.bias": torch.randn(HDIM) / 2,
         "head2.weight": torch.randn(width, HDIM) / 2, "head2.bias": torch.randn(width) / 2}
    f, z = torch.randn(N, FDIM), F.normalize(torch.randn(N, ZDIM), dim=1)
    for t in [f, z, *w.values()]:
        t.requires_grad_()
    u = F.linear(F.relu(F.linear(f, w["head1.weight"], w["head1.bias"])), w["head2.weight"], w["head2.bias"])
    score, posterior = form(f, u, z)
    probe = torch.randn(2, N)
    grads = torch.autograd.grad((probe[0] * score + probe[1] * posterior).sum(), [f, z, *w.values()])
    arrays = {"f": f, "z": z, "score": score, "posterior": posterior, "probe": probe, "df": grads[0], "dz": grads[1]}
    arrays |= {"w." + n: t for n, t in w.items()} | {"g." + n: g for n, g in zip(w, grads[2:])}
    out.update({f"{name}.{n}": t.detach().numpy().copy() for n, t in arrays.items()})

np.savez("posterior.npz", **out)
