package data

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// installed is the folder of Debian's dataset-fashion-mnist. The test is skipped without it.
func installed(t testing.TB) string {
	t.Helper()
	path := filepath.Join(Root, "fashion-mnist")
	if _, err := os.Stat(path); err != nil {
		t.Skip("apt install dataset-fashion-mnist to run this test")
	}
	return path
}

func TestFashionMNIST(t *testing.T) {
	path := installed(t)
	t.Setenv("LIEBM_DATA", "")
	train := mustOpen(t, "fmnist", Options{})
	assert.Equal(t, Shape{60000, 28, 28, 1}, train.Shape)
	assert.Equal(t, "ankle boot", train.Classes[train.Label(0)])
	counts := map[int32]int{}
	for _, l := range train.Labels {
		counts[l]++
	}
	for class := range int32(10) {
		assert.Equal(t, 6000, counts[class])
	}

	test := mustOpen(t, path, Options{Split: Test, Size: 32}) // by path: recognised by its labels
	assert.Equal(t, "fmnist", test.Name)
	assert.Equal(t, Shape{10000, 32, 32, 1}, test.Shape)
	border := test.Image(7)[:2*32]
	assert.Equal(t, make([]byte, 64), border)

	// The header and the pixels together have the checksum of the published file.
	whole := sha256.Sum256(append(idx(nil, 60000, 28, 28), train.Pixels()...))
	assert.Equal(t, fashionMNIST().fileSets[0][0].sha256, hex.EncodeToString(whole[:]))

	known, err := Lookup("fmnist")
	require.NoError(t, err)
	require.NoError(t, known.Verify(""))
	require.NoError(t, known.Verify(filepath.Join(path, testLabels+".gz")), "a single file")

	what, err := Verify(filepath.Join(path, testLabels+".gz"))
	require.NoError(t, err)
	assert.Equal(t, testLabels+" of Fashion-MNIST", what)

	_, err = Open("mnist", Options{Path: path, Split: Test})
	require.ErrorContains(t, err, `these are the images of fmnist, not of MNIST; open them as "fmnist"`)
}

func TestVerifyNamesTheWrongFile(t *testing.T) {
	path := installed(t)
	dir := folder(t, map[string][]byte{testLabels: idx(make([]byte, 10000), 10000)})
	for _, name := range []string{trainLabels, testImages} {
		require.NoError(t, os.Symlink(filepath.Join(path, name+".gz"), filepath.Join(dir, name+".gz")))
	}
	err := fashionMNIST().Verify(dir)
	require.Error(t, err)
	message := err.Error()
	assert.Contains(t, message, testLabels+": SHA-256 ")
	assert.Contains(t, message, "should be 0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34")
	assert.Contains(t, message, trainImages+": missing; fetch it from http")
	assert.NotContains(t, message, trainLabels)
	assert.NotContains(t, message, testImages)

	t.Run("renamed, and cut short", func(t *testing.T) {
		packed, err := os.ReadFile(filepath.Join(path, testLabels+".gz"))
		require.NoError(t, err)
		other := folder(t, map[string][]byte{"labels": packed, trainLabels + ".gz": packed[:len(packed)-9]})
		err = fashionMNIST().Verify(other)
		require.ErrorContains(t, err, testLabels+": missing; "+filepath.Join(other, "labels")+" has its content: rename that")
		require.ErrorContains(t, err, trainLabels+".gz: cut short or damaged: unexpected EOF: its SHA-256 should be ")
	})
}

func TestVerifyCIFAR(t *testing.T) {
	k := cifar10()
	t.Run("another archive", func(t *testing.T) {
		err := k.Verify(filepath.Join(folder(t, map[string][]byte{"cifar-10-binary.tar.gz": []byte("x")}), "cifar-10-binary.tar.gz"))
		require.ErrorContains(t, err, "should be c4a38c50")
	})
	t.Run("an archive of another name", func(t *testing.T) {
		err := k.Verify(filepath.Join(folder(t, map[string][]byte{"x": []byte("x")}), "x"))
		require.ErrorContains(t, err, "none of CIFAR-10's")
	})
	t.Run("a file of no set", func(t *testing.T) {
		_, err := Verify(filepath.Join(folder(t, map[string][]byte{"x": []byte("x")}), "x"))
		require.ErrorContains(t, err, "SHA-256 2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881 is that of no published file")
	})
	t.Run("unpacked Python batches", func(t *testing.T) {
		err := k.Verify("testdata/cifar-10-batches-py")
		require.ErrorContains(t, err, "should be c99cafc152244af753f735de768cd75f")
		require.ErrorContains(t, err, "data_batch_3: missing")
	})
	t.Run("unpacked binary batches", func(t *testing.T) {
		err := k.Verify(folder(t, map[string][]byte{"data_batch_1.bin": cifarBinary(1, 1, 10)}))
		require.ErrorContains(t, err, "no file there has a published checksum")
	})
}

