//go:build faults

package main

import (
	"encoding/hex"
	"fmt"
	"hash/fnv"
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

	"github.com/stretchr/testify/require"
)

// A power cut is simulated. strace records each change that a command makes to its folder. The record is replayed up to a
// cut. What then is on the disk is certain only for what was synced; of the rest, three worlds are tried:
//
//	nothing: names of files are as at the last fsync of their folder, contents as at the last fsync of the file
//	names:   every file has its newest name, and its contents as at its last fsync
//	some:    the first few changes of names since the fsync of the folder, and a random part of each file's writes
//
// A file system writes the names of a folder in order. It may write the contents of files in any order.

// A disk is a simulated one.
type disk struct {
	names  map[string]*inode // what a process sees
	synced map[string]*inode // names that an fsync of the folder has written
	since  []func(names map[string]*inode)
}

type inode struct {
	folder bool
	now    []byte
	synced []byte
}

// change does something to the names, and remembers it until the folder is synced.
func (d *disk) change(f func(names map[string]*inode)) {
	f(d.names)
	d.since = append(d.since, f)
}

// world returns the files that may be there after a cut of power.
func (d *disk) world(kind string, rng *rand.Rand) map[string][]byte {
	names := maps.Clone(d.synced)
	n := map[string]int{"nothing": 0, "names": len(d.since), "some": rng.IntN(len(d.since) + 1)}[kind]
	for _, f := range d.since[:n] {
		f(names)
	}
	files := map[string][]byte{}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		node := names[name]
		files[name] = node.synced
		if node.folder {
			files[name] = nil
		} else if kind == "some" && string(node.now) != string(node.synced) {
			files[name] = node.now[:rng.IntN(len(node.now)+1)]
		}
	}
	return files
}

// A recording is the system calls of one process tree on the files below a folder.
type recording struct {
	disk
	root  string
	files map[int]*inode
	place map[int]int // in the file
}

var (
	callPattern = regexp.MustCompile(`^(\w+)\((.*)\) += (-?\d+)`)
	textPattern = regexp.MustCompile(`"((?:\\x[0-9a-f]{2})*)"`)
)

const recorded = "openat,close,write,pwrite64,ftruncate,fsync,fdatasync,renameat,renameat2,unlinkat,mkdirat,lseek,copy_file_range,sendfile,fallocate,dup3"

// lines returns the calls of a trace, each once: strace divides a call that another thread interrupts.
func lines(trace string) (all []string) {
	begun := map[string]string{}
	for _, line := range strings.Split(trace, "\n") {
		pid, call, _ := strings.Cut(line, " ")
		call = strings.TrimLeft(call, " ")
		if head, _, found := strings.Cut(call, " <unfinished ...>"); found {
			begun[pid] = head
		} else if _, tail, found := strings.Cut(call, " resumed>"); found {
			all = append(all, begun[pid]+tail)
		} else {
			all = append(all, call)
		}
	}
	return all
}

// do replays a call, and reports whether it changed the folder.
func (r *recording) do(t *testing.T, line string) bool {
	m := callPattern.FindStringSubmatch(line)
	if m == nil || strings.HasPrefix(m[3], "-") {
		return false
	}
	var texts []string
	for _, text := range textPattern.FindAllStringSubmatch(m[2], -1) {
		raw, err := hex.DecodeString(strings.ReplaceAll(text[1], `\x`, ""))
		require.NoError(t, err)
		texts = append(texts, string(raw))
	}
	within := func(i int) (string, bool) {
		rel, err := filepath.Rel(r.root, texts[i])
		return rel, err == nil && rel != ".." && !strings.HasPrefix(rel, "../")
	}
	plain := textPattern.ReplaceAllString(m[2], `""`)
	args := strings.Split(plain, ", ")
	number := func(text string) int { n, _ := strconv.Atoi(text); return n }
	result, fd := number(m[3]), number(args[0])
	node := r.files[fd]
	switch m[1] {
	case "openat":
		delete(r.files, result)
		name, ok := within(0)
		if !ok {
			return false
		}
		return r.open(name, result, args[2])
	case "close":
		delete(r.files, fd)
		return false
	case "renameat", "renameat2":
		from, ok := within(0)
		to, ok2 := within(1)
		require.Equal(t, ok, ok2, line)
		if ok {
			r.change(func(names map[string]*inode) { names[to] = names[from]; delete(names, from) })
		}
		return ok
	case "unlinkat":
		name, ok := within(0)
		if ok {
			r.change(func(names map[string]*inode) { delete(names, name) })
		}
		return ok
	case "mkdirat":
		name, ok := within(0)
		if made := (&inode{folder: true}); ok {
			r.change(func(names map[string]*inode) { names[name] = made })
		}
		return ok
	}
	if node == nil {
		return false
	}
	switch m[1] {
	case "write":
		node.write(r.place[fd], texts[0])
		r.place[fd] += len(texts[0])
	case "pwrite64":
		node.write(number(args[3]), texts[0])
	case "ftruncate":
		n := number(args[1])
		node.now = append(node.now[:min(n, len(node.now))], make([]byte, max(0, n-len(node.now)))...)
	case "lseek":
		r.place[fd] = result
		return false
	case "fsync", "fdatasync":
		node.synced = slices.Clone(node.now)
		if node.folder { // ours is one folder with few below: a sync of any writes all names
			r.synced, r.since = maps.Clone(r.names), nil
		}
	default:
		require.Fail(t, "not simulated", line)
	}
	return true
}

