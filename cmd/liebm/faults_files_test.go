//go:build faults

package main

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/train"
)

// damages change a file's bytes at a fraction of its length.
var damages = map[string]func(b []byte, at float64) []byte{
	"cut":    func(b []byte, at float64) []byte { return b[:int(at*float64(len(b)))] },
	"bit":    func(b []byte, at float64) []byte { b[int(at*float64(len(b)))] ^= 4; return b },
	"zeroed": func(b []byte, at float64) []byte { clear(b[int(at*float64(len(b))):]); return b },
}

// places are fractions of a file's length.
func places() (all []float64) {
	for i := 0; i < 100; i += 4 * number("FAULTS_EVERY", 1) {
		all = append(all, float64(i)/100)
	}
	return all
}

// Every sealed file is damaged in every way. Damage must be an error, or make the run use an older checkpoint; the result
// of going on has the bytes of an undisturbed run.
func TestFaultsDamageToARun(t *testing.T) {
	z := startZygote(t)
	v, whole, strange := victims(t, z)[0], filepath.Join(t.TempDir(), "whole"), filepath.Join(t.TempDir(), "other")
	want := v.undisturbed(t, z, whole)
	_, err := z.run(append(in(strange, v.start), "--seed", "9"), nil)
	require.NoError(t, err)
	out := filepath.Join(t.TempDir(), "run")
	for _, file := range []string{"config.yaml", "run.json", "encoder.safetensors", "checkpoint-00000004.safetensors", "checkpoint-00000002.safetensors"} {
		intact, err := os.ReadFile(filepath.Join(whole, file))
		require.NoError(t, err)
		others, err := os.ReadFile(filepath.Join(strange, file))
		require.NoError(t, err)
		cases := map[string][][]byte{"another run's": {others}}
		if slices.Equal(intact, others) {
			delete(cases, "another run's") // both runs have the same encoder
		}
		for name, damage := range damages {
			for _, at := range places() {
				cases[name] = append(cases[name], damage(slices.Clone(intact), at))
			}
		}
		for _, name := range slices.Sorted(maps.Keys(cases)) {
			good := 0
			for i, bad := range cases[name] {
				require.NoError(t, os.RemoveAll(out))
				require.NoError(t, os.CopyFS(out, os.DirFS(whole)))
				require.NoError(t, os.WriteFile(filepath.Join(out, file), bad, 0o666))
				if _, err := train.Check(out); err == nil {
					t.Errorf("%s, %s, case %d: not found", file, name, i)
					continue
				}
				if _, err := z.run(in(out, v.resume), nil); err == nil { // it may refuse
					if got, err := v.result(out); err != nil || !slices.Equal(want, got) {
						t.Errorf("%s, %s, case %d: trained on", file, name, i)
						continue
					}
				} else if !assert.NoError(t, orderly(err)) {
					continue
				}
				good++
			}
			report(t, file, name, fmt.Sprintf("%d places", len(places())), len(cases[name]), good)
		}
	}
}

// orderly returns err if it is anything else than a message and the exit status 1.
func orderly(err error) error {
	if err == nil || strings.Contains(err.Error(), "exit status 1, signal -1: ") && !strings.Contains(err.Error(), "goroutine ") {
		return nil
	}
	return err
}

