//go:build faults

package main

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/train"
)

// The fault campaign: make faults. A small training is killed, starved of disk and damaged, and must end with the bytes of
// one that was left alone. FAULTS_EVERY=5 tries every fifth system call, FAULTS_KILLS=1000 sets the number of random
// kills, FAULTS_REPORT=FILE takes the table. strace makes system calls fail.

// number is a whole number from the environment.
func number(name string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return otherwise
}

// report adds a row to the table.
func report(t *testing.T, format string, args ...any) {
	line := "| " + fmt.Sprintf(format, args...) + " |\n"
	t.Log(line)
	f, err := os.OpenFile(os.Getenv("FAULTS_REPORT"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666)
	if err == nil {
		_, err = f.WriteString(line)
		f.Close()
	}
	if os.Getenv("FAULTS_REPORT") != "" {
		require.NoError(t, err)
	}
}

// A victim is a command that is disturbed and started again until it has done its work.
type victim struct {
	name   string
	start  []string                         // arguments, with OUT for what it makes
	resume []string                         // arguments to go on with
	begun  func(out string) bool            // resume is to be used
	result func(out string) ([]byte, error) // what must be the same as without a fault
	check  bool                             // the result is a run
}

func victims(t *testing.T) []victim {
	h, run := pretrained(t), trained(t)
	set := "data.name=" + filepath.Join(sharedFolder, "data")
	last := func(step string) func(out string) ([]byte, error) {
		return func(out string) ([]byte, error) {
			return os.ReadFile(filepath.Join(out, "checkpoint-0000000"+step+".safetensors"))
		}
	}
	begun := func(out string) bool {
		_, err := os.Stat(filepath.Join(out, "config.yaml"))
		return err == nil
	}
	never := func(string) bool { return false }
	return []victim{
		{"train", append([]string{"train", "--preset", "fmnist-em", "--encoder", h, "--steps", "4", "--set", set, "--out", "OUT"}, small...),
			[]string{"train", "--out", "OUT", "--resume"}, begun, last("4"), true},
		{"pretrain", []string{"pretrain", "--preset", "fmnist-simclr", "--steps", "4", "--set", "batch=8", "--set", "encoder.widths=[4]", "--set", "encoder.blocks=[1]",
			"--set", "encoder.head_dim=8", "--set", "log.checkpoint=2", "--set", set, "--out", "OUT"}, []string{"pretrain", "--out", "OUT", "--resume"}, begun, last("4"), true},
		{"sample", []string{"sample", "--run", run, "--n", "5", "--out", "OUT/samples.npz"}, nil, never, func(out string) ([]byte, error) {
			return os.ReadFile(filepath.Join(out, "samples.npz"))
		}, false},
		{"prepare", []string{"data", "prepare", "--size", "32", "--out", "OUT/set.liebm", filepath.Join(sharedFolder, "data")}, nil, never, func(out string) ([]byte, error) {
			return os.ReadFile(filepath.Join(out, "set.liebm"))
		}, false},
	}
}

// command is liebm, or strace of it, as a process.
func command(ctx context.Context, strace []string, args []string, out string) *exec.Cmd {
	words := slices.Concat(strace, []string{os.Args[0]}, args)
	for i, w := range words {
		words[i] = strings.ReplaceAll(w, "OUT", out)
	}
	c := exec.CommandContext(ctx, words[0], words[1:]...)
	c.Env = append(os.Environ(), "LIEBM_TEST_MAIN=1", "OMP_NUM_THREADS=1")
	return c
}

// finish starts the victim again without a fault, and returns what is wrong with its result.
func (v victim) finish(out string, want []byte) error {
	args := v.start
	if v.begun(out) {
		args = v.resume
	}
	if text, err := command(context.Background(), nil, args, out).CombinedOutput(); err != nil {
		return fmt.Errorf("the next start: %w: %s", err, text)
	}
	got, err := v.result(out)
	if err != nil {
		return err
	}
	if !bytes.Equal(want, got) {
		return fmt.Errorf("the result has other bytes")
	}
	if !v.check {
		return nil
	}
	if err := filepath.WalkDir(out, func(path string, e fs.DirEntry, err error) error {
		if err == nil && data.IsTemporary(e.Name()) {
			err = fmt.Errorf("%s is left", path)
		}
		return err
	}); err != nil {
		return err
	}
	_, err = train.Check(out)
	return err
}

// calls counts the file-system calls of the victim's main thread, on which liebm works.
func calls(t *testing.T, v victim, out string) map[string]int {
	log := filepath.Join(t.TempDir(), "trace")
	text, err := command(t.Context(), []string{"strace", "-f", "-qq", "-o", log, "-e", "trace=" + strings.Join(fileCalls, ",")}, v.start, out).CombinedOutput()
	require.NoError(t, err, "%s", text)
	trace, err := os.ReadFile(log)
	require.NoError(t, err)
	count, main := map[string]int{}, ""
	for _, m := range regexp.MustCompile(`(?m)^(\d+) +(\w+)\(`).FindAllStringSubmatch(string(trace), -1) {
		if main == "" {
			main = m[1]
		}
		if m[1] == main {
			count[m[2]]++
		}
	}
	return count
}

var fileCalls = []string{"write", "pwrite64", "fsync", "renameat", "renameat2", "mkdirat", "unlinkat", "ftruncate", "flock", "fchmod"}

func TestFaultsAtEverySystemCall(t *testing.T) {
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip("strace is not installed")
	}
	every := number("FAULTS_EVERY", 1)
	for _, v := range victims(t) {
		whole := t.TempDir()
		count := calls(t, v, whole)
		want, err := v.result(whole)
		require.NoError(t, err)
		for fault, on := range map[string][]string{"signal=KILL": fileCalls, "error=ENOSPC": {"write", "pwrite64", "ftruncate", "mkdirat"}, "error=EIO": {"fsync", "renameat", "write"}} {
			tried, good, at := 0, 0, 0
			for _, call := range slices.Sorted(maps.Keys(count)) {
				if !slices.Contains(on, call) {
					continue
				}
				for n := 1; n <= count[call]; n++ {
					if at++; at%every != 0 {
						continue
					}
					out := filepath.Join(t.TempDir(), "run")
					strace := []string{"strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=" + call, "-e", fmt.Sprintf("inject=%s:%s:when=%d", call, fault, n)}
					_ = command(t.Context(), strace, v.start, out).Run()
					tried++
					if err := v.finish(out, want); err != nil {
						t.Errorf("%s, %s at %s %d: %v", v.name, fault, call, n, err)
						continue
					}
					good++
				}
			}
			report(t, "%s | %s at a file-system call | %d | %d", v.name, fault, tried, good)
		}
	}
}

