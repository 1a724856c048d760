"""Writes small CIFAR batches, exactly in the form of the real files.

The real batches were pickled by Python 2, protocol 2: str as SHORT_BINSTRING and BINSTRING, which
Python 3 cannot write, so they are assembled here by opcode and then read back. py3/ holds what
people get who load and save them with Python 3 and a numpy of today.

Pixel (y, x) of channel c in row i of batch b is (i*37 + b*59 + c*101 + y*5 + x*3) % 256, and the
label (i*3 + b) % classes: the tests compute the same.
"""
import os
import pickle
import pickletools
import struct

import numpy as np

PUT = 0


def pixels(n, b):
    i, c, y, x = np.ogrid[0:n, 0:3, 0:32, 0:32]
    return ((i * 37 + b * 59 + c * 101 + y * 5 + x * 3) % 256).astype(np.uint8).reshape(n, 3072)


def labels(n, b, classes):
    return [(i * 3 + b) % classes for i in range(n)]


def put():
    global PUT
    PUT += 1
    return b"q" + struct.pack("B", PUT) if PUT < 256 else b"r" + struct.pack("<I", PUT)


def string(s):
    s = s if isinstance(s, bytes) else s.encode("ascii")
    if len(s) < 256:
        return b"U" + struct.pack("B", len(s)) + s + put()
    return b"T" + struct.pack("<i", len(s)) + s + put()


def integer(v):
    if 0 <= v < 256:
        return b"K" + struct.pack("B", v)
    if 0 <= v < 65536:
        return b"M" + struct.pack("<H", v)
    return b"J" + struct.pack("<i", v)


def array(a):
    head = b"cnumpy.core.multiarray\n_reconstruct\n" + put() + b"cnumpy\nndarray\n" + put()
    head += integer(0) + b"\x85" + put() + string("b") + b"\x87" + put() + b"R" + put()
    dtype = b"cnumpy\ndtype\n" + put() + string("u1") + integer(0) + integer(1) + b"\x87" + put() + b"R" + put()
    dtype += b"(" + integer(3) + string("|") + b"NNN" + integer(-1) + integer(-1) + integer(0) + b"t" + put() + b"b"
    shape = b"".join(integer(n) for n in a.shape) + b"\x86" + put()
    return head + b"(" + integer(1) + shape + dtype + b"\x89" + string(a.tobytes()) + b"t" + put() + b"b"


def value(v):
    if isinstance(v, str):
        return string(v)
    if isinstance(v, int):
        return integer(v)
    if isinstance(v, list):
        return b"]" + put() + b"(" + b"".join(map(value, v)) + b"e"
    return array(v)


def python2(fields):
    """What cPickle of Python 2 writes for a dict with keys of str."""
    global PUT
    PUT = 0
    body = b"".join(string(k) + value(v) for k, v in fields.items())
    return b"\x80\x02}" + put() + b"(" + body + b"u."


def plain(v):
    """Python 2's str comes back as bytes."""
    if isinstance(v, list):
        return [plain(x) for x in v]
    return v.decode("ascii") if isinstance(v, bytes) else v


def write(path, data, fields):
    list(pickletools.genops(data))  # raises unless every opcode is well formed
    back = {plain(k): plain(v) for k, v in pickle.loads(data, encoding="bytes").items()}
    for k, v in fields.items():
        assert np.array_equal(back[k], v), (path, k)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(data)


def batch(n, b, says, classes=10):
    fields = {"batch_label": says}
    if classes == 10:
        fields["labels"] = labels(n, b, 10)
    fields["data"] = pixels(n, b)
    fields["filenames"] = ["image_%04d_%d.png" % (i, b) for i in range(n)]
    if classes == 100:
        fields["fine_labels"] = labels(n, b, 100)
        fields["coarse_labels"] = labels(n, b, 20)
    return fields


def as_python3(fields):
    return {k.encode(): v.encode() if isinstance(v, str) else v for k, v in fields.items()}


for b in (1, 2):
    f = batch(4, b, "training batch %d of 5" % b)
    write("cifar-10-batches-py/data_batch_%d" % b, python2(f), f)
f = batch(3, 6, "testing batch 1 of 1")
write("cifar-10-batches-py/test_batch", python2(f), f)
meta = {"num_cases_per_batch": 4, "label_names": ["airplane", "automobile"], "num_vis": 3072}
write("cifar-10-batches-py/batches.meta", python2(meta), meta)

for name, b, says in (("train", 1, "training batch 1 of 1"), ("test", 6, "testing batch 1 of 1")):
    f = batch(3, b, says, 100)
    write("cifar-100-python/" + name, python2(f), f)
meta = {"fine_label_names": ["apple", "aquarium_fish"], "coarse_label_names": ["fish", "flowers"]}
write("cifar-100-python/meta", python2(meta), meta)

f = batch(4, 1, "training batch 1 of 5")
for protocol in (2, 3):
    write("py3/protocol%d" % protocol, pickle.dumps(as_python3(f), protocol=protocol), f)
f["data"] = np.asfortranarray(f["data"])
write("py3/fortran", pickle.dumps(as_python3(f), protocol=2), f)
