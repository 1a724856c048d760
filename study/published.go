package study

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/liebm/liebm/train"
)

// studies are the paper's tables and figures, with its figures. A row of another method has no variant.
// Rows of other methods are those that use an energy, and what the paper compares itself with most.
var studies = []Study{
	{Name: "table1", Title: "Generative performance on CIFAR-10 (Table 1)", data: "cifar10",
		published: []string{"NFE", "FID", "IS"}, ours: []quantity{nfe, distance, inceptionScore},
		rows: []row{
			{label: "VAEBM", published: []string{"16", "12.19", "8.43"}},
			{label: "DRL", published: []string{"180", "9.58", "8.30"}},
			{label: "CLEL-Large", published: []string{"1200", "8.61", "–"}},
			{label: "Dual-MCMC", published: []string{"31", "9.26", "8.55"}},
			{label: "DDAEBM", published: []string{"4", "4.82", "8.86"}},
			{label: "CDRL", published: []string{"96", "4.31", "–"}},
			{label: "EC-VAE", published: []string{"1", "5.20", "–"}},
			{label: "LIEBM-EM w/o MCMC", published: []string{"1", "4.96", "9.82"}, variant: "em", variation: "no_mcmc"},
			{label: "LIEBM-EM", published: []string{"16", "4.26", "10.02"}, variant: "em"},
			{label: "LIEBM-ERM w/o MCMC", published: []string{"1", "6.16", "9.41"}, variant: "erm", variation: "no_mcmc"},
			{label: "LIEBM-ERM", published: []string{"16", "4.96", "9.64"}, variant: "erm"},
		},
		claims: []claim{refinement("em"), refinement("erm"),
			{text: "on data of many classes EM is better than ERM", better: reading{"em", "fd"}, worse: reading{"erm", "fd"}}},
	},
	{Name: "table2", Title: "Generative performance on CelebA 64 (Table 2)", data: "celeba64",
		published: []string{"FID"}, ours: []quantity{distance},
		rows: []row{
			{label: "DRL", published: []string{"5.98"}}, {label: "VAEBM", published: []string{"5.31"}}, {label: "CLEL", published: []string{"8.34"}},
			{label: "Dual-MCMC", published: []string{"5.15"}}, {label: "EC-VAE", published: []string{"2.71"}},
			{label: "LIEBM-EM", published: []string{"3.44"}, variant: "em"},
			{label: "LIEBM-ERM", published: []string{"2.97"}, variant: "erm"},
		},
		Note: noteOfF,
	},
	{Name: "table3", Title: "Generative performance on CelebA-HQ 256 (Table 3)", data: "celebahq256",
		published: []string{"FID"}, ours: []quantity{distance},
		rows: []row{
			{label: "VAEBM", published: []string{"20.38"}}, {label: "Dual-MCMC", published: []string{"15.89"}}, {label: "CDRL", published: []string{"10.74"}},
			{label: "EC-VAE", published: []string{"12.35"}},
			{label: "LIEBM-EM", published: []string{"10.08"}, variant: "em"},
			{label: "LIEBM-ERM", published: []string{"8.76"}, variant: "erm"},
		},
		Note: noteOfF,
	},
	{Name: "table4", Title: "Generative performance on ImageNet 32 (Table 4)", data: "imagenet32",
		published: []string{"FID"}, ours: []quantity{distance},
		rows: []row{
			{label: "CF-EBM", published: []string{"26.31"}}, {label: "CLEL-Large", published: []string{"15.47"}}, {label: "CDRL", published: []string{"9.35"}},
			{label: "EC-VAE", published: []string{"5.76"}},
			{label: "LIEBM-EM", published: []string{"4.54"}, variant: "em"},
			{label: "LIEBM-ERM", published: []string{"4.98"}, variant: "erm"},
		},
	},
	{Name: "table5", Title: "Inference time and FID on CIFAR-10 (Table 5)", data: "cifar10",
		published: []string{"seconds", "FID", "GPU"}, ours: []quantity{seconds, distance},
		rows: []row{
			{label: "DDPM", published: []string{"80.5", "3.17", "V100"}}, {label: "VAEBM", published: []string{"8.79", "12.19", "V100"}},
			{label: "CLEL", published: []string{"82.05", "8.61", "RTX 2080 Ti"}}, {label: "Dual-MCMC", published: []string{"9.32", "9.26", "RTX 2080 Ti"}},
			{label: "EC-VAE", published: []string{"0.21", "5.20", "RTX 2080 Ti"}},
			{label: "LIEBM w/o MCMC", published: []string{"0.08", "4.96", "RTX 2080 Ti"}, variant: "em", variation: "no_mcmc"},
			{label: "LIEBM", published: []string{"1.24", "4.26", "RTX 2080 Ti"}, variant: "em"},
		},
		Note: "The paper does not say for how many images its seconds are; ours are for one, drawn in batches of 250.",
	},
	{Name: "table6", Title: "AUROC with CIFAR-10 as in-distribution (Table 6)", data: "cifar10",
		published: []string{"SVHN", "Constant", "CIFAR-100", "CelebA"}, ours: []quantity{areas},
		rows: []row{
			{label: "CLEL", published: []string{"0.98", "–", "0.72", "0.77"}}, {label: "Dual-MCMC", published: []string{"0.62", "0.32", "0.54", "0.59"}},
			{label: "MPDR-S", published: []string{"0.99", "0.9996", "0.56", "0.73"}},
			{label: "LIEBM-EM, F(f(x)) alone", published: []string{"0.96", "0.67", "0.66", "0.68"}, variant: "em", variation: "energy"},
			{label: "LIEBM-EM", published: []string{"0.95", "0.97", "0.82", "0.77"}, variant: "em"},
			{label: "LIEBM-ERM, F(f(x)) alone", published: []string{"0.94", "0.76", "0.68", "0.58"}, variant: "erm", variation: "energy"},
			{label: "LIEBM-ERM", published: []string{"0.95", "0.96", "0.82", "0.75"}, variant: "erm"},
		},
		claims: []claim{{text: "s(x) of Eq. 15 tells constant images apart better than F(f(x)) alone", better: reading{"em", "auroc/constant"}, worse: reading{"em", "auroc_energy/constant"}}},
	},
	{Name: "table7", Title: "AUROC with ImageNet 32 as in-distribution (Table 7)", data: "imagenet32",
		published: []string{"SVHN", "Constant", "FMNIST", "CelebA"}, ours: []quantity{areas},
		rows: []row{
			{label: "CLEL", published: []string{"0.96", "0.83", "0.54", "0.74"}}, {label: "NAE", published: []string{"0.985", "0.97", "0.994", "0.95"}},
			{label: "LIEBM-EM, F(f(x)) alone", published: []string{"0.99", "0.97", "0.40", "0.48"}, variant: "em", variation: "energy"},
			{label: "LIEBM-EM", published: []string{"0.984", "0.99", "0.896", "0.52"}, variant: "em"},
			{label: "LIEBM-ERM, F(f(x)) alone", published: []string{"0.99", "0.93", "0.35", "0.45"}, variant: "erm", variation: "energy"},
			{label: "LIEBM-ERM", published: []string{"0.985", "0.99", "0.868", "0.54"}, variant: "erm"},
		},
	},
	{Name: "table8", Title: "Zero-shot image restoration (Table 8)", data: "celebahq256",
		published: []string{"colorization PSNR", "SSIM", "8× SR PSNR", "8× SR SSIM"}, ours: []quantity{restoration},
		rows: []row{
			{label: "A⁺y, the input", published: []string{"–", "–", "–", "–"}, variant: "erm", variation: "/degraded"},
			{label: "G(m⁰)", published: []string{"20.64", "0.66", "22.62", "0.67"}, variant: "erm", variation: "/start"},
			{label: "G(m)", published: []string{"22.02", "0.70", "24.16", "0.70"}, variant: "erm", variation: "/refined"},
			{label: "G(m) + Y", published: []string{"25.25", "0.94", "24.55", "0.71"}, variant: "erm", variation: "/restored"},
		},
		claims: []claim{
			{text: "refining m improves 8× super-resolution", better: reading{"erm", "psnr/sr8/refined"}, worse: reading{"erm", "psnr/sr8/start"}},
			{text: "refining Y improves 8× super-resolution further", better: reading{"erm", "psnr/sr8/restored"}, worse: reading{"erm", "psnr/sr8/refined"}},
			{text: "in 8× super-resolution, G(m) + Y is closer to the image than the input A⁺y", better: reading{"erm", "psnr/sr8/restored"}, worse: reading{"erm", "psnr/sr8/degraded"}},
		},
		Note: noteOfQ + "A⁺y is the input of the restoration: the degraded image, enlarged by A⁺. Measured on the last 100 unseen images. The settings of the chains were chosen on other images. SSIM uses Wang's Gaussian window. Gray images have no colours, so at the mini scale 4× super-resolution takes the place of colorization. The paper gives neither the number of images nor the settings.",
	},
	{Name: "table9", Title: "AUROC under different settings (Table 9)", data: "cifar10",
		published: []string{"SVHN", "Constant", "CIFAR-100", "CelebA"}, ours: []quantity{areas, madeNearAreas},
		rows: []row{
			{label: "EM w/o pretrain", published: []string{"0.97", "0.997", "0.75", "0.71"}, variant: "em-no-pretrain"},
			{label: "EM w/o Aug", published: []string{"0.95", "0.88", "0.82", "0.76"}, variant: "em-no-aug"},
			{label: "EM", published: []string{"0.95", "0.97", "0.82", "0.77"}, variant: "em"},
			{label: "EJM", published: []string{"0.95", "0.94", "0.81", "0.73"}, variant: "ejm"},
			{label: "ERM", published: []string{"0.95", "0.96", "0.82", "0.75"}, variant: "erm"},
		},
		claims: []claim{
			{text: "augmentation of negative samples helps against far outliers (constant images)", better: reading{"em", "auroc/constant"}, worse: reading{"em-no-aug", "auroc/constant"}},
			{text: "augmentation of negative samples also helps if F(f(x)) alone is the score (constant images)", better: reading{"em", "auroc_energy/constant"}, worse: reading{"em-no-aug", "auroc_energy/constant"}},
			{text: "an encoder that learns together with E is better against constant images than a pretrained one", better: reading{"em-no-pretrain", "auroc/constant"}, worse: reading{"em", "auroc/constant"}},
			{text: "s(x) of Eq. 15 tells constant images apart better than F(f(x)) alone", better: reading{"em", "auroc/constant"}, worse: reading{"em", "auroc_energy/constant"}},
		},
		Note: "At the mini scale, F(f(x)) alone has an area of almost 1 against constant images, so s(x) cannot be much better. Models of 2,000 steps; the one model " +
			"that was trained for 8,000 steps, pretrained:fmnist, finds constant images less well (see its card).",
	},
	{Name: "table10", Title: "Self-supervised targets of the encoder (Table 10)", data: "cifar10",
		published: []string{"FID", "SVHN", "Constant", "CIFAR-100", "CelebA"}, ours: []quantity{distance, areas, madeNearAreas},
		rows: []row{
			{label: "BYOL", published: []string{"5.23", "0.96", "0.98", "0.85", "0.81"}, variant: "em-byol"},
			{label: "W-MSE", published: []string{"5.16", "0.93", "0.99", "0.83", "0.77"}, variant: "em-wmse"},
			{label: "SimCLR", published: []string{"4.26", "0.95", "0.97", "0.82", "0.77"}, variant: "em-simclr"},
		},
		claims: []claim{
			{text: "SimCLR generates better than BYOL", better: reading{"em-simclr", "fd"}, worse: reading{"em-byol", "fd"}},
			{text: "SimCLR generates better than W-MSE", better: reading{"em-simclr", "fd"}, worse: reading{"em-wmse", "fd"}},
		},
		Note: "In the paper, the heading of the third AUROC column is FMNIST. Its SimCLR row has the numbers of Table 9's CIFAR-100 column. We think that the heading is an error, and write CIFAR-100.",
	},
	{Name: "table11", Title: "Reconstruction, mean squared error per pixel (Table 11)", data: "cifar10",
		published: []string{"CIFAR-10", "CelebA 64"}, ours: []quantity{reconstruction},
		rows: []row{
			{label: "Divergence Triangle", published: []string{"0.028", "0.030"}},
			{label: "Dual-MCMC (Inf)", published: []string{"0.049", "0.022"}}, {label: "Dual-MCMC (Inf+L=10)", published: []string{"0.024", "0.013"}},
			{label: "VAE, published", published: []string{"0.037", "0.039"}},
			{label: "VAE with the networks of ERM", published: []string{"–", "–"}, variant: "vae"},
			{label: "EBM without latents, ERM", published: []string{"–", "–"}, variant: "none-erm"},
			{label: "LIEBM-EM, q by Eq. 26", published: []string{"–", "–"}, variant: "em-q"},
			{label: "LIEBM-ERM (Inf)", published: []string{"0.019", "0.014"}, variant: "erm"},
		},
		claims: []claim{
			{text: "ERM reconstructs better than a VAE of the same networks", better: reading{"erm", "mse"}, worse: reading{"vae", "mse"}, ours: true,
				why: "A VAE minimises this error and a KL term. ERM minimises other terms too. Table 11 quotes a published VAE with another network."},
			{text: "ERM reconstructs better than q trained over EM", better: reading{"erm", "mse"}, worse: reading{"em-q", "mse"}},
			{text: "ERM reconstructs better than ERM without latents", better: reading{"erm", "mse"}, worse: reading{"none-erm", "mse"},
				why: "The term with ρ = 1 is small beside the squared error of the pixels. To test: other ρ."},
		},
		Note: noteOfQ + "Errors in the training range [−1, 1], and in [0, 1]; on unseen test images, by G(μ(x)) of q, without a chain. If its learning rate lr_q " +
			"is high, q over EM stays near the prior: liebm reproduce rho compares two rates. Our VAE is no row of the paper's table. It is trained for this error and " +
			"a KL term alone. Its samples were compared with data early in training only: see fd_early below.",
	},
	{Name: "table12", Title: "Hyper-parameters for each data set (Table 12)", data: "cifar10", text: hyperparameterTable},
	{Name: "fig6", Title: "Distance during training, by variant (Fig. 6)", data: "cifar10", ours: []quantity{distance, madeNearAreas},
		rows: []row{
			{label: "EBM without latents", variant: "none"}, {label: "EBM without latents, ERM", variant: "none-erm"}, {label: "EM w/o pretrain", variant: "em-no-pretrain"},
			{label: "EM w/o Aug", variant: "em-no-aug"}, {label: "EM w/o MCMC", variant: "em", variation: "no_mcmc"}, {label: "EM", variant: "em"},
			{label: "EJM", variant: "ejm"}, {label: "ERM w/o MCMC", variant: "erm", variation: "no_mcmc"}, {label: "ERM", variant: "erm"},
		},
		curves: []string{"none", "none-erm", "em-no-pretrain", "em-no-aug", "em", "ejm", "erm"},
		claims: []claim{
			{text: "the latent term helps: EM is better than an EBM without latents", better: reading{"em", "fd"}, worse: reading{"none", "fd"}},
			{text: "the latent term also helps ERM: ERM is better than ERM without latents", better: reading{"erm", "fd"}, worse: reading{"none-erm", "fd"}},
			{text: "a pretrained encoder is better than one that learns together with E", better: reading{"em", "fd"}, worse: reading{"em-no-pretrain", "fd"},
				why: "The joint encoder learns from the same images, and a training is short. The weight γ of the latent term may also be too small for a difference. To test: more steps, larger γ."},
			{text: "augmentation of negative samples makes FD at most a tenth larger", better: reading{"em", "fd"}, worse: reading{"em-no-aug", "fd"}, slack: 0.1,
				why: "E also learns to give augmented images a low energy. In a batch of 16 these are one or two images. The cost differs much between seeds. With p = 0.02 the distance is smaller than with p = 0.1 ([augment](augment.md)). A smaller margin did not help with one seed ([augment-margin](augment-margin.md)). To test: a larger batch, spectral norm."},
			refinement("em"), refinement("erm"),
			{text: "EJM has the smaller distance early in training", better: reading{"ejm", "fd_early"}, worse: reading{"em", "fd_early"},
				why: "Early distances differ much between seeds. A quarter of 2,000 steps may be another stage of training than the paper's first epochs. With small γ the chains of EJM and EM are almost the same. To test: more seeds, larger γ."},
			{text: "at the end, EM has a smaller distance than EJM", better: reading{"em", "fd"}, worse: reading{"ejm", "fd"},
				why: "The paper compares after hundreds of epochs. Our runs last half an epoch. To test: 8,000 steps and more."},
			{text: "at the end, EM has a smaller distance than ERM", better: reading{"em", "fd"}, worse: reading{"erm", "fd"},
				why: "The paper compares after hundreds of epochs. Our runs last half an epoch. ERM also trains G by the data, which helps at the start. To test: 8,000 steps and more."},
		},
		Note: "The paper prints the curves without numbers. Ours show G alone in the course of training, on fewer samples than the table's figures have. Sec. 4.5 says that " +
			"without latents training cannot converge, however G is trained. At the mini scale it does: see the rows of the EBM without latents. In docs/results, some rows have " +
			"seeds 4 and 5. They were added after three seeds had left it undecided whether the latent term helps EM. The interval of this claim does not take that into account.",
	},
	// This shows features of f and h as Fig. 1 and 7 do.
	{Name: "fig7", Title: "Features of the energy and of the encoder (Fig. 1 and 7)", data: "cifar10", ours: []quantity{accuracy},
		rows: []row{
			{label: "h, pretrained", variant: "em", variation: "h"}, {label: "h, learnt together with E", variant: "em-no-pretrain", variation: "h"},
			{label: "f, EBM without latents", variant: "none", variation: "f"}, {label: "f, EM", variant: "em", variation: "f"},
		},
		claims: []claim{
			{text: "a pretrained encoder separates classes better than one that learns together with E", better: reading{"em", "linear_h"}, worse: reading{"em-no-pretrain", "linear_h"}},
			{text: "the latent term gives f features that separate classes better", better: reading{"em", "linear_f"}, worse: reading{"none", "linear_f"}},
		},
		Note:     "Accuracy of a linear probe and of 5-NN on the test split, as in the W-MSE paper. The features are those before the heads. The paper prints its accuracies only above the pictures.",
		pictures: fig7Picture,
	},
	{Name: "fig8", Title: "Choices of V and forms of the energy (Fig. 8)", data: "cifar10", ours: []quantity{distance, areas, madeNearAreas},
		rows: []row{
			{label: "cosine, V augments", variant: "em"}, {label: "cosine, V adds noise", variant: "em-noise"},
			{label: "Gaussian", variant: "em-gaussian"}, {label: "CEBM", variant: "em-cebm"},
		},
		curves: []string{"em", "em-noise", "em-gaussian", "em-cebm"},
		claims: []claim{
			{text: "V that adds noise is as good as V that augments (FD at most a tenth larger)", better: reading{"em-noise", "fd"}, worse: reading{"em", "fd"}, slack: 0.1,
				why: "V makes the augmented negative samples too, so this variant has none of these. Compare it with EM w/o Aug ([fig6](fig6.md))."},
			{text: "the cosine posterior is better than the Gaussian", better: reading{"em", "fd"}, worse: reading{"em-gaussian", "fd"}},
			{text: "the cosine posterior is better than CEBM", better: reading{"em", "fd"}, worse: reading{"em-cebm", "fd"},
				why: "The latent terms have unequal weights (see the note of the page). To test: liebm reproduce posterior."},
		},
		Note: "The paper prints the curves without numbers, and no outliers here. γ weighs the cosine only. The Gaussian and CEBM have the whole log p(z|x), a sum over " +
			"the components of z, which is far larger than γ times a cosine. So this does not compare the three at equal weights; liebm reproduce posterior does. V makes the views for z and the augmented negative samples. So a V that adds noise changes both.",
	},
	// This shows reconstructions by q of Eq. 26 and by q of the ELBO.
	{Name: "fig9", Title: "Reconstruction with different training losses of q (Fig. 9)", data: "cifar10", ours: []quantity{reconstruction, inference},
		rows: []row{
			{label: "Eq. 26 over EM", variant: "em-q"}, {label: "ELBO (ERM)", variant: "erm"},
		},
		claims: []claim{{text: "q trained by Eq. 26 keeps more classes than q trained by the ELBO", better: reading{"em-q", "class_agreement"}, worse: reading{"erm", "class_agreement"},
			why: "The q of ERM was trained together with G, for as many steps and on real images. The q of Eq. 26 learns over a finished G, which may not draw all garments. Its loss compares h(x) with h(G(m)), and h was trained without labels. With ρ = 1000 in place of 100 it keeps more ([rho](rho.md)). To test: a still larger ρ, more steps, a G that was trained for longer."}},
		Note: noteOfQ + "The grid's rows: unseen images, their reconstructions by Eq. 26, and by the ELBO. The ELBO is trained for the pixel error and Eq. 26 is not, so the errors decide " +
			"nothing about Eq. 26. The paper says that Eq. 26 keeps class and style. A class is kept if the classifier gives G(μ) the class of x.",
		pictures: reconstructions(Figure{"fig9.png", "images, Eq. 26, ELBO"}, train.ReconstructOptions{}),
	},
	// No table of the paper, which prints no ρ for Eq. 26.
	{Name: "rho", Title: "q by Eq. 26 with different ρ", data: "cifar10", ours: []quantity{inference, reconstruction},
		rows: []row{
			{label: "ρ = 1", variant: "em-q-1"}, {label: "ρ = 10", variant: "em-q-10"}, {label: "ρ = 100", variant: "em-q"}, {label: "ρ = 1000", variant: "em-q-1000"},
			{label: "ρ = 100, lr_q = 1e-3", variant: "em-q-fast"}, {label: "ELBO (ERM)", variant: "erm"},
		},
		claims: []claim{
			{text: "ρ = 100 keeps more classes than ρ = 1", better: reading{"em-q", "class_agreement"}, worse: reading{"em-q-1", "class_agreement"}},
			{text: "ρ = 1000 keeps more classes than ρ = 100", better: reading{"em-q-1000", "class_agreement"}, worse: reading{"em-q", "class_agreement"}},
			{text: "a learning rate of 1e-4 keeps more classes than one of 1e-3", better: reading{"em-q", "class_agreement"}, worse: reading{"em-q-fast", "class_agreement"}},
		},
		Note: noteOfQ + "At the optimum KL(q(m|x) ‖ N(0,I)) is at most 2ρ nats. To tell ten classes apart, m needs ln 10 = 2.3 nats. So ρ = 1 is too small. Measured on 2,000 unseen images. A class is " +
			"kept if the classifier gives G(m) the class of x. The grid's rows: images, then for each row of the table G(μ) of the mean and G(m̃) of a sample.",
		pictures: reconstructions(Figure{"rho.png", "images; for each row of the table G(μ) and G(m̃)"},
			train.ReconstructOptions{}, train.ReconstructOptions{Sample: true}),
	},
	// No table of the paper: its outliers are far from the data, or other photographs.
	{Name: "near", Title: "AUROC against outliers that are close to the data", data: "cifar10", ours: []quantity{nearAreas, givenAreas},
		rows: []row{
			{label: "s(x), EM", variant: "em"}, {label: "F(f(x)) alone", variant: "em", variation: "energy"},
			{label: "cosine alone", variant: "em", variation: "cosine"}, {label: "both terms, standardized", variant: "em", variation: "z"},
			{label: "s(x), EM w/o Aug", variant: "em-no-aug"}, {label: "F(f(x)), EBM without latents", variant: "none", variation: "energy"},
			{label: "s(x), EM, class 8 left out", variant: "em-left-out"}, {label: "F(f(x)) alone, class 8 left out", variant: "em-left-out", variation: "energy"},
			{label: "cosine alone, class 8 left out", variant: "em-left-out", variation: "cosine"},
		},
		claims: nearClaims(),
		Note: "The outliers are: images of the test split, upside down (flipped), cut into 4×4 patches in a random order (shuffled), or blurred by 2 of 28 " +
			"pixels; letters and digits of four fonts (glyphs); samples of G alone (those of a perfect G would have an area of 0.5); the test digits of MNIST, if they are installed. In the last rows, E and G were trained without class 8 " +
			"(bags, in Fashion-MNIST), and its test images are outliers. h was trained on all classes, without labels.",
	},
	// No table of the paper: the chains of an energy-based model should stay where it says images are likely.
	{Name: "chains", Title: "Chains of 1,000 steps", data: "cifar10", ours: []quantity{longChainNumbers},
		rows: []row{
			{label: "EM, from samples", variant: "em", variation: "/samples"}, {label: "EM, from data", variant: "em", variation: "/data"},
			{label: "EBM without latents, from samples", variant: "none", variation: "/samples"},
			{label: "EBM without latents, from data", variant: "none", variation: "/data"},
		},
		claims: []claim{
			{text: "after 100 steps, the distance of samples is at most a tenth larger than after the steps of training", better: reading{"em", "fd/100/samples"}, worse: reading{"em", "fd/trained/samples"}, slack: 0.1,
				why: "E learns from negative samples of short chains. It may be wrong where only longer chains arrive. To test: train with longer chains."},
			{text: "after 100 steps, chains from test images have a smaller distance than samples", better: reading{"em", "fd/100/data"}, worse: reading{"em", "fd/trained/samples"}},
			{text: "with the latent term, more samples keep their class for 1,000 steps", better: reading{"em", "class_agreement/1000/samples"}, worse: reading{"none", "class_agreement/1000/samples"}},
			{text: "with the latent term, more test images keep their class for 1,000 steps", better: reading{"em", "class_agreement/1000/data"}, worse: reading{"none", "class_agreement/1000/data"}},
		},
		Note: "Langevin steps of Eq. 9 with the settings of training, from samples of G alone and from images of the test split: the mean of E(x), the Fréchet " +
			"distance, the share of images that the classifier still puts into the class of x⁰, and rms(x^T − x⁰) of pixels in the range of training. At the mini " +
			"scale 400 images from each start make 100 steps and the first 40 make 1,000, about a minute for a model on one core. Distances of 400 images are larger than those " +
			"of 10,000: compare them with data at T = 0. Chains from data begin at images of the split that the distance compares with. For 40 images no distance is printed: it would mean nothing. The picture's rows: three chains from each start; its " +
			"columns: the values of T.",
		pictures: chainsPicture,
	},
	// No table of the paper: the benchmark Stacked MNIST, with clothes.
	{Name: "modes", Title: "Modes of Stacked Fashion-MNIST, of 1,000", data: "stacked", mini: "stacked", ours: []quantity{modes, hDistance},
		rows: []row{
			{label: "EM", variant: "em"}, {label: "ERM", variant: "erm"}, {label: "EBM without latents", variant: "none"},
		},
		claims: []claim{
			{text: "the latent term helps to cover modes", better: reading{"em", "modes"}, worse: reading{"none", "modes"}},
			{text: "the latent term helps to cover the modes evenly", better: reading{"em", "reverse_kl"}, worse: reading{"none", "reverse_kl"}},
		},
		Note: "26,000 samples, each channel classified by the classifier that comes with liebm. The distance on h compares models with the same h; without latents there is no h.",
	},
	// This study is ours: the paper does not name training times.
	{Name: "time", Title: "Samples after equal time of training", data: "cifar10", ours: []quantity{equalTime}, rows: timeRows(), claims: timeClaims(),
		Note: "One model after the other, on one machine and with the same threads. The DCGAN has G and D of width 32 with batch norm, 64 latents, batches of 64 " +
			"and Adam (2e-4; .5, .999), as examples/dcgan. The VAE has G and q of ERM, batches of 64 and Adam (1e-3; .9, .999). Nobody tuned these two. EM and ERM " +
			"take h from pretrained:fmnist. The 8,000 steps of 128 images that h was pretrained for are not counted; the EBM without latents needs no h. Precision and recall with k = 3 against as many unseen images, on the features of FD. KL of " +
			"classes: KL(p‖u) = Σ p·log(p/u) in nats. p are the shares of the classes among the samples, u those among the unseen images. The classifier names the " +
			"classes of both. 0 is perfect. The peak memory is that of the process in the steps of training. It includes libtorch and the training images.",
	},
	// No table of the paper: it asks how many augmented negative samples are enough.
	{Name: "augment", Title: "Share p of augmented negative samples", data: "cifar10", ours: []quantity{distance, areas, madeNearAreas},
		rows: []row{
			{label: "p = 0, EM w/o Aug", variant: "em-no-aug"}, {label: "p = 0.02", variant: "em-aug-02"}, {label: "p = 0.05", variant: "em-aug-05"},
			{label: "p = 0.1, EM", variant: "em"},
		},
		curves: []string{"em-no-aug", "em-aug-02", "em-aug-05", "em"},
		claims: slices.Concat(betterModel("EM, p = 0.02", "em-aug-02", "p = 0.1", "em", fewerAugmented, "constant", "noise"),
			betterModel("EM, p = 0.05", "em-aug-05", "p = 0.1", "em", fewerAugmented, "constant", "noise")),
		Note: "p is replace_prob: the probability that a negative sample is replaced by a view of itself before its chain. The paper has 0.1, with batches " +
			"of 256. At the mini scale, batches have 16 images.",
	},
	// No table of the paper: it asks how much the latent term should weigh against F.
	{Name: "gamma", Title: "Weight γ of the latent term in training", data: "cifar10", ours: []quantity{distance, spreadOfF, areas, madeNearAreas},
		rows: []row{
			{label: "EBM without latents", variant: "none"}, {label: "γ = 0.01", variant: "em-gamma-0.01"}, {label: "γ = 0.1", variant: "em-gamma-0.1"},
			{label: "γ = 1", variant: "em-gamma-1"},
		},
		curves: []string{"none", "em-gamma-0.01", "em-gamma-0.1", "em-gamma-1"},
		claims: slices.Concat(betterModel("EM, γ = 0.1,", "em-gamma-0.1", "EM, γ = 0.01", "em-gamma-0.01", "", "constant", "noise", "glyphs"),
			betterModel("EM, γ = 0.1,", "em-gamma-0.1", "EM, γ = 1", "em-gamma-1", "", "constant", "noise", "glyphs")),
		Note: "γ is energy.gamma; the paper has 0.01. At the mini scale our preset has 0.1. The score s(x) has γ = 0.1 in all rows (score_gamma). sd of F is the " +
			"standard deviation of F(f(x)) over the images of the test split. The cosine term is at most γ. If γ is much smaller than the sd of F, F decides " +
			"the energy; if it is much larger, the cosine does.",
	},
	// No table of the paper: Fig. 8 compares the forms of the latent term at unequal weights.
	{Name: "posterior", Title: "Forms of the latent term at equal weights", data: "cifar10", ours: []quantity{distance, spreadOfF, areas, madeNearAreas},
		rows: []row{
			{label: "cosine, γ = 0.1", variant: "em-gamma-0.1"}, {label: "Gaussian, weight 0.1", variant: "em-gaussian-0.1"}, {label: "CEBM, weight 0.1", variant: "em-cebm-0.1"},
		},
		curves: []string{"em-gamma-0.1", "em-gaussian-0.1", "em-cebm-0.1"},
		claims: []claim{
			{text: "at equal weights, the cosine posterior is better than the Gaussian", better: reading{"em-gamma-0.1", "fd"}, worse: reading{"em-gaussian-0.1", "fd"}},
			{text: "at equal weights, the cosine posterior is better than CEBM", better: reading{"em-gamma-0.1", "fd"}, worse: reading{"em-cebm-0.1", "fd"}},
		},
		Note: "The weight is γ for the cosine, and energy.posterior_weight, which multiplies log p(z|x), for the other two. In Fig. 8 that weight is 1. log p(z|x) is a sum over " +
			"the components of z. The score s(x) has the cosine with γ = 0.1 in all rows (score_gamma). sd of F is the standard deviation of F(f(x)) over the images of the test split.",
	},
	// No table of the paper: it measures what chains in bfloat16 cost.
	{Name: "bfloat16", Title: "Chains in bfloat16 and in float32", data: "cifar10", ours: []quantity{distance, areas, madeNearAreas},
		rows:   []row{{label: "EM, float32", variant: "em"}, {label: "EM, bfloat16 chains", variant: "em-bfloat16"}},
		curves: []string{"em", "em-bfloat16"},
		claims: []claim{{text: "chains in bfloat16 make FD at most a tenth larger", better: reading{"em-bfloat16", "fd"}, worse: reading{"em", "fd"}, slack: 0.1,
			why: "Gradients of E are rounded to 8 bits. To test: more seeds, and more steps."}},
	},
}

