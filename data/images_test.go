package data

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"image"
	"image/png"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sbinet/npyio/npz"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// photo reads testdata/photos/name, written by PIL, scipy or numpy.
func photo(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata/photos", name))
	require.NoError(t, err)
	return b
}

// golden is an array of testdata/photos.npz.
func golden(t testing.TB, name string) (pix []byte) {
	t.Helper()
	f, err := npz.Open("testdata/photos.npz")
	require.NoError(t, err)
	defer f.Close()
	require.NoError(t, f.Read(name+".npy", &pix))
	return pix
}

// levels is the largest and the mean distance of two images.
func levels(t testing.TB, want, got []byte) (most int, mean float64) {
	t.Helper()
	require.Len(t, got, len(want))
	for i := range want {
		d := int(want[i]) - int(got[i])
		most = max(most, d, -d)
		mean += float64(d) / float64(len(want))
	}
	return most, mean
}

// zipped is a zip of files, by name.
func zipped(t testing.TB, files map[string][]byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for name, b := range files {
		f, err := w.Create(name)
		require.NoError(t, err)
		_, err = f.Write(b)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return out.Bytes()
}

// solid is a PNG of one gray or coloured value.
func solid(t testing.TB, h, w int, value byte, rgb bool) []byte {
	t.Helper()
	pix := bytes.Repeat([]byte{value}, h*w)
	var img image.Image = &image.Gray{Pix: pix, Stride: w, Rect: image.Rect(0, 0, w, h)}
	if rgb {
		four := image.NewRGBA(image.Rect(0, 0, w, h))
		for i := range four.Pix {
			four.Pix[i] = value
			if i%4 == 3 {
				four.Pix[i] = 255
			}
		}
		img = four
	}
	var out bytes.Buffer
	require.NoError(t, png.Encode(&out, img))
	return out.Bytes()
}

func TestJPEGsAreDecodedAsPILDoes(t *testing.T) {
	for _, chroma := range []string{"444", "422", "420", "cmyk"} {
		t.Run(chroma, func(t *testing.T) {
			f, err := decodeImage(photo(t, chroma+".jpg"))
			require.NoError(t, err)
			require.Equal(t, []int{61, 45, 3}, []int{f.h, f.w, f.c})
			most, mean := levels(t, golden(t, chroma), f.pix)
			t.Logf("at most %d levels, mean %.3f", most, mean)
			assert.LessOrEqual(t, most, 4) // Go's and libjpeg's integer DCTs round differently; chroma weighs up to 1.8
			assert.InDelta(t, 0, mean, 0.1)
		})
	}
}

func TestLossyWebPIsDecodedAsPILDoes(t *testing.T) {
	for _, name := range []string{"lossy", "odd"} {
		f, err := decodeImage(photo(t, name+".webp"))
		require.NoError(t, err)
		assert.Equal(t, golden(t, name), f.pix, "%s: to the last bit", name)
	}
	p, err := DecodePicture(photo(t, "transparent.webp"))
	require.NoError(t, err)
	assert.True(t, p.Alpha)
	assert.Equal(t, golden(t, "transparent"), p.Pix, "alpha is dropped, not applied")
}

func TestCelebACropsAreThoseOfPIL(t *testing.T) {
	whole, err := decodeImage(photo(t, "celeba.jpg"))
	require.NoError(t, err)
	for _, crop := range []string{"148", "140", "128", "178", "none"} {
		t.Run(crop, func(t *testing.T) {
			f, _, err := Options{Crop: crop, Size: 64, Scale: true}.shape(whole)
			require.NoError(t, err)
			most, mean := levels(t, golden(t, "crop"+crop), f.pix)
			t.Logf("at most %d levels, mean %.3f", most, mean)
			assert.LessOrEqual(t, most, 2)  // 1 of the resize, 1 of what is left of the decoders' difference
			assert.InDelta(t, 0, mean, 0.2) // PIL rounds halves up in each of its passes, which at 128→64 are many
		})
	}
	t.Run("not CelebA", func(t *testing.T) {
		_, err := frame{make([]byte, 64), 8, 8, 1}.crop("148")
		require.ErrorContains(t, err, "the aligned CelebA with 178×218")
	})
}

func TestResizeIsPILsWithinALevel(t *testing.T) {
	set, err := New(Shape{1, 28, 28, 1}, golden(t, "small"), nil)
	require.NoError(t, err)
	big, err := set.Resize(32)
	require.NoError(t, err)
	most, _ := levels(t, golden(t, "small32"), big.Pixels())
	assert.LessOrEqual(t, most, 1)
	_, err = set.Resize(0)
	require.ErrorContains(t, err, "cannot resize 28×28×1 to 0×0")
}

func TestFashionMNISTIsPaddedOrResized(t *testing.T) {
	dir := folder(t, map[string][]byte{trainImages: idx(bytes.Repeat([]byte{200}, 2*28*28), 2, 28, 28)})
	padded := mustOpen(t, dir, Options{Size: 32})
	scaled := mustOpen(t, dir, Options{Size: 32, Scale: true})
	assert.Equal(t, Shape{2, 32, 32, 1}, scaled.Shape)
	assert.Equal(t, byte(0), padded.Image(0)[0])
	assert.Equal(t, byte(200), scaled.Image(0)[0])
}

func TestImageFilesOfEveryKind(t *testing.T) {
	want := mustOpen(t, "testdata/photos/hwc.npy", Options{}) // a single array [8,8,3] is three gray... images of 8×3
	require.Equal(t, Shape{8, 8, 3, 1}, want.Shape)
	rgb, err := decodeImage(photo(t, "rgb.png"))
	require.NoError(t, err)
	for name, same := range map[string]bool{"rgb.png": true, "opaque.png": true, "imgHQ00000.npy": true, "hwc.npy": true, "palette.png": false,
		"rgb.bmp": true, "rgb.tif": true, "lossless.webp": true, "palette.gif": false} {
		f, err := decodeImage(photo(t, name))
		require.NoError(t, err, name)
		require.Equal(t, []int{8, 8, 3}, []int{f.h, f.w, f.c}, name)
		if same {
			require.Equal(t, rgb.pix, f.pix, name)
		}
	}
	transparent, err := DecodePicture(photo(t, "rgba.png"))
	require.NoError(t, err)
	require.True(t, transparent.Alpha)
	require.Equal(t, rgb.pix, transparent.Pix, "dropped, not applied")
	gray, err := decodeImage(photo(t, "gray.png"))
	require.NoError(t, err)
	require.Equal(t, rgb.pix[0], gray.pix[0])
	require.Equal(t, 3, gray.rgb().c)
}

func TestImagesAreRefusedWithALineEach(t *testing.T) {
	good := solid(t, 8, 8, 9, true)
	wide := bytes.Clone(good)
	copy(wide[16:], []byte{0, 1, 0, 0}) // width 65536 in IHDR
	for name, c := range map[string]struct {
		b    []byte
		want string
	}{
		"16 bits":        {photo(t, "gray16.png"), "16 bits a channel: convert it to 8"},
		"transparent":    {photo(t, "rgba.png"), "transparent"},
		"cut short PNG":  {good[:len(good)/2], "cut short or damaged"},
		"cut short JPG":  {photo(t, "celeba.jpg")[:3000], "cut short or damaged"},
		"wide":           {wide, ""},
		"no image":       {[]byte("<html>"), "starts with 3c 68 74 6d: not a picture"},
		"empty":          {nil, "empty file"},
		"huge by header": {hugePNG(t), "16000×16000 pixels in "},
		"many":           {photo(t, "nchw.npy"), "is not one image"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := folder(t, map[string][]byte{"a.png": good, "b.png": c.b})
			_, err := Open(dir, Options{})
			require.ErrorContains(t, err, filepath.Join(dir, "b.png")+": ")
			require.ErrorContains(t, err, c.want)
			require.NotContains(t, err.Error(), "\n")
		})
	}
	t.Run("mixed sizes", func(t *testing.T) {
		dir := folder(t, map[string][]byte{"a.png": good, "b.png": solid(t, 9, 9, 1, true)})
		_, err := Open(dir, Options{})
		require.ErrorContains(t, err, "b.png: 9×9 pixels, where the images before it have 8×8; prepare the set with a size")
		assert.Equal(t, Shape{2, 4, 4, 3}, mustOpen(t, dir, Options{Size: 4}).Shape)
	})
	t.Run("gray among RGB", func(t *testing.T) {
		dir := folder(t, map[string][]byte{"a.png": good, "b.png": solid(t, 8, 8, 1, false)})
		_, err := Open(dir, Options{})
		require.ErrorContains(t, err, "b.png: gray, where the images before it are RGB; prepare the set with rgb")
		assert.Equal(t, Shape{2, 8, 8, 3}, mustOpen(t, dir, Options{RGB: true}).Shape)
	})
	t.Run("no square", func(t *testing.T) {
		dir := folder(t, map[string][]byte{"a.png": solid(t, 8, 10, 1, false)})
		_, err := Open(dir, Options{})
		require.ErrorContains(t, err, "10×8 pixels are no square; use crop center")
		assert.Equal(t, Shape{1, 8, 8, 1}, mustOpen(t, dir, Options{Crop: "center"}).Shape)
	})
}

