package train

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// Check reads the config, run.json, the encoder, the checkpoints and metrics.jsonl of the run in dir, and compares
// checksums and identities. It returns a line for each kind of file that is in order. The error has a line for each file that is damaged or belongs to another run.
func Check(dir string) (lines []string, err error) {
	run, err := openRun(dir)
	if err != nil {
		return nil, err
	}
	note := func(what string, wrong error) {
		if err = errors.Join(err, wrong); wrong == nil {
			lines = append(lines, what)
		}
	}
	_, wrong := ReadConfig(dir)
	if _, ssl := ReadSSLConfig(dir); ssl == nil {
		wrong = nil
	}
	note(configFile, wrong)
	_, wrong = run.Info()
	note(infoFile, wrong)
	if exists(run.Path(encoderFile)) {
		tensors, _, wrong := readSealed(run.Path(encoderFile))
		closeAll(tensors)
		note(encoderFile, wrong)
	}
	if exists(run.Path(encoderConfig)) {
		_, wrong := readConfig(dir, encoderConfig, SSLConfig{})
		note(encoderConfig, wrong)
	}
	all, wrong := run.Checkpoints()
	for _, c := range all {
		err := run.verify(c.Path)
		if exists(c.Path) { // training may have deleted it
			wrong = errors.Join(wrong, err)
		}
	}
	note(fmt.Sprintf("%d checkpoints", len(all)), wrong)
	if best := run.Path(bestFile); exists(best) {
		note(bestFile, run.verify(best))
	}
	metrics, wrong := ReadMetrics(run.Path(metricsFile))
	for i := 1; i < len(metrics) && wrong == nil; i++ {
		if metrics[i].Step < metrics[i-1].Step {
			wrong = fmt.Errorf("%s: step %d comes after step %d", run.Path(metricsFile), metrics[i].Step, metrics[i-1].Step)
		}
	}
	if errors.Is(wrong, fs.ErrNotExist) { // of an imported run
		return lines, err
	}
	note(metricsFile, wrong)
	return lines, err
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
