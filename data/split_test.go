package data

import (
	"bytes"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// imageCounts counts the images of a set by their pixels.
func imageCounts(s *Set) map[string]int {
	all := map[string]int{}
	for i := range s.N {
		all[string(s.Image(i))]++
	}
	return all
}

func TestASetWithoutSplitsIsDividedByContent(t *testing.T) {
	files, names := map[string][]byte{}, []string{}
	for i := range 200 { // each image twice
		names = append(names, fmt.Sprintf("%03d.png", i))
		files[names[i]] = solid(t, 8, 8, byte(i/2), true)
	}
	dir := folder(t, files)
	o := Options{Split: Train, HoldOut: 0.1, Seed: 3}
	known := mustOpen(t, dir, o)
	o.Split = HeldOut
	unseen := mustOpen(t, dir, o)
	assert.Equal(t, 200, known.N+unseen.N)
	assert.InDelta(t, 20, unseen.N, 15, "about a tenth")
	assert.Equal(t, []Split{Train, Test}, []Split{known.Split, unseen.Split})
	assert.Equal(t, &Division{Share: 0.1, Seed: 3, N: unseen.N, SHA256: unseen.SHA256()}, unseen.Division)
	assert.Equal(t, unseen.Division, known.Division)
	for i := range unseen.N {
		assert.Equal(t, solid(t, 8, 8, unseen.Image(i)[0], true), files[unseen.Origin(i)], "a part keeps the names of its files")
	}
	for image, n := range imageCounts(unseen) {
		assert.Equal(t, 2, n, "copies are on one side")
		assert.NotContains(t, imageCounts(known), image)
	}

	renamed := map[string][]byte{}
	for i, name := range names {
		renamed[names[len(names)-1-i]] = files[name]
	}
	more := maps.Clone(renamed)
	more["new.png"] = solid(t, 8, 8, 250, true)
	prepared := filepath.Join(t.TempDir(), "all.liebm")
	mustPrepare(t, dir, prepared, PrepareOptions{})
	for name, source := range map[string]string{"other names and order": folder(t, renamed), "a prepared file": prepared, "one image more": folder(t, more)} {
		set := mustOpen(t, source, o)
		assert.Regexp(t, `^\d{3}\.png$`, set.Slice(1, 3).Origin(1))
		again := imageCounts(set)
		delete(again, string(bytes.Repeat([]byte{250}, 8*8*3)))
		assert.Equal(t, imageCounts(unseen), again, name)
	}
	o.Seed = 4
	assert.NotEqual(t, imageCounts(unseen), imageCounts(mustOpen(t, dir, o)), "another seed")
	assert.Equal(t, 200, mustOpen(t, dir, Options{}).N, "without a split all images are read")
	whole := mustOpen(t, dir, Options{Split: HeldOut})
	assert.Equal(t, Train, whole.Split, "if nothing is held out, what was trained on is not called test")
}

func TestSplitsThatASourceHasAreUsed(t *testing.T) {
	some := func(value byte) map[string][]byte {
		files := map[string][]byte{}
		for i := range byte(20) {
			files[fmt.Sprint(i, ".png")] = solid(t, 8, 8, value+i, true)
		}
		return files
	}
	parts := func(folders map[string]byte) string {
		all := map[string][]byte{}
		for name, value := range folders {
			for file, b := range some(value) {
				all[name+"/"+file] = b
			}
		}
		return folder(t, all)
	}
	for name, c := range map[string]struct {
		folders map[string]byte
		train   int
		unseen  Split
		n       int
	}{
		"train and test":      {map[string]byte{"train": 0, "test": 50}, 20, Test, 20},
		"train and val":       {map[string]byte{"train": 0, "val": 100}, 20, Valid, 20},
		"train, val and test": {map[string]byte{"train": 0, "val": 100, "test": 50}, 20, Test, 20},
	} {
		dir := parts(c.folders)
		known, unseen := mustOpen(t, dir, Options{Split: Train, HoldOut: 0.1}), mustOpen(t, dir, Options{Split: HeldOut, HoldOut: 0.1})
		assert.Equal(t, []int{c.train, c.n}, []int{known.N, unseen.N}, name)
		assert.Equal(t, c.unseen, unseen.Split, name)
		assert.Nil(t, unseen.Division, name)
	}
	dir := parts(map[string]byte{"train": 0})
	known, unseen := mustOpen(t, dir, Options{Split: Train, HoldOut: 0.1}), mustOpen(t, dir, Options{Split: HeldOut, HoldOut: 0.1})
	assert.Equal(t, 20, known.N+unseen.N, "training images alone are divided")
	assert.Equal(t, Test, unseen.Split)

	pair := folder(t, map[string][]byte{"a.png": solid(t, 8, 8, 1, true), "b.png": solid(t, 8, 8, 1, true)})
	_, err := Open(pair, Options{Split: HeldOut, HoldOut: 0.1})
	assert.ErrorContains(t, err, "too few")
}

func TestTheHeadOfASetSortedByClassHasAllClasses(t *testing.T) {
	set := mustOpen(t, album(t, 100), Options{})
	require.True(t, slices.IsSorted(set.Labels))
	head := set.Head(20)
	assert.Equal(t, 20, head.N)
	assert.Contains(t, head.Labels, int32(0))
	assert.Contains(t, head.Labels, int32(1))
	assert.Equal(t, head.Pixels(), set.Head(20).Pixels())
}

func TestAClassHasTheSameLabelInAllSplits(t *testing.T) {
	dir := folder(t, map[string][]byte{
		"train/a/1.png": solid(t, 8, 8, 1, true), "train/b/2.png": solid(t, 8, 8, 2, true), "train/c/3.png": solid(t, 8, 8, 3, true),
		"test/a/4.png": solid(t, 8, 8, 4, true), "test/c/5.png": solid(t, 8, 8, 5, true),
		"val/c/6.png": solid(t, 8, 8, 6, true),
		"7.png":       solid(t, 8, 8, 7, true),
	})
	for split, labels := range map[Split][]int32{Train: {0, 1, 2}, Test: {0, 2}, Valid: {2}} {
		set := mustOpen(t, dir, Options{Split: split})
		assert.Equal(t, []string{"a", "b", "c"}, set.Classes, split)
		assert.Equal(t, labels, set.Labels, split)
	}
	other := folder(t, map[string][]byte{"train/cats/1.png": solid(t, 8, 8, 1, true), "train/dogs/2.png": solid(t, 8, 8, 2, true), "test/a/3.png": solid(t, 8, 8, 3, true)})
	assert.Equal(t, []string{"cats", "dogs"}, mustOpen(t, other, Options{Split: Train}).Classes, "the folder of the test images is no class")
	assert.Empty(t, mustOpen(t, other, Options{Split: Test}).Labels)
	flat := folder(t, map[string][]byte{"train/a/1.png": solid(t, 8, 8, 1, true), "train/b/2.png": solid(t, 8, 8, 2, true), "test/3.png": solid(t, 8, 8, 3, true)})
	assert.Equal(t, []int32{0, 1}, mustOpen(t, flat, Options{Split: Train}).Labels)
	assert.Empty(t, mustOpen(t, flat, Options{Split: Test}).Labels, "its images have no class folder")
}
