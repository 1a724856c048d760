package main

import (
	"cmp"
	"fmt"
	"io"
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
the record, --out appends it to a file, and liebm report shows the records of a run.

Several processes share samples, features and scores of all metrics but time (docs/parallel.md).

	liebm data fetch inception
	liebm metrics fid samples.npz cifar10
	torchrun --no_python --nproc_per_node 2 liebm metrics fid runs/em cifar10`,
		Subcommands: []*cli.Command{fidCommand(), isCommand(), kidCommand(), prCommand(), oodCommand(),
			psnrCommand(), ssimCommand(), probeCommand(), tsneCommand(), timeCommand()},
	}
}

// metricFlags are those of every metric that reads images.
func metricFlags(more ...cli.Flag) []cli.Flag {
	return append(more,
		skipFlag(),
		countFlag("n", 50_000, 1, "samples to draw from a run"), checkpointFlag(),
		&cli.BoolFlag{Name: "no-mcmc", Usage: "draw from a run's G alone, without the chain"},
		&cli.Uint64Flag{Name: "seed", Usage: "seed of samples, splits and subsets"},
		recordFlag(), jsonFlag(), deviceFlag(),
	)
}

// inceptionFlags are metricFlags, and those of Inception.
func inceptionFlags(mode eval.Mode, more ...cli.Flag) []cli.Flag {
	return metricFlags(append([]cli.Flag{
		weightsFlag("", auto),
		&cli.StringFlag{Name: "mode", Value: string(mode), Usage: "how images are resized: pytorch (pytorch-fid), tf (TTUR, torch-fidelity, ADM) or clean (clean-fid)"},
	}, more...)...)
}

func newRecord(metric string) *eval.Record { return eval.NewRecord(metric, versions()) }

// results says what becomes of a record.
type results struct {
	run  string // folder that keeps it; may be empty
	out  string // file that it is appended to; may be empty
	json bool
}

// readResults reads --out, --json, and --run or the first argument that is a run.
func readResults(c *cli.Context) results {
	r := results{c.String("run"), c.String("out"), c.Bool("json")}
	if i := slices.IndexFunc(c.Args().Slice(), study.IsRun); r.run == "" && i >= 0 {
		r.run = c.Args().Get(i)
	}
	return r
}

// finish keeps a record, and prints its warnings and the record: as JSON, or as format says.
func (to results) finish(r *eval.Record, format string, values ...any) error {
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
	printWarnings(r)
	return show(r, to.json, func(w io.Writer) { fmt.Fprintf(w, format, values...) })
}

func fidCommand() *cli.Command {
	return &cli.Command{
		Name:      "fid",
		Usage:     "Fréchet Inception distance between two sets of images or statistics",
		ArgsUsage: "A B",
		Description: `The default mode is that of pytorch-fid. A and B may also be files of statistics (mu, sigma). With --stats-out
and A alone, the command writes such a file. Use more than 2,048 images, the number of features; 50,000 are usual.

	liebm metrics fid samples.npz cifar10
	liebm metrics fid runs/em cifar10 --n 50000
	liebm metrics fid cifar10 --stats-out cifar10-train.npz`,
		Flags: inceptionFlags(eval.PyTorch, &cli.StringFlag{Name: "stats-out", Usage: "write A's statistics to this `FILE`.npz, in the format of pytorch-fid"}),
		Action: func(c *cli.Context) error {
			out, n := c.String("stats-out"), 2
			if out != "" && c.NArg() == 1 {
				n = 1
			}
			return measureImages(c, fid, n, func(m *imageMetric, r *eval.Record) (string, error) {
				stats, err := m.statistics(r)
				if err != nil {
					return "", err
				}
				if out != "" {
					if err := eval.WriteStats(out, stats[0], r.Inputs[0]); err != nil {
						return "", err
					}
				}
				r.Network = cmp.Or(r.Network, stats[0].Features, stats[n-1].Features, "unnamed features")
				if n == 1 {
					r.Metric = "statistics"
					return fmt.Sprintf("statistics of %s images in %s (%s)\n", orUnstated(stats[0].N), out, r.Network), nil
				}
				r.Metric = eval.DistanceName(stats[0], stats[1])
				d, err := eval.Frechet(stats[0], stats[1])
				r.Values["value"] = d
				return fmt.Sprintf("%s %.4f (%s, n %s and %s)\n", r.Metric, d, r.Network, orUnstated(stats[0].N), orUnstated(stats[1].N)), err
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

	liebm metrics is samples.npz`,
		Flags: inceptionFlags(eval.TF, countFlag("splits", 10, 1, "number of parts"), &cli.BoolFlag{Name: "shuffle", Usage: "assign images to splits at random, by --seed"}),
		Action: func(c *cli.Context) error {
			return measureImages(c, "IS", 1, func(m *imageMetric, r *eval.Record) (string, error) {
				o := eval.ISOptions{Splits: c.Int("splits"), Shuffle: c.Bool("shuffle"), Seed: c.Uint64("seed")}
				r.Settings = map[string]string{"splits": fmt.Sprint(o.Splits), "shuffle": fmt.Sprint(o.Shuffle), "logits": "1008, without bias"}
				if o.Shuffle {
					r.Seed = &o.Seed
				}
				images := m.sources[0].Images
				mean, std, input, err := eval.InceptionScore(c.Context, m.net, images, o, m.progress(images))
				if err == nil {
					err = m.gathered(r, input)
				}
				if err != nil {
					return "", err
				}
				r.Values["mean"], r.Values["std"] = mean, std
				return fmt.Sprintf("IS %.4f ± %.4f (%d splits, shuffle %v, %s, n %d)\n", mean, std, o.Splits, o.Shuffle, r.Network, input.N), nil
			})
		},
	}
}

