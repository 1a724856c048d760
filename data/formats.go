package data

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/liebm/liebm/internal/npz"
)

// parse reads a file of any format that holds images or labels. For any other file it returns nil, or an error if the name
// is that of such a format.
func parse(source string, b []byte) (*part, error) {
	name := strings.ToLower(strings.TrimSuffix(filepath.Base(source), ".gz"))
	switch {
	case isPrepared(b):
		return parsePrepared(b)
	case isMAT(b):
		return parseMAT(b)
	case npz.IsNPY(b):
		return parseImages(b)
	case isZip(b):
		return parseNPZ(b)
	case isLMDB(b):
		return nil, errLMDB
	case isCIFARBinary(name, b):
		return parseCIFARBinary(b)
	case isIDX(b):
		return parseIDX(b)
	case isPickle(b):
		return parsePickle(b)
	case strings.Contains(name, "ubyte"):
		return nil, notIDX(b)
	case strings.HasPrefix(name, "data_batch") || strings.HasPrefix(name, "test_batch"):
		return nil, fmt.Errorf("starts with % x, not as a Python pickle (80 02) does, and is no CIFAR binary; fetch it again", b[:min(4, len(b))])
	case strings.HasSuffix(name, "_32x32.mat"):
		return nil, errNotMAT
	case strings.HasSuffix(name, preparedEnding):
		return nil, errNotPrepared
	}
	return nil, nil
}

// splitOf is the split that the name of a file tells, or "".
func splitOf(source string) Split {
	name := strings.ToLower(filepath.Base(source))
	switch {
	case isArchiveName(name):
		return ""
	case strings.Contains(name, "train") || strings.HasPrefix(name, "data_batch"):
		return Train
	case strings.Contains(name, "t10k") || strings.Contains(name, "test"):
		return Test
	case strings.HasPrefix(name, "val") || strings.Contains(name, "valid"):
		return Valid
	case strings.HasPrefix(name, "extra"):
		return Extra
	}
	return ""
}
