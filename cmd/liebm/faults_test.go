//go:build faults

package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
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
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/train"
)

// The fault campaign: make faults. Small commands are killed, starved of disk, cut off from power and fed with damaged files.
// When they are started again, they must end with the bytes of one that was left alone. From the environment come
//
//	FAULTS_EVERY    try every so many system calls, cuts of power and places of damage (1)
//	FAULTS_KILLS    random kills (100), of runs of FAULTS_STEPS steps (300), for at most FAULTS_MINUTES (no limit)
//	FAULTS_REPORT   a Markdown file with the table that takes the figures

// number is a whole number from the environment.
func number(name string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return otherwise
}

// tableHead is the head of the table of figures.
const tableHead = "| file or command | fault | sample | tried | good |\n|---|---|---|---|---|\n"

// report adds a row to the table, or replaces that of the same command and fault.
func report(t *testing.T, what, fault, sample string, tried, good int) {
	row := fmt.Sprintf("| %s | %s | %s | %d | %d |\n", what, fault, sample, tried, good)
	t.Log(row)
	path := os.Getenv("FAULTS_REPORT")
	if path == "" || tried == 0 {
		return
	}
	page, err := os.ReadFile(path)
	require.NoError(t, err)
	before, rest, found := strings.Cut(string(page), tableHead)
	require.True(t, found, "%s has no table", path)
	table, after, _ := strings.Cut(rest, "\n\n")
	rows, replaced := strings.SplitAfter(table+"\n", "\n"), false
	for i, old := range rows {
		if strings.HasPrefix(old, fmt.Sprintf("| %s | %s |", what, fault)) {
			rows[i], replaced = row, true
		}
	}
	if !replaced {
		rows = append(rows, row)
	}
	require.NoError(t, os.WriteFile(path, []byte(before+tableHead+strings.Join(rows, "")+"\n"+after), 0o666))
}

// sampling says how every so many cases are chosen.
func sampling(every int) string {
	if every == 1 {
		return "all"
	}
	return fmt.Sprintf("one in %d", every)
}

// A zygote starts liebm without loading libtorch each time; see testdata/zygote.c.
type zygote struct {
	requests io.Writer
	replies  io.Reader
	output   string
}

// startZygote returns a zygote that ends with the test.
func startZygote(t *testing.T) *zygote {
	dir := t.TempDir()
	library := filepath.Join(dir, "zygote.so")
	text, err := exec.Command("cc", "-O1", "-shared", "-fPIC", "-o", library, "testdata/zygote.c", "-ldl").CombinedOutput()
	require.NoError(t, err, "%s", text)
	replies, child, err := os.Pipe()
	require.NoError(t, err)
	c := exec.Command(os.Args[0])
	c.Stderr, c.ExtraFiles = os.Stderr, []*os.File{child}
	c.Env = append(os.Environ(), "LD_PRELOAD="+library, "LIEBM_ZYGOTE=1", "LIEBM_TEST_MAIN=1", "OMP_NUM_THREADS=1", "OPENBLAS_NUM_THREADS=1", "GOMP_SPINCOUNT=10000") // the last, so that main does not start it again
	requests, err := c.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, c.Start())
	child.Close()
	t.Cleanup(func() {
		requests.Close()
		_ = c.Wait()
		replies.Close()
	})
	return &zygote{requests, replies, filepath.Join(dir, "output")}
}

