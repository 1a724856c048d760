// Package models has the networks of LIEBM: the energy E, the generator G, the inference model q
// and the latent encoder h. Each is one parameterised network; data sets differ by [Config] only.
//
// Signs: p(x,z) ∝ exp(E(x,z)), so a high energy means likely. Images are [n,c,h,w], NHWC in
// memory, in the range that the config names.
//
// E's weights stand still during a Langevin chain, so it is evaluated through a [Bound]: the
// network at its weights of one moment, spectrally normalised and with its pooled kernels fused.
//
//	e, err := models.NewEnergy(cfg.Energy, seed)   // a job: kept until nn.Close(e)
//	err = torch.Do(func() error {
//		energy := e.Frozen(torch.Float32)      // no gradients of weights
//		xT := chain.Run(energy.Marginal, x0, rng)
//		loss := e.Bind().Joint(x, z).Mean()    // gradients of weights
//		…
//	})
package models