// noteOfF says how our models of CelebA differ from the paper's.
const noteOfF = "The paper's models have a learnable linear F. Ours have the quadratic F: in a trial at 64×64 pixels, the energies of a linear F grew without a bound."

// nearClaims are the claims that s(x) is at most 1 % worse than each of its terms.
func nearClaims() (all []claim) {
	add := func(variant, set, name string) {
		s := reading{variant, "auroc/" + set}
		all = append(all,
			almost("s(x)", s, "F(f(x)) alone", reading{variant, "auroc_energy/" + set}, name),
			almost("s(x)", s, "the cosine alone", reading{variant, "auroc_cosine/" + set}, name))
	}
	for _, set := range nearSets() {
		add("em", set, set)
	}
	add("em-left-out", LeftOut, "a class that E and G have not seen")
	return all
}

// noteOfQ says how images from latents of q are measured.
const noteOfQ = "Measured without the padding of training. The ELBO of ERM and of the VAE trains G on latents of q. So for images " +
	"from these latents, G has their batch-norm statistics. "

// noteOfPrior stands in its place if an earlier version measured the models.
const noteOfPrior = "Measured without the padding of training. ERM and the VAE train G on latents of q. When these models were measured, G had the batch-norm " +
	"statistics of the prior's latents instead. Today's version uses those of q's latents, and the errors are smaller. "

