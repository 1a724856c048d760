//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package data

import (
	"os"
	"syscall"
)

// lock fails if another process, or another caller here, holds f.
func lock(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) }

// mapping shows the first size bytes of f as memory, without reading them. Replace a mapped file by
// renaming another over it: one that is cut short in place faults its reader.
func mapping(f *os.File, size int) (data []byte, unmap func() error, err error) {
	data, err = syscall.Mmap(int(f.Fd()), 0, size, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return nil, nil, os.NewSyscallError("mmap", err)
	}
	return data, func() error { return syscall.Munmap(data) }, nil
}
