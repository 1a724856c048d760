package main

import (
	"archive/zip"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/urfave/cli/v2"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/internal/npz"
)

// eachCommand calls f with every command that has no subcommands, and the words that name it.
func eachCommand(words []string, commands []*cli.Command, f func(words []string, c *cli.Command)) {
	for _, c := range commands {
		path := append(slices.Clip(words), c.Name)
		f(path, c)
		eachCommand(path, c.Subcommands, f)
	}
}

// 0 and 1 are left to the tests of the commands: most flags take them.
func TestEveryNumericFlagHasLimits(t *testing.T) {
	t.Chdir(t.TempDir())
	eachCommand(nil, app().Commands, func(words []string, c *cli.Command) {
		for _, f := range c.Flags {
			name := f.Names()[0]
			_, whole := f.(*cli.IntFlag)
			_, number := f.(*cli.Float64Flag)
			if !whole && !number {
				continue
			}
			for _, value := range []string{"-1", "NaN", "+Inf", "-Inf", "2147483648", "9223372036854775807"} {
				_, err := run(t, append(slices.Clip(words), "--"+name+"="+value)...)
				require.Error(t, err, "liebm %v --%s=%s", words, name, value)
				assert.Regexp(t, "--?"+name+"|\"[^ ]*\" for flag", err.Error())
			}
		}
	})
}

func TestTheFolderOfAFileIsMadeBeforeTheWork(t *testing.T) {
	t.Chdir(t.TempDir())
	_, err := run(t, "data", "grid", "--out", "new/folder/grid.png", "no-such-set")
	require.ErrorContains(t, err, "no-such-set")
	assert.DirExists(t, "new/folder")
	_, err = run(t, "eval", "features", "--out", "new")
	require.ErrorContains(t, err, "--out new is a folder: name a file")
}

// onFull is the error of f when its output goes to a full disk.
func onFull(t *testing.T, f func() error) error {
	t.Helper()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	require.NoError(t, err)
	defer full.Close()
	stdout := os.Stdout
	os.Stdout = full
	defer func() { os.Stdout = stdout }()
	return printing(f)
}

func TestAFullDiskUnderTheOutputIsAnError(t *testing.T) {
	err := onFull(t, func() error { _, err := os.Stdout.WriteString(strings.Repeat("x", 1<<20)); return err })
	assert.ErrorContains(t, err, "write the results: write /dev/full: no space left on device")
}

// Commands that work for long print their help.
func TestEveryCommandFindsAFullDiskUnderItsOutput(t *testing.T) {
	if testing.Short() {
		t.Skip("trains, samples and exports")
	}
	r := trained(t)
	out := filepath.Join(t.TempDir(), "out")
	calls := [][]string{{"--version"}, {"data", "list"}, {"data", "info", filepath.Join(sharedFolder, "data")}, {"config"}, {"doctor"}, {"doctor", "--json"},
		{"completion", "bash"}, {"check", r}, {"train", "--preset", "fmnist-em", "--out", out, "--dry-run"},
		{"pretrain", "--preset", "fmnist-simclr", "--out", out, "--dry-run"}, {"reproduce", "table1", "--dry-run"},
		{"sample", "--run", r, "--n", "2", "--out", out + ".npz"}, {"score", "--run", r, "--n", "2", filepath.Join(sharedFolder, "data")},
		{"export", "--run", r, "--out", out}}
	eachCommand(nil, app().Commands, func(words []string, _ *cli.Command) { calls = append(calls, append(slices.Clip(words), "--help")) })
	for _, args := range calls {
		assert.ErrorContains(t, onFull(t, func() error { return runApp(t.Context(), append([]string{"liebm"}, args...)) }), "no space left on device", "%v", args)
	}
}

func TestVeryLongWordsAreShortened(t *testing.T) {
	_, err := run(t, "train", "--preset", strings.Repeat("é", 100_000), "--out", "x")
	require.Error(t, err)
	text := shorten(err.Error())
	assert.Less(t, len(text), 2000)
	assert.Contains(t, text, "characters)…é")
	assert.Contains(t, text, "fmnist-em", "the remedy stays")
	path := "/" + strings.Repeat("folder/", 50)
	assert.Equal(t, path, shorten(path))
}

func TestTheRemedyOfDataThatAreTooBigIsTheFlag(t *testing.T) {
	t.Setenv(data.MaxMemory, "")
	path := filepath.Join(t.TempDir(), "a.npz")
	f, err := os.Create(path)
	require.NoError(t, err)
	archive := npz.NewWriter(f, zip.Deflate) // a stored array would be mapped
	require.NoError(t, archive.Write("arr_0", npz.Header{Type: "|u1", Shape: []int{100, 8, 8, 1}}, make([]byte, 6400)))
	require.NoError(t, errors.Join(archive.Close(), f.Close()))
	_, err = run(t, "--max-memory", "0.000001", "data", "info", path)
	assert.ErrorContains(t, err, "prepare the set, and open the prepared file, or allow more: liebm --max-memory GIB")
	_, err = run(t, "--max-memory", "0.001", "data", "info", path)
	assert.NoError(t, err)
	for _, value := range []string{"0", "-1", "NaN", "+Inf"} {
		_, err = run(t, "--max-memory", value, "data", "list")
		assert.ErrorContains(t, err, "--max-memory")
	}
}

func TestTextFromFilesIsHarmless(t *testing.T) {
	assert.Equal(t, "a\\x1b[31m\nb\\x9b", printable("a\x1b[31m\nb\u009b"))
	assert.Equal(t, `a\u202eb`, printable("a\u202eb"))
	var b strings.Builder
	_, err := cleaned{&b}.Write([]byte("x\x1b[2J\n"))
	require.NoError(t, err)
	assert.Equal(t, "x\\x1b[2J\n", b.String())
	assert.Equal(t, `liebm train --out 'my run; rm '\''x'\''' --resume`, resuming("train", "my run; rm 'x'"))
	assert.Equal(t, "liebm train --out runs/a-1 --resume", resuming("train", "runs/a-1"))
}
