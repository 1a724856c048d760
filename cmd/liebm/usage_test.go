package main

import (
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
	for _, want := range []string{"--run FOLDER       run FOLDER of liebm train (required)\n", "--n value          images of each set (default: all)\n",
		"print JSON instead of a table\n", "(default: 0.1)"} {
		assert.Contains(t, text, want)
	}
}