// Files that anybody may hand to liebm are damaged in every way. The command must succeed or end with a message; damage to a
// prepared set must be found.
func TestFaultsDamageToInputs(t *testing.T) {
	z := startZygote(t)
	all, set, dir := victims(t, z), pictures(t, 1), t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	run, train := all[3].start[2], in(path("run"), all[0].start)
	encoder := slices.Index(train, "--encoder") + 1
	for _, args := range [][]string{
		{"data", "prepare", "--size", "8", "--out", path("a.liebm"), set},
		{"sample", "--run", run, "--n", "20", "--out", path("a.npz")},
		{"sample", "--run", run, "--n", "20", "--out", path("pictures") + "/"},
	} {
		_, err := z.run(args, nil)
		require.NoError(t, err)
	}
	text, err := exec.Command("sh", "-c", "cd "+dir+" && python3 -m zipfile -c a.zip pictures && gzip <"+set+
		"/train-images-idx3-ubyte >a-idx3-ubyte.gz && cp "+set+"/train-images-idx3-ubyte a-idx3-ubyte && cp "+train[encoder]+"/encoder.safetensors .").CombinedOutput()
	require.NoError(t, err, "%s", text)
	train[encoder] = "OUT"
	weights, err := os.ReadFile("../../models/testdata/dualmcmc.cifar10.pth")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path("a.pth"), weights, 0o666))
	prepare := []string{"data", "prepare", "--size", "8", "--out", path("out.liebm"), "OUT"}
	for _, c := range []struct {
		file   string
		args   []string
		sealed bool // all damage must be found
	}{
		{"a.liebm", []string{"data", "verify", "OUT"}, true},
		{"encoder.safetensors", train, true},
		{"a.npz", prepare, false},
		{"a.zip", prepare, false},
		{"a-idx3-ubyte", prepare, false},
		{"a-idx3-ubyte.gz", prepare, false},
		{"a.pth", []string{"import", "--from", "dual-mcmc", "--out", path("run"), "OUT"}, false},
	} {
		_, err := z.run(in(path(c.file), c.args), nil)
		require.NoError(t, err)
		intact, err := os.ReadFile(path(c.file))
		require.NoError(t, err)
		tried, good := 0, 0
		for _, name := range slices.Sorted(maps.Keys(damages)) {
			for _, at := range places() {
				bad := path("bad-" + c.file)
				require.NoError(t, os.WriteFile(bad, damages[name](slices.Clone(intact), at), 0o666))
				_ = os.RemoveAll(path("run"))
				_ = os.Remove(path("out.liebm"))
				_, err := z.run(in(bad, c.args), nil)
				tried++
				if wild := orderly(err); wild != nil {
					t.Errorf("%s, %s at %v: %v", c.file, name, at, wild)
				} else if c.sealed && err == nil && !zerosOnly(intact, at, name) {
					t.Errorf("%s, %s at %v: not found", c.file, name, at)
				} else {
					good++
				}
			}
		}
		report(t, "an input like "+c.file, "cut, bit, zeroed", fmt.Sprintf("%d places", len(places())), tried, good)
	}
}

// zerosOnly reports whether zeroing the file from a place on changes nothing.
func zerosOnly(b []byte, at float64, damage string) bool {
	rest := b[int(at*float64(len(b))):]
	return damage == "zeroed" && len(strings.Trim(string(rest), "\x00")) == 0
}

