package train

import (
	"crypto/sha256"
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/liebm/liebm/internal/config"
)

// packed holds the runs that come with liebm, as [Pack] made them.
//
//go:embed pretrained
var packed embed.FS

// pretrainedPrefix begins the name of a run that comes with liebm.
const pretrainedPrefix = "pretrained:"

// PretrainedRuns lists the runs that come with liebm, such as pretrained:fmnist.
func PretrainedRuns() (names []string) {
	runs, _ := packed.ReadDir("pretrained")
	for _, run := range runs {
		names = append(names, pretrainedPrefix+run.Name())
	}
	return names
}

// PretrainedCard returns the model card (README.md) of one of [PretrainedRuns].
func PretrainedCard(run string) ([]byte, error) {
	return packed.ReadFile("pretrained/" + strings.TrimPrefix(run, pretrainedPrefix) + "/README.md")
}

// RunFolder returns the folder of a run. For one of [PretrainedRuns] this is a folder in the user's cache, to which the
// run is copied at the first use. For any other name it is run itself.
func RunFolder(run string) (dir string, err error) {
	name, comes := strings.CutPrefix(run, pretrainedPrefix)
	if !comes {
		return run, nil
	}
	if all := PretrainedRuns(); !slices.Contains(all, run) {
		return "", fmt.Errorf("no run that comes with liebm is called %s: %suse %s", run, config.Guess(run, all), strings.Join(all, " or "))
	}
	files, err := fs.Sub(packed, "pretrained/"+name)
	if err != nil {
		return "", err
	}
	sum, err := sumOf(files)
	if err != nil {
		return "", err
	}
	folder := filepath.Join("liebm", "pretrained", name+"-"+sum)
	if cache, err := os.UserCacheDir(); err == nil {
		if dir = filepath.Join(cache, folder); unpack(files, dir) == nil {
			return dir, nil
		}
	}
	// In some containers the user has no home, or may not write there.
	dir = filepath.Join(os.TempDir(), fmt.Sprintf("liebm-%d", os.Getuid()), folder)
	return dir, unpack(files, dir)
}

// sumOf is a checksum of all files, short enough for a name.
func sumOf(files fs.FS) (string, error) {
	sum := sha256.New()
	err := fs.WalkDir(files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := fs.ReadFile(files, path)
		fmt.Fprintln(sum, path, len(content))
		sum.Write(content)
		return err
	})
	return fmt.Sprintf("%x", sum.Sum(nil))[:12], err
}

// unpack copies files to dir, unless it is there. It appears when all of them are written.
func unpack(files fs.FS, dir string) error {
	if _, err := os.Stat(filepath.Join(dir, configFile)); err == nil {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o777); err != nil {
		return err
	}
	temporary, err := os.MkdirTemp(filepath.Dir(dir), "unpacking-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temporary)
	if err := os.CopyFS(temporary, files); err != nil {
		return err
	}
	if err := os.Chmod(temporary, 0o755); err != nil {
		return err
	}
	if err := os.Rename(temporary, dir); err != nil {
		if _, there := os.Stat(filepath.Join(dir, configFile)); there != nil { // else another process was first
			return err
		}
	}
	return nil
}
