package train

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/torch"
)

// Open opens a split of the data in the configured size, with 1 or 3 channels. [data.HeldOut] is the split that training
// does not read. The caller closes it.
func (d DataConfig) Open(split data.Split, channels int) (*data.Set, error) {
	return d.open(channels, data.Options{Split: split, Without: d.LeaveOut})
}

// open is Open with further options.
func (d DataConfig) open(channels int, o data.Options) (*data.Set, error) {
	if d.Name == "" {
		return nil, errors.New("no images are named: give a folder or file of images, or set data.name")
	}
	o.Path, o.Size, o.Crop, o.Scale, o.RGB, o.HoldOut, o.Seed = d.Path, d.Size, d.Crop, d.Scale, channels == 3, d.HoldOut, d.SplitSeed
	set, err := data.Open(d.Name, o)
	if err != nil {
		return nil, err
	}
	if set.C != channels {
		err := fmt.Errorf("%s has %d channels, the config's networks %d", d.Name, set.C, channels)
		return nil, errors.Join(err, set.Close())
	}
	return set, nil
}

// Open opens a split of the data that the config trains on, in the size that its networks read. The
// caller closes it.
func (c Config) Open(split data.Split) (*data.Set, error) {
	return c.Data.Open(split, c.Energy.Channels)
}

// OpenLeftOut opens the held-out images of the classes that the config leaves out of training. The caller closes the set.
func (c Config) OpenLeftOut() (*data.Set, error) {
	if len(c.Data.LeaveOut) == 0 {
		return nil, errors.New("the run left no class out of training: train one with data.leave_out")
	}
	return c.Data.open(c.Energy.Channels, data.Options{Split: data.HeldOut, Only: c.Data.LeaveOut})
}

// OpenImages opens other images in the size and with the channels that the config's networks read. The
// source is a file, a folder, or a known data set with or without its split, as in cifar10:test. Arrays
// of images of another size are resized if the run's data are a known set that needs no padding, such as
// cifar10. Otherwise they are padded. Image files are resized, but those with the size of the run's data before padding are
// padded, too: an image has the same score as a file and in an array. Size, Scale, Pad and RGB come from the config, not from o.
// The caller closes the set.
func (c Config) OpenImages(source string, o data.Options) (*data.Set, error) {
	name := source
	if _, err := os.Stat(source); err != nil {
		known, split, found := strings.Cut(source, ":")
		if name = known; found {
			o.Split = data.Split(split)
		}
	}
	known, err := data.Lookup(c.Data.Name)
	o.Size, o.Scale, o.RGB = c.Data.Size, c.Data.Scale || err == nil && known.H >= c.Data.Size, c.Energy.Channels == 3
	if o.Pad = 0; c.ImageSize() < c.Data.Size {
		o.Pad = c.ImageSize()
	}
	if _, err := data.Lookup(name); err != nil && filepath.Ext(name) != ".liebm" { // that is cropped already
		o.Crop = cmp.Or(o.Crop, c.Data.Crop)
	}
	set, err := data.Open(name, o)
	if err != nil {
		return nil, err
	}
	if set.C != c.Energy.Channels {
		err := fmt.Errorf("%s: images of %d channels, where the run's networks read %d: convert them to gray", source, set.C, c.Energy.Channels)
		return nil, errors.Join(err, set.Close())
	}
	return set, nil
}

// ImageSize is the height and width of the data's images without the padding of training: 28 for
// Fashion-MNIST, which trains at 32.
func (c Config) ImageSize() int {
	if known, err := data.Lookup(c.Data.Name); err == nil && known.H < c.Data.Size && !c.Data.Scale {
		return known.H
	}
	return c.Data.Size
}

// Crop removes the padding of training: it returns the central ImageSize pixels of every image, or set
// itself where there is no padding.
func (c Config) Crop(set *data.Set) (*data.Set, error) {
	if size := c.ImageSize(); size < set.H {
		return set.Crop(size)
	}
	return set, nil
}

// crop is Crop of a tensor [n,c,h,w].
func (c Config) crop(x torch.Tensor) torch.Tensor {
	size, side := c.ImageSize(), x.Size(2)
	if size >= side {
		return x
	}
	return x.Narrow(2, (side-size)/2, size).Narrow(3, (side-size)/2, size)
}