// run is liebm with these arguments: its output, and an error if it failed. disturb, if it is not nil, is called while the
// process is stopped before main, and must let it go on.
func (z *zygote) run(args []string, disturb func(pid int)) (output string, err error) {
	stop := ""
	if disturb != nil {
		stop = "stop"
	}
	text := strings.Join(append([]string{z.output, stop}, args...), "\x00") + "\x00"
	if _, err := z.requests.Write(append(binary.LittleEndian.AppendUint32(nil, uint32(len(text))), text...)); err != nil {
		return "", err
	}
	var pid, status int32
	if err := binary.Read(z.replies, binary.LittleEndian, &pid); err != nil {
		return "", err
	}
	if disturb != nil {
		waitFor(int(pid), "State:\tT")
		disturb(int(pid))
	}
	if err := binary.Read(z.replies, binary.LittleEndian, &status); err != nil {
		return "", err
	}
	file, err := os.ReadFile(z.output)
	if s := syscall.WaitStatus(status); err == nil && s != 0 {
		err = fmt.Errorf("exit status %d, signal %d: %s", s.ExitStatus(), s.Signal(), file)
	}
	return string(file), err
}

// waitFor waits until a process has a line in its status, or is gone.
func waitFor(pid int, line string) {
	for {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil || strings.Contains(string(status), line) {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// used is the processor time of a process.
func used(pid int) (time.Duration, error) {
	var spent unix.Timespec
	err := unix.ClockGettime(int32(^pid)<<3|2, &spent) // clock_getcpuclockid
	return time.Duration(spent.Nano()), err
}

// killedAfter returns a disturbance that kills the process when it has used so much processor time.
func killedAfter(limit time.Duration) func(pid int) {
	return func(pid int) {
		_ = syscall.Kill(pid, syscall.SIGCONT)
		spent, err := used(pid)
		for ; err == nil && spent < limit; spent, err = used(pid) {
			time.Sleep(4*time.Millisecond + rand.N(2*time.Millisecond))
		}
		if err == nil {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

// traced returns a disturbance by strace, which writes to log.
func traced(t *testing.T, log string, options ...string) func(pid int) {
	return func(pid int) {
		c := exec.Command("strace", append([]string{"-f", "-qq", "-o", log, "-p", strconv.Itoa(pid)}, options...)...)
		c.Stderr = os.Stderr
		require.NoError(t, c.Start())
		for status := ""; strings.Contains(status, "TracerPid:\t0\n") || status == ""; time.Sleep(time.Millisecond) {
			text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
			require.NoError(t, err)
			status = string(text)
		}
		_ = syscall.Kill(pid, syscall.SIGCONT)
		require.NoError(t, c.Wait())
	}
}

// A victim is a command that is disturbed and started again until it has done its work.
type victim struct {
	name   string
	start  []string                         // arguments, with OUT for what it makes
	resume []string                         // arguments to go on with once OUT is a run; none: it is done then
	result func(out string) ([]byte, error) // what must be the same as without a fault
	check  bool                             // OUT is a run
}

// pictures is a folder of 64 images of 8×8 in an IDX file.
func pictures(t *testing.T, seed uint64) string {
	rng, pixels := rand.New(rand.NewPCG(seed, 1)), make([]byte, 64*64)
	for i := range pixels {
		pixels[i] = byte(rng.Uint32())
	}
	dir := t.TempDir()
	head := []byte{0, 0, 8, 3, 0, 0, 0, 64, 0, 0, 0, 8, 0, 0, 0, 8}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "train-images-idx3-ubyte"), append(head, pixels...), 0o666))
	labels := append([]byte{0, 0, 8, 1, 0, 0, 0, 64}, make([]byte, 64)...)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "train-labels-idx1-ubyte"), labels, 0o666))
	return dir
}

