package study

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/eval"
)

func TestTheModelCardHasWhatIsRecorded(t *testing.T) {
	dir, out := t.TempDir(), t.TempDir()
	require.NoError(t, os.CopyFS(dir, os.DirFS(tinyRun(t))))
	m := open(t, dir)
	_, err := m.Export(out, 0.1, nil)
	require.NoError(t, err)
	require.NoError(t, Keep(dir,
		&eval.Record{Metric: "Fréchet distance", Network: "cnn", NFE: 6, Values: eval.Values{"fd": 9.5}, Inputs: []eval.Input{{N: 100, WeightsSHA256: m.SHA256}}},
		&eval.Record{Values: eval.Values{"auroc/noise": 0.75}, WeightsSHA256: m.SHA256, Settings: map[string]string{"gamma": "0.1"}},
		&eval.Record{Values: eval.Values{"knn5_h": 0.87, "linear_h": 0.88}, WeightsSHA256: m.SHA256},
		&eval.Record{Metric: "IS", Values: eval.Values{"is": 123.4567}, Inputs: []eval.Input{{WeightsSHA256: "of another checkpoint"}}}))
	path, err := WriteCard(out, dir, "apache-2.0", m)
	require.NoError(t, err)
	assert.Equal(t, filepath.Join(out, "README.md"), path)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	card := string(text)

	var head struct {
		License     string
		LibraryName string `yaml:"library_name"`
		Tags        []string
		Datasets    []string
	}
	require.NoError(t, yaml.Unmarshal([]byte(strings.Split(card, "---\n")[1]), &head))
	assert.Equal(t, "apache-2.0", head.License)
	assert.Equal(t, "liebm", head.LibraryName)
	assert.Contains(t, head.Tags, "energy-based-model")
	assert.Equal(t, []string{"zalando-datasets/fashion_mnist"}, head.Datasets)
	for _, want := range []string{m.SHA256, "| Fréchet distance | 9.5 | after MCMC, NFE 6, n 100, features cnn |", "| noise | 0.75 | 0.1 |", "| accuracy on features of h | 0.87 | 5-NN |\n|  | 0.88 | linear probe |", "SHA-256 of the pixels `",
		"2 steps of 4 images", "28×28 and are padded", "`score.pt`", "`inference.safetensors`", "--config config.json --encoder . --out"} {
		assert.Contains(t, card, want)
	}
	for _, no := range []string{"123.4", "<no value>", "checkpoint-0", "\n\n\n"} {
		assert.NotContains(t, card, no)
	}
	runsInPython(t, out, card)
}

// runsInPython runs the first example of a card in its folder.
func runsInPython(t *testing.T, folder, card string) {
	if _, err := os.Stat("/usr/lib/python3/dist-packages/torch"); err != nil || testing.Short() {
		t.Skip("takes seconds, and needs PyTorch: apt install python3-torch")
	}
	example := regexp.MustCompile("(?s)```python\n(.*?)```").FindStringSubmatch(card)[1]
	python := exec.Command("/usr/bin/python3", "-c", example+"assert images.shape == (16, 1, 32, 32) and scores.shape == (16,) and scores.isfinite().all()\n"+
		"assert s(images[:, :, 2:-2, 2:-2]).shape == (16,)\n")
	python.Dir, python.Env = folder, append(os.Environ(), "OPENBLAS_NUM_THREADS=1")
	out, err := python.CombinedOutput()
	assert.NoError(t, err, string(out))
}

func TestAUsersReadmeIsNotACard(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(dir, os.DirFS(tinyRun(t))))
	m, readme := open(t, dir), filepath.Join(dir, "README.md")
	for text, card := range map[string]bool{"# My run\nlicense: none\n": false, "---\nlicense: mit\n---\n": true} {
		require.NoError(t, os.WriteFile(readme, []byte(text), 0o666))
		require.NoError(t, renewCard(dir, m))
		now, err := os.ReadFile(readme)
		require.NoError(t, err)
		assert.Equal(t, card, text != string(now))
		if card {
			assert.Contains(t, string(now), "---\nlicense: mit\n")
		}
	}
}

func TestTheModelCardOfARunThatWasNotMeasured(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(dir, os.DirFS(tinyRun(t))))
	require.NoError(t, os.RemoveAll(filepath.Join(dir, ResultsFile)))
	path, err := WriteCard(dir, dir, "unknown", open(t, dir))
	require.NoError(t, err)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Contains(t, string(text), "None was measured of these weights.")
	assert.Contains(t, string(text), "liebm sample --run .")
	assert.NotContains(t, string(text), "```python", "there is no TorchScript in a run folder")
}