func kidCommand() *cli.Command {
	return &cli.Command{
		Name:      "kid",
		Usage:     "kernel Inception distance; unlike FID, its mean does not depend on the number of images",
		ArgsUsage: "A B",
		Description: `MMD² with the kernel (x·y/2048 + 1)³ over subsets drawn without replacement.

	liebm metrics kid samples.npz cifar10`,
		Flags: inceptionFlags(eval.TF, countFlag("subsets", 100, 1, "number of subsets"), countFlag("subset-size", 1000, 2, "images of a subset")),
		Action: func(c *cli.Context) error {
			return measureImages(c, "KID", 2, func(m *imageMetric, r *eval.Record) (string, error) {
				e, err := m.embed(r)
				if err != nil {
					return "", err
				}
				o := eval.KIDOptions{Subsets: c.Int("subsets"), Size: c.Int("subset-size"), Seed: c.Uint64("seed"), Watch: newProgress("subsets").count}
				mean, std, size, err := eval.KID(c.Context, e[0], e[1], o)
				if size < o.Size {
					r.Warn(fmt.Sprintf("subsets have %d images, since one set has no more", size))
				}
				r.Seed, r.Settings = &o.Seed, map[string]string{"subsets": fmt.Sprint(o.Subsets), "subset_size": fmt.Sprint(size), "kernel": "(x·y/d+1)^3"}
				r.Values["mean"], r.Values["std"] = mean, std
				return fmt.Sprintf("KID %.6f ± %.6f (%d subsets of %d, %s, n %d and %d)\n", mean, std, o.Subsets, size, r.Network, e[0].Len(), e[1].Len()), err
			})
		},
	}
}

func prCommand() *cli.Command {
	return &cli.Command{
		Name:      "pr",
		Usage:     "improved precision and recall of generated against real images",
		ArgsUsage: "GENERATED REAL",
		Description: `Each image is the centre of a ball that reaches to its k-th nearest neighbour in the same set. Precision is
the share of generated images that lie in a ball of a real image. Recall is the share of real images that lie in
a ball of a generated image.

	liebm metrics pr samples.npz cifar10`,
		Flags: inceptionFlags(eval.TF, countFlag("k", 3, 1, "a ball reaches to the k-th nearest neighbour of its centre")),
		Action: func(c *cli.Context) error {
			return measureImages(c, "precision and recall", 2, func(m *imageMetric, r *eval.Record) (string, error) {
				e, err := m.embed(r)
				if err != nil {
					return "", err
				}
				k := c.Int("k")
				precision, recall, err := eval.PrecisionRecall(c.Context, e[0], e[1], k, newProgress("neighbours").count)
				r.Settings = map[string]string{"k": fmt.Sprint(k)}
				r.Values["precision"], r.Values["recall"] = precision, recall
				return fmt.Sprintf("precision %.4f  recall %.4f (k %d, %s, n %d and %d)\n", precision, recall, k, r.Network, e[0].Len(), e[1].Len()), err
			})
		},
	}
}
