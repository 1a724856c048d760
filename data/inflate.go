package data

import (
	"errors"
	"fmt"
	"io"
)

// inflate reads exactly want bytes, the size that a header declared, from a file of packed bytes.
func inflate(from io.Reader, want uint64, packed int) ([]byte, error) {
	if want > uint64(packed)*inflates+slack {
		return nil, fmt.Errorf("its header declares %d bytes, more than its %d bytes can hold", want, packed)
	}
	data, err := readUpTo(from, int(want))
	if err != nil {
		return nil, err
	}
	if len(data) < int(want) {
		return nil, fmt.Errorf("it ends after %d of %d bytes", len(data), want)
	}
	var one [1]byte // reaching the end makes gzip compare its checksum
	if n, err := io.ReadFull(from, one[:]); n > 0 {
		return nil, fmt.Errorf("it goes on after the %d bytes that its header declares", want)
	} else if !errors.Is(err, io.EOF) {
		return nil, err
	}
	return data, nil
}

// readUpTo reads n bytes, or as many as there are. Its buffer grows with what really comes.
func readUpTo(from io.Reader, n int) ([]byte, error) {
	buf := make([]byte, 0, min(n, 1<<20))
	for len(buf) < n {
		if len(buf) == cap(buf) {
			bigger := make([]byte, len(buf), min(n, 2*cap(buf)))
			copy(bigger, buf)
			buf = bigger
		}
		k, err := from.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+k]
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	return buf, nil
}

func damaged(source string, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("it ends too early")
	}
	return fmt.Errorf("%s: cut short or damaged: %w; fetch it again", source, err)
}