func TestOpenKnown(t *testing.T) {
	root := folder(t, map[string][]byte{
		"fashion-mnist/" + trainImages: idx(ramp(5*28*28), 5, 28, 28),
		"fashion-mnist/" + trainLabels: idx(ramp(5), 5),
		"cifar10/data_batch_1.bin":     cifarBinary(4, 1, 10),
	})
	t.Setenv("LIEBM_DATA", root)
	t.Run("fewer images than published", func(t *testing.T) {
		_, err := Open("fmnist", Options{})
		require.ErrorContains(t, err, "5×28×28×1 train images, but Fashion-MNIST has 60000×28×28×1")
	})
	t.Run("LIEBM_DATA comes first", func(t *testing.T) {
		path, err := cifar10().Locate("")
		require.NoError(t, err)
		assert.Equal(t, filepath.Join(root, "cifar10"), path)
	})
	t.Run("a path of its own", func(t *testing.T) {
		_, err := Open("cifar10", Options{Path: filepath.Join(root, "fashion-mnist")})
		require.ErrorContains(t, err, "CIFAR-10 has 50000×32×32×3")
	})
	t.Run("not installed", func(t *testing.T) {
		_, err := Open("cifar100", Options{})
		require.ErrorIs(t, err, os.ErrNotExist)
		require.ErrorContains(t, err, filepath.Join(root, "cifar-100-binary"))
		require.ErrorContains(t, err, "fetch it from https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz into $LIEBM_DATA/")
	})
	t.Run("Debian's package is the remedy", func(t *testing.T) {
		_, err := Open("fmnist", Options{Path: filepath.Join(root, "nowhere")})
		require.ErrorContains(t, err, "apt install dataset-fashion-mnist")
		require.ErrorContains(t, err, "nowhere")
	})
	t.Run("any name for a path", func(t *testing.T) {
		set := mustOpen(t, "clothes", Options{Path: filepath.Join(root, "fashion-mnist")})
		assert.Equal(t, "clothes", set.Name)
	})
	t.Run("unknown name", func(t *testing.T) {
		_, err := Lookup("fmnst")
		require.ErrorContains(t, err, "cifar10, cifar100, fmnist, mnist")
	})
	t.Run("a folder of several sets", func(t *testing.T) {
		_, err := Open(root, Options{})
		require.ErrorContains(t, err, "give the path of one of them")
	})
}

func TestKnownSetsAreComplete(t *testing.T) {
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) {
			k, err := Lookup(name)
			require.NoError(t, err)
			assert.Contains(t, []int{0, 10, 100, 1000}, len(k.Classes))
			assert.NotEmpty(t, k.URL)
			assert.NotEmpty(t, k.places)
			for _, fileSet := range k.fileSets {
				for _, f := range fileSet {
					assert.Truef(t, len(f.sha256) == 64 || f.sha256 == "" && len(f.md5) == 32, "%s has no checksum", f.name)
				}
			}
		})
	}
}

func TestFlatCelebAHQIsSplitByOrder(t *testing.T) {
	folder := func(n int) *reader {
		k := celebAHQ()
		r := &reader{known: &k}
		for i := range n {
			r.images = append(r.images, entry{name: fmt.Sprintf("CelebA-HQ-img/%d.jpg", i), label: -1})
		}
		return r
	}
	names := map[string]bool{}
	for split, n := range map[Split]int{Train: 27000, Valid: 3000} {
		r := folder(30000)
		r.split = split
		from, err := r.chosen("hq")
		require.NoError(t, err)
		assert.Equal(t, []any{n, split}, []any{from.total, from.split})
		require.NoError(t, r.known.checkStream(from, split))
		require.NoError(t, from.each(func(chunk []entry) error {
			for _, e := range chunk {
				names[e.name] = true
			}
			return nil
		}))
	}
	assert.Len(t, names, 30000, "no image is in both")
	r := folder(29999)
	r.split = Train
	from, err := r.chosen("hq")
	require.NoError(t, err)
	require.ErrorContains(t, r.known.checkStream(from, Train), "29999 train images, but CelebA-HQ 256 has 27000")
}

func TestTheNameOfAFileTellsItsSplit(t *testing.T) {
	for name, want := range map[string]Split{
		"train-images-idx3-ubyte": Train, "data_batch_1": Train, "x_train.npy": Train, "xtrain.npy": Train, "celeba-train-64.liebm": Train, "MNISTTrain.npz": Train,
		"t10k-images-idx3-ubyte": Test, "test_batch": Test, "test_32x32.mat": Test, "cifar10.1test.npz": Test, "fashionTest.npz": Test,
		"val_data.npz": Valid, "church_val.npz": Valid, "valid.npz": Valid, "extra_32x32.mat": Extra,
		"latest.npz": "", "contest.npy": "", "restrain.npz": "", "valley.npz": "", "carnival.npz": "", "test.zip": "", "photos.npz": "",
	} {
		assert.Equal(t, want, splitOf("train/"+name), name)
	}
}
