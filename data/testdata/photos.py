"""Writes photos.npz and photos/: what PIL, scipy and numpy write and compute, for the tests of images, .mat, .npy.

photos/celeba.jpg is a smooth image of CelebA's 178x218 with some noise, saved as JPEG with chroma halved (4:2:0). The crops are torchvision's usual chain on PIL images.
"""
import io
import os
import pickle

import numpy as np
import PIL
import scipy
import scipy.io
from PIL import Image

random = np.random.RandomState(7)
os.makedirs("photos", exist_ok=True)


def path(name):
    return os.path.join("photos", name)


y, x = np.mgrid[0:218, 0:178]
waves = np.stack([128 + 100 * np.sin(x / 9 + y / 23), 128 + 90 * np.cos(x / 31 - y / 7), 128 + 110 * np.sin((x + y) / 17)], -1)
waves[60:90, 40:90] = [250, 20, 30]  # a hard edge in colour
waves = np.clip(waves + random.normal(0, 6, waves.shape), 0, 255).astype(np.uint8)
Image.fromarray(waves).save(path("celeba.jpg"), quality=85, subsampling=2)
photo = Image.open(path("celeba.jpg")).convert("RGB")

out = {}
for subsampling, name in enumerate(("444", "422", "420")):
    Image.fromarray(waves[45:106, 30:75]).save(path(name + ".jpg"), quality=85, subsampling=subsampling)
    out[name] = np.asarray(Image.open(path(name + ".jpg")).convert("RGB"))
for name, box in {"148": (15, 40, 163, 188), "140": (19, 39, 159, 179), "128": (25, 57, 153, 185), "178": (0, 20, 178, 198),
                  "none": None}.items():
    cut = photo.crop(box) if box else photo
    out["crop" + name] = np.asarray(cut.resize((64, 64), Image.BILINEAR))
small = random.randint(0, 256, (28, 28)).astype(np.uint8)
out["small"], out["small32"] = small, np.asarray(Image.fromarray(small).resize((32, 32), Image.BILINEAR))
# Lossy WebP: 8×8, and odd sides.
Image.fromarray(waves[:8, :8]).save(path("lossy.webp"))
Image.fromarray(waves[45:106, 30:75]).save(path("odd.webp"), quality=85)
alpha = np.tile(np.arange(45, dtype=np.uint8)[None, :, None] * 5, (61, 1, 1))
Image.fromarray(np.concatenate([waves[45:106, 30:75], alpha], -1), "RGBA").save(path("transparent.webp"), quality=85)
for name in ("lossy", "odd", "transparent"):
    image = Image.open(path(name + ".webp"))
    out[name] = np.asarray(image)[..., :3].copy()
# A CMYK picture, as from a printer's program.
key = np.tile(np.arange(45, dtype=np.uint8)[None, :, None] * 5, (61, 1, 1))
Image.fromarray(np.concatenate([waves[45:106, 30:75], key], -1), "CMYK").save(path("cmyk.jpg"), quality=85)
out["cmyk"] = np.asarray(Image.open(path("cmyk.jpg")).convert("RGB"))
out["versions"] = np.array([np.__version__, scipy.__version__, PIL.__version__])
np.savez_compressed("photos.npz", **out)

# Small images of every kind that people have.
tiny = waves[:8, :8]
Image.fromarray(tiny).save(path("rgb.png"))
Image.fromarray(tiny[..., 0]).save(path("gray.png"))
Image.fromarray(tiny).convert("P").save(path("palette.png"))
Image.fromarray((tiny[..., 0].astype(np.uint16) * 257)).save(path("gray16.png"))
Image.fromarray(np.concatenate([tiny, tiny[..., :1]], -1), "RGBA").save(path("rgba.png"))
Image.fromarray(np.concatenate([tiny, np.full_like(tiny[..., :1], 255)], -1), "RGBA").save(path("opaque.png"))
Image.fromarray(tiny).save(path("rgb.bmp"))
Image.fromarray(tiny).save(path("rgb.tif"))
Image.fromarray(tiny).save(path("lossless.webp"), lossless=True)
Image.fromarray(tiny).convert("P").save(path("palette.gif"))
np.save(path("imgHQ00000.npy"), tiny.transpose(2, 0, 1)[None])
np.save(path("hwc.npy"), tiny)

# SVHN: X is [32,32,3,n], y is [n,1], 10 is the digit 0. Pixel (y,x,c) of image i is i*37+c*101+y*5+x*3.
i, yy, xx, c = np.ogrid[0:3, 0:32, 0:32, 0:3]
rows = ((i * 37 + c * 101 + yy * 5 + xx * 3) % 256).astype(np.uint8)
X, labels = rows.transpose(1, 2, 3, 0), np.array([[1], [10], [9]], np.uint8)


def savemat(name, variables, compress=False):
    scipy.io.savemat(path(name), variables, do_compression=compress)
    with open(path(name), "r+b") as f:  # its free text has the time, which would differ whenever this runs
        f.write(b"MATLAB 5.0 MAT-file Platform: posix, Created on: Thu Jan  1 00:00:00 1970".ljust(116))


for name, compress, values in (("train_32x32.mat", True, labels), ("plain.mat", False, labels), ("double.mat", True, labels.astype(float))):
    savemat(name, {"X": X, "y": values}, compress)
savemat("other.mat", {"Z": np.arange(5)})

# ImageNet 32: rows of three planes, labels from 1.
planes = rows.transpose(0, 3, 1, 2).reshape(3, 3072)
fields = {"data": planes, "labels": [1, 1000, 500], "mean": planes.mean(0)}
np.savez_compressed(path("train_data_batch_1.npz"), data=planes, labels=np.array(fields["labels"]), mean=fields["mean"])
with open(path("train_data_batch_1"), "wb") as f:
    pickle.dump(fields, f, protocol=2)
np.savez(path("samples.npz"), rows)
np.save(path("nchw.npy"), rows.transpose(0, 3, 1, 2))
