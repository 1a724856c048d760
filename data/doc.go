// Package data reads image data sets as bytes, checks them, and hands out batches in an order that depends on (seed,
// step) only.
//
// A [Set] is n images of h×w×c bytes, one after the other (NHWC). It is read once and not changed afterwards. An IDX
// file or .npy that is not compressed is mapped, not copied. [Open] takes a known name ("fmnist", "celeba", …), a file, a
// folder, a zip or a .tar.gz. It recognises formats by content. The name of a file gives the split, if the content
// does not. It decides whether a file that cannot be read is an error, and whether a file in a folder is an image. It can tell the binary
// files of CIFAR, which have no magic number.
//
// [Prepare] decodes a set once into one file, which Open maps. A prepared set needs memory for its labels and the names
// of its files only. Use it for photographs, and for all sets above 2 GiB.
//
// LMDBs are not read, because every Go package for them wraps the C library. The error has the lines of Python that convert
// an LMDB to a folder.
//
// Files are not trusted. Nothing in them is executed (a pickle may hold numpy arrays and nothing else), nothing is
// unpacked to disk, and no allocation is larger than the size of the file justifies. Errors name the file, the value and
// the remedy. Pixels stay bytes here. [Floats] makes tensors of them, and [Augment] draws views.
//
//	train, err := data.Open("fmnist", data.Options{Size: 32}) // 28×28, padded by 2 on each side
//	if err != nil {
//		return err
//	}
//	defer train.Close()
//	order := data.NewSampler(seed, train.N)
//	batch := make([]byte, 128*train.ImageBytes())
//	for step := range steps {
//		train.Gather(batch, order.Batch(step, 128))
//		x := data.Floats(batch, 128, train.H, train.W, train.C)
//	}
package data
