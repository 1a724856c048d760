// Package models has the networks of LIEBM: the energy E, the generator G, the inference model q and the
// latent encoder h, and the Inception network of FID. Data sets differ in the configs only.
//
// p(x,z) ∝ exp(E(x,z)), so a high energy means likely. Images are [n,c,h,w], NHWC in memory, in the range that
// the config names.
//
// The weights of E do not change during a Langevin chain. A [Bound] is E with its present weights. Each weight
// is divided by its spectral norm, and a convolution and the average pool after it are one kernel.
//
//	e, err := models.NewEnergy(cfg.Energy, seed) // a job
//	defer nn.Close(e)
//	err = torch.Do(func() error {
//		energy := e.Frozen(torch.Float32)     // constants, for a chain
//		xT := chain.Run(energy.Marginal, x0, rng)
//		bound := e.Bind() // differentiable in the weights
//		opt.Step(bound.Marginal(xT).Mean().Sub(bound.Joint(x, z).Mean()), 1e-4) // Eq. 4
//		return nil
//	})
package models
