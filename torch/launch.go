package torch

import (
	"cmp"
	"fmt"
	"runtime"
	"strconv"
	"strings"
)

// GroupFromEnv reads this process's place in its group from the environment. It reads RANK, WORLD_SIZE,
// LOCAL_RANK, LOCAL_WORLD_SIZE, MASTER_ADDR and MASTER_PORT, which torchrun sets. Kubernetes' PyTorchJob
// sets all but the local ones. Without WORLD_SIZE it reads the variables of Slurm's srun. Without those,
// or with one process, it returns the zero GroupOptions. The default host is this machine, and the default
// port is 29500.
func GroupFromEnv(getenv func(string) string) (GroupOptions, error) {
	e := environment{getenv: getenv}
	var o GroupOptions
	switch {
	case getenv("WORLD_SIZE") != "":
		o = e.torchrun()
	case getenv("SLURM_STEP_ID") != "": // set by srun only: a batch script itself is one process
		o = e.slurm()
	}
	if e.err != nil || o.World <= 1 {
		return GroupOptions{}, e.err
	}
	return o, o.Validate()
}

// environment reads variables. err is the error of the first wrong one.
type environment struct {
	getenv func(string) string
	err    error
}

// number reads a variable. If it is not set, number returns fallback; a negative fallback makes that an error.
func (e *environment) number(name string, fallback int) int {
	text := e.getenv(name)
	if text == "" && fallback >= 0 {
		return fallback
	}
	n, err := strconv.Atoi(text)
	switch {
	case e.err != nil:
	case text == "":
		e.err = fmt.Errorf("%s is not set, though the environment describes several processes: let torchrun or srun start them, or set RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT for each", name)
	case err != nil || n < 0:
		e.err = fmt.Errorf("%s is %q: give a whole number of 0 or more", name, text)
	}
	return n
}

func (e *environment) torchrun() GroupOptions {
	o := GroupOptions{World: e.number("WORLD_SIZE", -1)}
	if o.World <= 1 {
		return o
	}
	o.Rank = e.number("RANK", -1)
	o.Host, o.Port = cmp.Or(e.getenv("MASTER_ADDR"), "localhost"), e.number("MASTER_PORT", 29500)
	together, rank := 1, 0
	if o.Host == "localhost" || strings.HasPrefix(o.Host, "127.") {
		together, rank = o.World, o.Rank
	}
	o.LocalRank, o.LocalWorld = e.number("LOCAL_RANK", rank), e.number("LOCAL_WORLD_SIZE", together)
	if e.getenv("TORCHELASTIC_USE_AGENT_STORE") == "True" {
		o.Agent = "worker/attempt_" + e.getenv("TORCHELASTIC_RESTART_COUNT")
	}
	return o
}

func (e *environment) slurm() GroupOptions {
	o := GroupOptions{World: e.number("SLURM_STEP_NUM_TASKS", e.number("SLURM_NTASKS", 1))}
	if o.World <= 1 {
		return o
	}
	o.Rank, o.LocalRank = e.number("SLURM_PROCID", -1), e.number("SLURM_LOCALID", 0)
	perNode, _, _ := strings.Cut(e.getenv("SLURM_STEP_TASKS_PER_NODE"), "(") // "4(x2)", "4,3"
	perNode, _, _ = strings.Cut(perNode, ",")
	o.LocalWorld, _ = strconv.Atoi(perNode)
	o.LocalWorld = max(o.LocalWorld, 1)
	o.Host = cmp.Or(e.getenv("MASTER_ADDR"), firstHost(e.getenv("SLURM_STEP_NODELIST")), firstHost(e.getenv("SLURM_JOB_NODELIST")))
	if o.Host == "" && e.err == nil {
		e.err = fmt.Errorf("SLURM_JOB_NODELIST is not set: start the processes with srun, or set MASTER_ADDR to the first node")
	}
	o.Port = e.number("MASTER_PORT", 29500+e.number("SLURM_JOB_ID", 0)%1000) // jobs that share a node differ
	return o
}

// firstHost is the first of Slurm's list of nodes: "gpu[003-007,12],login1" → "gpu003".
func firstHost(list string) string {
	open := strings.IndexByte(list, '[')
	comma := strings.IndexByte(list, ',')
	if open < 0 || comma >= 0 && comma < open {
		first, _, _ := strings.Cut(list, ",")
		return first
	}
	numbers, after, _ := strings.Cut(list[open+1:], "]")
	tail, _, _ := strings.Cut(after, ",")
	return list[:open] + numbers[:max(0, strings.IndexAny(numbers+",", ",-"))] + tail
}

// ThreadsFor is the number of threads that a process of o should use. It is OMP_NUM_THREADS, or
// SLURM_CPUS_PER_TASK, or the machine's CPUs divided by o.LocalWorld. torchrun sets OMP_NUM_THREADS to 1
// if the user did not set it, so a 1 from torchrun does not count.
func (o GroupOptions) ThreadsFor(getenv func(string) string) int {
	n, err := strconv.Atoi(getenv("OMP_NUM_THREADS"))
	if err == nil && n > 0 && !(n == 1 && getenv("TORCHELASTIC_RUN_ID") != "") {
		return n
	}
	if n, err := strconv.Atoi(getenv("SLURM_CPUS_PER_TASK")); err == nil && n > 0 {
		return n
	}
	return max(1, runtime.NumCPU()/max(1, o.LocalWorld))
}
