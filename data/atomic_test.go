package data

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func writing(text string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, text)
		return err
	}
}

// contents returns what dir holds, by name.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	all := map[string]string{}
	for _, entry := range entries {
		text, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		require.NoError(t, err)
		all[entry.Name()] = string(text)
	}
	return all
}

func TestWriteAtomicReplaces(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, path := range []string{"here.txt", "./below/../here.txt"} {
		os.Mkdir("below", 0o777)
		require.NoError(t, WriteAtomic(path, writing("old")))
		require.NoError(t, WriteAtomic(path, writing("new")))
		os.Remove("below")
		assert.Equal(t, map[string]string{"here.txt": "new"}, contents(t, "."))
	}
	info, err := os.Stat("here.txt")
	require.NoError(t, err)
	assert.NotZero(t, info.Mode()&0o044, "others may read it, as far as the umask lets them")
}

func TestWriteAtomicKeepsLinksModesAndPipes(t *testing.T) {
	t.Chdir(t.TempDir())
	require.NoError(t, os.Mkdir("far", 0o777))
	require.NoError(t, os.WriteFile("far/private", []byte("old"), 0o600))
	require.NoError(t, os.Symlink("private", "far/hop"))
	require.NoError(t, os.Symlink("far/hop", "link"))
	require.NoError(t, os.Symlink("far/later", "early"))
	for _, link := range []string{"link", "early"} {
		require.NoError(t, WriteAtomic(link, writing("new")))
		info, err := os.Lstat(link)
		require.NoError(t, err)
		assert.NotZero(t, info.Mode()&os.ModeSymlink, "%s is still a link", link)
	}
	info, err := os.Stat("far/private")
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode())
	assert.Equal(t, "new", contents(t, "far")["private"])
	assert.Equal(t, "new", contents(t, "far")["later"])

	require.NoError(t, syscall.Mkfifo("pipe", 0o666))
	read := make(chan string)
	go func() {
		text, _ := os.ReadFile("pipe")
		read <- string(text)
	}()
	require.NoError(t, WriteAtomic("pipe", writing("through")))
	assert.Equal(t, "through", <-read)
	require.EqualError(t, WriteAtomic("/dev/full", writing("x")), "write /dev/full: no space left on device; what was saved before is intact: free space and run the same command again")
	info, err = os.Stat("/dev/full")
	require.NoError(t, err)
	assert.NotZero(t, info.Mode()&os.ModeCharDevice)
	require.ErrorContains(t, WriteAtomic("far", writing("x")), "write far: is a directory")
}

func TestWriteAtomicShowsNothingBeforeTheEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	require.NoError(t, WriteAtomic(path, func(w io.Writer) error {
		_, err := w.Write(make([]byte, 3<<20)) // more than the buffer
		assert.NoFileExists(t, path)
		entries, _ := os.ReadDir(filepath.Dir(path))
		require.Len(t, entries, 1)
		assert.True(t, IsTemporary(entries[0].Name()), entries[0].Name())
		return err
	}))
	assert.FileExists(t, path)
}

func TestWriteAtomicFailureKeepsOldFile(t *testing.T) {
	toFullDevice := func(io.Writer) error { // a real ENOSPC, wrapped as os wraps it
		full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		defer full.Close()
		_, err = full.Write([]byte("x"))
		return err
	}
	broken := errors.New("no more tensors")
	for name, c := range map[string]struct {
		write func(io.Writer) error
		is    error
		says  string
	}{
		"callback fails": {func(w io.Writer) error { w.Write(make([]byte, 2<<20)); return broken }, broken, "no more tensors"},
		"disk is full":   {toFullDevice, syscall.ENOSPC, "no space left on device; what was saved before is intact: free space and run the same command again"},
		"quota is used":  {func(io.Writer) error { return syscall.EDQUOT }, syscall.EDQUOT, "free space and run the same command again"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "x")
			require.NoError(t, os.WriteFile(path, []byte("old"), 0o666))
			err := WriteAtomic(path, c.write)
			require.ErrorIs(t, err, c.is)
			assert.Contains(t, err.Error(), "write "+path+": ")
			assert.Contains(t, err.Error(), c.says)
			assert.NotContains(t, err.Error(), ".tmp-")
			assert.NotContains(t, err.Error(), "\n")
			assert.Equal(t, map[string]string{"x": "old"}, contents(t, dir))
		})
	}
}

func TestWriteAtomicPanicLeavesNoTemporary(t *testing.T) {
	dir := t.TempDir()
	assert.Panics(t, func() { WriteAtomic(filepath.Join(dir, "x"), func(io.Writer) error { panic("torch") }) })
	assert.Empty(t, contents(t, dir))
}

func TestWriteAtomicNamesMissingFolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gone", "x")
	err := WriteAtomic(path, writing("new"))
	require.EqualError(t, err, "write "+path+": no such file or directory")
}

// On a file system that is really full, where the process may mount one; TestWriteAtomicFailureKeepsOldFile covers the
// rest.
func TestWriteAtomicOnFullFileSystem(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=256k"); err != nil {
		t.Logf("cannot mount a tmpfs: %v", err)
		return
	}
	defer syscall.Unmount(dir, syscall.MNT_DETACH)
	path := filepath.Join(dir, "checkpoint")
	old := strings.Repeat("o", 100<<10)
	require.NoError(t, WriteAtomic(path, writing(old)))

	err := WriteAtomic(path, writing(strings.Repeat("n", 200<<10))) // fits alone, but not beside the old one
	require.ErrorIs(t, err, syscall.ENOSPC)
	assert.Contains(t, err.Error(), "write "+path+": no space left on device; ")
	assert.Equal(t, map[string]string{"checkpoint": old}, contents(t, dir))
	require.NoError(t, WriteAtomic(path, writing("small")), "the room is free again")
}

func TestRemoveTemporaries(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{".checkpoint-00000001.safetensors.tmp-12-ab", ".config.yaml5577006791947779410", ".day-20261128", ".lock", "x.tmp-1-a", ".profile.tmp", "config.yaml"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), nil, 0o666))
	}
	require.NoError(t, os.Mkdir(filepath.Join(dir, ".x.tmp-1-a"), 0o777))
	require.NoError(t, RemoveTemporaries(dir))
	require.NoError(t, os.Remove(filepath.Join(dir, ".x.tmp-1-a")))
	assert.Equal(t, map[string]string{".day-20261128": "", ".lock": "", "x.tmp-1-a": "", ".profile.tmp": "", "config.yaml": ""}, contents(t, dir))
}
