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


def nt_xent_against(z, extra, tau):
    z, extra, n, total = F.normalize(z), F.normalize(extra), len(z) // 2, 0.0
    for i in range(2 * n):
        others = torch.cat([torch.cat([z[:i], z[i + 1:]]) @ z[i], extra @ z[i]]) / tau
        total = total + torch.logsumexp(others, 0) - z[(i + n) % (2 * n)] @ z[i] / tau
    return total / (2 * n)


z, extra = leaf(8, 6), torch.randn(5, 6)
out["nt_xent_against.extra"] = extra.numpy()
save("nt_xent_against", nt_xent_against(z, extra, 0.5), z=z)

pred, target = leaf(8, 6), torch.randn(8, 6)
out["byol.target"] = target.numpy()
swapped = torch.cat([target[4:], target[:4]])
save("byol", 2 * (2 - 2 * F.cosine_similarity(pred, swapped)).mean(), pred=pred)  # both directions of 4 images

y, perm = leaf(20, 3), torch.randperm(10)
out["wmse.perm"] = perm.numpy()
total = 0.0
for rows in perm.reshape(-1, 5):
    white = []
    for view in (y[:10], y[10:]):
        v = view[rows] - view[rows].mean(0)
        factor = torch.linalg.cholesky(torch.cov(v.T))
        white.append(F.normalize(v @ torch.linalg.inv(factor).T))
    total = total + ((white[0] - white[1]) ** 2).sum()
save("wmse", total / 10, y=y)

normal = torch.distributions.Normal
gm, xd, mean, log_var, latent, zd = leaf(3, 1, 4, 4), torch.randn(3, 1, 4, 4), leaf(3, 5), leaf(3, 5), leaf(3, 6), torch.randn(3, 6)
out["elbo.x"], out["elbo.z"], rho = xd.numpy(), zd.numpy(), 1.3
kl = torch.distributions.kl_divergence(normal(mean, (log_var / 2).exp()), normal(torch.zeros(5), torch.ones(5))).sum(1)
log_px = -((xd - gm) ** 2).flatten(1).sum(1) / (2 * tau2)
save("elbo", (kl - log_px - rho * F.cosine_similarity(latent, zd)).mean(), gm=gm, latent=latent, mean=mean, log_var=log_var)  # Eq. 14
save("latent_elbo", (torch.distributions.kl_divergence(normal(mean, (log_var / 2).exp()), normal(torch.zeros(5), torch.ones(5))).sum(1)
                     - rho * F.cosine_similarity(latent, zd)).mean(), latent=latent, mean=mean, log_var=log_var)  # Eq. 26
fake, real = leaf(9), leaf(9)
save("margined", torch.where(fake > real - 1, fake, real.detach() - 1).mean() - real.mean(), fake=fake, real=real)
out["versions"] = np.frombuffer(f"torch {torch.__version__} numpy {np.__version__}".encode(), np.uint8)
np.savez("losses.npz", **out)
