"""Writes adam.npz: parameters after each step of torch.optim.Adam on given gradients."""
import numpy as np
import torch

torch.manual_seed(2)
torch.set_num_threads(1)
STEPS = 6
out = {"versions": np.array([f"torch {torch.__version__}", f"numpy {np.__version__}"])}

# a convolution's weight, a bias, and a parameter that no loss reaches
start = [torch.randn(4, 3, 2, 2), torch.randn(5), torch.randn(2)]
out.update({f"start.{i}": p.numpy() for i, p in enumerate(start)})
# gradients of very different sizes, as eps and the bias corrections show in the small ones
grads = [[torch.randn(p.shape) * 10.0 ** (t - 4) for p in start[:2]] for t in range(STEPS)]
out.update({f"grad.{t}.{i}": g.numpy() for t in range(STEPS) for i, g in enumerate(grads[t])})
rates = [1e-2 / (1 + t) for t in range(STEPS)]

for case, betas, eps, decay in [("betas_0_999", (0, 0.999), 1e-8, 0), ("betas_0_9", (0, 0.9), 1e-8, 0),
                                ("betas_9_999", (0.9, 0.999), 1e-8, 0), ("weight_decay", (0.9, 0.999), 1e-8, 0.1),
                                ("weight_decay_beta1_0", (0, 0.999), 1e-3, 0.1)]:
    params = [p.clone().requires_grad_() for p in start]
    adam = torch.optim.Adam(params, lr=1.0, betas=betas, eps=eps, weight_decay=decay)
    for t in range(STEPS):
        for p, g in zip(params, grads[t]):
            p.grad = g.clone()
        adam.param_groups[0]["lr"] = rates[t]
        adam.step()
        out.update({f"{case}.{t}.{i}": p.detach().numpy().copy() for i, p in enumerate(params)})

# update clipping: Adam's update at rate 1, its rms per parameter limited, then the rate
for case, betas, most in [("max_update", (0, 0.99), 0.9), ("max_update_beta1_9", (0.9, 0.999), 0.5)]:
    params = [p.clone().double().requires_grad_() for p in start]
    adam = torch.optim.Adam(params, lr=1.0, betas=betas)
    for t in range(STEPS):
        before = [p.detach().clone() for p in params]
        for p, g in zip(params, grads[t]):
            p.grad = g.double()
        adam.step()
        for i, (p, old) in enumerate(zip(params, before)):
            update = p.detach() - old
            rms = update.square().mean().sqrt().item()
            p.data = old + rates[t] * update / max(1.0, rms / most)
            out[f"{case}.{t}.{i}"] = p.detach().float().numpy().copy()

# a loss, so that the gradients change as the parameters move
params = [p.clone().requires_grad_() for p in start]
adam = torch.optim.Adam(params, lr=0.05, betas=(0.9, 0.999))
for t in range(STEPS):
    adam.zero_grad()
    loss = (params[0] ** 4).sum() / 10 + (params[1].sum() - 1) ** 2 + params[0].sum() * params[1][0]
    loss.backward()
    adam.step()
    out[f"loss.{t}"] = np.array([loss.item()])
    out.update({f"loss.{t}.{i}": p.detach().numpy().copy() for i, p in enumerate(params)})

np.savez("adam.npz", **out)
