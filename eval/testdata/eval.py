"""Golden values of eval.npz: Fréchet distances by scipy's matrix root, AUROC by scikit-learn."""
import numpy as np, scipy, scipy.linalg, sklearn
from sklearn.metrics import roc_auc_score

rng = np.random.default_rng(1)
d, n = 6, 50
a = rng.normal(size=(n, d)) @ rng.normal(size=(d, d))
b = rng.normal(size=(n + 7, d)) @ rng.normal(size=(d, d)) + 0.5
flat = np.hstack([a[:, :3], a[:, :3]])  # a covariance of half the rank
out = {"a": a, "b": b, "flat": flat}


def fd(x, y):
    root = scipy.linalg.sqrtm(np.cov(x, rowvar=False) @ np.cov(y, rowvar=False)).real
    return ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(np.cov(x, rowvar=False) + np.cov(y, rowvar=False) - 2 * root)


out["fd_ab"], out["fd_bflat"] = np.array([fd(a, b)]), np.array([fd(b, flat)])
out["cov_a"], out["mean_a"] = np.cov(a, rowvar=False), a.mean(0)
inliers, outliers = rng.normal(size=200) + 0.7, rng.normal(size=300)
out["inliers"], out["outliers"] = inliers, outliers
out["tied_in"], out["tied_out"] = np.round(inliers), np.round(outliers)
for name, i, o in [("auroc", inliers, outliers), ("auroc_tied", np.round(inliers), np.round(outliers))]:
    out[name] = np.array([roc_auc_score(np.r_[np.ones(200), np.zeros(300)], np.r_[i, o])])
out["versions"] = np.frombuffer(f"numpy {np.__version__} scipy {scipy.__version__} sklearn {sklearn.__version__}".encode(), np.uint8)
np.savez("eval.npz", **out)
