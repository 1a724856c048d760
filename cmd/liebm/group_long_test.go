//go:build long

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/eval"
	"github.com/liebm/liebm/models/modelstest"
	"github.com/liebm/liebm/study"
)

func TestTwoProcessesSampleAndMeasureWhatOneDoes(t *testing.T) {
	dir, out, weights := trained(t), t.TempDir(), modelstest.InceptionFile(t)
	one, two := filepath.Join(out, "one.npz"), filepath.Join(out, "two.npz")
	_, err := run(t, "sample", "--run", dir, "--n", "300", "--out", one) // three batches
	require.NoError(t, err)
	for rank, p := range launch(t, byHand(t), "sample", "--run", dir, "--n", "300", "--out", two) {
		require.NoError(t, p.Wait(), "rank %d: %s", rank, &p.output)
		assert.Equal(t, rank == 0, p.output.Len() > 0, "rank 0 alone reports: %s", &p.output)
	}
	assert.True(t, string(contents(t, one)) == string(contents(t, two)), "to the last byte")

	others := badFolder(t, "others", func(string) {})
	args, records := []string{"metrics", "fid", dir, others, "--weights", weights, "--n", "33"}, filepath.Join(out, "fid.jsonl") // three batches
	want := record(t, args...)
	for rank, p := range launch(t, byHand(t), append(args, "--out", records)...) {
		require.NoError(t, p.Wait(), "rank %d: %s", rank, &p.output)
	}
	got, err := eval.ReadRecords(records)
	require.NoError(t, err)
	require.Len(t, got, 1, "rank 0 alone writes")
	assert.Equal(t, want.Values, got[0].Values, "to the last bit")
	assert.Equal(t, want.Inputs, got[0].Inputs)
}

func TestTwoProcessesAssessARunAsOneDoes(t *testing.T) {
	out := t.TempDir()
	inliers := filepath.Join(out, "inliers.npz")
	_, err := run(t, "sample", "--run", trained(t), "--n", "300", "--out", inliers)
	require.NoError(t, err)
	for name, args := range map[string][]string{
		"eval":  {"eval", "--n", "300"},
		"ood":   {"metrics", "ood", "--inliers", inliers, "constant", "samples", "--resamples", "20"},
		"probe": {"metrics", "probe", "--epochs", "2"},
		"t-SNE": {"metrics", "tsne", "--on", "both", "--n", "100", "--probe", "300", "--epochs", "2", "--plot", filepath.Join(out, "RANK.png")},
	} {
		t.Run(name, func(t *testing.T) {
			var folders [2]string
			var records [2][]eval.Record
			for i := range folders {
				folders[i] = filepath.Join(t.TempDir(), "run")
				require.NoError(t, os.CopyFS(folders[i], os.DirFS(trained(t))))
			}
			_, err := run(t, append(args, "--run", folders[0])...)
			require.NoError(t, err)
			for rank, p := range launch(t, byHand(t), append(args, "--run", folders[1])...) {
				require.NoError(t, p.Wait(), "rank %d: %s", rank, &p.output)
				assert.Equal(t, rank == 0, p.output.Len() > 0, "rank 0 alone reports: %s", &p.output)
			}
			for i, dir := range folders {
				records[i], err = eval.ReadRecords(filepath.Join(dir, study.ResultsFile))
				require.NoError(t, err)
			}
			require.Len(t, records[1], len(records[0]), "rank 0 alone writes")
			for i, want := range records[0] {
				got := records[1][i]
				for _, timed := range []string{"seconds", "seconds_no_mcmc"} {
					delete(want.Values, timed)
					delete(got.Values, timed)
				}
				assert.NotEmpty(t, got.Values)
				assert.Equal(t, want.Values, got.Values, "to the last bit")
				assert.Equal(t, want.Inputs, got.Inputs)
				assert.Equal(t, want.Network, got.Network)
			}
		})
	}
	assert.NoFileExists(t, filepath.Join(out, "1.png"))

	require.NoError(t, os.Rename(inliers, filepath.Join(out, "0.npz")))
	for rank, p := range launch(t, byHand(t), "metrics", "ood", "--run", trained(t), "constant", filepath.Join(out, "RANK.npz")) {
		assert.Error(t, p.Wait())
		assert.Contains(t, p.output.String(), [2]string{"another process of the group failed", "1.npz"}[rank], "rank %d", rank)
	}
}

func contents(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return text
}

func TestSharedSamplingEndsInAllProcesses(t *testing.T) {
	folder := t.TempDir()
	dir, out := filepath.Join(folder, "run0"), filepath.Join(folder, "x.npz")
	require.NoError(t, os.CopyFS(dir, os.DirFS(trained(t))))
	kept := filepath.Join(dir, "generator-00000004.safetensors")
	for name, c := range map[string]struct {
		args []string
		end  func(p *process) error // of rank 1; nil: it ends by itself
		says [2]string
	}{
		"a signal to one": {nil, func(p *process) error { return p.Process.Signal(syscall.SIGTERM) }, [2]string{"another process was told to stop", "stopped; nothing was written"}},
		"one is killed":   {nil, func(p *process) error { return p.Process.Kill() }, [2]string{"rank 1 of 2 processes no longer answers rank 0", ""}},
		"other seeds":     {[]string{"--seed", "1RANK"}, nil, [2]string{"seed is 10 and 11", "seed is 10 and 11"}},
		"one has no run":  {[]string{"--run", filepath.Join(folder, "runRANK")}, nil, [2]string{"another process of the group failed", "run1"}},
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, os.RemoveAll(kept))
			ranks := launch(t, byHand(t), append([]string{"sample", "--run", dir, "--n", "1000000", "--out", out}, c.args...)...)
			if c.end != nil {
				require.Eventually(t, func() bool {
					_, err := os.Stat(kept) // rank 0 writes it, in the group
					return err == nil
				}, time.Minute, 5*time.Millisecond)
				require.NoError(t, c.end(ranks[1]))
			}
			for rank, p := range ranks {
				var exit *exec.ExitError
				require.ErrorAs(t, p.Wait(), &exit, "rank %d", rank)
				assert.Contains(t, p.output.String(), c.says[rank], "rank %d", rank)
			}
			assert.NoFileExists(t, out)
		})
	}
}
