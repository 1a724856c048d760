"""Writes net.pth, the state dict of a small trained network, and expected.npz, an input with the
network's output in evaluation mode.
"""
import numpy as np
import torch
from torch import nn

torch.manual_seed(1)
torch.set_num_threads(1)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 8, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(8)
        self.fc = nn.Linear(8 * 4 * 4, 10)

    def forward(self, x):  # [n,1,8,8] -> [n,10]
        h = nn.functional.avg_pool2d(torch.relu(self.bn(self.conv(x))), 2)
        return self.fc(h.flatten(1))


net = Net()
optimizer = torch.optim.Adam(net.parameters(), 1e-2)
for _ in range(20):  # so that the batch norm has statistics of its own
    x = torch.rand(32, 1, 8, 8)
    loss = nn.functional.cross_entropy(net(x), (x.sum((1, 2, 3)) - 27).clamp(0, 9).long())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
torch.save(net.state_dict(), "net.pth")

net.eval()
with torch.no_grad():
    x = torch.rand(4, 1, 8, 8)
    np.savez("expected.npz", x=x.numpy(), y=net(x).numpy(), torch=np.array(torch.__version__))
