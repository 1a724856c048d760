package data

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Known describes a published data set: its usual places, its contents, and its source.
type Known struct {
	Name         string // what Open calls it
	Title        string
	H, W, C      int // as published; photographs are opened at any size
	Train, Test  int // numbers of images; 0: no such split
	Valid, Extra int
	Classes      []string
	URL          string
	Package      string // name of its Debian package, or ""
	Hub          string // its name on the Hugging Face hub, or ""
	Downloads    []Download

	stacked  string   // three images of this set are the channels of an image: see stack
	glyphs   bool     // digits, which have a left and a right
	photos   bool     // files of one image each, resized when they are read
	inOrder  bool     // see divide
	crop     string   // default of Options.Crop
	places   []string // paths below a root: see Locate
	fileSets [][]file // the sets of files in which it is published
}

// Count is the published number of images of a split; 0 if the set has no such split.
func (k Known) Count(s Split) int {
	return map[Split]int{Train: k.Train, Test: k.Test, Valid: k.Valid, Extra: k.Extra}[s]
}

// Splits lists the splits of the set.
func (k Known) Splits() (splits []Split) {
	for _, s := range []Split{Train, Valid, Test, Extra} {
		if k.Count(s) > 0 {
			splits = append(splits, s)
		}
	}
	return splits
}

// A file has a SHA-256 or an MD5: of its decompressed contents, or of the file itself if packed.
type file struct {
	name, sha256, md5 string
	packed            bool
}

// Root is the folder of installed data sets. If the environment variable LIEBM_DATA names a folder, liebm looks there first.
const Root = "/usr/share/datasets"

func known() []Known {
	return []Known{cifar10(), cifar100(), fashionMNIST(), mnist(), stackedFashion(), svhn10(), imageNet32(), celebA(), celebAHQ()}
}

// Names lists the known sets.
func Names() (names []string) {
	for _, k := range known() {
		names = append(names, k.Name)
	}
	return names
}

// Lookup finds a known set by name.
func Lookup(name string) (Known, error) {
	for _, k := range known() {
		if k.Name == name {
			return k, nil
		}
	}
	return Known{}, fmt.Errorf("data: unknown data set %q; known are %s", name, strings.Join(Names(), ", "))
}

// Locate returns path, or if it is empty the first usual place that exists, below $LIEBM_DATA or below Root. The error
// names all these places and says where to get the set.
func (k Known) Locate(path string) (string, error) {
	looked := []string{path}
	if path == "" {
		looked = nil
		for _, root := range []string{os.Getenv("LIEBM_DATA"), Root} {
			for _, place := range k.places {
				if root != "" {
					looked = append(looked, filepath.Join(root, place))
				}
			}
		}
	}
	for _, p := range looked {
		if _, err := os.Stat(p); err == nil {
			return p, nil
		}
	}
	remedy := "fetch it from " + k.URL
	if k.Package != "" {
		remedy = fmt.Sprintf("install it with apt install %s, or fetch it from %s", k.Package, k.URL)
	}
	if path == "" {
		remedy += fmt.Sprintf(" into $LIEBM_DATA/%s", k.places[0])
	}
	return "", fmt.Errorf("%s (%s): looked at %s: %w; %s", k.Title, k.Name, strings.Join(looked, ", "), fs.ErrNotExist, remedy)
}

// check compares a set that was read with the split of the published one.
func (k Known) check(s *Set) error {
	want := Shape{k.Count(s.Split), k.H, k.W, k.C}
	if k.photos || s.record != nil {
		want.H, want.W, want.C = s.H, s.W, s.C
	}
	want.N -= len(s.Skipped)
	if s.Shape != want {
		return fmt.Errorf("%v %s images, but %s has %v%s; fetch it from %s, or open it by its path alone", s.Shape, s.Split, k.Title, want, k.hint(), k.URL)
	}
	if s.Labels == nil && k.Classes != nil {
		return fmt.Errorf("%s images without labels, but %s has them; fetch it from %s", s.Split, k.Title, k.URL)
	}
	if s.Name != "" && s.Name != k.Name && slices.Contains(Names(), s.Name) {
		return fmt.Errorf("these are the images of %s, not of %s; open them as %q", s.Name, k.Title, s.Name)
	}
	return nil
}

// divide returns the images of split of a set without files or folders that tell the splits. Of all published images,
// sorted by name, the first k.Train are for training and the rest for validation. If the set is not such a set, or the
// entries are not all of its images, divide returns all entries and no split.
func (k Known) divide(entries []entry, split Split) ([]entry, Split) {
	if !k.inOrder || len(entries) != k.Train+k.Valid {
		return entries, ""
	}
	if split == Valid {
		return entries[k.Train:], Valid
	}
	return entries[:k.Train], Train
}

// checkStream is check for a set that will be prepared. If the number of images is not known yet, check compares it when
// the file is opened.
func (k Known) checkStream(f *stream, split Split) error {
	if f.total > 0 && f.total != k.Count(split) {
		return fmt.Errorf("%d %s images, but %s has %d%s; fetch it from %s, or prepare it by its path alone", f.total, split, k.Title, k.Count(split), k.hint(), k.URL)
	}
	if f.name != k.Name && slices.Contains(Names(), f.name) {
		return fmt.Errorf("these are the images of %s, not of %s; prepare them as %q", f.name, k.Title, f.name)
	}
	return nil
}

// hint names the file that is missing most often.
func (k Known) hint() string {
	if k.Name == "celeba" {
		return " by the list_eval_partition.txt beside them"
	}
	return ""
}

