package main

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/urfave/cli/v2"
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

func TestAFullDiskUnderTheOutputIsAnError(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	require.NoError(t, err)
	defer full.Close()
	stdout := os.Stdout
	os.Stdout = full
	defer func() { os.Stdout = stdout }()
	err = printing(func() error { _, err := os.Stdout.WriteString(strings.Repeat("x", 1<<20)); return err })
	assert.ErrorContains(t, err, "write the results: write /dev/full: no space left on device")
}

func TestTextFromFilesIsHarmless(t *testing.T) {
	assert.Equal(t, "a\\x1b[31m\nb\\x9b", printable("a\x1b[31m\nb\u009b"))
	assert.Equal(t, `liebm train --out 'my run; rm '\''x'\''' --resume`, resuming("train", "my run; rm 'x'"))
	assert.Equal(t, "liebm train --out runs/a-1 --resume", resuming("train", "runs/a-1"))
}
