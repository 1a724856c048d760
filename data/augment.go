package data

import (
	"fmt"
	"math"

	"github.com/liebm/liebm/torch"
)

// Augment is the distribution V of random views (Sec. 3.1). It works on batches, on the device of the images.
// Its zero value changes nothing. [SimCLRViews] and [NoiseViews] are the paper's.
type Augment struct {
	Noise      bool       `yaml:"noise"`       // V adds noise: x·255/256 + U(0, 1/256) (Sec. 4); then the other fields of views are ignored
	JitterProb float64    `yaml:"jitter_prob"` // chance of colour jitter
	Jitter     [4]float64 `yaml:"jitter"`      // strength of brightness, contrast, saturation, hue
	GrayProb   float64    `yaml:"gray_prob"`   // chance of grayscale
	Crop       [2]float64 `yaml:"crop"`        // smallest and largest area of a crop, as shares of the image; 0, 0: no crop
	FlipProb   float64    `yaml:"flip_prob"`   // chance of a left-right flip; use 0 for digits and letters
}

// SimCLRViews is V of the official code of W-MSE, which the paper uses.
func SimCLRViews() Augment {
	return Augment{JitterProb: 0.8, Jitter: [4]float64{0.4, 0.4, 0.4, 0.1}, GrayProb: 0.1, Crop: [2]float64{0.2, 1}, FlipProb: 0.5}
}

// NoiseViews is the paper's second V: uniform noise of one grey level.
func NoiseViews() Augment { return Augment{Noise: true} }

// Validate returns an error that names the first invalid setting.
func (a Augment) Validate() error {
	for _, p := range []float64{a.JitterProb, a.GrayProb, a.FlipProb} {
		if !(p >= 0 && p <= 1) {
			return fmt.Errorf("views.jitter_prob is %v, gray_prob %v and flip_prob %v: give probabilities", a.JitterProb, a.GrayProb, a.FlipProb)
		}
	}
	for _, strength := range a.Jitter {
		if !(strength >= 0) || math.IsInf(strength, 0) || a.Jitter[3] > 0.5 {
			return fmt.Errorf("views.jitter is %v: give strengths of 0 or more; the last one, for hue, is at most 0.5", a.Jitter)
		}
	}
	if smallest, largest := a.Crop[0], a.Crop[1]; a.Crop != [2]float64{} && !(smallest > 0 && smallest <= largest && largest <= 1) {
		return fmt.Errorf("views.crop is %v: give the smallest and the largest area of a crop, such as [0.2, 1], or [0, 0] for none", a.Crop)
	}
	return nil
}

// Apply returns a random view of every image. x: [n,c,h,w] in [0,1]; the result too.
//
// It follows torchvision's transforms, with these differences. Most of them let one operator work
// on the whole batch:
//   - The order of the four jitters is drawn once per batch.
//   - The corners of a crop are real numbers. torchvision rounds them to whole pixels, and so accepts more large
//     crops of small images. With areas from 0.2 to 1, its mean area is .552 at 32×32 and .539 at 256×256. Here it is
//     .538.
//   - A bicubic kernel with a = −0.75 resizes a crop, without antialiasing. It also reads the pixels around
//     the crop. Pillow's kernel has a = −0.5.
func (a Augment) Apply(x torch.Tensor, rng *torch.RNG) torch.Tensor {
	return torch.Tidy(func() torch.Tensor {
		if a.Noise {
			u := rng.Fork("noise").UniformLike(x, 0, 1.0/256)
			return x.MulScalar(255.0 / 256).Add(u)
		}
		view := x
		if a.JitterProb > 0 {
			view = mix(view, a.jitter(view, rng.Fork("jitter")), a.JitterProb, rng.Fork("jitter chance"))
		}
		if a.GrayProb > 0 && x.Size(1) == 3 {
			view = mix(view, gray(view).Expand(-1, 3, -1, -1), a.GrayProb, rng.Fork("gray"))
		}
		if a.Crop[1] > 0 || a.FlipProb > 0 {
			view = a.crop(view, rng.Fork("crop"))
		}
		return view
	})
}

// Some replaces each image by a view of it with probability p. It augments negative samples (Sec. 3.1).
func (a Augment) Some(x torch.Tensor, p float64, rng *torch.RNG) torch.Tensor {
	if p <= 0 {
		return x
	}
	return torch.Tidy(func() torch.Tensor {
		return mix(x, a.Apply(x, rng), p, rng.Fork("replaced"))
	})
}

// mix returns the image of b with probability p, else that of a, for every image.
func mix(a, b torch.Tensor, p float64, rng *torch.RNG) torch.Tensor {
	chosen := rng.Bernoulli(p, a.Size(0), 1, 1, 1).To(torch.Bool).ToDevice(a.Device())
	return torch.Where(chosen, b, a)
}

// jitter is torchvision's ColorJitter. A gray image has no saturation and no hue to change.
func (a Augment) jitter(x torch.Tensor, rng *torch.RNG) torch.Tensor {
	n, rgb := x.Size(0), x.Size(1) == 3
	factor := func(strength float64) torch.Tensor {
		return rng.Uniform(max(0, 1-strength), 1+strength, n, 1, 1, 1).ToDevice(x.Device())
	}
	for _, kind := range torch.ToSlice[int64](rng.Perm(4)) {
		strength := a.Jitter[kind]
		if strength == 0 || (kind >= 2 && !rgb) {
			continue
		}
		switch kind {
		case 0:
			x = x.Mul(factor(strength)).Clamp(0, 1)
		case 1:
			x = blend(gray(x).MeanKeepDim(1, 2, 3), x, factor(strength))
		case 2:
			x = blend(gray(x), x, factor(strength))
		case 3:
			x = shiftHue(x, rng.Uniform(-strength, strength, n, 1, 1).ToDevice(x.Device()))
		}
	}
	return x
}

