// Package twomodes is a toy data set of two kinds of images, and the counts of both kinds among samples. If a generator
// draws one kind only, its training has collapsed.
package twomodes

import (
	"math/rand/v2"

	"github.com/liebm/liebm/data"
)

const (
	// Size is the height and width of an image.
	Size = 8

	dark, bright = 64, 192 // grey levels of the two halves of an image
	noise        = 8       // largest deviation of a pixel from them

	// near is the squared distance per pixel that belongs to a mode. A grey image has a distance of 4,096 from both.
	near = 32 * 32
)

// Images returns 64 images of 8×8 pixels with a little noise. In every second one the left half is bright, in the others the
// right half.
func Images() (*data.Set, error) {
	const n = 64
	r := rand.New(rand.NewPCG(1, 0))
	pixels := make([]byte, n*Size*Size)
	for i := range pixels {
		v := dark
		if (i/(Size*Size)%2 == 0) == (i%Size < Size/2) {
			v = bright
		}
		pixels[i] = byte(v + r.IntN(2*noise+1) - noise)
	}
	set, err := data.New(data.Shape{N: n, H: Size, W: Size, C: 1}, pixels, nil)
	if err == nil {
		set.Name = "two-modes"
	}
	return set, err
}

// Counts say which modes some images show.
type Counts struct {
	Left     float64 `json:"left"`     // share of the images that show the mode with a bright left half
	Right    float64 `json:"right"`    // share of the images that show the other mode; the rest shows neither
	Distance float64 `json:"distance"` // mean over the images of the squared distance per pixel to the nearer mode, in grey levels
}

// Count compares images with the two modes. An image shows the nearer mode if its squared distance per pixel is below 1,024.
func Count(set *data.Set) (c Counts) {
	for i := range set.N {
		left, right := distances(set, i)
		switch {
		case left < min(right, near):
			c.Left++
		case right < near:
			c.Right++
		}
		c.Distance += min(left, right)
	}
	n := float64(set.N)
	return Counts{c.Left / n, c.Right / n, c.Distance / n}
}

// distances are the squared distances per pixel of image i to both modes.
func distances(set *data.Set, i int) (left, right float64) {
	image := set.Image(i)
	for j, v := range image {
		inLeft, inRight := float64(bright), float64(dark)
		if j%set.W >= set.W/2 {
			inLeft, inRight = dark, bright
		}
		left += (float64(v) - inLeft) * (float64(v) - inLeft) / float64(len(image))
		right += (float64(v) - inRight) * (float64(v) - inRight) / float64(len(image))
	}
	return left, right
}
