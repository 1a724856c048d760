package data

import (
	"archive/zip"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
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
		if _, err := array.Write(npyHeader(s.Shape)); err != nil {
			return err
		}
		if _, err := array.Write(s.Pixels()); err != nil {
			return err
		}
		return archive.Close()
	})
}

// npyHeader is the start of a version 1.0 .npy file, padded to 64 bytes (numpy's format
// specification, NEP 1).
func npyHeader(s Shape) []byte {
	text := fmt.Sprintf("{'descr': '|u1', 'fortran_order': False, 'shape': (%d, %d, %d, %d), }", s.N, s.H, s.W, s.C)
	const magic = "\x93NUMPY\x01\x00"
	length := len(magic) + 2 + len(text) + 1
	text += strings.Repeat(" ", (64-length%64)%64) + "\n"
	head := binary.LittleEndian.AppendUint16([]byte(magic), uint16(len(text)))
	return append(head, text...)
}
