"""Tinted Fashion-MNIST, the RGB images of the pages about stability: a garment of one colour on a ground of another, 32×32.

    python3 tinted.py train 20000 tinted.npz
    python3 tinted.py train 4000 tinted64.npz 2    # every pixel as 2×2

It needs the files of Fashion-MNIST in /usr/share/datasets/fashion-mnist/ and only the standard library.
"""
import colorsys, gzip, random, struct, sys, zipfile


def garments(split):
    raw = gzip.open(f'/usr/share/datasets/fashion-mnist/{split}-images-idx3-ubyte.gz').read()[16:]
    for i in range(0, len(raw), 784):
        rows = [raw[i + j:i + j + 28] for j in range(0, 784, 28)]
        yield b''.join([bytes(64), *(b'\0\0' + row + b'\0\0' for row in rows), bytes(64)])  # padded to 32×32


def tinted(image, rnd, scale):
    ground = colorsys.hsv_to_rgb(rnd.random(), rnd.uniform(.2, .8), rnd.uniform(.1, .9))
    garment = colorsys.hsv_to_rgb(rnd.random(), rnd.uniform(.1, .7), rnd.uniform(.6, 1))
    pixels = bytearray(3 * len(image))
    for c in range(3):
        pixels[c::3] = image.translate(bytes(int(255 * (garment[c] * (.25 + .75 * g / 255) if g else ground[c]) + .5) for g in range(256)))
    rows = [pixels[i:i + 96] for i in range(0, len(pixels), 96)]
    return b''.join(b''.join(row[x:x + 3] * scale for x in range(0, 96, 3)) * scale for row in rows)


def main(split, n, path, scale='1'):
    images, rnd, side = list(garments(split)), random.Random(split), 32 * int(scale)
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({n}, {side}, {side}, 3), }}"
    header += ' ' * (-(11 + len(header)) % 64) + '\n'
    with zipfile.ZipFile(path, 'w') as z, z.open('arr_0.npy', 'w') as f:
        f.write(b'\x93NUMPY\x01\x00' + struct.pack('<H', len(header)) + header.encode())
        for image in images[:int(n)]:
            f.write(tinted(image, rnd, int(scale)))
            for _ in range(3):
                rnd.randrange(len(images))  # numbers that another set used, drawn so that these images stay the same


main(*sys.argv[1:])
