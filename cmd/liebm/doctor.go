package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/cpu"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/torch"
)

func doctorCommand() *cli.Command {
	return &cli.Command{
		Name:  "doctor",
		Usage: "show libtorch, CPU and GPU, and settings that may cost speed",
		Flags: []cli.Flag{jsonFlag(), &cli.BoolFlag{Name: "verbose", Usage: "add libtorch's description of its build"},
			&cli.BoolFlag{Name: "ops", Usage: "list the operators of the loaded libtorch with their schemas, and nothing else"}},
		Description: `	liebm doctor
	liebm doctor --json
	liebm doctor --ops | grep conv2d`,
		Action: func(c *cli.Context) error {
			if c.Bool("ops") {
				schemas := torch.Operators()
				return show(schemas, c.Bool("json"), func(w io.Writer) { fmt.Fprintln(w, strings.Join(schemas, "\n")) })
			}
			facts, named := diagnose(), map[string]string{}
			for _, f := range facts {
				named[f.name] = f.value
			}
			return show(named, c.Bool("json"), func(w io.Writer) {
				for _, f := range facts {
					fmt.Fprintf(w, "%s\t%s\n", f.name, f.value)
				}
				if c.Bool("verbose") {
					fmt.Fprintln(w, torch.Config())
				}
			})
		},
	}
}

type fact struct{ name, value string }

func diagnose() []fact {
	facts := []fact{
		{"liebm", version()}, {"go", runtime.Version()}, {"libtorch", torch.Version()}, {"library", torch.LibraryPath()},
		{"cpus", fmt.Sprint(runtime.NumCPU())}, {"threads", fmt.Sprint(torch.Threads())}, {"blas", torch.BLAS()},
		{"cpu", cpuCapability()}, {"onednn", cmp.Or(torch.WhyNoOneDNN(), "oneDNN self-test passed")}, {"bfloat16", bfloat16Speed()},
	}
	if torch.HasCUDA() {
		for i := range torch.CUDADevices() {
			d := torch.Device{Type: torch.CUDA, Index: i}
			memory := "memory unknown"
			if m, err := torch.MemoryStats(d); err == nil {
				memory = fmt.Sprintf("%.1f of %.1f GiB free", float64(m.Free)/(1<<30), float64(m.Total)/(1<<30))
			}
			facts = append(facts, fact{d.String(), "available, " + memory})
		}
	} else {
		facts = append(facts, fact{"cuda", "not available: " + torch.WhyNoCUDA()})
	}
	for _, name := range []string{"OMP_NUM_THREADS", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "OPENBLAS_NUM_THREADS", "OPENBLAS_CORETYPE", "ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "LIBTORCH", "LIEBM_DATA"} {
		if v, ok := os.LookupEnv(name); ok {
			facts = append(facts, fact{name, v + remarks[name]})
		}
	}
	known, _ := data.Lookup("fmnist") // a known name
	where, err := known.Locate("")
	if err != nil {
		where = err.Error()
	}
	return append(facts, fact{"fashion-mnist", where})
}

// remarks explain environment variables.
var remarks = map[string]string{
	"OPENBLAS_CORETYPE": "  (a kernel older than the CPU can halve the speed of matrix products)",
	"OMP_NUM_THREADS":   "  (taken as the number of threads)",
}

func cpuCapability() string {
	for _, line := range strings.Split(torch.Config(), "\n") {
		if _, v, ok := strings.Cut(line, "CPU capability usage: "); ok {
			return v
		}
	}
	return "unknown"
}

// bfloat16Speed says whether chains in bfloat16 are faster on this CPU, which depends on its matrix units.
func bfloat16Speed() string {
	if runtime.GOARCH == "amd64" && cpu.X86.HasAMXTile && cpu.X86.HasAMXBF16 {
		return "AMX: chains of wide networks are faster with precision=bfloat16"
	}
	return "no AMX: chains are faster with precision=float32"
}
