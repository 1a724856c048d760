"""The yardstick of BenchmarkStatistics: statistics of a folder of PNG as plain PyTorch takes them, the time and memory.

The network is models/testdata/inception.py's with the weights in --pth, the loop the usual one: batches of 50 from a
DataLoader, every feature kept in memory, numpy's mean and covariance. With --write it makes the weights' file and ends."""
import argparse, json, os, sys, time
import numpy as np, torch, torch.nn.functional as F
from PIL import Image
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../models/testdata"))
from inception import network, pool3


class Folder(torch.utils.data.Dataset):
    def __init__(self, path):
        self.files = sorted(os.path.join(path, f) for f in os.listdir(path))

    def __len__(self):
        return len(self.files)

    def __getitem__(self, i):
        return torch.from_numpy(np.asarray(Image.open(self.files[i]).convert("RGB"))).permute(2, 0, 1).float() / 255


p = argparse.ArgumentParser()
p.add_argument("--folder")
p.add_argument("--threads", type=int, default=1)
p.add_argument("--pth")
p.add_argument("--write", choices=["zip", "legacy"])
p.add_argument("--features", help=".npy to leave every image's features in")
a = p.parse_args()
torch.set_num_threads(a.threads)
if a.write:
    torch.save(network().state_dict(), a.pth, _use_new_zipfile_serialization=a.write == "zip")
    sys.exit()
net = network(torch.load(a.pth))
start = time.perf_counter()
features = []
with torch.no_grad():
    for x in torch.utils.data.DataLoader(Folder(a.folder), batch_size=50):
        x = 2 * F.interpolate(x, (299, 299), mode="bilinear", align_corners=False) - 1
        features.append(pool3(net, x).numpy())
features = np.concatenate(features)
mu, sigma = features.mean(0), np.cov(features, rowvar=False)
seconds = time.perf_counter() - start
if a.features:
    np.save(a.features, features)
# not getrusage, whose maximum begins with that of the process that started this one
peak_kb = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps({"seconds": seconds, "peak_mb": peak_kb / 1024,
                  "mean": float(mu.mean()), "trace": float(np.trace(sigma))}))
