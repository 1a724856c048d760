package main

func table9() study {
	return study{Name: "table9", Title: "AUROC under different settings (Table 9)", Data: "cifar10",
		Published: []string{"SVHN", "Constant", "CIFAR-100", "CelebA"}, Ours: []kind{outlierAreas},
		Rows: []row{
			{Label: "EM w/o pretrain", Figures: []string{"0.97", "0.997", "0.75", "0.71"}, Cell: "em-no-pretrain"},
			{Label: "EM w/o Aug", Figures: []string{"0.95", "0.88", "0.82", "0.76"}, Cell: "em-no-aug"},
			{Label: "EM", Figures: []string{"0.95", "0.97", "0.82", "0.77"}, Cell: "em"},
			{Label: "EJM", Figures: []string{"0.95", "0.94", "0.81", "0.73"}, Cell: "ejm"},
			{Label: "ERM", Figures: []string{"0.95", "0.96", "0.82", "0.75"}, Cell: "erm"},
		},
		Claims: []claim{
			{Text: "augmentation of negative samples helps against far outliers (constant images)", Better: reading{"em", "auroc/constant"}, Worse: reading{"em-no-aug", "auroc/constant"}, Larger: true},
			{Text: "the same by F(f(x)) alone", Better: reading{"em", "auroc_energy/constant"}, Worse: reading{"em-no-aug", "auroc_energy/constant"}, Larger: true},
			{Text: "an encoder that learns along is best against constant images", Better: reading{"em-no-pretrain", "auroc/constant"}, Worse: reading{"em", "auroc/constant"}, Larger: true},
			{Text: "s(x) of Eq. 15 tells constant images apart better than F(f(x)) alone", Better: reading{"em", "auroc/constant"}, Worse: reading{"em", "auroc_energy/constant"}, Larger: true},
		},
	}
}

func table10() study {
	return study{Name: "table10", Title: "Self-supervised targets of the encoder (Table 10)", Data: "cifar10",
		Published: []string{"FID", "SVHN", "Constant", "CIFAR-100", "CelebA"}, Ours: []kind{distance, outlierAreas},
		Rows: []row{
			{Label: "BYOL", Figures: []string{"5.23", "0.96", "0.98", "0.85", "0.81"}, Cell: "em-byol"},
			{Label: "W-MSE", Figures: []string{"5.16", "0.93", "0.99", "0.83", "0.77"}, Cell: "em-wmse"},
			{Label: "SimCLR", Figures: []string{"4.26", "0.95", "0.97", "0.82", "0.77"}, Cell: "em"},
		},
		Claims: []claim{
			{Text: "SimCLR generates better than BYOL", Better: reading{"em", "fd"}, Worse: reading{"em-byol", "fd"}},
			{Text: "SimCLR generates better than W-MSE", Better: reading{"em", "fd"}, Worse: reading{"em-wmse", "fd"}},
		},
		Note: "The paper heads the third area FMNIST; its SimCLR row repeats Table 9's CIFAR-100 column, so the heading is taken for a slip.",
	}
}

func table11() study {
	return study{Name: "table11", Title: "Reconstruction, mean squared error per pixel (Table 11)", Data: "cifar10",
		Published: []string{"CIFAR-10", "CelebA 64"}, Ours: []kind{reconstruction},
		Rows: []row{
			{Label: "Divergence Triangle", Figures: []string{"0.028", "0.030"}},
			{Label: "Dual-MCMC (Inf)", Figures: []string{"0.049", "0.022"}}, {Label: "Dual-MCMC (Inf+L=10)", Figures: []string{"0.024", "0.013"}},
			{Label: "VAE", Figures: []string{"0.037", "0.039"}, Cell: "vae"},
			{Label: "EBM without latents, ERM", Figures: []string{"–", "–"}, Cell: "none-erm"},
			{Label: "LIEBM-EM, q by Eq. 26", Figures: []string{"–", "–"}, Cell: "em-q"},
			{Label: "LIEBM-ERM (Inf)", Figures: []string{"0.019", "0.014"}, Cell: "erm"},
		},
		Claims: []claim{
			{Text: "ERM reconstructs better than a VAE of the same networks", Better: reading{"erm", "mse"}, Worse: reading{"vae", "mse"}},
			{Text: "ERM reconstructs better than q trained over EM", Better: reading{"erm", "mse"}, Worse: reading{"em-q", "mse"}},
			{Text: "ERM reconstructs better than the same without latents", Better: reading{"erm", "mse"}, Worse: reading{"none-erm", "mse"}},
		},
		Note: "Errors in the training range [−1, 1], and in [0, 1]; on unseen test images, by G(μ(x)) of q, without a chain.",
	}
}

