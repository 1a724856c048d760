package data

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestOpenCIFAR(t *testing.T) {
	binary10 := map[string][]byte{
		"cifar-10-batches-bin/data_batch_1.bin":     cifarBinary(4, 1, 10),
		"cifar-10-batches-bin/data_batch_2.bin":     cifarBinary(4, 2, 10),
		"cifar-10-batches-bin/test_batch.bin":       cifarBinary(3, 6, 10),
		"cifar-10-batches-bin/batches.meta.txt":     []byte("airplane\n"),
		"cifar-10-batches-bin/readme.html":          []byte("<html>"),
		"cifar-10-batches-bin/._data_batch_1.bin":   []byte("left by a file manager"),
		"cifar-10-batches-bin/unrelated/model.bin":  []byte("weights"),
		"cifar-10-batches-bin/unrelated/train.yaml": []byte("steps: 3"),
		"cifar-10-batches-bin/unrelated/model.pkl":  []byte("\x80\x02cos\nsystem\n."),
		"cifar-10-batches-bin/unrelated/more.tgz":   gzipped(t, tarred(t, folder(t, map[string][]byte{"data_batch_3.bin": cifarBinary(1, 3, 10)}))),
	}
	binary100 := map[string][]byte{
		"cifar-100-binary/train.bin":            cifarBinary(3, 1, 100),
		"cifar-100-binary/test.bin":             cifarBinary(3, 6, 100),
		"cifar-100-binary/fine_label_names.txt": []byte("apple\n"),
	}
	for name, c := range map[string]struct {
		files   map[string][]byte
		name    string
		classes int
		train   []int // rows of each batch
	}{
		"binary 10":  {binary10, "cifar10", 10, []int{4, 4}},
		"python 10":  {testdata(t, "cifar-10-batches-py"), "cifar10", 10, []int{4, 4}},
		"binary 100": {binary100, "cifar100", 100, []int{3}},
		"python 100": {testdata(t, "cifar-100-python"), "cifar100", 100, []int{3}},
	} {
		dir := folder(t, c.files)
		archive := gzipped(t, tarred(t, dir))
		inArchive := folder(t, map[string][]byte{"any.tar.gz": archive})
		for form, path := range map[string]string{
			"folder":           dir,
			"tar.gz":           filepath.Join(inArchive, "any.tar.gz"),
			"folder of tar.gz": inArchive,
		} {
			t.Run(name+", "+form, func(t *testing.T) {
				train := mustOpen(t, path, Options{Split: Train})
				assert.Equal(t, c.name, train.Name)
				assert.Len(t, train.Classes, c.classes)
				assert.Len(t, train.Files, len(c.train))
				first := 0
				for b, n := range c.train {
					requireCIFAR(t, train, first, n, b+1, c.classes)
					first += n
				}
				require.Equal(t, first, train.N)

				test := mustOpen(t, path, Options{Split: Test})
				require.Equal(t, 3, test.N)
				requireCIFAR(t, test, 0, 3, 6, c.classes)
				assert.Equal(t, Test, test.Split)
			})
		}
	}
}

func TestOpenPickleOfAnyPython(t *testing.T) {
	for _, name := range []string{"protocol2", "protocol3", "fortran"} {
		t.Run(name, func(t *testing.T) {
			set := mustOpen(t, filepath.Join("testdata/py3", name), Options{})
			require.Equal(t, 4, set.N)
			requireCIFAR(t, set, 0, 4, 1, 10)
			assert.Equal(t, Train, set.Split, "from batch_label: the name does not say")
		})
	}
	t.Run("batch_label overrules the name", func(t *testing.T) {
		dir := folder(t, map[string][]byte{"test_batch": testdata(t, "cifar-10-batches-py")["cifar-10-batches-py/data_batch_1"]})
		_, err := Open(dir, Options{Split: Test})
		require.ErrorContains(t, err, "test_batch (train)")
	})
}

func TestOpenCIFARRefuses(t *testing.T) {
	good := cifarBinary(3, 1, 10)
	label := cifarBinary(3, 1, 10)
	label[cifarRow+1] = 200
	both := testdata(t, "cifar-10-batches-py")
	both["bin/data_batch_1.bin"] = good
	archive := gzipped(t, tarred(t, folder(t, map[string][]byte{"data_batch_1.bin": good})))
	for name, c := range map[string]struct {
		files map[string][]byte
		want  []string
	}{
		"cut short":          {map[string][]byte{"data_batch_1.bin": good[:5000]}, []string{"data_batch_1.bin", "5000 bytes", "3073", "3074", "fetch it again"}},
		"empty":              {map[string][]byte{"data_batch_1.bin": {}}, []string{"0 bytes", "fetch it again"}},
		"impossible label":   {map[string][]byte{"data_batch_1.bin": label}, []string{"row 1", "label 200", "0…9"}},
		"no pickle":          {map[string][]byte{"data_batch_1": []byte("<html>")}, []string{"data_batch_1", "3c 68 74 6d", "80 02"}},
		"two forms at once":  {both, []string{"both", "data_batch_1", "one of them"}},
		"archive cut short":  {map[string][]byte{"x.tar.gz": archive[:len(archive)/2]}, []string{"x.tar.gz", "cut short"}},
		"archive, last byte": {map[string][]byte{"x.tar.gz": archive[:len(archive)-1]}, []string{"x.tar.gz", "cut short"}},
		"two archives":       {map[string][]byte{"x.tar.gz": archive, "y.tar.gz": archive}, []string{"both", "x.tar.gz", "y.tar.gz"}},
		"CIFAR and IDX": {map[string][]byte{"data_batch_1.bin": good, trainImages: idx(ramp(12), 1, 4, 3)},
			[]string{"both", trainImages, "data_batch_1.bin"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Open(folder(t, c.files), Options{})
			require.Error(t, err)
			for _, want := range c.want {
				assert.Contains(t, err.Error(), want)
			}
		})
	}
}

func FuzzCIFARBinary(f *testing.F) {
	f.Add(cifarBinary(1, 1, 10))
	f.Add(cifarBinary(1, 1, 100))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := parseCIFARBinary(b)
		if err != nil {
			require.Nil(t, p)
			return
		}
		require.Len(t, p.pixels, p.N*cifarRow)
		require.Len(t, p.Labels, p.N)
		for i, l := range p.Labels {
			require.True(t, l >= 0 && l < 100)
			for c := range 3 { // the first pixel of each plane is found again
				stride := len(b) / p.N
				require.Equal(t, b[i*stride+stride-cifarRow+c*cifarPlane], p.pixels[i*cifarRow+c])
			}
		}
	})
}