func victims(t *testing.T, z *zygote) []victim {
	set, h, run := pictures(t, 1), filepath.Join(t.TempDir(), "encoder"), filepath.Join(t.TempDir(), "run")
	common := []string{"--set", "data.name=" + set, "--set", "data.size=8", "--set", "log.checkpoint=2", "--set", "log.metrics=1", "--set", "log.samples=50", "--set", "batch=4"}
	pretrain := append([]string{"pretrain", "--preset", "fmnist-simclr", "--steps", "4", "--out", "OUT", "--set", "encoder.widths=[4]", "--set", "encoder.blocks=[1]",
		"--set", "encoder.head_dim=8"}, common...)
	tiny := append([]string{"train", "--preset", "fmnist-em", "--encoder", h, "--steps", "4", "--out", "OUT", "--set", "energy.widths=[4]", "--set", "energy.downs=[true]",
		"--set", "generator.widths=[4,4]", "--set", "energy.head_dim=8", "--set", "chain.steps=2"}, common...)
	_, err := z.run(in(h, pretrain), nil)
	require.NoError(t, err)
	_, err = z.run(in(run, tiny), nil)
	require.NoError(t, err)
	file := func(name string) func(out string) ([]byte, error) {
		return func(out string) ([]byte, error) { return os.ReadFile(filepath.Join(out, name)) }
	}
	last := file("checkpoint-00000004.safetensors")
	return []victim{
		{"train", tiny, []string{"train", "--out", "OUT", "--resume"}, last, true},
		{"pretrain", pretrain, []string{"pretrain", "--out", "OUT", "--resume"}, last, true},
		{"import", []string{"import", "--from", "dual-mcmc", "../../models/testdata/dualmcmc.cifar10.pth", "--out", "OUT"}, nil, file("checkpoint-00000000.safetensors"), true},
		{"sample", []string{"sample", "--run", run, "--n", "5", "--out", "OUT/samples.npz"}, nil, file("samples.npz"), false},
		{"data prepare", []string{"data", "prepare", "--size", "8", "--out", "OUT/set.liebm", set}, nil, file("set.liebm"), false},
		{"reproduce", []string{"reproduce", "table12", "--out", "OUT"}, nil, file("mini/table12.json"), false},
	}
}

// in returns arguments with out in the place of OUT.
func in(out string, args []string) []string {
	all := slices.Clone(args)
	for i, a := range all {
		all[i] = strings.ReplaceAll(a, "OUT", out)
	}
	return all
}

// next returns the arguments that the victim is to be started with, none if it is done.
func (v victim) next(out string) []string {
	if _, err := os.Stat(filepath.Join(out, "config.yaml")); err == nil && v.check {
		return in(out, v.resume)
	}
	return in(out, v.start)
}

// finish starts the victim again without a fault, and returns what is wrong with its result.
func (v victim) finish(z *zygote, out string, want []byte) error {
	if args := v.next(out); len(args) > 0 {
		if _, err := z.run(args, nil); err != nil {
			return fmt.Errorf("the next start: %w", err)
		}
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
	}); err != nil && len(v.resume) > 0 {
		return err
	}
	_, err = train.Check(out)
	return err
}

// undisturbed returns the result of a victim that is left alone.
func (v victim) undisturbed(t *testing.T, z *zygote, out string) []byte {
	_, err := z.run(in(out, v.start), nil)
	require.NoError(t, err)
	want, err := v.result(out)
	require.NoError(t, err)
	return want
}

var fileCalls = []string{"write", "pwrite64", "fsync", "renameat", "renameat2", "mkdirat", "unlinkat", "ftruncate", "flock", "fchmod"}