func fig6() study {
	return study{Name: "fig6", Title: "Distance during training, by variant (Fig. 6)", Data: "cifar10", Ours: []kind{distance},
		Rows: []row{
			{Label: "EBM without latents", Cell: "none"}, {Label: "EBM without latents, ERM", Cell: "none-erm"}, {Label: "EM w/o pretrain", Cell: "em-no-pretrain"},
			{Label: "EM w/o Aug", Cell: "em-no-aug"}, {Label: "EM w/o MCMC", Cell: "em", Variation: "no_mcmc"}, {Label: "EM", Cell: "em"},
			{Label: "EJM", Cell: "ejm"}, {Label: "ERM w/o MCMC", Cell: "erm", Variation: "no_mcmc"}, {Label: "ERM", Cell: "erm"},
		},
		Curves: []string{"none", "none-erm", "em-no-pretrain", "em-no-aug", "em", "ejm", "erm"},
		Claims: []claim{
			{Text: "the latent term helps: EM is better than an EBM without latents", Better: reading{"em", "fd"}, Worse: reading{"none", "fd"}},
			{Text: "it does so whatever G is trained by: ERM is better than ERM without latents", Better: reading{"erm", "fd"}, Worse: reading{"none-erm", "fd"}},
			{Text: "a pretrained encoder is better than one that learns along", Better: reading{"em", "fd"}, Worse: reading{"em-no-pretrain", "fd"}},
			{Text: "augmentation costs generation little (within a tenth)", Better: reading{"em", "fd"}, Worse: reading{"em-no-aug", "fd"}, Slack: 0.1},
			refinement("em"), refinement("erm"),
			{Text: "EJM leads at first", Better: reading{"ejm", "fd_early"}, Worse: reading{"em", "fd_early"}},
			{Text: "EJM ends behind EM", Better: reading{"em", "fd"}, Worse: reading{"ejm", "fd"}},
			{Text: "EM ends ahead of ERM", Better: reading{"em", "fd"}, Worse: reading{"erm", "fd"}},
		},
		Note: "The paper prints the curves without numbers. Ours show G alone, 2,000 samples; the table's figures are of 10,000 samples at the end.",
	}
}

func fig8() study {
	return study{Name: "fig8", Title: "Choices of V and forms of the energy (Fig. 8)", Data: "cifar10", Ours: []kind{distance},
		Rows: []row{
			{Label: "cosine, V augments", Cell: "em"}, {Label: "cosine, V adds noise", Cell: "em-noise"},
			{Label: "Gaussian", Cell: "em-gaussian"}, {Label: "CEBM", Cell: "em-cebm"},
		},
		Curves: []string{"em", "em-noise", "em-gaussian", "em-cebm"},
		Claims: []claim{
			{Text: "V may as well add noise (within a tenth)", Better: reading{"em-noise", "fd"}, Worse: reading{"em", "fd"}, Slack: 0.1},
			{Text: "the cosine posterior is better than the Gaussian", Better: reading{"em", "fd"}, Worse: reading{"em-gaussian", "fd"}},
			{Text: "the cosine posterior is better than CEBM", Better: reading{"em", "fd"}, Worse: reading{"em-cebm", "fd"}},
		},
		Note: "The paper prints the curves without numbers.",
	}
}

// precisionStudy is no table of the paper: it shows that chains in bfloat16 cost no quality.
func precisionStudy() study {
	return study{Name: "bfloat16", Title: "Chains in bfloat16 and in float32", Data: "cifar10", Ours: []kind{distance},
		Rows:   []row{{Label: "EM, float32", Cell: "em"}, {Label: "EM, bfloat16 chains", Cell: "em-bfloat16"}},
		Curves: []string{"em", "em-bfloat16"},
	}
}
