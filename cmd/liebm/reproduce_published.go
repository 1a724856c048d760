package main

// studies are the paper's tables and figures, with its figures. A row of another method has no cell.
// Rows of other methods are those that use an energy, and what the paper compares itself with most.
func studies() []study {
	return []study{
		table1(), table2(), table3(), table4(), table5(), table6(), table7(), table8(), table9(), table10(), table11(), table12(),
		fig6(), fig7(), fig8(), fig9(), precisionStudy(),
	}
}

func table1() study {
	return study{Name: "table1", Title: "Generative performance on CIFAR-10 (Table 1)", Data: "cifar10",
		Published: []string{"NFE", "FID", "IS"}, Ours: []kind{nfe, distance, inceptionScore},
		Rows: []row{
			{Label: "VAEBM", Figures: []string{"16", "12.19", "8.43"}},
			{Label: "DRL", Figures: []string{"180", "9.58", "8.30"}},
			{Label: "CLEL-Large", Figures: []string{"1200", "8.61", "–"}},
			{Label: "Dual-MCMC", Figures: []string{"31", "9.26", "8.55"}},
			{Label: "DDAEBM", Figures: []string{"4", "4.82", "8.86"}},
			{Label: "CDRL", Figures: []string{"96", "4.31", "–"}},
			{Label: "EC-VAE", Figures: []string{"1", "5.20", "–"}},
			{Label: "LIEBM-EM w/o MCMC", Figures: []string{"1", "4.96", "9.82"}, Cell: "em", Variation: "no_mcmc"},
			{Label: "LIEBM-EM", Figures: []string{"16", "4.26", "10.02"}, Cell: "em"},
			{Label: "LIEBM-ERM w/o MCMC", Figures: []string{"1", "6.16", "9.41"}, Cell: "erm", Variation: "no_mcmc"},
			{Label: "LIEBM-ERM", Figures: []string{"16", "4.96", "9.64"}, Cell: "erm"},
		},
		Claims: []claim{refinement("em"), refinement("erm"),
			{Text: "on data of many classes EM is better than ERM", Better: reading{"em", "fd"}, Worse: reading{"erm", "fd"}}},
	}
}

// refinement is the claim that the chain improves on G alone.
func refinement(cell string) claim {
	return claim{Text: "MCMC refinement improves on G alone (" + cellNamed(cell).Label + ")", Better: reading{cell, "fd"}, Worse: reading{cell, "fd_no_mcmc"}}
}

func table2() study {
	return study{Name: "table2", Title: "Generative performance on CelebA 64 (Table 2)", Data: "celeba64",
		Published: []string{"FID"}, Ours: []kind{distance},
		Rows: []row{
			{Label: "DRL", Figures: []string{"5.98"}}, {Label: "VAEBM", Figures: []string{"5.31"}}, {Label: "CLEL", Figures: []string{"8.34"}},
			{Label: "Dual-MCMC", Figures: []string{"5.15"}}, {Label: "EC-VAE", Figures: []string{"2.71"}},
			{Label: "LIEBM-EM", Figures: []string{"3.44"}, Cell: "em-linear"},
			{Label: "LIEBM-ERM", Figures: []string{"2.97"}, Cell: "erm-linear"},
		},
		Note: "The paper's models of CelebA have a learnable linear F; so have these.",
	}
}

func table3() study {
	return study{Name: "table3", Title: "Generative performance on CelebA-HQ 256 (Table 3)", Data: "celebahq256",
		Published: []string{"FID"}, Ours: []kind{distance},
		Rows: []row{
			{Label: "VAEBM", Figures: []string{"20.38"}}, {Label: "Dual-MCMC", Figures: []string{"15.89"}}, {Label: "CDRL", Figures: []string{"10.74"}},
			{Label: "EC-VAE", Figures: []string{"12.35"}},
			{Label: "LIEBM-EM", Figures: []string{"10.08"}, Cell: "em-linear"},
			{Label: "LIEBM-ERM", Figures: []string{"8.76"}, Cell: "erm-linear"},
		},
		Note: "The paper's models of CelebA-HQ have a learnable linear F; so have these.",
	}
}

