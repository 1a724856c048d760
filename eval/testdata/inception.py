"""Golden values of inception.npz: FID as pytorch-fid takes it (scipy's matrix root), IS and KID on the network of
models/testdata/inception.py, the three ways to resize, and improved precision and recall."""
import sys, numpy as np, scipy, scipy.linalg, sklearn, torch, torch.nn.functional as F, PIL
from PIL import Image
from sklearn.metrics.pairwise import polynomial_kernel
sys.path.insert(0, "../../models/testdata")
from inception import images, network, pool3

net = network()
out = {"a": images(12, 20), "b": images(24, 20)[12:]}
out["b"] = (out["b"] // 2 + 60).astype(np.uint8)


def torch_resize(x, size):
    return 2 * F.interpolate(x / 255, size, mode="bilinear", align_corners=False) - 1


def tf_resize(x, size):
    """TensorFlow 1's bilinear, pixel by pixel."""
    n, c, h, w = x.shape
    y = torch.empty(n, c, *size)
    for i in range(size[0]):
        for j in range(size[1]):
            v, u = i * h / size[0], j * w / size[1]
            top, left = int(v), int(u)
            low, right, dv, du = min(top + 1, h - 1), min(left + 1, w - 1), v - top, u - left
            y[:, :, i, j] = (1 - dv) * ((1 - du) * x[:, :, top, left] + du * x[:, :, top, right]) + dv * ((1 - du) * x[:, :, low, left] + du * x[:, :, low, right])
    return (y - 128) / 128


def clean_resize(x, size):
    """clean-fid's build_resizer: Pillow's bicubic of each channel in float, clipped."""
    one = lambda c: np.asarray(Image.fromarray(c, mode="F").resize(size[::-1], Image.BICUBIC)).clip(0, 255)
    return (torch.from_numpy(np.array([[one(c) for c in img] for img in x.numpy()])) - 128) / 128


nchw = lambda u8: torch.from_numpy(u8).permute(0, 3, 1, 2).float().contiguous()
for name, resize in [("pytorch", torch_resize), ("tf", tf_resize), ("clean", clean_resize)]:
    out["small"], out["large"] = images(2, 11), images(2, 50)[:, :, :37].copy()
    for size in ["small", "large"]:
        out[f"{name}_{size}"] = resize(nchw(out[size]), (23, 23)).numpy()

with torch.no_grad():
    fa, fb = (pool3(net, torch_resize(nchw(out[k]), (299, 299))) for k in "ab")
    unbiased = fa @ net.fc.weight.T
fa, fb = fa.numpy().astype(np.float64), fb.numpy().astype(np.float64)
out["mean_a"] = fa.mean(0)
d = ((fa.mean(0) - fb.mean(0)) ** 2).sum()
ca, cb = fa - fa.mean(0), fb - fb.mean(0)
trace = (ca ** 2).sum() / 11 + (cb ** 2).sum() / 11
# tr (SaSb)^1/2 is the nuclear norm of the centred features' product: exact where the covariances are singular, where
# the matrix root below is off in the fourth digit.
exact = d + trace - 2 * np.linalg.svd(ca @ cb.T, compute_uv=False).sum() / 11
root = scipy.linalg.sqrtm(np.cov(fa, rowvar=False) @ np.cov(fb, rowvar=False), disp=False)[0].real
print("fid", exact, d + trace - 2 * np.trace(root))
out["fid"], out["fid_sqrtm"] = np.array([exact]), np.array([d + trace - 2 * np.trace(root)])

p = torch.softmax(unbiased.double(), 1).numpy()
scores = [np.exp((q * (np.log(q) - np.log(q.mean(0)))).sum(1).mean()) for q in np.split(p, [4, 8])]
out["is"] = np.array([np.mean(scores), np.std(scores)])

m = len(fa)
kxx, kyy, kxy = (polynomial_kernel(x, y, degree=3, gamma=1 / 2048, coef0=1) for x, y in [(fa, fa), (fb, fb), (fa, fb)])
out["kid"] = np.array([((kxx.sum() - np.trace(kxx)) + (kyy.sum() - np.trace(kyy))) / (m * (m - 1)) - 2 * kxy.mean()])

rng = np.random.default_rng(2)
real, fake = rng.normal(size=(70, 5)).astype(np.float32), (rng.normal(size=(60, 5)) * 0.6 + 0.5).astype(np.float32)
distance = lambda x, y: np.sqrt(((x[:, None].astype(np.float64) - y[None]) ** 2).sum(2))
radius = lambda x: np.sort(distance(x, x), 1)[:, 3]  # 0 is the point itself
out["real"], out["fake"] = real, fake
out["precision"] = np.array([(distance(fake, real) <= radius(real)).any(1).mean()])
out["recall"] = np.array([(distance(real, fake) <= radius(fake)).any(1).mean()])
print({k: out[k] for k in ["is", "kid", "precision", "recall"]})
out["versions"] = np.frombuffer(f"torch {torch.__version__} scipy {scipy.__version__} sklearn {sklearn.__version__} PIL {PIL.__version__}".encode(), np.uint8)
np.savez_compressed("inception.npz", **out)