// fewerAugmented is why fewer augmented negative samples may cost some detection.
const fewerAugmented = "With a small p, many batches of 16 have no augmented negative sample, so E learns less about images far from the data. The areas differ much between " +
	"seeds. To test: larger batches, more seeds, longer trainings."

// betterModel are the claims that the first of two models generates better, and detects these outliers as well, within 1 %. why may
// be empty.
func betterModel(first, better, second, worse, why string, outliers ...string) []claim {
	all := []claim{{text: first + " generates better than " + second, better: reading{better, "fd"}, worse: reading{worse, "fd"}}}
	for _, set := range outliers {
		c := almost(first, reading{better, "auroc/" + set}, second, reading{worse, "auroc/" + set}, set)
		c.why = cmp.Or(why, c.why)
		all = append(all, c)
	}
	return all
}

// almost is the claim that the first AUROC is at most 1 % smaller than the second, against outliers of this name.
func almost(first string, better reading, second string, worse reading, outliers string) claim {
	return claim{text: fmt.Sprintf("%s has at most 1 %% less AUROC than %s against %s", first, second, outliers), better: better, worse: worse, slack: 0.01,
		why: "The areas differ much between seeds, and trainings are short. To test: more seeds, longer trainings."}
}

// timeRows are the methods of the study of equal time after each of the budgets. The chain needs time too, so that G alone is
// shown as well.
func timeRows() (all []row) {
	for _, v := range timedVariants() {
		all = append(all, row{label: v.label, variant: v.name})
		if v.rival == "" {
			all = append(all, row{label: v.label + ", G alone", variant: v.name, variation: "no_mcmc"})
		}
	}
	return all
}

// timeClaims are that EM and ERM are ahead of the DCGAN after each of the budgets.
func timeClaims() (all []claim) {
	for _, seconds := range budgets {
		for _, method := range []string{"em", "erm"} {
			all = append(all, claim{text: fmt.Sprintf("%s is ahead of a DCGAN after %v s", strings.ToUpper(method), seconds),
				better: reading{fmt.Sprintf("%s-%vs", method, seconds), "fd"}, worse: reading{fmt.Sprintf("dcgan-%vs", seconds), "fd"},
				why: "A step of the DCGAN computes less: it runs no chains, and its networks have a quarter of the weights. To test: shorter chains, smaller batches, a narrower E."})
		}
	}
	return all
}

// refinement is the claim that the chain improves on G alone.
func refinement(variant string) claim {
	return claim{text: "MCMC refinement improves on G alone (" + variantNamed(variant).label + ")", better: reading{variant, "fd"}, worse: reading{variant, "fd_no_mcmc"}}
}
