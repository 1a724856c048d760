package train

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/internal/config"
	"github.com/liebm/liebm/torch"
)

func TestConfigsOfEarlierVersionsOpen(t *testing.T) {
	text, err := config.YAML(FashionMNIST())
	require.NoError(t, err)
	var lines []string
	for line := range strings.Lines(string(text)) {
		if key, _, _ := strings.Cut(line, ":"); key != "score_gamma" && key != "batch_split" {
			lines = append(lines, line)
		}
	}
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, configFile), []byte(strings.Join(lines, "")), 0o666))
	cfg, err := ReadConfig(dir)
	require.NoError(t, err)
	assert.Equal(t, 0.1, cfg.ScoreGamma)
	assert.Equal(t, 1, cfg.BatchSplit)
}

func newRun(t *testing.T) *runDir {
	t.Helper()
	r, err := createRun(filepath.Join(t.TempDir(), "runs", "a"), false)
	require.NoError(t, err)
	t.Cleanup(func() { r.Close() })
	require.NoError(t, r.WriteConfig(struct {
		Batch int `yaml:"batch"`
	}{1}))
	return r
}

func steps(t *testing.T, r *runDir) []int {
	t.Helper()
	all, err := r.Checkpoints()
	require.NoError(t, err)
	var steps []int
	for _, c := range all {
		steps = append(steps, c.Step)
	}
	return steps
}

func TestCreateRun(t *testing.T) {
	for name, c := range map[string]struct {
		files  []string
		resume bool
		says   string // "" for success
	}{
		"new, empty folder":         {nil, false, ""},
		"new, died before config":   {[]string{".lock", ".config.yaml.tmp-1-a"}, false, ""},
		"new, died after h":         {[]string{".lock", "encoder.safetensors", "encoder.yaml", "log.txt", "run.json"}, false, ""},
		"new, died while importing": {[]string{".lock", "run.json", "checkpoint-00000000.safetensors"}, false, ""},
		"new, lost its config":      {[]string{".lock", "run.json", "checkpoint-00000007.safetensors"}, false, "is not empty (it has checkpoint-00000007.safetensors)"},
		"new, folder with files":    {[]string{"thesis.tex"}, false, "is not empty (it has thesis.tex) and holds no run (no config.yaml): choose another folder"},
		"new, folder with a run":    {[]string{"config.yaml"}, false, "already holds a run: resume it, or choose another folder"},
		"resume, folder with a run": {[]string{"config.yaml", "run.json"}, true, ""},
		"resume, empty folder":      {nil, true, "holds no run (it has no config.yaml)"},
		"resume, folder with files": {[]string{"thesis.tex"}, true, "holds no run (it has no config.yaml)"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for _, file := range c.files {
				require.NoError(t, os.WriteFile(filepath.Join(dir, file), nil, 0o666))
			}
			before := contents(t, dir)
			r, err := createRun(dir, c.resume)
			if c.says != "" {
				require.ErrorContains(t, err, dir+" ")
				require.ErrorContains(t, err, c.says)
				assert.Equal(t, before, contents(t, dir), "a folder that is not ours stays untouched")
				return
			}
			require.NoError(t, err)
			require.NoError(t, r.Close())
			assert.NotContains(t, contents(t, dir), ".config.yaml.tmp-1-a")
			assert.NotContains(t, contents(t, dir), "encoder.yaml", "it may be of another encoder")
		})
	}
}

func TestCreateRunOtherPaths(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o666))
	for _, resume := range []bool{false, true} {
		_, err := createRun(file, resume)
		require.ErrorContains(t, err, file+" is a file")
	}
	_, err := createRun(filepath.Join(dir, "gone"), true)
	require.ErrorContains(t, err, "holds no run")
	assert.NoDirExists(t, filepath.Join(dir, "gone"))

	_, err = openRun(dir)
	require.ErrorContains(t, err, dir+" holds no run")
}

