package train_test

import (
	"context"
	"fmt"
	"os"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/models"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/train"
)

func ExampleSources_Resolve() {
	cfg, err := train.Sources{Preset: "fmnist-em", Set: []string{"chain.steps=8", "generator.latent_dim=32"}}.Resolve()
	fmt.Println(cfg.Chain.Steps, cfg.Generator.LatentDim, err)
	_, err = train.Sources{Preset: "fmnist-em", Set: []string{"chain.stepz=8"}}.Resolve()
	fmt.Println(err)
	// Output:
	// 8 32 <nil>
	// --set: unknown key chain.stepz: did you mean chain.steps?
}

// bars are images of one bright row.
func bars() (*data.Set, error) {
	const n, size = 40, 8
	pixels := make([]byte, n*size*size)
	for i := range n {
		for j := range size {
			pixels[i*size*size+i%size*size+j] = 255
		}
	}
	set, err := data.New(data.Shape{N: n, H: size, W: size, C: 1}, pixels, nil)
	if err == nil {
		set.Name = "bars"
	}
	return set, err
}

// A whole run in small: twelve steps of Algorithm 1 without a semantic latent, its folder, samples.
func ExampleRun() {
	cfg := train.FashionMNIST()
	cfg.Data.Name, cfg.Data.Size = "bars", 8
	cfg.Energy.Widths, cfg.Energy.Downs, cfg.Energy.FeatureDim = []int{4, 4}, []bool{true, false}, 8
	cfg.Energy.Posterior = models.NoLatent // so that no encoder is needed
	cfg.Generator.LatentDim, cfg.Generator.Widths = 6, []int{4, 4}
	cfg.Chain.Steps, cfg.Batch, cfg.Steps = 2, 4, 12

	dir, err := os.MkdirTemp("", "liebm")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	ctx := context.Background() // of a program: one that Ctrl-C cancels, and Run saves and returns
	set, err := bars()
	if err == nil {
		err = train.Run(ctx, cfg, set, "", train.Options{Out: dir})
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	model, err := train.LoadModel(dir, torch.Device{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer model.Close()
	samples, err := model.Sample(ctx, 3, train.SampleOptions{Seed: 1})
	fmt.Println(samples.Shape, err)
	// Output: 3×8×8×1 <nil>
}
