package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"github.com/liebm/liebm/eval"
)

// resultsFile holds a run's results, one record a line.
const resultsFile = "results.jsonl"

func metricsCommand() *cli.Command {
	return &cli.Command{
		Name:  "metrics",
		Usage: "measure images, scores or runs: FID, IS, KID, AUROC, PSNR, SSIM, probes",
		Description: `Images are a folder (png, jpg, …), an .npz of uint8 samples [n,h,w,c] under arr_0, a known data
set (cifar10, or cifar10:test), any other file that liebm data opens (a zip, a .liebm of liebm data
prepare), or a run of liebm train, which then draws --n samples.
Every result is a record with n, seed, SHA-256 of weights and data, mode and versions: --json
prints it, --out appends it to a file, and a run keeps it for liebm report.

	liebm metrics fid samples.npz cifar10 --weights pt_inception-2015-12-05-6726825d.pth`,
		Subcommands: []*cli.Command{fidCommand(), isCommand(), kidCommand(), prCommand(), oodCommand(),
			psnrCommand(), ssimCommand(), probeCommand(), tsneCommand(), timeCommand()},
	}
}

// metricFlags are those of every metric that reads images.
func metricFlags(more ...cli.Flag) []cli.Flag {
	return append(more, []cli.Flag{
		skipFlag(),
		&cli.IntFlag{Name: "n", Value: 50_000, Usage: "samples to draw from a run"},
		&cli.BoolFlag{Name: "no-mcmc", Usage: "draw from a run's G alone"},
		&cli.Uint64Flag{Name: "seed", Usage: "of samples, splits and subsets"},
		&cli.StringFlag{Name: "out", Usage: "append the record to this `FILE`, one JSON a line"},
		jsonFlag(), deviceFlag(),
	}...)
}

// inceptionFlags choose network and mode.
func inceptionFlags(mode eval.Mode, more ...cli.Flag) []cli.Flag {
	return metricFlags(append([]cli.Flag{
		&cli.StringFlag{Name: "weights", Usage: "Inception's weights: `FILE` pt_inception-2015-12-05-6726825d.pth"},
		&cli.StringFlag{Name: "mode", Value: string(mode), Usage: "how images are resized: pytorch (pytorch-fid), tf (TTUR, torch-fidelity, ADM) or clean (clean-fid)"},
	}, more...)...)
}

func openInception(c *cli.Context) (*eval.Inception, error) {
	mode, err := eval.ParseMode(c.String("mode"))
	if err != nil {
		return nil, err
	}
	if c.String("weights") == "" {
		return nil, fmt.Errorf("--weights is missing: fetch %s (SHA-256 %s) and name it", eval.InceptionURL, eval.InceptionSHA256)
	}
	device, err := device(c)
	if err != nil {
		return nil, err
	}
	return eval.OpenInception(c.String("weights"), mode, device)
}

func newRecord(metric string) *eval.Record {
	return eval.NewRecord(metric, map[string]string{"liebm": version})
}

// finish prints the record and keeps it where it belongs.
func finish(c *cli.Context, r *eval.Record, print func()) error {
	for _, name := range c.Args().Slice() {
		if isRun(name) {
			if err := r.Append(filepath.Join(name, resultsFile)); err != nil {
				return err
			}
			break // one result, one place
		}
	}
	if out := c.String("out"); out != "" {
		if err := r.Append(out); err != nil {
			return err
		}
	}
	for _, w := range r.Warnings {
		fmt.Fprintln(os.Stderr, "warning:", w)
	}
	if c.Bool("json") {
		return printJSON(os.Stdout, r)
	}
	print()
	return nil
}

func fidCommand() *cli.Command {
	return &cli.Command{
		Name:      "fid",
		Usage:     "Fréchet Inception distance between two sets of images or statistics",
		ArgsUsage: "A B",
		Description: `The default mode is pytorch-fid's. Statistics (mu, sigma) may stand for images; with --stats-out
and A alone they are made. The features are 2,048: use more images than that, 50,000 by custom.

	liebm metrics fid samples.npz cifar10 --weights W.pth
	liebm metrics fid runs/em cifar10 --weights W.pth --n 50000
	liebm metrics fid cifar10 --weights W.pth --stats-out cifar10-train.npz`,
		Flags: inceptionFlags(eval.PyTorch, &cli.StringFlag{Name: "stats-out", Usage: "write A's statistics to this `FILE`.npz, in pytorch-fid's form"}),
		Action: func(c *cli.Context) error {
			out := c.String("stats-out")
			if c.NArg() != 2 && !(c.NArg() == 1 && out != "") {
				return fmt.Errorf("%d arguments: name two sets, A and B (A alone with --stats-out)", c.NArg())
			}
			net, sources, err := networkAndSources(c)
			if err != nil {
				return err
			}
			defer sources.close()
			r := newRecord("FID")
			if net != nil {
				defer net.Close()
				r.On(net)
			}
			stats, err := sources.measure(c, net, r)
			if err != nil {
				return err
			}
			if out != "" {
				if err := eval.WriteStats(out, stats[0], r.Inputs[0]); err != nil {
					return err
				}
			}
			r.Network = cmp.Or(r.Network, stats[0].Features, stats[len(stats)-1].Features, "unnamed features")
			if len(stats) == 1 {
				r.Metric = "statistics"
				return finish(c, r, func() { fmt.Printf("statistics of %s images in %s (%s)\n", orUnstated(stats[0].N), out, r.Network) })
			}
			d, err := eval.Frechet(stats[0], stats[1])
			if err != nil {
				return err
			}
			r.Metric = eval.DistanceName(stats[0], stats[1])
			r.Values["value"] = d
			return finish(c, r, func() {
				fmt.Printf("%s %.4f (%s, n %s and %s)\n", r.Metric, d, r.Network, orUnstated(stats[0].N), orUnstated(stats[1].N))
			})
		},
	}
}

