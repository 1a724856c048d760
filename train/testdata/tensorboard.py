"""Writes scalar.tfevents beside itself: what TensorBoard's record format asks for, spelt out byte by byte.

Standard library only, and nothing in common with tensorboard.go: the CRC is computed bit by bit, the messages are
literal bytes with their field numbers (tensorflow/core/util/event.proto, framework/summary.proto). Any Python 3 will do:
    python3 testdata/tensorboard.py
"""
import pathlib
import struct


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def masked(data):
    crc = crc32c(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def record(data):
    length = struct.pack("<Q", len(data))
    return length + masked(length) + data + masked(data)


assert crc32c(b"123456789") == 0xE3069283  # the check value in every catalogue of CRCs

wall_time = b"\x09" + struct.pack("<d", 1_700_000_000)  # Event 1, 64 bit
version = b"\x1a\x0dbrain.Event:2"  # Event 3, 13 bytes
step = b"\x10\xac\x02"  # Event 2, varint 300
tag = b"\x0a\x0bloss/energy"  # Value 1, 11 bytes
simple_value = b"\x15" + struct.pack("<f", 1.5)  # Value 2, 32 bit
value = b"\x0a\x12" + tag + simple_value  # Summary 1, 18 bytes
summary = b"\x2a\x14" + value  # Event 5, 20 bytes

out = pathlib.Path(__file__).parent / "scalar.tfevents"
out.write_bytes(record(wall_time + version) + record(wall_time + step + summary))