func table4() study {
	return study{Name: "table4", Title: "Generative performance on ImageNet 32 (Table 4)", Data: "imagenet32",
		Published: []string{"FID"}, Ours: []kind{distance},
		Rows: []row{
			{Label: "CF-EBM", Figures: []string{"26.31"}}, {Label: "CLEL-Large", Figures: []string{"15.47"}}, {Label: "CDRL", Figures: []string{"9.35"}},
			{Label: "EC-VAE", Figures: []string{"5.76"}},
			{Label: "LIEBM-EM", Figures: []string{"4.54"}, Cell: "em"},
			{Label: "LIEBM-ERM", Figures: []string{"4.98"}, Cell: "erm"},
		},
	}
}

func table5() study {
	return study{Name: "table5", Title: "Inference time and FID on CIFAR-10 (Table 5)", Data: "cifar10",
		Published: []string{"seconds", "FID", "GPU"}, Ours: []kind{seconds, distance},
		Rows: []row{
			{Label: "DDPM", Figures: []string{"80.5", "3.17", "V100"}}, {Label: "VAEBM", Figures: []string{"8.79", "12.19", "V100"}},
			{Label: "CLEL", Figures: []string{"82.05", "8.61", "RTX 2080 Ti"}}, {Label: "Dual-MCMC", Figures: []string{"9.32", "9.26", "RTX 2080 Ti"}},
			{Label: "EC-VAE", Figures: []string{"0.21", "5.20", "RTX 2080 Ti"}},
			{Label: "LIEBM w/o MCMC", Figures: []string{"0.08", "4.96", "RTX 2080 Ti"}, Cell: "em", Variation: "no_mcmc"},
			{Label: "LIEBM", Figures: []string{"1.24", "4.26", "RTX 2080 Ti"}, Cell: "em"},
		},
		Note: "The paper does not say for how many images its seconds are; ours are for one, drawn in batches of 250.",
	}
}

func table6() study {
	return study{Name: "table6", Title: "AUROC with CIFAR-10 as in-distribution (Table 6)", Data: "cifar10",
		Published: []string{"SVHN", "Constant", "CIFAR-100", "CelebA"}, Ours: []kind{outlierAreas},
		Rows: []row{
			{Label: "CLEL", Figures: []string{"0.98", "–", "0.72", "0.77"}}, {Label: "Dual-MCMC", Figures: []string{"0.62", "0.32", "0.54", "0.59"}},
			{Label: "MPDR-S", Figures: []string{"0.99", "0.9996", "0.56", "0.73"}},
			{Label: "LIEBM-EM, F(f(x)) alone", Figures: []string{"0.96", "0.67", "0.66", "0.68"}, Cell: "em", Variation: "energy"},
			{Label: "LIEBM-EM", Figures: []string{"0.95", "0.97", "0.82", "0.77"}, Cell: "em"},
			{Label: "LIEBM-ERM, F(f(x)) alone", Figures: []string{"0.94", "0.76", "0.68", "0.58"}, Cell: "erm", Variation: "energy"},
			{Label: "LIEBM-ERM", Figures: []string{"0.95", "0.96", "0.82", "0.75"}, Cell: "erm"},
		},
		Claims: []claim{{Text: "s(x) of Eq. 15 tells constant images apart better than F(f(x)) alone", Better: reading{"em", "auroc/constant"}, Worse: reading{"em", "auroc_energy/constant"}, Larger: true}},
	}
}

func table7() study {
	return study{Name: "table7", Title: "AUROC with ImageNet 32 as in-distribution (Table 7)", Data: "imagenet32",
		Published: []string{"SVHN", "Constant", "FMNIST", "CelebA"}, Ours: []kind{outlierAreas},
		Rows: []row{
			{Label: "CLEL", Figures: []string{"0.96", "0.83", "0.54", "0.74"}}, {Label: "NAE", Figures: []string{"0.985", "0.97", "0.994", "0.95"}},
			{Label: "LIEBM-EM, F(f(x)) alone", Figures: []string{"0.99", "0.97", "0.40", "0.48"}, Cell: "em", Variation: "energy"},
			{Label: "LIEBM-EM", Figures: []string{"0.984", "0.99", "0.896", "0.52"}, Cell: "em"},
			{Label: "LIEBM-ERM, F(f(x)) alone", Figures: []string{"0.99", "0.93", "0.35", "0.45"}, Cell: "erm", Variation: "energy"},
			{Label: "LIEBM-ERM", Figures: []string{"0.985", "0.99", "0.868", "0.54"}, Cell: "erm"},
		},
	}
}