func orUnstated(n int) string {
	if n == 0 {
		return "unstated"
	}
	return fmt.Sprint(n)
}

func isCommand() *cli.Command {
	return &cli.Command{
		Name:      "is",
		Usage:     "inception score",
		ArgsUsage: "A",
		Description: `Of the 1,008 logits without bias, in --splits parts in the order that the images are read. The
default mode is torch-fidelity's and ADM's.

	liebm metrics is samples.npz --weights W.pth`,
		Flags: inceptionFlags(eval.TF, &cli.IntFlag{Name: "splits", Value: 10}, &cli.BoolFlag{Name: "shuffle", Usage: "draw the splits by --seed"}),
		Action: func(c *cli.Context) error {
			net, sources, err := networkAndImages(c, 1)
			if err != nil {
				return err
			}
			defer net.Close()
			defer sources.close()
			r := newRecord("IS")
			r.On(net)
			o := eval.ISOptions{Splits: c.Int("splits"), Shuffle: c.Bool("shuffle"), Seed: c.Uint64("seed")}
			r.Settings = map[string]string{"splits": fmt.Sprint(o.Splits), "shuffle": fmt.Sprint(o.Shuffle), "logits": "1008, without bias"}
			mean, std, input, err := eval.InceptionScore(c.Context, net, sources[0].Images, o, sources[0].progress())
			if err != nil {
				return err
			}
			if o.Shuffle {
				r.Seed = &o.Seed
			}
			r.Of(sources[0].describe(input))
			r.Values["mean"], r.Values["std"] = mean, std
			return finish(c, r, func() {
				fmt.Printf("IS %.4f ± %.4f (%d splits, shuffle %v, %s, n %d)\n", mean, std, o.Splits, o.Shuffle, r.Network, input.N)
			})
		},
	}
}

func kidCommand() *cli.Command {
	return &cli.Command{
		Name:      "kid",
		Usage:     "kernel Inception distance, unbiased in n",
		ArgsUsage: "A B",
		Description: `MMD² with the kernel (x·y/2048 + 1)³ over subsets drawn without replacement.

	liebm metrics kid samples.npz cifar10 --weights W.pth`,
		Flags: inceptionFlags(eval.TF, &cli.IntFlag{Name: "subsets", Value: 100}, &cli.IntFlag{Name: "subset-size", Value: 1000}),
		Action: func(c *cli.Context) error {
			r := newRecord("KID")
			a, b, err := embedBoth(c, r)
			if err != nil {
				return err
			}
			defer a.Close()
			defer b.Close()
			p, seed := newProgress("subsets"), c.Uint64("seed")
			mean, std, size, err := eval.KID(c.Context, a, b, eval.KIDOptions{Subsets: c.Int("subsets"), Size: c.Int("subset-size"), Seed: seed, Watch: p.count})
			if err != nil {
				return err
			}
			if size < c.Int("subset-size") {
				r.Warn(fmt.Sprintf("subsets have %d images, since one set has no more", size))
			}
			r.Seed, r.Settings = &seed, map[string]string{"subsets": fmt.Sprint(c.Int("subsets")), "subset_size": fmt.Sprint(size), "kernel": "(x·y/d+1)^3"}
			r.Values["mean"], r.Values["std"] = mean, std
			return finish(c, r, func() {
				fmt.Printf("KID %.6f ± %.6f (%d subsets of %d, %s, n %d and %d)\n", mean, std, c.Int("subsets"), size, r.Network, a.Len(), b.Len())
			})
		},
	}
}

func prCommand() *cli.Command {
	return &cli.Command{
		Name:      "pr",
		Usage:     "improved precision and recall of generated against real images",
		ArgsUsage: "GENERATED REAL",
		Description: `The share of images of one set that lie within a k-nearest-neighbour ball of the other.

	liebm metrics pr samples.npz cifar10 --weights W.pth`,
		Flags: inceptionFlags(eval.TF, &cli.IntFlag{Name: "k", Value: 3}),
		Action: func(c *cli.Context) error {
			r := newRecord("precision and recall")
			a, b, err := embedBoth(c, r)
			if err != nil {
				return err
			}
			defer a.Close()
			defer b.Close()
			precision, recall, err := eval.PrecisionRecall(c.Context, a, b, c.Int("k"), newProgress("neighbours").count)
			if err != nil {
				return err
			}
			r.Settings = map[string]string{"k": fmt.Sprint(c.Int("k"))}
			r.Values["precision"], r.Values["recall"] = precision, recall
			return finish(c, r, func() {
				fmt.Printf("precision %.4f  recall %.4f (k %d, %s, n %d and %d)\n", precision, recall, c.Int("k"), r.Network, a.Len(), b.Len())
			})
		},
	}
}
