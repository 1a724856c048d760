"""Golden values of scores.npz: detection by scikit-learn, PSNR and SSIM by scikit-image, probes by scikit-learn and PyTorch."""
import numpy as np, skimage, sklearn, torch
from skimage.metrics import mean_squared_error, peak_signal_noise_ratio, structural_similarity
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve
from sklearn.manifold import TSNE
from sklearn.neighbors import KNeighborsClassifier

rng = np.random.default_rng(3)
out = {}
for name, digits in [("free", 8), ("tied", 0)]:
    inliers, outliers = np.round(rng.normal(size=240) + 1.2, digits), np.round(rng.normal(size=310) * 1.5, digits)
    out[name + "_in"], out[name + "_out"] = inliers, outliers
    score, label = np.r_[inliers, outliers], np.r_[np.ones(240), np.zeros(310)]

    def fpr95(label, score):
        fpr, tpr, _ = roc_curve(label, score, drop_intermediate=False)
        return fpr[np.argmax(tpr >= 0.95)]
    out[name] = np.array([roc_auc_score(label, score), average_precision_score(label, score), average_precision_score(1 - label, -score),
                          fpr95(label, score), fpr95(1 - label, -score)])

a = rng.integers(0, 256, (4, 24, 19, 3), dtype=np.uint8)
b = np.clip(a.astype(int) + rng.integers(-40, 41, a.shape), 0, 255).astype(np.uint8)
b[1] = 255 - a[1]
a[2] = np.linspace(0, 255, 19).astype(np.uint8)[None, :, None]
out["a"], out["b"] = a, b
fa, fb = a / 255, b / 255
gauss = dict(gaussian_weights=True, sigma=1.5, use_sample_covariance=False)
for name, options in [("gauss", gauss), ("box", {})]:
    out["ssim_" + name] = np.array([structural_similarity(x, y, data_range=1, channel_axis=2, **options) for x, y in zip(fa, fb)])
out["psnr"] = np.array([peak_signal_noise_ratio(x, y, data_range=1) for x, y in zip(fa, fb)])
out["mse"] = np.array([mean_squared_error(x, y) for x, y in zip(fa, fb)])

centres = rng.normal(size=(4, 6))
labels = lambda n: rng.integers(0, 4, n)
train_y, test_y = labels(300), labels(100)
train_x, test_x = (centres[y] + rng.normal(size=(len(y), 6)) for y in (train_y, test_y))
out.update(train_x=train_x.astype(np.float32), train_y=train_y, test_x=test_x.astype(np.float32), test_y=test_y)
knn = KNeighborsClassifier(5).fit(out["train_x"], train_y)
out["knn"] = knn.predict(out["test_x"])

# One epoch a batch of everything, from zero weights: no randomness is left in the linear probe.
net = torch.nn.Linear(6, 4)
torch.nn.init.zeros_(net.weight), torch.nn.init.zeros_(net.bias)
epochs, lr = 20, 1e-2
opt = torch.optim.Adam(net.parameters(), lr=lr, weight_decay=5e-6)
decay = torch.optim.lr_scheduler.ExponentialLR(opt, (1e-6 / lr) ** (1 / epochs))
x, y = torch.from_numpy(out["train_x"]), torch.from_numpy(train_y)
for _ in range(epochs):
    opt.zero_grad()
    torch.nn.functional.cross_entropy(net(x), y).backward()
    opt.step()
    decay.step()
out["weight"], out["bias"] = net.weight.detach().numpy(), net.bias.detach().numpy()
# Three well separated clouds for t-SNE; embeddings are compared by their divergence, not by coordinates.
out["cloud_y"] = np.repeat([0, 1, 2], 50)
out["cloud"] = (rng.normal(size=(3, 8))[out["cloud_y"]] * 4 + rng.normal(size=(150, 8))).astype(np.float32)
tsne = TSNE(perplexity=15, method="exact", init="random", random_state=0, n_iter=1000).fit(out["cloud"])
out["divergence"] = np.array([tsne.kl_divergence_])
out["versions"] = np.frombuffer(f"numpy {np.__version__} sklearn {sklearn.__version__} skimage {skimage.__version__} torch {torch.__version__}".encode(), np.uint8)
np.savez_compressed("scores.npz", **out)