// calls counts the file-system calls of the victim's main thread, on which liebm works.
func calls(t *testing.T, z *zygote, v victim) map[string]int {
	log := filepath.Join(t.TempDir(), "trace")
	_, err := z.run(in(filepath.Join(t.TempDir(), "run"), v.start), traced(t, log, "-e", "trace="+strings.Join(fileCalls, ",")))
	require.NoError(t, err)
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

func TestFaultsAtEverySystemCall(t *testing.T) {
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip("strace is not installed")
	}
	every, z := number("FAULTS_EVERY", 1), startZygote(t)
	for _, v := range victims(t, z) {
		dir := t.TempDir()
		want, count := v.undisturbed(t, z, filepath.Join(dir, "whole")), calls(t, z, v)
		for _, f := range []struct {
			name, inject string
			on           []string
		}{
			{"SIGKILL", "signal=KILL", fileCalls},
			{"ENOSPC", "error=ENOSPC", []string{"write", "pwrite64", "ftruncate", "mkdirat", "renameat"}},
			{"EIO", "error=EIO", []string{"write", "pwrite64", "fsync", "renameat"}},
		} {
			tried, good, at := 0, 0, 0
			for _, call := range slices.Sorted(maps.Keys(count)) {
				for n := 1; n <= count[call] && slices.Contains(f.on, call); n++ {
					if at++; at%every != 0 {
						continue
					}
					out := filepath.Join(dir, "run")
					_, _ = z.run(in(out, v.start), traced(t, "/dev/null", "-e", "trace="+call, "-e", fmt.Sprintf("inject=%s:%s:when=%d", call, f.inject, n)))
					tried++
					if err := v.finish(z, out, want); err != nil {
						t.Errorf("%s, %s at %s %d: %v", v.name, f.name, call, n, err)
					} else {
						good++
					}
					require.NoError(t, os.RemoveAll(out))
				}
			}
			report(t, v.name, f.name+" at a file-system call", sampling(every), tried, good)
		}
	}
}

// A run is killed again and again at random times, and goes on. When it is done, the next one begins.
func TestFaultsRandomKills(t *testing.T) {
	kills, until := number("FAULTS_KILLS", 100), time.Now().Add(time.Duration(number("FAULTS_MINUTES", 24*60))*time.Minute)
	steps, z, dir := number("FAULTS_STEPS", 300), startZygote(t), t.TempDir()
	v := victims(t, z)[0]
	encoder := slices.Index(v.start, "--encoder") // reading one takes as long as many steps
	v.start = append(slices.Delete(v.start, encoder, encoder+2), "--set", "energy.posterior=none", "--set", "log.checkpoint=1", "--set", "log.samples=1000", "--steps", strconv.Itoa(steps))
	v.result = func(out string) ([]byte, error) {
		weights, err := os.ReadFile(filepath.Join(out, fmt.Sprintf("checkpoint-%08d.safetensors", steps)))
		metrics, err2 := os.ReadFile(filepath.Join(out, "metrics.jsonl"))
		return append(weights, regexp.MustCompile(`"steps_per_second":[^,}]*`).ReplaceAll(metrics, nil)...), errors.Join(err, err2)
	}
	var first time.Duration // the processor time of a run of one step
	_, err := z.run(append(in(filepath.Join(dir, "first"), v.start), "--steps", "1"), func(pid int) {
		_ = syscall.Kill(pid, syscall.SIGCONT)
		for spent, err := used(pid); err == nil; spent, err = used(pid) {
			first = spent
			time.Sleep(time.Millisecond)
		}
	})
	require.NoError(t, err)
	want := v.undisturbed(t, z, filepath.Join(dir, "whole"))
	rng, runs, killed, good := rand.New(rand.NewPCG(1, uint64(time.Now().UnixNano()))), 0, 0, 0
	for killed < kills && time.Now().Before(until) {
		out, of := filepath.Join(dir, "run"), 0
		for done := false; !done && killed+of < kills && time.Now().Before(until); {
			text, err := z.run(v.next(out), killedAfter(time.Duration(rng.Int64N(int64(2*first)))))
			if done = err == nil; !done {
				require.ErrorContains(t, err, "signal 9", "ended by itself: %s", text)
				of++
			}
		}
		runs++
		killed += of
		if err := v.finish(z, out, want); err != nil {
			t.Errorf("run %d, after %d kills: %v", runs, of, err)
		} else {
			good += of
		}
		t.Logf("%d kills in %d runs", killed, runs)
		require.NoError(t, os.RemoveAll(out))
	}
	report(t, "train", fmt.Sprintf("SIGKILL at a random time, runs of %d steps", steps), fmt.Sprintf("%d runs", runs), killed, good)
}
