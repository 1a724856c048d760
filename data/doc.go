// Package data holds image data sets as bytes: it reads what people have on disk, checks it, and
// hands out batches in an order that is a pure function of (seed, step).
//
// A [Set] is n images of h×w×c bytes one after the other, NHWC, read once and then only looked at;
// an uncompressed IDX file is mapped and never copied. [Open] takes a known name ("fmnist",
// "celeba", …), a file, a folder, a zip or a .tar.gz, and decides by content what each file is. The
// name of a file decides three things only: which split it belongs to, where the content does not
// say, whether to complain that it should have been readable, and that an image in a folder is one.
//
// [Prepare] decodes a set once into one file that Open maps, so that a set of any size costs no
// memory of the process beyond its labels: use it for photographs, and for all above 2 GiB.
//
// An LMDB is refused, with the lines of Python that turn it into a folder: every Go package for it
// that we found (bmatsuo/lmdb-go and its forks, gomdb and its forks) wraps the C library, and its
// pages are described by that library's source alone.
//
// Files are hostile until read: nothing is executed (a pickle may hold numpy arrays and nothing
// else), nothing is unpacked to disk, and no allocation exceeds what the size of the file justifies.
// An error names the file, the value and the remedy. Pixels stay bytes here; [Floats] makes tensors
// of them, and [Augment] draws views.
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