func TestRunIsLocked(t *testing.T) {
	first := newRun(t)
	_, err := createRun(first.Path(), true)
	require.ErrorContains(t, err, first.Path()+" is in use by another training process (process ")

	reader, err := openRun(first.Path()) // evaluation beside training
	require.NoError(t, err)
	require.NoError(t, reader.Close())

	require.NoError(t, first.Close())
	second, err := createRun(first.Path(), true)
	require.NoError(t, err)
	require.NoError(t, second.Close())
}

func TestRunConfigAndInfo(t *testing.T) {
	r := newRun(t)
	text, err := os.ReadFile(r.Path(configFile))
	require.NoError(t, err)
	assert.Regexp(t, "^batch: 1\n# seal: [0-9a-f]{64}\n$", string(text))

	started := time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC)
	info := RunInfo{
		Seed: 1<<64 - 1, Command: []string{"liebm", "train", "--set", "lr=1"}, Started: started, Host: "h", Device: "cpu",
		Threads: 2, Versions: map[string]string{"libtorch": "2.9.0"}, Data: map[string]string{"train.bin": "ab"},
	}
	require.NoError(t, r.WriteInfo(info))
	assert.Regexp(t, `^\{
  "seed": 18446744073709551615,
  "command": \[
    "liebm",
    "train",
    "--set",
    "lr=1"
  \],
  "started": "2025-01-02T03:04:05Z",
  "host": "h",
  "device": "cpu",
  "threads": 2,
  "versions": {
    "libtorch": "2.9.0"
  },
  "data": {
    "train.bin": "ab"
  },
  "seal": "[0-9a-f]{64}"
\}
$`, contents(t, r.Path())["run.json"])

	info.Finished = started.Add(time.Hour)
	info.Resumed = []Resume{{Step: 5, Time: started, Host: "g", Command: []string{"liebm"}}}
	require.NoError(t, r.WriteInfo(info))
	got, err := r.Info()
	require.NoError(t, err)
	assert.Equal(t, info, got)

	require.NoError(t, os.WriteFile(r.Path(infoFile), []byte("{"), 0o666))
	_, err = r.Info()
	require.ErrorContains(t, err, r.Path("run.json"))
}

func TestSaveCheckpointKeepsTheNewest(t *testing.T) {
	for name, c := range map[string]struct {
		keep int
		want []int
	}{"all": {0, []int{0, 5, 10, 123456789}}, "one": {1, []int{123456789}}, "two": {2, []int{10, 123456789}}, "more than there are": {9, []int{0, 5, 10, 123456789}}} {
		t.Run(name, func(t *testing.T) {
			r := newRun(t)
			r.Keep = c.keep
			for _, step := range []int{0, 5, 10, 123456789} {
				require.NoError(t, r.SaveCheckpoint(step, writing("x")))
			}
			assert.Equal(t, c.want, steps(t, r))
		})
	}
}

func TestSaveCheckpointFailureKeepsTheOld(t *testing.T) {
	r := newRun(t)
	r.Keep = 1
	require.NoError(t, r.SaveCheckpoint(1, writing("x")))
	before := contents(t, r.Path())
	require.Error(t, r.SaveCheckpoint(2, func(io.Writer) error { return errors.New("no") }))
	require.Error(t, r.SaveCheckpoint(-1, writing("x")))
	assert.Equal(t, before, contents(t, r.Path()))
}

func TestCheckpointsIgnoresOtherFiles(t *testing.T) {
	r := newRun(t)
	require.NoError(t, r.SaveCheckpoint(1234, writing("x")))
	for _, name := range []string{
		".checkpoint-00002000.safetensors.tmp-1-a", "checkpoint-2000.safetensors", "checkpoint-00002000.safetensors.part",
		"my-checkpoint-00002000.safetensors", "checkpoint-99999999999999999999.safetensors",
	} {
		require.NoError(t, os.WriteFile(r.Path(name), nil, 0o666))
	}
	all, err := r.Checkpoints()
	require.NoError(t, err)
	assert.Equal(t, []savedCheckpoint{{1234, r.Path("checkpoint-00001234.safetensors")}}, all)
}