// A run is killed again and again at random times, and goes on.
func TestFaultsRandomKills(t *testing.T) {
	kills := number("FAULTS_KILLS", 100)
	v := victims(t)[0]
	v.start = append(slices.Clone(v.start), "--set", "log.checkpoint=1", "--steps", "40")
	v.result = func(out string) ([]byte, error) {
		return os.ReadFile(filepath.Join(out, "checkpoint-00000040.safetensors"))
	}
	whole := filepath.Join(t.TempDir(), "whole")
	began := time.Now()
	text, err := command(t.Context(), nil, v.start, whole).CombinedOutput()
	require.NoError(t, err, "%s", text)
	took := time.Since(began)
	want, err := v.result(whole)
	require.NoError(t, err)
	rng, runs, killed := rand.New(rand.NewPCG(1, 1)), 0, 0
	for killed < kills {
		out := filepath.Join(t.TempDir(), "run")
		for done := false; !done && killed < kills; {
			args := v.start
			if v.begun(out) {
				args = v.resume
			}
			ctx, stop := context.WithTimeout(t.Context(), time.Duration(rng.Int64N(int64(took))))
			text, err := command(ctx, nil, args, out).CombinedOutput()
			if done = err == nil; !done {
				killed++
				require.Error(t, ctx.Err(), "ended by itself: %s", text)
			}
			stop()
		}
		require.NoError(t, v.finish(out, want))
		runs++
	}
	report(t, "train | kill at a random time, %d runs | %d | %d", runs, killed, killed)
}

// Every kind of file is damaged in every way. Damage must be an error, or make the run use an older checkpoint; the result of
// going on has the bytes of an undisturbed run.
func TestFaultsDamage(t *testing.T) {
	v := victims(t)[0]
	whole := filepath.Join(t.TempDir(), "whole")
	text, err := command(t.Context(), nil, v.start, whole).CombinedOutput()
	require.NoError(t, err, "%s", text)
	want, err := v.result(whole)
	require.NoError(t, err)
	other := append(slices.Clone(v.start), "--seed", "9")
	strange := filepath.Join(t.TempDir(), "other")
	text, err = command(t.Context(), nil, other, strange).CombinedOutput()
	require.NoError(t, err, "%s", text)
	damages := map[string]func(b, others []byte, at float64) []byte{
		"cut":           func(b, _ []byte, at float64) []byte { return b[:int(at*float64(len(b)))] },
		"bit":           func(b, _ []byte, at float64) []byte { b[int(at*float64(len(b)))] ^= 4; return b },
		"zeroed":        func(b, _ []byte, at float64) []byte { clear(b[int(at*float64(len(b))):]); return b },
		"another run's": func(_, others []byte, _ float64) []byte { return others },
	}
	for _, file := range []string{"config.yaml", "run.json", "encoder.safetensors", "checkpoint-00000004.safetensors", "checkpoint-00000002.safetensors"} {
		for _, name := range slices.Sorted(maps.Keys(damages)) {
			tried, found := 0, 0
			for _, at := range []float64{0, 0.01, 0.3, 0.6, 0.9} {
				if name == "another run's" && (at > 0 || file == "encoder.safetensors") {
					continue // both runs have the same encoder
				}
				out := filepath.Join(t.TempDir(), "run")
				require.NoError(t, os.CopyFS(out, os.DirFS(whole)))
				path := filepath.Join(out, file)
				b, err := os.ReadFile(path)
				require.NoError(t, err)
				others, err := os.ReadFile(filepath.Join(strange, file))
				require.NoError(t, err)
				require.NoError(t, os.WriteFile(path, damages[name](b, others, at), 0o666))
				tried++
				if _, err := train.Check(out); err == nil {
					t.Errorf("%s, %s at %v: not found", file, name, at)
					continue
				}
				found++
				if err := command(t.Context(), nil, v.resume, out).Run(); err == nil { // it may refuse
					got, err := v.result(out)
					require.NoError(t, err)
					require.Equal(t, want, got, "%s, %s at %v: trained on", file, name, at)
				}
			}
			report(t, "%s | %s | %d | %d", file, name, tried, found)
		}
	}
}