func (n *inode) write(at int, text string) {
	if end := at + len(text); end > len(n.now) {
		n.now = append(n.now, make([]byte, end-len(n.now))...)
	}
	copy(n.now[at:], text)
}

// open is openat of a name in the folder.
func (r *recording) open(name string, fd int, flags string) (changed bool) {
	node := r.names[name]
	if node == nil {
		made := &inode{folder: strings.Contains(flags, "O_DIRECTORY")}
		r.change(func(names map[string]*inode) { names[name] = made })
		node, changed = made, true
	}
	r.files[fd], r.place[fd] = node, 0
	if strings.Contains(flags, "O_TRUNC") {
		node.now, changed = nil, true
	}
	if strings.Contains(flags, "O_APPEND") {
		r.place[fd] = len(node.now)
	}
	return changed
}

// put writes the files of a world to the folder out.
func put(t *testing.T, out string, files map[string][]byte, folders map[string]*inode) {
	require.NoError(t, os.RemoveAll(out))
	for _, name := range slices.Sorted(maps.Keys(files)) {
		path := filepath.Join(out, name)
		if node := folders[name]; node != nil && node.folder || name == "." {
			require.NoError(t, os.MkdirAll(path, 0o777))
			continue
		}
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o777))
		require.NoError(t, os.WriteFile(path, files[name], 0o666))
	}
}

func TestFaultsPowerCuts(t *testing.T) {
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip("strace is not installed")
	}
	every, z := number("FAULTS_EVERY", 1), startZygote(t)
	for _, v := range victims(t, z) {
		dir := t.TempDir()
		log, whole, out := filepath.Join(dir, "trace"), filepath.Join(dir, "whole"), filepath.Join(dir, "run")
		_, err := z.run(in(whole, v.start), traced(t, log, "-xx", "-s", "100000000", "-e", "trace="+recorded))
		require.NoError(t, err)
		want, err := v.result(whole)
		require.NoError(t, err)
		trace, err := os.ReadFile(log)
		require.NoError(t, err)
		r := &recording{disk{map[string]*inode{}, map[string]*inode{}, nil}, whole, map[int]*inode{}, map[int]int{}}
		rng, seen, at := rand.New(rand.NewPCG(1, 3)), map[uint64]bool{}, 0
		tried, good := map[string]int{}, map[string]int{}
		for _, line := range lines(string(trace)) {
			if !r.do(t, line) {
				continue
			}
			if at++; at%every != 0 {
				continue
			}
			for _, kind := range []string{"nothing", "names", "some"} {
				files := r.world(kind, rng)
				sum := fnv.New64()
				for _, name := range slices.Sorted(maps.Keys(files)) {
					fmt.Fprintf(sum, "%q %q\n", name, files[name])
				}
				if seen[sum.Sum64()] {
					continue
				}
				seen[sum.Sum64()] = true
				put(t, out, files, r.names)
				tried[kind]++
				if err := v.finish(z, out, want); err != nil {
					t.Errorf("%s, %s after %.200s: %v", v.name, kind, line, err)
				} else {
					good[kind]++
				}
			}
		}
		got := map[string][]byte{}
		for name, node := range r.names {
			got[name] = node.now
		}
		put(t, out, got, r.names)
		replayed, err := v.result(out)
		require.NoError(t, err)
		require.Equal(t, want, replayed, "the record is whole")
		for _, kind := range []string{"nothing", "names", "some"} {
			report(t, v.name, "power cut: "+map[string]string{"nothing": "all unsynced changes are lost", "names": "unsynced files keep their names and lose their contents", "some": "a random part of the unsynced changes is kept"}[kind], sampling(every), tried[kind], good[kind])
		}
	}
}
