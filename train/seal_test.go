package train

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// sealedRun is a run of two steps with a checkpoint of each.
func sealedRun(t *testing.T, seed uint64) string {
	t.Helper()
	cfg, out := tiny(), filepath.Join(t.TempDir(), "run")
	cfg.Seed, cfg.Steps, cfg.Log.Checkpoint, cfg.Log.Keep = seed, 2, 1, 9
	require.NoError(t, Run(t.Context(), cfg, bars(t), encoder(t), Options{Out: out}))
	return out
}

func TestCheckFindsAnyFlippedBit(t *testing.T) {
	out := sealedRun(t, 1)
	best, err := os.ReadFile(filepath.Join(out, checkpointFile(1)))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(out, bestFile), best, 0o666))
	lines, err := Check(out)
	require.NoError(t, err)
	assert.Equal(t, []string{"config.yaml", "run.json", "encoder.safetensors", "encoder.yaml", "2 checkpoints", "checkpoint-best.safetensors", "metrics.jsonl"}, lines)
	for _, name := range []string{configFile, infoFile, encoderFile, encoderConfig, checkpointFile(2), bestFile} {
		path := filepath.Join(out, name)
		whole, err := os.ReadFile(path)
		require.NoError(t, err)
		for i := range 7 {
			damaged := append([]byte(nil), whole...)
			damaged[i*len(whole)/7] ^= 1
			require.NoError(t, os.WriteFile(path, damaged, 0o666))
			_, err = Check(out)
			assert.Error(t, err, "%s, byte %d", name, i*len(whole)/7)
		}
		require.NoError(t, os.WriteFile(path, whole, 0o666))
	}
	_, err = Check(out)
	require.NoError(t, err)
}

func TestACheckpointOfAnotherRunOrStepIsNotTrusted(t *testing.T) {
	out, other := sealedRun(t, 1), sealedRun(t, 2)
	require.NoError(t, os.Rename(filepath.Join(out, checkpointFile(1)), filepath.Join(out, checkpointFile(3))))
	_, err := Check(out)
	assert.ErrorContains(t, err, "is the checkpoint of step \"1\": rename it to that step")
	require.NoError(t, os.Remove(filepath.Join(out, checkpointFile(3))))
	require.NoError(t, os.Rename(filepath.Join(other, checkpointFile(2)), filepath.Join(out, checkpointFile(2))))
	_, err = Check(out)
	assert.ErrorContains(t, err, "belongs to another run")
	config, err := os.ReadFile(filepath.Join(other, configFile))
	require.NoError(t, err)
	kept, err := os.ReadFile(filepath.Join(out, configFile))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(out, configFile), config, 0o666))
	_, err = ReadConfig(out)
	assert.ErrorContains(t, err, "config.yaml belongs to another run")
	require.NoError(t, os.WriteFile(filepath.Join(out, configFile), kept, 0o666))
	cfg := tiny()
	err = Run(t.Context(), cfg, bars(t), "", Options{Out: out, Resume: true})
	assert.ErrorContains(t, err, "no checkpoint can be read")
}

func TestARunWithoutItsInfoCannotBeResumed(t *testing.T) {
	for name, damage := range map[string]func(path string) error{
		"empty":   func(path string) error { return os.Truncate(path, 0) },
		"missing": os.Remove,
	} {
		out := sealedRun(t, 1)
		require.NoError(t, damage(filepath.Join(out, infoFile)), name)
		assert.ErrorContains(t, Run(t.Context(), tiny(), bars(t), "", Options{Out: out, Resume: true}), infoFile)
	}
}

func TestFilesOfEarlierVersionsHaveNoSeal(t *testing.T) {
	out := sealedRun(t, 1)
	info, err := ReadInfo(out)
	require.NoError(t, err)
	info.ID = ""
	text, err := json.Marshal(info)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(out, infoFile), text, 0o666))
	_, err = Check(out)
	require.NoError(t, err)
}

func TestAResumedRunSaysThatOtherThreadsChangeItsBits(t *testing.T) {
	out := sealedRun(t, 1)
	run, err := openRun(out)
	require.NoError(t, err)
	info, err := run.Info()
	require.NoError(t, err)
	info.Threads += 7
	require.NoError(t, run.WriteInfo(info))
	var log strings.Builder
	require.NoError(t, Run(t.Context(), tiny(), bars(t), "", Options{Out: out, Resume: true, Log: &log}))
	assert.Contains(t, log.String(), "so it does not go on bit for bit")
}
