package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestWrongFlagsAndCommandsGetOneLine(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"dta"}, `liebm has no command "dta": did you mean data? liebm --help lists them`},
		{[]string{"metrics", "fiddle"}, `liebm metrics has no command "fiddle": liebm metrics --help lists them`},
		{[]string{"--thread", "1", "doctor"}, "liebm has no flag --thread: did you mean --threads? liebm --help lists them"},
		{[]string{"metrics", "fid", "a", "b", "--weigths", "w"}, "liebm metrics fid has no flag --weigths: did you mean --weights? liebm metrics fid --help lists them"},
		{[]string{"eval"}, "--run is missing: see liebm eval --help"},
		{[]string{"train", "--steps", "x"}, `invalid value "x" for flag -steps: parse error: see liebm train --help`},
	} {
		text, err := run(t, c.args...)
		require.EqualError(t, err, c.want)
		assert.Empty(t, text)
	}
	for _, args := range [][]string{{}, {"help"}, {"data"}, {"data", "help"}} {
		text, err := run(t, args...)
		require.NoError(t, err)
		assert.Contains(t, text, "COMMANDS:")
	}
}

func TestHelpShowsDefaultsOnceAndWhatIsRequired(t *testing.T) {
	text, err := run(t, "score", "--help")
	require.NoError(t, err)
	for _, want := range []string{"--run FOLDER        run FOLDER of liebm train (required)\n", "--n value           images of each set (default: all)\n",
		"print JSON instead of a table\n", "(default: score_gamma of the run's config)"} {
		assert.Contains(t, text, want)
	}
}

func TestResumeAutoStartsWhatIsNotThere(t *testing.T) {
	out := filepath.Join(t.TempDir(), "new", "run")
	_, err := run(t, "train", "--out", out, "--resume", "auto")
	assert.ErrorContains(t, err, "name images or a config", "there is no run to go on with")
	_, err = run(t, "train", "--out", out, "--resume")
	assert.ErrorContains(t, err, "holds no run")
	_, err = run(t, "train", "--out", out, "--resume=maybe")
	assert.ErrorContains(t, err, "use --resume or --resume auto")
}

func TestResumeAutoSaysWhichSettingsItIgnores(t *testing.T) {
	if testing.Short() {
		t.Skip("trains")
	}
	out := filepath.Join(t.TempDir(), "run")
	require.NoError(t, os.CopyFS(out, os.DirFS(trained(t))))
	messages, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	require.NoError(t, err)
	defer messages.Close()
	stderr := os.Stderr
	os.Stderr = messages
	_, err = run(t, "train", "--out", out, "--resume", "auto", "--preset", "fmnist-em", "--set", "batch=8")
	os.Stderr = stderr
	require.NoError(t, err)
	text, err := os.ReadFile(messages.Name())
	require.NoError(t, err)
	assert.Regexp(t, "warning: .*run goes on with its own config; these settings of the flags are ignored: .*batch=8", string(text))
}

func TestOutputPathsAreCheckedBeforeTheWork(t *testing.T) {
	dir := files(t, map[string]string{"file": ""})
	_, err := run(t, "score", "--run", "runs/none", "--out", dir, "photos/")
	assert.ErrorContains(t, err, "--out "+dir+" is a folder: name a file")
	_, err = run(t, "sample", "--run", "runs/none", "--out", filepath.Join(dir, "file", "x.npz"))
	assert.ErrorContains(t, err, "not a directory: use another path")
}

func TestCompletionNamesCommands(t *testing.T) {
	script, err := run(t, "completion")
	require.NoError(t, err)
	assert.Contains(t, script, "--generate-bash-completion")
	require.NoError(t, runApp(t.Context(), []string{"liebm", "metrics", "--generate-bash-completion"}))
}
