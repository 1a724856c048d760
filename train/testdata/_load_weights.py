"""python3 _load_weights.py FOLDER: reads what liebm export wrote there with plain PyTorch, and prints how
far its outputs are from those in FOLDER/reference.npz, which liebm's own test puts beside them
(go test ./train -run PyTorch). docs/weights.md explains the names.
"""
import json
import struct
import sys
import numpy as np
import torch
import torch.nn.functional as F

torch.set_num_threads(1)


def read(path):
    """The tensors and the metadata of a .safetensors file; safetensors.torch does the same."""
    data = open(path, "rb").read()
    n, = struct.unpack("<Q", data[:8])
    head = json.loads(data[8:8 + n])
    meta = head.pop("__metadata__")
    return {k: torch.frombuffer(bytearray(data[8 + n:]), dtype=torch.float32, offset=v["data_offsets"][0],
                                count=int(np.prod(v["shape"]))).reshape(v["shape"]) for k, v in head.items()}, meta


class Network:
    def __init__(self, folder, kind):
        self.w, meta = read(f"{folder}/{kind}.safetensors")
        self.config, self.range = json.loads(meta[kind]), json.loads(meta["range"])
        assert meta["format"] == "liebm-" + kind and int(meta["step"]) >= 0 and json.loads(meta["run"])

    def weight(self, layer):
        """W, or W / uᵀWv where the layer is spectrally normalised."""
        w = self.w[layer + ".weight"]
        if layer + ".weight_u" in self.w:
            w = w / torch.dot(self.w[layer + ".weight_u"], torch.mv(w.flatten(1), self.w[layer + ".weight_v"]))
        return w

    def conv(self, layer, x, stride=1, padding=0):
        return F.conv2d(x, self.weight(layer), self.w.get(layer + ".bias"), stride, padding)

    def linear(self, layer, x):
        return F.linear(x, self.weight(layer), self.w.get(layer + ".bias"))

    def norm(self, layer, x):
        return F.batch_norm(x, *(self.w[f"{layer}.{k}"] for k in ["running_mean", "running_var", "weight", "bias"]))

    def has(self, layer):
        return layer + ".weight" in self.w


class Energy(Network):
    def features(self, x):
        for i, down in enumerate(self.config["downs"]):
            b = f"blocks.{i}."
            h = self.conv(b + "conv2", F.relu(self.conv(b + "conv1", F.relu(x) if i else x, 1, 1)), 1, 1)
            x = self.conv(b + "skip", x) if self.has(b + "skip") else x
            x = F.avg_pool2d(h, 2) + F.avg_pool2d(x, 2) if down else h + x
        f = F.relu(x).mean((2, 3))
        return self.linear("out", f) if self.has("out") else f

    def marginal(self, x):
        f = self.features(x)
        return self.linear("f", f)[:, 0] if self.has("f") else -0.5 * f.square().sum(1)

    def joint(self, x, z):  # with the cosine posterior
        g = self.linear("head2", F.relu(self.linear("head1", self.features(x))))
        return self.marginal(x) + self.config["gamma"] * F.cosine_similarity(g, z)


class Generator(Network):
    def forward(self, m):
        def up(x):
            return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)

        x = self.linear("in", m).reshape(len(m), -1, 4, 4)
        for i in range(len(self.config["widths"]) - 1):
            b = f"blocks.{i}."
            h = self.conv(b + "conv1", up(F.relu(self.norm(b + "bn1", x))), 1, 1)
            x = self.conv(b + "conv2", F.relu(self.norm(b + "bn2", h)), 1, 1) + self.conv(b + "skip", up(x))
        unit = (torch.tanh(self.conv("out", F.relu(self.norm("bn", x)), 1, 1)) + 1) / 2
        return self.range["low"] + (self.range["high"] - self.range["low"]) * unit


class Inference(Network):
    def forward(self, x):
        if self.has("stem"):
            x = F.leaky_relu(self.conv("stem", x, 1, 1), 0.2)
        for i in range(len(self.config["widths"])):
            x = F.leaky_relu(self.conv(f"convs.{i}", x, 2, 1), 0.2)
        return self.conv("mean", x).flatten(1), self.conv("log_var", x).flatten(1)


class Encoder(Network):
    def forward(self, x):
        c = self.config
        stride, x = 2 if c["stem"] == "large" else 1, (x - self.range["low"]) / (self.range["high"] - self.range["low"])
        x = (x - torch.tensor(c["mean"])[:, None, None]) / torch.tensor(c["std"])[:, None, None]
        x = F.relu(self.norm("bn", self.conv("stem", x, stride, self.w["stem.weight"].shape[2] // 2)))
        x = x if c["stem"] == "small" else F.max_pool2d(x, 3, 2, 1)
        for i, blocks in enumerate(c["blocks"]):
            for j in range(blocks):
                b, stride = f"stages.{i}.{j}.", 2 if i and not j else 1
                h = self.norm(b + "bn2", self.conv(b + "conv2", F.relu(self.norm(b + "bn1", self.conv(b + "conv1", x, stride, 1))), 1, 1))
                x = F.relu(h + (self.norm(b + "skip_bn", self.conv(b + "skip", x, stride)) if self.has(b + "skip") else x))
        y = F.relu(self.norm("head_bn", self.linear("head1", x.mean((2, 3)))))
        return F.normalize(self.linear("head2", y), dim=1)


def main(folder):
    reference = {k: torch.from_numpy(v) for k, v in np.load(f"{folder}/reference.npz").items()}
    x, z = reference["x"], reference["z"]
    got, e = {"g": Generator(folder, "generator").forward(reference["m"])}, Energy(folder, "energy")
    got["marginal"], got["joint"] = e.marginal(x), e.joint(x, z)
    got["mean"], got["log_var"] = Inference(folder, "inference").forward(x)
    got["latent"] = Encoder(folder, "encoder").forward(x)
    worst = 0
    for name, y in got.items():
        off = (y - reference[name]).abs().max().item() / max(1, reference[name].abs().max().item())
        worst = max(worst, off)
        print(f"{name}: off by {off:.3g}")
    assert worst < 1e-5, worst


if __name__ == "__main__":
    main(sys.argv[1])