// blend is a + (b − a)·factor, clamped.
func blend(a, b, factor torch.Tensor) torch.Tensor { return a.Add(b.Sub(a).Mul(factor)).Clamp(0, 1) }

// gray is the luma of ITU-R 601: [n,3,h,w] → [n,1,h,w]. A gray image is returned as it is.
func gray(x torch.Tensor) torch.Tensor {
	if x.Size(1) == 1 {
		return x
	}
	luma := torch.FromSlice([]float32{0.299, 0.587, 0.114}, 1, 3, 1, 1).ToDevice(x.Device())
	return x.Mul(luma).SumKeepDim(1)
}

// shiftHue rotates the hue by turns: [n,1,1], in HSV as Pillow and torchvision do.
func shiftHue(x, turns torch.Tensor) torch.Tensor {
	r, g, b := x.Select(1, 0), x.Select(1, 1), x.Select(1, 2)
	value, low := x.MaxDim(1), x.MinDim(1)
	chroma := value.Sub(low)
	safe := chroma.AddScalar(1e-12)
	sector := torch.Where(r.EqualTo(value), g.Sub(b).Div(safe),
		torch.Where(g.EqualTo(value), b.Sub(r).Div(safe).AddScalar(2), r.Sub(g).Div(safe).AddScalar(4)))
	hue := sector.Add(turns.MulScalar(6)) // in sixths of a turn
	channel := func(offset float64) torch.Tensor {
		k := hue.AddScalar(offset).Remainder(6)
		ramp := k.Minimum(k.Neg().AddScalar(4)).Clamp(0, 1)
		return value.Sub(chroma.Mul(ramp))
	}
	return torch.Stack([]torch.Tensor{channel(5), channel(3), channel(1)}, 1)
}

// crop is torchvision's RandomResizedCrop, bicubic, to the image's own size, and the left-right flip.
func (a Augment) crop(x torch.Tensor, rng *torch.RNG) torch.Tensor {
	n, h, w := x.Size(0), x.Size(2), x.Size(3)
	width, height := torch.Ones([]int{n, 1}, torch.Float32), torch.Ones([]int{n, 1}, torch.Float32)
	if a.Crop[1] > 0 {
		width, height = a.boxes(n, h, w, rng)
	}
	// Positions of the output pixels' centres along one axis, in [−1,1] of the image.
	axis := func(size int, extent, start torch.Tensor) torch.Tensor {
		centres := torch.Arange(size).To(torch.Float32).AddScalar(0.5).DivScalar(float64(size))
		return centres.Mul(extent).Add(start).MulScalar(2).AddScalar(-1)
	}
	start := func(extent torch.Tensor) torch.Tensor {
		return extent.Neg().AddScalar(1).Mul(rng.Uniform(0, 1, n, 1))
	}
	across, down := axis(w, width, start(width)), axis(h, height, start(height))
	flip := rng.Bernoulli(a.FlipProb, n, 1).To(torch.Bool)
	across = torch.Where(flip, across.Flip(1), across)
	grid := torch.Stack([]torch.Tensor{
		across.Reshape(n, 1, w).Expand(n, h, w), down.Reshape(n, h, 1).Expand(n, h, w)}, 3)
	return x.Contiguous(torch.Contiguous).GridSampleBicubic(grid.ToDevice(x.Device())).Clamp(0, 1)
}

// boxes draws the sizes of crops as RandomResizedCrop does: width and height as fractions of the image's,
// [n,1] each. The area and the logarithm of the aspect ratio, 3/4 to 4/3, are uniform. The first of ten
// candidates that fits into the image is taken. If none fits, the crop is the largest with an allowed aspect
// ratio.
func (a Augment) boxes(n, h, w int, rng *torch.RNG) (width, height torch.Tensor) {
	const candidates, ratio = 10, 4.0 / 3
	shape := float64(w) / float64(h)
	areas := rng.Uniform(a.Crop[0], a.Crop[1], n, candidates, 1) // images first: see torch.RNG.Share
	ratios := rng.Uniform(-math.Log(ratio), math.Log(ratio), n, candidates, 1).Exp().DivScalar(shape)
	widths, heights := areas.Mul(ratios).Sqrt(), areas.Div(ratios).Sqrt()
	fits := widths.OnesLike().GreaterEqual(widths.Maximum(heights))
	width = torch.Full([]int{n, 1}, min(1, ratio/shape), torch.Float32)
	height = torch.Full([]int{n, 1}, min(1, ratio*shape), torch.Float32)
	for k := candidates - 1; k >= 0; k-- {
		fit := fits.Select(1, k)
		width, height = torch.Where(fit, widths.Select(1, k), width), torch.Where(fit, heights.Select(1, k), height)
	}
	return width, height
}

// Floats returns n images of h×w×c bytes as [n,c,h,w] float32 in [0,1], channels last in memory.
func Floats(pixels []byte, n, h, w, c int) torch.Tensor {
	return torch.Tidy(func() torch.Tensor {
		return torch.FromBytes(pixels, torch.Uint8, n, h, w, c).Permute(0, 3, 1, 2).To(torch.Float32).DivScalar(255)
	})
}

// Bytes is the inverse of Floats: [n,c,h,w] in [0,1] → n images of h×w×c bytes, rounded to the nearest level.
func Bytes(x torch.Tensor) []byte {
	var out []byte
	torch.Tidy(func() torch.Tensor {
		q := x.Detach().Clamp(0, 1).MulScalar(255).AddScalar(0.5).To(torch.Uint8) // truncates
		out = q.Permute(0, 2, 3, 1).Bytes()
		return torch.Tensor{}
	})
	return out
}