// Files that were made to harm declare more than they hold, name places outside, or run code. The command must end with a
// message.
func TestFaultsHostileInputs(t *testing.T) {
	z, dir := startZygote(t), t.TempDir()
	rng := rand.New(rand.NewPCG(1, 2))
	script := "import zipfile,tarfile,io,os,struct,gzip,pickle\nos.chdir(" + fmt.Sprintf("%q", dir) + `)
big = struct.pack('>IIII', 2051, 2**31-1, 2**15, 2**15)
open('huge-idx3-ubyte','wb').write(big + b'x'*100)
with gzip.open('bomb-idx3-ubyte.gz','wb') as f:
    f.write(struct.pack('>IIII', 2051, 2000, 1000, 1000))
    for _ in range(2000): f.write(bytes(10**6))
with zipfile.ZipFile('outside.zip','w') as z: z.writestr('../../evil.png', b'x'); z.writestr('/etc/evil.png', b'x')
with tarfile.open('link.tar','w') as t:
    i = tarfile.TarInfo('a.png'); i.type = tarfile.SYMTYPE; i.linkname = '/etc/passwd'; t.addfile(i)
head = b"{'descr': '|u1', 'fortran_order': False, 'shape': (1000000, 10000, 10000, 3), }"
head += b' ' * (117 - len(head)) + b'\n'
npy = b'\x93NUMPY\x01\x00' + struct.pack('<H', len(head)) + head + b'x'
with zipfile.ZipFile('huge.npz','w') as z: z.writestr('images.npy', npy)
class Run:
    def __reduce__(self): return (os.system, ('touch executed',))
with zipfile.ZipFile('pickle.pth','w') as z: z.writestr('archive/data.pkl', pickle.dumps({'a': Run()}, 2)); z.writestr('archive/version', '3')
open('deep.safetensors','wb').write(struct.pack('<Q', 10**6) + b'[' * 10**6)
open('long.safetensors','wb').write(struct.pack('<Q', 2**63) + b'{}')
open('empty.zip','wb').write(b''); open('name\x1b[2J.png','wb').write(b'x')
def chunk(k, d):
    import zlib
    return struct.pack('>I', len(d)) + k + d + struct.pack('>I', zlib.crc32(k + d))
open('huge.png','wb').write(b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', 2**30, 2**30, 8, 0, 0, 0, 0)) + chunk(b'IEND', b''))
`
	text, err := exec.Command("python3", "-c", script).CombinedOutput()
	require.NoError(t, err, "%s", text)
	for i := range 20 {
		noise := make([]byte, 1<<rng.IntN(14))
		for j := range noise {
			noise[j] = byte(rng.Uint32())
		}
		require.NoError(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("noise%d%s", i, []string{".npz", ".zip", ".png", ".liebm", ".pth"}[i%5])), noise, 0o666))
	}
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	good, out := 0, filepath.Join(t.TempDir(), "out.liebm")
	for _, f := range files {
		args := []string{"data", "prepare", "--size", "8", "--out", out, filepath.Join(dir, f.Name())}
		if strings.HasSuffix(f.Name(), ".pth") || strings.HasSuffix(f.Name(), ".safetensors") {
			args = []string{"import", "--from", "dual-mcmc", "--out", filepath.Join(t.TempDir(), "run"), filepath.Join(dir, f.Name())}
		}
		printed, err := z.run(args, nil)
		switch {
		case err == nil:
			t.Errorf("%s: accepted: %s", f.Name(), printed)
		case orderly(err) != nil:
			t.Errorf("%s: %v", f.Name(), err)
		case strings.Contains(printed, "\x1b[2J"):
			t.Errorf("%s: its name reaches the terminal", f.Name())
		default:
			good++
		}
	}
	assert.NoFileExists(t, filepath.Join(dir, "executed"))
	assert.NoFileExists(t, "executed")
	report(t, "hostile inputs", "declare more than they hold, name places outside, run code, noise", "all", len(files), good)
}

// Two processes do the same at once. One may refuse; the result is that of one alone.
func TestFaultsConcurrentCommands(t *testing.T) {
	z, second := startZygote(t), startZygote(t)
	for _, v := range victims(t, z) {
		if v.name == "reproduce" || v.name == "sample" {
			continue
		}
		want, tried, good := v.undisturbed(t, z, filepath.Join(t.TempDir(), "whole")), max(1, 8/number("FAULTS_EVERY", 1)), 0
		for range tried {
			out := filepath.Join(t.TempDir(), "run")
			var wait sync.WaitGroup
			var failures [2]error
			for i, z := range []*zygote{z, second} {
				wait.Go(func() { _, failures[i] = z.run(in(out, v.start), nil) })
			}
			wait.Wait()
			if failures[0] != nil && failures[1] != nil || orderly(failures[0]) != nil || orderly(failures[1]) != nil {
				t.Errorf("%s: %v, %v", v.name, failures[0], failures[1])
			} else if err := v.finish(z, out, want); err != nil {
				t.Errorf("%s: %v", v.name, err)
			} else {
				good++
			}
		}
		report(t, v.name, "a second process does the same at once", "", tried, good)
	}
}
