"""Writes npy.npz and npy.compressed.npz, the arrays of every type, order and byte order, and the files
that numpy.save makes of some.
"""
import numpy as np

ramp = np.arange(6).reshape(2, 3) - 2  # -2 .. 3
arrays = {name: ramp.astype(name) for name in "uint8 int8 int16 int32 int64 float16 float32 float64 bool".split()}
arrays |= {"big." + name: ramp.astype(name).astype(np.dtype(name).newbyteorder(">")) for name in "int16 int32 int64 float16 float32 float64".split()}
arrays["fortran"] = np.asfortranarray(np.arange(24, dtype=np.float32).reshape(2, 3, 4))
arrays["big.fortran"] = np.asfortranarray(ramp.astype(">f8"))
arrays["scalar"] = np.float32(2.5)
arrays["vector"] = np.arange(3, dtype=np.int64)
arrays["empty"] = np.zeros((0, 3), np.float32)
arrays["folder/näme"] = np.zeros(1, np.uint8)
arrays["numpy"] = np.array(np.__version__)  # text is left out
np.savez("npy.npz", **arrays)
np.savez_compressed("npy.compressed.npz", **arrays)
np.save("vector.npy", arrays["vector"])
np.save("scalar.npy", arrays["scalar"])
np.save("matrix.npy", arrays["float16"])
np.save("objects.npy", np.array([{}, None]))
np.save("records.npy", np.zeros(2, [("a", "<f4"), ("b", "<i4")]))
np.save("text.npy", np.array(["a", "bc"]))
np.save("unsigned.npy", np.arange(3, dtype=np.uint16))
with open("version2.npy", "wb") as f:
    np.lib.format.write_array(f, arrays["vector"], version=(2, 0))
