package data

import (
	"fmt"
	"strings"
)

const svhnURL = "http://ufldl.stanford.edu/housenumbers/"

// svhn10 is SVHN's cropped digits. Labels are the digits. In the files, 10 stands for 0.
func svhn10() Known {
	train := Download{URL: svhnURL + "train_32x32.mat", Size: 182040794, SHA256: "435e94d69a87fde4fd4d7f3dd208dfc32cb6ae8af2240d066de1df7508d083b8"}
	test := Download{URL: svhnURL + "test_32x32.mat", Size: 64275384, SHA256: "cdce80dfb2a2c4c6160906d0bd7c68ec5a99d7ca4831afa54f09182025b6a75b"}
	return Known{
		Name: "svhn", Title: "SVHN", H: 32, W: 32, C: 3, Train: 73257, Test: 26032, Extra: 531131, glyphs: true, URL: svhnURL,
		Classes:   strings.Split("0123456789", ""),
		Downloads: []Download{train, test},
		places:    []string{"svhn", "SVHN"},
		fileSets: [][]file{
			{train.published(), test.published()},
			{{name: "extra_32x32.mat", sha256: "a133a4beb38a00fcdda90c9489e0c04f900b660ce8a316a5e854838379a71eb3"}},
		},
	}
}

// imageNet32 is the set of Chrabaszcz et al. (2017). Van den Oord's set of the same size is another one: do not compare
// FIDs. The zips were published with several checksums, so the files inside are verified. A label is that of the file
// minus one. The files do not name the classes.
func imageNet32() Known {
	classes := make([]string, 1000)
	for i := range classes {
		classes[i] = fmt.Sprintf("class %d", i)
	}
	return Known{
		Name: "imagenet32", Title: "ImageNet 32", H: 32, W: 32, C: 3, Train: 1281167, Valid: 50000,
		URL:     "https://image-net.org/download-images.php",
		Classes: classes,
		Downloads: []Download{
			{URL: "https://image-net.org/data/downsample/Imagenet32_train_npz.zip", Login: true},
			{URL: "https://image-net.org/data/downsample/Imagenet32_val_npz.zip", Login: true},
		},
		places: []string{"imagenet32", "imagenet-32", "Imagenet32"},
		fileSets: [][]file{
			{
				{name: "train_data_batch_1.npz", md5: "464fde20de6eb44c28cc1a8c11544bb1"},
				{name: "train_data_batch_2.npz", md5: "bdb56e71882c3fd91619d789d5dd7c79"},
				{name: "train_data_batch_3.npz", md5: "83ff36d76ea26867491a281ea6e1d03b"},
				{name: "train_data_batch_4.npz", md5: "98ff184fe109d5c2a0f6da63843880c7"},
				{name: "train_data_batch_5.npz", md5: "62b8803e13c3e6de9498da7aaaae57c8"},
				{name: "train_data_batch_6.npz", md5: "e0b06665f890b029f1d8d0a0db26e119"},
				{name: "train_data_batch_7.npz", md5: "9731f469aac1622477813c132c5a847a"},
				{name: "train_data_batch_8.npz", md5: "60aed934b9d26b7ee83a1a83bdcfbe0f"},
				{name: "train_data_batch_9.npz", md5: "b96328e6affd718660c2561a6fe8c14c"},
				{name: "train_data_batch_10.npz", md5: "1dc618d544c554220dd118f72975470c"},
			},
			{{name: "val_data.npz", md5: "a8c04a389f2649841fb7a01720da9dd9"}},
		},
	}
}

func celebA() Known {
	images := Download{URL: driveURL + "0B7EVK8r0v71pZjFTYXZWM3FlRnM", Name: "img_align_celeba.zip", Size: 1443490838, Login: true,
		SHA256: "46fb89443c578308acf364d7d379fe1b9efb793042c0af734b6112e4fd3a8c74"}
	splits := Download{URL: driveURL + "0B7EVK8r0v71pY0NSMzRuSXJEVkk", Name: "list_eval_partition.txt", Size: 2836386, Login: true,
		SHA256: "fc955bcb3ef8fbdf7d5640d9a8693a8431b5f2ee291a5c1449a1549e7e073fe7"}
	return Known{
		Name: "celeba", Title: "CelebA (aligned)", H: celebaH, W: celebaW, C: 3, Train: 162770, Valid: 19867, Test: 19962,
		URL: "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html", crop: "148", photos: true,
		Downloads: []Download{images, splits},
		places:    []string{"celeba", "CelebA", "img_align_celeba", "img_align_celeba.zip"},
		fileSets:  [][]file{{images.published()}, {splits.published()}},
	}
}

const driveURL = "https://drive.google.com/uc?id="

// celebAHQ has no published checksums. Its splits are folders called train and valid, as NVAE has them. A folder of all
// 30,000 images without such folders, for example 0.jpg to 29999.jpg, is split here: in the order of their names as
// strings, the first 27,000 are for training and the last 3,000 for validation. That is another choice of images than
// NVAE's, of the same sizes. Open the folder by its path alone to have all 30,000.
func celebAHQ() Known {
	return Known{
		Name: "celebahq", Title: "CelebA-HQ 256", H: 256, W: 256, C: 3, Train: 27000, Valid: 3000, photos: true, inOrder: true,
		URL:    "https://github.com/tkarras/progressive_growing_of_gans",
		places: []string{"celebahq", "celeba-hq", "celebahq256", "celebahq256_imgs"},
	}
}