// hugePNG has a header that declares 256 million pixels, and the rest of a small one.
func hugePNG(t *testing.T) []byte {
	b := solid(t, 8, 8, 1, false)
	binary.BigEndian.PutUint32(b[16:], 16000)
	binary.BigEndian.PutUint32(b[20:], 16000)
	binary.BigEndian.PutUint32(b[29:], crc32.ChecksumIEEE(b[12:29]))
	return b
}

func TestUnreadableImagesAreLeftOutOnRequest(t *testing.T) {
	files := map[string][]byte{"a.png": solid(t, 8, 8, 1, false), "b.png": nil, "c.png": solid(t, 8, 8, 2, false), "d.png": solid(t, 8, 8, 1, true)}
	dir := folder(t, files)
	for _, path := range []string{dir, filepath.Join(folder(t, map[string][]byte{"x.zip": zipped(t, files)}), "x.zip")} {
		_, err := Open(path, Options{})
		require.ErrorContains(t, err, "b.png: empty file\n")
		require.ErrorContains(t, err, "d.png: RGB, where the images before it are gray")
		require.ErrorContains(t, err, "; mend or remove it")
		require.ErrorIs(t, err, ErrBadImage)
		set := mustOpen(t, path, Options{Skip: true})
		assert.Equal(t, Shape{2, 8, 8, 1}, set.Shape)
		require.Len(t, set.Skipped, 2)
		assert.Equal(t, filepath.Join(path, "b.png")+": empty file", set.Skipped[0])
		assert.Equal(t, byte(2), set.Image(1)[0])
		assert.Equal(t, []string{"a.png", "c.png", ""}, []string{set.Origin(0), set.Origin(1), set.Origin(2)})
		assert.Empty(t, set.Fit)
		assert.Empty(t, mustOpen(t, path, Options{Skip: true, Size: set.H, RGB: true}).Fit, "their own size")
		assert.Equal(t, "resize", mustOpen(t, path, Options{Skip: true, Size: 4, RGB: true}).Fit)
	}
	_, err := Open(folder(t, map[string][]byte{"b.png": nil}), Options{Skip: true})
	require.ErrorContains(t, err, "no image there could be read; the first: ")
}

