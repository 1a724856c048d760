package data

import (
	"fmt"
	"path/filepath"
	"regexp"
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

// splitWords find the split in the name of a file, where a word begins: test.npz and mnistTest.npz are test images, latest.npz
// is not.
var splitWords = []struct {
	split Split
	words *regexp.Regexp
}{
	{Train, regexp.MustCompile(`(^|[^A-Za-z])(?i:[xy]?train)|Train|^(?i:data_batch)`)},
	{Test, regexp.MustCompile(`(^|[^A-Za-z])(?i:[xy]?test|t10k)|Test`)},
	{Valid, regexp.MustCompile(`(^|[^A-Za-z])(?i:val(id|[^a-z]|$))|Val(id|[^a-z]|$)`)},
	{Extra, regexp.MustCompile(`^(?i:extra)`)},
}

// splitOf is the split that the name of a file tells, or "". The name of an archive tells none, since its members may.
func splitOf(source string) Split {
	name := filepath.Base(source)
	if isArchiveName(strings.ToLower(name)) {
		return ""
	}
	return splitOfName(name)
}

func splitOfName(name string) Split {
	for _, s := range splitWords {
		if s.words.MatchString(name) {
			return s.split
		}
	}
	return ""
}
