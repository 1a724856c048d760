package train_test

import (
	"context"
	"fmt"
	"os"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/mcmc"
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
	// unknown key chain.stepz: did you mean chain.steps?
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

// The uses of a trained model that has a q, on images that it has not seen.
func ExampleModel() {
	ctx := context.Background()
	test, err := data.Open("fmnist", data.Options{Split: data.Test, Size: 32})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer test.Close()
	m, err := train.LoadModel("runs/erm", torch.Device{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close()
	few := test.Head(64)

	joint, energy, cosine, err := m.Scores(ctx, few, 0.1) // Eq. 15 and its terms; inliers score high
	fmt.Println(len(joint), len(energy), len(cosine), err)
	again, err := m.Reconstruct(ctx, few, train.ReconstructOptions{}) // G(q(x)), Table 11
	if err == nil {
		fmt.Println(again.MSE, again.Images)
	}
	restored, err := m.Restore(ctx, few, mcmc.SuperResolution{Factor: 8}, train.RestoreDefaults(m.Config)) // Eq. 16–17
	if err == nil {
		fmt.Println(restored.Start, restored.Refined, restored.Restored)
	}
	classes, err := m.Conditional(ctx, test, train.ConditionalOptions{N: 8}) // Sec. 4.3
	if err == nil {
		fmt.Println(classes.Images)
	}
	walks, err := m.Interpolate(ctx, 4, train.InterpolateOptions{Frames: 9}) // between random latents
	fmt.Println(walks, err)
	walks, err = m.InterpolateImages(ctx, few, few, train.InterpolateOptions{Frames: 9}) // between images
	fmt.Println(walks, err)
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
