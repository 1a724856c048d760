package data

import (
	"archive/zip"
	"io"

	"github.com/liebm/liebm/torch"
)

// WriteNPZ writes the images as numpy's savez would: one array arr_0, uint8 [n,h,w,c], the form
// that samples are exchanged in. It replaces path atomically.
func WriteNPZ(path string, s *Set) error {
	return WriteAtomic(path, func(w io.Writer) error {
		archive := zip.NewWriter(w)
		array, err := archive.CreateHeader(&zip.FileHeader{Name: "arr_0.npy", Method: zip.Store})
		if err != nil {
			return err
		}
		if _, err := array.Write(torch.NPYHeader(torch.Uint8, s.N, s.H, s.W, s.C)); err != nil {
			return err
		}
		if _, err := array.Write(s.Pixels()); err != nil {
			return err
		}
		return archive.Close()
	})
}