func TestFoldersAndZipsOfImages(t *testing.T) {
	files := map[string][]byte{}
	for i, name := range []string{"train/cat/1.png", "train/cat/2.png", "train/dog/1.png", "val/cat/3.png", "val/dog/4.png"} {
		files[name] = solid(t, 4, 4, byte(10*i), false)
	}
	files["readme.txt"] = []byte("hello")
	dir := folder(t, files)
	inZip := filepath.Join(folder(t, map[string][]byte{"pets.zip": zipped(t, files)}), "pets.zip")
	for form, path := range map[string]string{"folder": dir, "zip": inZip, "folder of a zip": filepath.Dir(inZip)} {
		t.Run(form, func(t *testing.T) {
			train := mustOpen(t, path, Options{Split: Train})
			assert.Equal(t, []string{"cat", "dog"}, train.Classes)
			assert.Equal(t, []int32{0, 0, 1}, train.Labels)
			assert.Equal(t, byte(20), train.Image(2)[0])
			valid := mustOpen(t, path, Options{Split: Valid})
			assert.Equal(t, byte(30), valid.Image(0)[0])
			_, err := Open(path, Options{Split: Test})
			require.ErrorContains(t, err, "no test images")
		})
	}
	t.Run("cut short", func(t *testing.T) {
		b := zipped(t, files)
		_, err := Open(filepath.Join(folder(t, map[string][]byte{"x.zip": b[:len(b)-30]}), "x.zip"), Options{})
		require.ErrorContains(t, err, "cut short or damaged")
	})
	t.Run("EDM's labels", func(t *testing.T) {
		edm := map[string][]byte{"00000/img0.png": solid(t, 4, 4, 1, false), "00001/img1.png": solid(t, 4, 4, 2, false),
			"dataset.json": []byte(`{"labels": [["00000/img0.png", 6], ["00001/img1.png", 3]]}`)}
		assert.Equal(t, []int32{6, 3}, mustOpen(t, folder(t, edm), Options{}).Labels)
		edm["dataset.json"] = []byte(`{"labels": [["00000/img0.png", 6]]}`)
		_, err := Open(folder(t, edm), Options{})
		require.ErrorContains(t, err, "no label for 00001/img1.png")
		edm["dataset.json"] = []byte(`{"labels": null}`)
		assert.Nil(t, mustOpen(t, folder(t, edm), Options{}).Labels)
	})
	t.Run("LMDB", func(t *testing.T) {
		mdb := append(make([]byte, 16), 0xde, 0xc0, 0xef, 0xbe)
		_, err := Open(folder(t, map[string][]byte{"train.lmdb/data.mdb": mdb}), Options{})
		require.ErrorContains(t, err, "an LMDB, which liebm cannot read; write its images to a folder")
	})
}

