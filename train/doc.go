// Package train pretrains encoders, trains models by Algorithm 1 of the paper, and uses them. A run lives in
// a folder with its config, checkpoints, metrics and samples.
//
// A [Config] describes a training. A preset fills every field. A file and settings change some
// fields:
//
//	cfg, err := train.Sources{Preset: "fmnist-em", Set: []string{"chain.steps=8"}}.Resolve()
//	set, err := cfg.Open(data.Train)
//	err = train.Run(ctx, cfg, set, "encoder.safetensors", train.Options{Out: "runs/em"})
//	model, err := train.LoadModel("runs/em", torch.Device{})
//	defer model.Close()
//	samples, err := model.Sample(ctx, 100, train.SampleOptions{Seed: 1})
//	joint, energy, cosine, err := model.Scores(ctx, samples, cfg.ScoreGamma)
//
// The code follows the paper with these corrections. p(x,z) ∝ exp(E(x,z)), so a high energy means likely:
// chains add +(δ²/2)∇E, and E minimises mean E(x^T) − mean E(x,z). Lines 15 and 16 of Algorithm 1 print the
// opposite sign. Line 3 normalises the encoder's output: z = h(v(x))/‖h(v(x))‖. Line 9 prints the wrong sign;
// Eq. 14 is right. The noise of Eq. 9 has a scale of its own here, since with δ² = 25 the printed noise would
// hide images in [0,1].
//
// Random numbers depend on the seed, the step and their purpose only, and so does the order of the data. A run
// that was stopped therefore continues bit for bit, with the same binary, CPU type and number of threads.
// Several processes can share every batch: see Options.Group and docs/parallel.md.
package train