// saving writes a checkpoint without tensors if text is "whole", and else text, as if it was cut short.
func saving(text string) func(io.Writer) error {
	if text == "whole" {
		return func(w io.Writer) error { return torch.WriteSafetensors(w, nil, nil) }
	}
	return writing(text)
}

func TestLastCheckpoint(t *testing.T) {
	for name, c := range map[string]struct {
		saved   []string // by step
		step    int
		skipped int
		says    string
	}{
		"the newest":                      {[]string{"whole", "whole"}, 1, 0, ""},
		"the one before a damaged one":    {[]string{"whole", "whole", "who"}, 1, 1, ""},
		"the one before two damaged ones": {[]string{"whole", "", "who"}, 0, 2, ""},
		"none, all damaged":               {[]string{"", "w"}, 0, 2, "no checkpoint can be read, of 2; the newest: skipped "},
		"none saved":                      {nil, 0, 0, ErrNoCheckpoint.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRun(t)
			for step, text := range c.saved {
				require.NoError(t, r.SaveCheckpoint(step, saving(text)))
			}
			last, skipped, err := r.LastCheckpoint()
			assert.Len(t, skipped, c.skipped)
			if c.says != "" {
				require.ErrorContains(t, err, c.says)
				assert.Equal(t, c.saved == nil, errors.Is(err, ErrNoCheckpoint), "only an unsaved run may start over")
				return
			}
			require.NoError(t, err)
			assert.Equal(t, c.step, last.Step)
			require.NoError(t, r.verify(last.Path))
			for _, why := range skipped {
				assert.Regexp(t, `^skipped a checkpoint: [^:]*/checkpoint-\d{8}\.safetensors: not a whole safetensors file`, why.Error())
			}
		})
	}
}

func TestAReaderTakesANewerCheckpointWhenTrainingDeletesItsOwn(t *testing.T) {
	r := newRun(t)
	trainer, err := loadTrainer(tiny(), encoder(t), nil, torch.Device{})
	require.NoError(t, err)
	defer trainer.Close()
	save := func(step int) {
		trainer.step = step
		require.NoError(t, r.SaveCheckpoint(step, trainer.Save))
	}
	r.Keep = 1
	save(1)
	var tried []int
	skipped, err := r.read(lastCheckpoint, func(c savedCheckpoint) error {
		if tried = append(tried, c.Step); len(tried) < 3 {
			save(c.Step + 1) // deletes c
		}
		_, err := os.ReadFile(c.Path)
		return err
	})
	require.NoError(t, err)
	assert.Empty(t, skipped)
	assert.Equal(t, []int{1, 2, 3}, tried)

	_, err = r.read(lastCheckpoint, func(c savedCheckpoint) error {
		_, err := os.ReadFile(r.Path("missing"))
		return err
	})
	assert.ErrorIs(t, err, fs.ErrNotExist, "of another file, which no newer checkpoint mends")
}

// After a fall-back the damaged file has the highest step, and must not push out the good ones.
func TestSaveCheckpointAfterFallBack(t *testing.T) {
	r := newRun(t)
	for step, text := range map[int]string{100: "whole", 200: "whole", 300: "who"} {
		require.NoError(t, r.SaveCheckpoint(step, saving(text)))
	}
	r.Keep = 2
	last, _, err := r.LastCheckpoint()
	require.NoError(t, err)
	require.Equal(t, 200, last.Step)

	require.NoError(t, r.SaveCheckpoint(250, saving("whole")))
	assert.Equal(t, []int{200, 250, 300}, steps(t, r))
	require.NoError(t, r.SaveCheckpoint(300, saving("whole"))) // replaces the damaged one
	require.NoError(t, r.SaveCheckpoint(350, saving("whole")))
	assert.Equal(t, []int{300, 350}, steps(t, r))
	assert.True(t, slices.IsSorted(steps(t, r)))
}