func TestCelebASplits(t *testing.T) {
	files := map[string][]byte{}
	var list strings.Builder
	for i, split := range []int{0, 0, 1, 2} {
		name := fmt.Sprintf("%06d.jpg", i+1)
		files["img_align_celeba/"+name] = photo(t, "celeba.jpg")
		fmt.Fprintf(&list, "%s %d\n", name, split)
	}
	beside := folder(t, map[string][]byte{"img_align_celeba.zip": zipped(t, files), "list_eval_partition.txt": []byte(list.String())})
	files["list_eval_partition.txt"] = []byte(list.String())
	within := folder(t, files)
	for form, path := range map[string]string{"zip": filepath.Join(beside, "img_align_celeba.zip"), "folder of the zip": beside, "folder": within,
		"inner folder": filepath.Join(within, "img_align_celeba")} {
		t.Run(form, func(t *testing.T) {
			for split, n := range map[Split]int{Train: 2, Valid: 1, Test: 1} {
				set := mustOpen(t, path, Options{Split: split, Size: 64})
				assert.Equal(t, Shape{n, 64, 64, 3}, set.Shape)
				most, _ := levels(t, golden(t, "crop148"), set.Image(0))
				assert.LessOrEqual(t, most, 2, "crop 148 is the default")
			}
			_, err := Open("celeba", Options{Path: path})
			require.ErrorContains(t, err, "2×148×148×3 train images, but CelebA (aligned) has 162770")
		})
	}
	t.Run("not in the list", func(t *testing.T) {
		files["list_eval_partition.txt"] = []byte("000001.jpg 0\n")
		_, err := Open(folder(t, files), Options{})
		require.ErrorContains(t, err, "no line for img_align_celeba/000002.jpg")
		files["list_eval_partition.txt"] = []byte("000001.jpg 7\n")
		_, err = Open(folder(t, files), Options{})
		require.ErrorContains(t, err, "line 1 is")
	})
}

