"""Writes augment.npz: torchvision's own functions on a few images.

torchvision's grayscale weighs red by 0.2989, PIL (and we) by 0.299.
"""
import numpy as np
import torch
import torchvision
from torchvision.transforms import functional as F
from torchvision.transforms import InterpolationMode

torch.manual_seed(7)
torch.set_num_threads(1)
out = {"versions": np.array([f"torch {torch.__version__}", f"torchvision {torchvision.__version__}", f"numpy {np.__version__}"])}

x = torch.rand(8, 3, 6, 5)
x[1] = (x[1] * 4).round() / 4  # ties between channels: the sectors' borders
x[2] = x[2, :1]  # gray
x[3] = 0
x[4] = 1
x[5] = torch.stack([(torch.arange(30).reshape(6, 5) >> i & 1).float() for i in range(3)])  # the cube's corners
out["x"] = x.numpy()

factors = torch.tensor([0.6, 1.4, 0.8, 1.2, 1.0, 0.7, 0.0, 2.0])
turns = torch.tensor([-0.1, 0.1, 0.05, 0.1, 0.1, 0.07, 0.5, -0.5])
out["factors"], out["turns"] = factors.numpy(), turns.numpy()
each = lambda f, by: torch.stack([f(image, float(v)) for image, v in zip(x, by)]).numpy()
out["brightness"] = each(F.adjust_brightness, factors)
out["contrast"] = each(F.adjust_contrast, factors)
out["saturation"] = each(F.adjust_saturation, factors)
out["hue"] = each(F.adjust_hue, turns)
out["grayscale"] = F.rgb_to_grayscale(x).numpy()
out["gray_contrast"] = torch.stack([F.adjust_contrast(image, float(v)) for image, v in zip(x[:, :1], factors)]).numpy()

# resized_crop(top, left, height, width) back to the image's size: a bicubic enlargement that knows
# the crop alone, where ours sees the pixels around it
big = torch.rand(1, 2, 10, 8)
boxes = [(0, 0, 10, 8), (2, 1, 5, 4), (3, 0, 7, 6), (0, 3, 2, 5), (9, 7, 1, 1)]
out["big"], out["boxes"] = big.numpy(), np.array(boxes)
out["crops"] = torch.cat([F.resized_crop(big, *box, [10, 8], InterpolationMode.BICUBIC) for box in boxes]).numpy()
out["flipped"] = F.hflip(big).numpy()

np.savez("augment.npz", **out)
