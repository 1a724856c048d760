// Package train pretrains encoders, trains models by Algorithm 1, and keeps runs: configs,
// checkpoints, metrics and samples in a folder.
//
// The paper's text is implemented with these corrections. p(x,z) ∝ exp(E(x,z)), so energies are
// ascended: chains add +(δ²/2)∇E, and E minimises mean E(x^T) − mean E(x,z), the opposite of what
// lines 15–16 of Algorithm 1 print. Line 3 normalises the encoder's output, z = h(v(x))/‖h(v(x))‖.
// The noise of Eq. 9 has a scale of its own, since δ² = 25 would bury images in [0,1].
//
// A run is described by a [Config]; presets fill every field, and files and settings change some:
//
//	cfg, err := train.Sources{Preset: "fmnist-em", Set: []string{"chain.steps=8"}}.Resolve()
//	set, err := data.Open("fmnist", data.Options{Size: 32})
//	err = train.Run(ctx, cfg, set, "encoder.safetensors", train.Options{Out: "runs/em"})
//	model, err := train.LoadModel("runs/em", torch.Device{})
//	samples, err := model.Sample(ctx, 100, train.SampleOptions{Seed: 1})
//
// Processes that a launcher starts together share every batch: Options.Group, docs/parallel.md.
//
// Everything random is drawn from (seed, step, purpose), and data order too, so a run that was
// stopped goes on bit for bit: with the same binary, CPU type and number of threads.
package train
