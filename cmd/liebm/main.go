// Command liebm trains, samples and evaluates latent-informed energy-based models.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/urfave/cli/v2"

	"github.com/liebm/liebm/torch"
)

// version is set by the Makefile.
var version = "unknown"

func main() {
	// All work is done on this goroutine. OpenMP keeps a pool of threads per OS thread, and stops
	// spinning between operators once the pools together outnumber the CPUs: twice as slow.
	runtime.LockOSThread()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := runApp(ctx, os.Args)
	stop()
	if err == context.Canceled { // bare: there is nothing to go on with
		err = fmt.Errorf("stopped; nothing was written: %w", err)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "liebm:", err)
		os.Exit(exitCode(err))
	}
}

// exitCode is 130 after Ctrl-C, as shells have it, and 1 after any other failure.
func exitCode(err error) int {
	if errors.Is(err, context.Canceled) {
		return 130
	}
	return 1
}

func app() *cli.App {
	return plainly(&cli.App{
		Name:    "liebm",
		Usage:   "train, sample and evaluate latent-informed energy-based models",
		Version: version,
		Description: `A first run, on Fashion-MNIST in ten minutes:

	liebm demo --out runs/demo

The same in steps:

	liebm pretrain --preset fmnist-simclr --out runs/encoder
	liebm train --preset fmnist-em --encoder runs/encoder --out runs/em --minutes 6
	liebm sample --run runs/em --n 10000 --out samples.npz
	liebm eval --run runs/em`,
		Flags: []cli.Flag{
			&cli.IntFlag{Name: "threads", Usage: "threads per operator (default: OMP_NUM_THREADS, or one per CPU)"},
		},
		Before: func(c *cli.Context) error {
			if c.IsSet("threads") {
				if err := torch.SetThreads(c.Int("threads")); err != nil {
					return fmt.Errorf("--threads: %w", err)
				}
			}
			return torch.Do(func() error { return nil }) // libtorch cannot be used, or OMP_NUM_THREADS is wrong
		},
		Commands: []*cli.Command{
			demoCommand(), pretrainCommand(), trainCommand(), trainQCommand(), importCommand(), exportCommand(), sampleCommand(), evalCommand(),
			reconstructCommand(), restoreCommand(), conditionalCommand(), interpolateCommand(), scoreCommand(),
			metricsCommand(), reportCommand(), planCommand(), benchCommand(), dataCommand(), doctorCommand(),
			reproduceCommand(),
		},
		HideHelpCommand:           true,
		DisableSliceFlagSeparator: true,                         // lists have commas: --set energy.widths=[16,32]
		ExitErrHandler:            func(*cli.Context, error) {}, // main prints and exits
	})
}