func FuzzImage(f *testing.F) {
	for _, name := range []string{"rgb.png", "gray16.png", "palette.png", "420.jpg", "imgHQ00000.npy", "hwc.npy", "rgb.bmp", "rgb.tif", "lossless.webp", "palette.gif"} {
		f.Add(photo(f, name))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<16 {
			return
		}
		if got, err := decodeImage(b); err == nil {
			require.Len(t, got.pix, got.h*got.w*got.c)
		}
	})
}

func FuzzPartition(f *testing.F) {
	f.Add([]byte("000001.jpg 0\n000002.jpg 1\r\n000003.jpg 2"))
	f.Add([]byte("image_id,partition\n000001.jpg,0\n\n000002.jpg,2\n"))
	f.Fuzz(func(t *testing.T, list []byte) {
		splits, err := celebaSplits(list)
		if err != nil {
			require.NotContains(t, err.Error(), "\n")
			return
		}
		for name, want := range splits {
			if path.Base(name) != name {
				continue // CelebA's images lie in one folder, so this is none of theirs
			}
			kept, _, err := partition([]entry{{name: name}}, list, want)
			require.NoError(t, err)
			require.Len(t, kept, 1)
		}
	})
}

func FuzzEDMLabels(f *testing.F) {
	f.Add([]byte(`{"labels": [["00000/img00000000.png", 6], ["00000/img00000001.png", 9]]}`))
	f.Add([]byte(`{"labels": null}`))
	f.Add([]byte(`{"labels": [["00000/img00000000.png"], [], null]}`))
	f.Fuzz(func(t *testing.T, list []byte) {
		entries := []entry{{name: "00000/img00000000.png", label: -1}, {name: "00000/img00000001.png", label: -1}}
		if jsonLabels(entries, list) == nil {
			require.Equal(t, entries[0].label < 0, entries[1].label < 0, "labels for all or none")
		}
	})
}

func TestOnePictureIsASetOfOneImage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cat.PNG")
	var b bytes.Buffer
	require.NoError(t, png.Encode(&b, image.NewGray(image.Rect(0, 0, 4, 3))))
	require.NoError(t, os.WriteFile(path, b.Bytes(), 0o666))
	set, err := Open(path, Options{Crop: "none", Size: 4})
	require.NoError(t, err)
	defer set.Close()
	assert.Equal(t, 1, set.N)
	assert.Equal(t, []string{path}, set.Files)
}

func TestAPictureThatCannotBeReadIsNamed(t *testing.T) {
	path := filepath.Join(folder(t, map[string][]byte{"cat.png": []byte("<html>")}), "cat.png")
	_, err := Open(path, Options{})
	assert.EqualError(t, err, "data: "+path+": starts with 3c 68 74 6d: not a picture; mend or remove it")
	require.NoError(t, os.WriteFile(path, solid(t, 4, 4, 1, true), 0o666))
	assert.Equal(t, "cat.png", mustOpen(t, path, Options{}).Origin(0))
	out := filepath.Join(t.TempDir(), "cat.liebm")
	mustPrepare(t, path, out, PrepareOptions{})
	assert.Equal(t, "cat.png", mustOpen(t, out, Options{}).Origin(0))
}

func TestPicturesAreFoundBehindALink(t *testing.T) {
	dir, link := folder(t, map[string][]byte{"a/1.png": solid(t, 4, 4, 1, true), "2.png": nil}), filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink(dir, link))
	for _, path := range []string{dir, link} {
		found, err := FindPictures(path)
		require.NoError(t, err)
		assert.Equal(t, []string{filepath.Join(path, "2.png"), filepath.Join(path, "a/1.png")}, found.Files)
	}
}