func TestARunThatWentBackHasTheConfigThatItBeganWith(t *testing.T) {
	dir := t.TempDir()
	write := func(file string, change func(c *Config)) {
		c := FashionMNIST()
		change(&c)
		text, err := YAML(c)
		require.NoError(t, err)
		old := text
		for _, key := range []string{"margin: 0.25\n", "emas: []\n"} { // earlier versions had none of these
			require.Contains(t, old, key)
			old = strings.Replace(old, key, "", 1)
		}
		require.NoError(t, os.WriteFile(filepath.Join(dir, file), []byte(old), 0o666))
	}
	write("config.yaml", func(c *Config) { c.OptE.LR = 1e-5 })
	steps, first, err := Divergences(dir)
	require.NoError(t, err)
	assert.Empty(t, steps)
	assert.Equal(t, 1e-5, first.OptE.LR, "without a divergence it is the config of now")
	write("divergence-00000042.yaml", func(c *Config) { c.OptE.LR = 1e-3 })
	write("divergence-00000042-2.yaml", func(c *Config) { c.OptE.LR = 1e-4 })
	write("divergence-00000041.yaml", func(c *Config) { c.OptE.LR = 2e-5 }) // the run went back to step 40
	steps, first, err = Divergences(dir)
	require.NoError(t, err)
	assert.Equal(t, []int{41, 42, 42}, steps)
	assert.Equal(t, 1e-3, first.OptE.LR)
	assert.Zero(t, first.Margin, "not that of the preset of today")
	assert.Equal(t, FashionMNIST().EMAs, first.EMAs, "a study compares whole configs")
}

func TestWhichLeftOutClassesAnEncoderHasSeen(t *testing.T) {
	pretrained, trained := t.TempDir(), t.TempDir()
	ssl, err := SSLPreset("fmnist-simclr")
	require.NoError(t, err)
	ssl.Data.LeaveOut = []int{8}
	text, err := YAML(ssl)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(pretrained, configFile), []byte(text), 0o666))
	text, err = YAML(FashionMNIST())
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(trained, configFile), []byte(text), 0o666))

	set := bars(t)
	warnings := func(dir string, leftOut ...int) []string {
		return seenBy(dir, Config{Data: DataConfig{LeaveOut: leftOut}}, set)
	}
	assert.Empty(t, warnings(pretrained, 8))
	assert.Contains(t, warnings(pretrained, 8, 3)[0], "images of the classes [3]")
	assert.Contains(t, warnings(trained, 8, 3)[0], "images of the classes [8 3]", "the encoder of a model is of its data")
	assert.Empty(t, warnings(trained))
	assert.Empty(t, warnings(t.TempDir(), 8), "nothing is known")
}

func TestWhetherAnEncoderHasSeenHeldOutImages(t *testing.T) {
	set := bars(t)
	set.Name, set.Division = "photos:train", &data.Division{N: 4, Seed: 1}
	for name, c := range map[string]struct {
		data string
		held *data.Division
		want int
	}{
		"the same images held out": {"photos:train", &data.Division{N: 4, Seed: 1}, 0},
		"others held out":          {"photos:train", &data.Division{N: 4, Seed: 2}, 1},
		"none held out":            {"photos:train", nil, 1},
		"of other data":            {"fmnist:train", nil, 0},
	} {
		dir := t.TempDir()
		run, err := createRun(dir, false)
		require.NoError(t, err)
		require.NoError(t, run.WriteInfo(RunInfo{Data: map[string]string{c.data: "1"}, HeldOut: c.held}))
		require.NoError(t, run.WriteConfig(tinySSL()))
		require.NoError(t, run.Close())
		assert.Len(t, seenBy(dir, tiny(), set), c.want, name)
	}
}