// identify recognises a known IDX set by the checksum of its file of labels, which is small.
func identify(labels []int32) (Known, bool) {
	idx := binary.BigEndian.AppendUint32([]byte{0, 0, 8, 1}, uint32(len(labels)))
	for _, v := range labels {
		idx = append(idx, byte(v))
	}
	sum := fmt.Sprintf("%x", sha256.Sum256(idx))
	for _, k := range known() {
		if slices.ContainsFunc(slices.Concat(k.fileSets...), func(f file) bool { return f.sha256 == sum }) {
			return k, true
		}
	}
	return Known{}, false
}

const fashionURL = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"

func fashionMNIST() Known {
	return Known{
		Name: "fmnist", Title: "Fashion-MNIST", H: 28, W: 28, C: 1, Train: 60000, Test: 10000,
		URL: fashionURL, Package: "dataset-fashion-mnist", Hub: "zalando-datasets/fashion_mnist",
		Classes: []string{"T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"},
		Downloads: []Download{
			{URL: fashionURL + "train-images-idx3-ubyte.gz", Size: 26421880, SHA256: "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"},
			{URL: fashionURL + "train-labels-idx1-ubyte.gz", Size: 29515, SHA256: "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"},
			{URL: fashionURL + "t10k-images-idx3-ubyte.gz", Size: 4422102, SHA256: "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"},
			{URL: fashionURL + "t10k-labels-idx1-ubyte.gz", Size: 5148, SHA256: "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"},
		},
		places: []string{"fashion-mnist", "fmnist", "FashionMNIST/raw"},
		fileSets: [][]file{{
			{name: "train-images-idx3-ubyte", sha256: "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"},
			{name: "train-labels-idx1-ubyte", sha256: "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"},
			{name: "t10k-images-idx3-ubyte", sha256: "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"},
			{name: "t10k-labels-idx1-ubyte", sha256: "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"},
		}},
	}
}

// stackedFashion is to Fashion-MNIST what the benchmark Stacked MNIST is to MNIST: a set of 1,000 classes, to count the
// modes that a generator covers.
func stackedFashion() Known {
	k := fashionMNIST()
	k.Name, k.Title, k.C, k.Classes, k.Hub, k.stacked = "stacked-fmnist", "Stacked Fashion-MNIST", 3, nil, "", k.Name
	return k
}

func mnist() Known {
	return Known{
		Name: "mnist", Title: "MNIST", H: 28, W: 28, C: 1, Train: 60000, Test: 10000, glyphs: true,
		URL: "https://ossci-datasets.s3.amazonaws.com/mnist/", Hub: "ylecun/mnist",
		Classes: strings.Split("0123456789", ""),
		places:  []string{"mnist", "MNIST/raw"},
		fileSets: [][]file{{
			{name: "train-images-idx3-ubyte", sha256: "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"},
			{name: "train-labels-idx1-ubyte", sha256: "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"},
			{name: "t10k-images-idx3-ubyte", sha256: "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"},
			{name: "t10k-labels-idx1-ubyte", sha256: "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"},
		}},
	}
}

func cifar10() Known {
	binary := Download{URL: "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz", Size: 170052171,
		SHA256: "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"}
	return Known{
		Name: "cifar10", Title: "CIFAR-10", H: 32, W: 32, C: 3, Train: 50000, Test: 10000,
		URL: binary.URL, Hub: "uoft-cs/cifar10", Downloads: []Download{binary},
		Classes: []string{"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"},
		places: []string{"cifar-10-batches-bin", "cifar-10-batches-py", "cifar-10-binary.tar.gz",
			"cifar-10-python.tar.gz", "cifar10", "cifar-10"},
		fileSets: [][]file{
			{binary.published()},
			{{name: "cifar-10-python.tar.gz", md5: "c58f30108f718f92721af3b95e74349a", packed: true}},
			{
				{name: "data_batch_1", md5: "c99cafc152244af753f735de768cd75f"},
				{name: "data_batch_2", md5: "d4bba439e000b95fd0a9bffe97cbabec"},
				{name: "data_batch_3", md5: "54ebc095f3ab1f0389bbae665268c751"},
				{name: "data_batch_4", md5: "634d18415352ddfa80567beed471001a"},
				{name: "data_batch_5", md5: "482c414d41f54cd18b22e5b47cb7c3cb"},
				{name: "test_batch", md5: "40351d587109b95175f43aff81a1287e"},
			},
		},
	}
}

func cifar100() Known {
	binary := Download{URL: "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz", Size: 168513733,
		SHA256: "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec"}
	return Known{
		Name: "cifar100", Title: "CIFAR-100", H: 32, W: 32, C: 3, Train: 50000, Test: 10000,
		URL: binary.URL, Hub: "uoft-cs/cifar100", Downloads: []Download{binary},
		Classes: strings.Fields(`apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus
			butterfly camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup
			dinosaur dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion
			lizard lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear
			pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark
			shrew skunk skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone
			television tiger tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm`),
		places: []string{"cifar-100-binary", "cifar-100-python", "cifar-100-binary.tar.gz",
			"cifar-100-python.tar.gz", "cifar100", "cifar-100"},
		fileSets: [][]file{
			{binary.published()},
			{{name: "cifar-100-python.tar.gz", md5: "eb9058c3a382ffc7106e4002c42a8d85", packed: true}},
			{
				{name: "train", md5: "16019d7e3df5f24257cddd939b257f8d"},
				{name: "test", md5: "f0ef6b0ae62326f3e7ffdfab6717acfc"},
			},
		},
	}
}
