package torch_test

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/liebm/liebm/torch"
)

func TestGroupFromEnv(t *testing.T) {
	type env map[string]string
	for name, c := range map[string]struct {
		env   env
		want  torch.GroupOptions
		wrong string
	}{
		"nothing set":    {env: env{}},
		"a world of one": {env: env{"WORLD_SIZE": "1", "RANK": "0"}},
		"torchrun": {env: env{"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "4", "MASTER_ADDR": "n0", "MASTER_PORT": "1234"},
			want: torch.GroupOptions{Rank: 5, World: 8, LocalRank: 1, LocalWorld: 4, Host: "n0", Port: 1234}},
		"torchrun that keeps the store": {env: env{"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500", "TORCHELASTIC_USE_AGENT_STORE": "True", "TORCHELASTIC_RESTART_COUNT": "3"},
			want: torch.GroupOptions{Rank: 1, World: 2, LocalRank: 1, LocalWorld: 2, Host: "127.0.0.1", Port: 29500, Agent: "worker/attempt_3"}},
		"Kubernetes, without local ranks": {env: env{"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "job-master-0", "MASTER_PORT": "23456"},
			want: torch.GroupOptions{Rank: 1, World: 2, LocalWorld: 1, Host: "job-master-0", Port: 23456}},
		"by hand on this machine": {env: env{"RANK": "1", "WORLD_SIZE": "2"},
			want: torch.GroupOptions{Rank: 1, World: 2, LocalRank: 1, LocalWorld: 2, Host: "localhost", Port: 29500}},
		"Slurm": {env: env{"SLURM_STEP_ID": "0", "SLURM_NTASKS": "6", "SLURM_PROCID": "4", "SLURM_LOCALID": "1", "SLURM_STEP_TASKS_PER_NODE": "3(x2)", "SLURM_JOB_NODELIST": "gpu[007-009,12],x1", "SLURM_JOB_ID": "4242"},
			want: torch.GroupOptions{Rank: 4, World: 6, LocalRank: 1, LocalWorld: 3, Host: "gpu007", Port: 29742}},
		"Slurm, plain nodes": {env: env{"SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "2", "SLURM_NTASKS": "4", "SLURM_PROCID": "0", "SLURM_STEP_NODELIST": "alpha,beta[1-2]", "MASTER_PORT": "5"},
			want: torch.GroupOptions{World: 2, LocalWorld: 1, Host: "alpha", Port: 5}},
		"Slurm's batch script is one process": {env: env{"SLURM_NTASKS": "6", "SLURM_PROCID": "0"}},
		"no rank":                             {env: env{"WORLD_SIZE": "2"}, wrong: "RANK is not set"},
		"not a number":                        {env: env{"WORLD_SIZE": "two"}, wrong: `WORLD_SIZE is "two": give a whole number`},
		"a rank outside":                      {env: env{"WORLD_SIZE": "2", "RANK": "2"}, wrong: "rank 2 of 2 processes: give each a rank of 0 to 1"},
		"a port outside":                      {env: env{"WORLD_SIZE": "2", "RANK": "0", "MASTER_PORT": "70000"}, wrong: "port 70000"},
		"Slurm without nodes":                 {env: env{"SLURM_STEP_ID": "0", "SLURM_NTASKS": "2", "SLURM_PROCID": "0"}, wrong: "SLURM_JOB_NODELIST is not set"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := torch.GroupFromEnv(func(name string) string { return c.env[name] })
			if c.wrong != "" {
				assert.ErrorContains(t, err, c.wrong)
				return
			}
			assert.NoError(t, err)
			assert.Equal(t, c.want, got)
		})
	}
}

func TestThreadsFor(t *testing.T) {
	o := torch.GroupOptions{World: 4, LocalWorld: 1 << 20}
	for name, c := range map[string]struct {
		env  map[string]string
		o    torch.GroupOptions
		want int
	}{
		"the user's":           {map[string]string{"OMP_NUM_THREADS": "7"}, o, 7},
		"torchrun's stand-in":  {map[string]string{"OMP_NUM_THREADS": "1", "TORCHELASTIC_RUN_ID": "none"}, torch.GroupOptions{LocalWorld: 1}, runtime.NumCPU()},
		"Slurm's":              {map[string]string{"SLURM_CPUS_PER_TASK": "5"}, o, 5},
		"more than cores":      {nil, o, 1},
		"alone on the machine": {nil, torch.GroupOptions{LocalWorld: 1}, runtime.NumCPU()},
	} {
		assert.Equal(t, c.want, c.o.ThreadsFor(func(name string) string { return c.env[name] }), name)
	}
}
