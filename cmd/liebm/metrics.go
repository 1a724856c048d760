package main

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/liebm/liebm/eval"
	"github.com/liebm/liebm/study"
)

func metricsCommand() *cli.Command {
	return &cli.Command{
		Name:  "metrics",
		Usage: "measure images, scores or runs: FID, IS, KID, AUROC, PSNR, SSIM, probes",
		Description: `Images are a folder (png, jpg, …), an .npz of uint8 samples [n,h,w,c] under arr_0, a known data
set (cifar10, or cifar10:test), any other file that liebm data opens (a zip, a .liebm of liebm data
prepare), or a run of liebm train, from which --n samples are drawn.
Every result is a record with n, seed, SHA-256 of weights and data, mode and versions. --json prints
it, --out appends it to a file, and liebm report shows those of a run.

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
		&cli.BoolFlag{Name: "no-mcmc", Usage: "draw from a run's G alone, without the chain"},
		&cli.Uint64Flag{Name: "seed", Usage: "of samples, splits and subsets"},
		recordFlag(), jsonFlag(), deviceFlag(),
	}...)
}

// inceptionFlags choose network and mode.
func inceptionFlags(mode eval.Mode, more ...cli.Flag) []cli.Flag {
	return metricFlags(append([]cli.Flag{
		&cli.StringFlag{Name: "weights", Usage: "Inception's weights: `FILE` pt_inception-2015-12-05-6726825d.pth"},
		&cli.StringFlag{Name: "mode", Value: string(mode), Usage: "how images are resized: pytorch (pytorch-fid), tf (TTUR, torch-fidelity, ADM) or clean (clean-fid)"},
	}, more...)...)
}

func newRecord(metric string) *eval.Record { return eval.NewRecord(metric, versions()) }

// results says what becomes of a metric's record.
type results struct {
	run  string // folder that keeps it; may be empty
	out  string // file that it is appended to; may be empty
	json bool
}

// readResults reads --out, --json, and --run or the first argument that is a run.
func readResults(c *cli.Context) results {
	r := results{c.String("run"), c.String("out"), c.Bool("json")}
	if i := slices.IndexFunc(c.Args().Slice(), isRun); r.run == "" && i >= 0 {
		r.run = c.Args().Get(i)
	}
	return r
}

// finish keeps and prints a record.
func (to results) finish(r *eval.Record, print func()) error {
	if to.run != "" {
		if err := study.Keep(to.run, r); err != nil {
			return err
		}
	}
	if to.out != "" {
		if err := r.Append(to.out); err != nil {
			return err
		}
	}
	return printRecord(r, to.json, print)
}

// imageMetric is the arguments and flags of a metric of images.
type imageMetric struct {
	results
	command, usage string
	args           []string
	skip           bool
	samples        sampleOptions // to draw from a run
	weights, mode  string        // of Inception
	setup          study.Setup
}

// readImages reads metricFlags and n arguments; any number for n < 0.
func readImages(c *cli.Context, n int) (m imageMetric, err error) {
	if n >= 0 && c.NArg() != n {
		return m, fmt.Errorf("%d arguments instead of %d: liebm %s %s", c.NArg(), n, c.Command.FullName(), c.Command.ArgsUsage)
	}
	m = imageMetric{results: readResults(c), command: c.Command.Name, args: c.Args().Slice(), skip: c.Bool("skip-unreadable"),
		samples: sampleOptions{c.Int("n"), c.Uint64("seed"), c.Bool("no-mcmc")}, weights: c.String("weights"), mode: c.String("mode")}
	m.setup, err = newSetup(c)
	return m, err
}

func fidCommand() *cli.Command {
	return &cli.Command{
		Name:      "fid",
		Usage:     "Fréchet Inception distance between two sets of images or statistics",
		ArgsUsage: "A B",
		Description: `The default mode is pytorch-fid's. A and B may also be files of statistics (mu, sigma). With --stats-out
and A alone the command writes such a file. Use more images than the 2,048 features; 50,000 are usual.

	liebm metrics fid samples.npz cifar10 --weights W.pth
	liebm metrics fid runs/em cifar10 --weights W.pth --n 50000
	liebm metrics fid cifar10 --weights W.pth --stats-out cifar10-train.npz`,
		Flags: inceptionFlags(eval.PyTorch, &cli.StringFlag{Name: "stats-out", Usage: "write A's statistics to this `FILE`.npz, in the format of pytorch-fid"}),
		Action: func(c *cli.Context) error {
			out := c.String("stats-out")
			if c.NArg() != 2 && !(c.NArg() == 1 && out != "") {
				return fmt.Errorf("%d arguments: name two sets, A and B (A alone with --stats-out)", c.NArg())
			}
			m, err := readImages(c, -1)
			if err != nil {
				return err
			}
			net, sources, err := m.networkAndSources(c.Context)
			if err != nil {
				return err
			}
			defer sources.close()
			r := newRecord("FID")
			if net != nil {
				defer net.Close()
				r.On(net)
			}
			stats, err := sources.measure(c.Context, net, r)
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
				return m.finish(r, func() { fmt.Printf("statistics of %s images in %s (%s)\n", orUnstated(stats[0].N), out, r.Network) })
			}
			d, err := eval.Frechet(stats[0], stats[1])
			if err != nil {
				return err
			}
			r.Metric = eval.DistanceName(stats[0], stats[1])
			r.Values["value"] = d
			return m.finish(r, func() {
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
		Description: `Computed from the 1,008 logits without bias, in --splits parts, in the order of the images. The default
mode is that of torch-fidelity and ADM.

	liebm metrics is samples.npz --weights W.pth`,
		Flags: inceptionFlags(eval.TF, &cli.IntFlag{Name: "splits", Value: 10}, &cli.BoolFlag{Name: "shuffle", Usage: "assign images to splits at random, by --seed"}),
		Action: func(c *cli.Context) error {
			m, err := readImages(c, 1)
			if err != nil {
				return err
			}
			net, sources, err := m.networkAndImages(c.Context)
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
			return m.finish(r, func() {
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
			m, err := readImages(c, 2)
			if err != nil {
				return err
			}
			a, b, err := m.embedBoth(c.Context, r)
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
			return m.finish(r, func() {
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
		Description: `Precision is the share of generated images within a k-nearest-neighbour ball of a real one. Recall is the
share of real images within such a ball of a generated one.

	liebm metrics pr samples.npz cifar10 --weights W.pth`,
		Flags: inceptionFlags(eval.TF, &cli.IntFlag{Name: "k", Value: 3}),
		Action: func(c *cli.Context) error {
			r := newRecord("precision and recall")
			m, err := readImages(c, 2)
			if err != nil {
				return err
			}
			a, b, err := m.embedBoth(c.Context, r)
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
			return m.finish(r, func() {
				fmt.Printf("precision %.4f  recall %.4f (k %d, %s, n %d and %d)\n", precision, recall, c.Int("k"), r.Network, a.Len(), b.Len())
			})
		},
	}
}
