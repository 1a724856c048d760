package data

import (
	"os"
	"syscall"
)

// mapping maps the first size bytes of f into memory. Replace a mapped file by renaming another over it: a read beyond the
// end of a file that was truncated is a fault.
func mapping(f *os.File, size int) (data []byte, unmap func() error, err error) {
	data, err = syscall.Mmap(int(f.Fd()), 0, size, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return nil, nil, os.NewSyscallError("mmap", err)
	}
	return data, func() error { return syscall.Munmap(data) }, nil
}
