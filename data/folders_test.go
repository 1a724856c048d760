package data

import (
	"fmt"
	"maps"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// pictures are n different gray pictures in a folder, by name.
func pictures(t testing.TB, folder string, n int) map[string][]byte {
	files := map[string][]byte{}
	for i := range n {
		files[fmt.Sprintf("%s%02d.png", folder, i)] = solid(t, 8, 8, byte(len(folder)*16+i), false)
	}
	return files
}

func merged(sets ...map[string][]byte) map[string][]byte {
	all := map[string][]byte{}
	for _, files := range sets {
		maps.Copy(all, files)
	}
	return all
}

// Images that training reads are never measured as held out, whatever lies beside them.
func TestWhatLiesBesideTheImagesMakesNoSplit(t *testing.T) {
	train := pictures(t, "train/", 20)
	partition := ""
	for i := range 20 {
		partition += fmt.Sprintf("%02d.jpg 0\n", i)
	}
	for name, more := range map[string]map[string][]byte{
		"notes on a test":         {"test.txt": []byte("a test"), "val_notes.md": []byte("notes"), "test.py": []byte("print()")},
		"a partition of training": {"list_eval_partition.txt": []byte(partition)},
		"another program's files": {"embeddings.npy.gz": gzipped(t, []byte("\x93NUMPY\x01\x00")), "log.gz": []byte("\x1f\x8b\x08cut"),
			"labels.ods": zipped(t, pictures(t, "Thumbnails/", 3))},
	} {
		t.Run(name, func(t *testing.T) {
			files := merged(train, more)
			if more["list_eval_partition.txt"] != nil {
				files = merged(pictures(t, "", 20), more)
			}
			dir := folder(t, files)
			read := mustOpen(t, dir, Options{Split: Train, HoldOut: 0.2, Crop: "none"})
			unseen := mustOpen(t, dir, Options{Split: HeldOut, HoldOut: 0.2, Crop: "none"})
			assert.Equal(t, 20, read.N+unseen.N)
			assert.NotEmpty(t, unseen.N)
			for image := range imageCounts(unseen) {
				assert.NotContains(t, imageCounts(read), image)
			}
		})
	}
	for name, images := range map[string]bool{"test_with_labels.npz": true, "test-images.idx": true, "t10k-labels-idx1-ubyte.gz": false, "test.txt": false, "test_batch": true} {
		assert.Equal(t, images, namesImages(name), name)
	}
	read := mustOpen(t, folder(t, train), Options{HoldOut: 0.2})
	assert.Less(t, read.N, 20, "no split means training in a folder")
}

func TestAFolderIsASplitOrAClass(t *testing.T) {
	classes := folder(t, merged(pictures(t, "test/train/", 3), pictures(t, "test/bus/", 3), pictures(t, "train/train/", 5), pictures(t, "train/bus/", 5)))
	test := mustOpen(t, classes, Options{Split: Test})
	assert.Equal(t, 6, test.N, "below test, train is a class")
	assert.Equal(t, []string{"bus", "train"}, test.Classes)

	years := mustOpen(t, folder(t, merged(pictures(t, "train2017/", 5), pictures(t, "val2017/", 3))), Options{Split: Valid})
	assert.Equal(t, 3, years.N)

	for _, beside := range []string{"bus/", "train/"} {
		_, err := Open(folder(t, merged(pictures(t, beside, 3), pictures(t, "car/", 3), pictures(t, "train/", 3))), Options{})
		assert.ErrorContains(t, err, "may be a split or a class, since")
	}
}

func TestArchivesOfAFolderAreNotMixed(t *testing.T) {
	dir := folder(t, map[string][]byte{"train.zip": zipped(t, pictures(t, "", 5)), "test.zip": zipped(t, pictures(t, "cats/", 3))})
	assert.Equal(t, 5, mustOpen(t, dir, Options{}).N)
	assert.Equal(t, 3, mustOpen(t, dir, Options{Split: HeldOut, HoldOut: 0.1}).N)

	dir = folder(t, map[string][]byte{"train/images.zip": zipped(t, pictures(t, "cats/", 5)), "test/images.zip": zipped(t, pictures(t, "", 3))})
	assert.Equal(t, 5, mustOpen(t, dir, Options{}).N, "a folder tells the split of an archive in it")
	assert.Equal(t, 3, mustOpen(t, dir, Options{Split: HeldOut, HoldOut: 0.1}).N)

	dir = folder(t, merged(map[string][]byte{"archives/cats.zip": zipped(t, pictures(t, "", 5))}, pictures(t, "cats/", 4)))
	assert.Equal(t, 4, mustOpen(t, dir, Options{}).N, "the archive that the pictures came from is not read")

	_, err := Open(folder(t, map[string][]byte{"cats.zip": zipped(t, pictures(t, "", 5)), "cats-old.zip": zipped(t, pictures(t, "", 3))}), Options{})
	assert.ErrorContains(t, err, "cats-old.zip and ")
	assert.ErrorContains(t, err, "have images; give the path of one of them")
}

func TestDeepFoldersAreReadOrRefused(t *testing.T) {
	assert.Equal(t, 2, mustOpen(t, folder(t, pictures(t, "train/a/apartment/outdoor/old/", 2)), Options{}).N)
	_, err := Open(folder(t, pictures(t, "1/2/3/4/5/6/7/8/9/10/", 2)), Options{})
	assert.ErrorContains(t, err, "more than 8 levels below the given folder")
	dir := folder(t, merged(map[string][]byte{"1/2/3/4/5/6/7/8/9/10/notes.txt": []byte("none")}, pictures(t, "1/", 2)))
	assert.Equal(t, 2, mustOpen(t, dir, Options{}).N, "deep folders without images are ignored")
}

func TestAKnownSetIsTheSplitThatWasAskedFor(t *testing.T) {
	set := newSet(Shape{27000, 256, 256, 3}, nil, nil)
	known, err := Lookup("celebahq")
	require.NoError(t, err)
	set.Split = Train
	assert.NoError(t, known.check(set))
	set.Split = Valid
	assert.ErrorContains(t, known.check(set), "valid images, but CelebA-HQ 256 has")
}

func TestHiddenPicturesAreNotFound(t *testing.T) {
	found, err := FindPictures(folder(t, merged(pictures(t, "", 2), pictures(t, ".ipynb_checkpoints/", 2), map[string][]byte{"._00.png": []byte("Mac OS X")})))
	require.NoError(t, err)
	assert.Len(t, found.Files, 2)
	assert.Equal(t, "00.png", filepath.Base(found.Files[0]))
}
