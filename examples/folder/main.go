// Command folder trains a model on a folder of pictures, with the packages that the liebm command uses:
//
//	go run ./examples/folder -images photos -out runs/photos
//
// It leaves samples in OUT/samples.png. Without -images it draws pictures of discs to train on. The
// networks are small, so that a run takes minutes on a CPU; use more steps and wider networks for
// photographs.
package main

import (
	"context"
	"flag"
	"fmt"
	"image"
	"image/color"
	"log"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/models"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/train"
)

const size = 16 // height and width of the pictures that the networks read

// run pretrains an encoder, trains a model and draws samples. If ctx is cancelled, it saves a checkpoint,
// and train.Options.Resume would go on from there.
func run(ctx context.Context, images, out string, steps int) error {
	set, err := data.Open(images, data.Options{Size: size, RGB: true})
	if err != nil {
		return err
	}
	defer set.Close()

	ssl, cfg, err := configs(images, steps)
	if err != nil {
		return err
	}
	encoder, model := filepath.Join(out, "encoder"), filepath.Join(out, "model")
	if err := train.Pretrain(ctx, ssl, set, train.Options{Out: encoder, Watch: progress("pretrain")}); err != nil {
		return err
	}
	if err := train.Run(ctx, cfg, set, train.EncoderPath(encoder), train.Options{Out: model, Watch: progress("train")}); err != nil {
		return err
	}

	m, err := train.LoadModel(model, torch.Device{})
	if err != nil {
		return err
	}
	defer m.Close()
	samples, err := m.Sample(ctx, 64, train.SampleOptions{Seed: 1})
	if err != nil {
		return err
	}
	grid, err := data.Grid(samples.Pixels(), samples.Shape, 8)
	if err != nil {
		return err
	}
	return data.WritePNG(filepath.Join(out, "samples.png"), grid)
}

// configs starts from the presets for Fashion-MNIST and changes the settings that depend on the pictures.
func configs(images string, steps int) (train.SSLConfig, train.Config, error) {
	cfg := train.FashionMNIST()
	cfg.Data = train.DataConfig{Name: "pictures", Path: images, Size: size, Range: models.Range{Low: -1, High: 1}}
	cfg.Energy.Channels, cfg.Energy.Widths, cfg.Energy.Downs = 3, []int{16, 32, 64}, []bool{true, true, true}
	cfg.Energy.FeatureDim, cfg.Energy.HeadDim, cfg.Energy.LatentDim = 64, 64, 16
	cfg.Generator.Channels, cfg.Generator.LatentDim = 3, 32
	cfg.Generator.Widths = []int{64, 32, 16} // at 4×4, 8×8 and 16×16 pixels
	cfg.Steps = steps

	ssl, err := train.SSLPreset("fmnist-simclr")
	ssl.Data, ssl.Batch, ssl.Steps = cfg.Data, 32, steps
	ssl.Encoder = train.EncoderFor(cfg)
	ssl.Encoder.Widths, ssl.Encoder.Blocks, ssl.Encoder.HeadDim = []int{16, 32}, []int{1, 1}, 64
	return ssl, cfg, err
}

// progress prints a line every hundred steps.
func progress(name string) train.Watch {
	return func(p train.Progress) {
		if p.Step%100 == 0 || p.Step == p.Steps {
			fmt.Printf("%s: step %d of %d, %.1f steps/s\n", name, p.Step, p.Steps, p.Rate)
		}
	}
}

// draw writes n pictures of one disc each to a new folder.
func draw(folder string, n int) error {
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return err
	}
	rng := rand.New(rand.NewPCG(1, 0))
	for i := range n {
		picture := image.NewRGBA(image.Rect(0, 0, size, size))
		x, y, r := 4+8*rng.Float64(), 4+8*rng.Float64(), 2+2*rng.Float64()
		disc := color.RGBA{uint8(128 + rng.IntN(128)), uint8(128 + rng.IntN(128)), 0, 255}
		for p := range size * size {
			c := color.RGBA{0, 0, 64, 255}
			if dx, dy := float64(p%size)-x, float64(p/size)-y; dx*dx+dy*dy < r*r {
				c = disc
			}
			picture.SetRGBA(p%size, p/size, c)
		}
		if err := data.WritePNG(filepath.Join(folder, fmt.Sprintf("%04d.png", i)), picture); err != nil {
			return err
		}
	}
	return nil
}

func main() {
	images := flag.String("images", "", "folder of pictures (default: draw 500 discs)")
	out := flag.String("out", "runs/pictures", "folder for the runs and the samples; it must not exist yet")
	steps := flag.Int("steps", 1000, "number of training steps")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if *images == "" {
		*images = filepath.Join(*out, "discs")
		if err := draw(*images, 500); err != nil {
			log.Fatal(err)
		}
	}
	if err := run(ctx, *images, *out, *steps); err != nil {
		log.Fatal(err)
	}
	fmt.Println("samples:", filepath.Join(*out, "samples.png"))
}
