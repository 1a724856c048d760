package data

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/torchtest"
)

// pixelSums allows for a few float32 roundings of numbers up to 2.
const pixelSums = 1e-6

// luma allows for torchvision's weight of red, 0.2989, where ITU-R 601, PIL and we have 0.299: at
// most 1e-4 of gray, which blending by a factor of 2 or 0 passes on once.
const luma = 1.1e-4

func TestColoursMatchTorchvision(t *testing.T) {
	golden := torchtest.Load(t, "testdata/augment.npz")
	torchtest.Scope(t, func() {
		x, factors := golden.Tensor("x"), golden.Tensor("factors").Reshape(8, 1, 1, 1)
		black := torch.Zeros([]int{1}, torch.Float32)
		torchtest.InDelta(t, golden.Tensor("brightness"), blend(black, x, factors), pixelSums)
		torchtest.InDelta(t, golden.Tensor("grayscale"), gray(x), luma)
		torchtest.InDelta(t, golden.Tensor("contrast"), blend(gray(x).MeanKeepDim(1, 2, 3), x, factors), luma)
		torchtest.InDelta(t, golden.Tensor("saturation"), blend(gray(x), x, factors), luma)
		torchtest.InDelta(t, golden.Tensor("hue"), shiftHue(x, golden.Tensor("turns").Reshape(8, 1, 1)), pixelSums)
		one := x.Narrow(1, 0, 1)
		torchtest.InDelta(t, golden.Tensor("gray_contrast"), blend(gray(one).MeanKeepDim(1, 2, 3), one, factors), pixelSums)
	})
}

func TestHueTurns(t *testing.T) {
	torchtest.Scope(t, func() {
		x := torch.NewRNG(1, 0, "x").Uniform(0, 1, 4, 3, 5, 5)
		turn := func(x torch.Tensor, by float64) torch.Tensor {
			return shiftHue(x, torch.Full([]int{4, 1, 1}, by, torch.Float32))
		}
		torchtest.InDelta(t, x, turn(x, 0), pixelSums)
		torchtest.InDelta(t, x, turn(x, 1), 4e-6) // a hue of 6 sixths has float32 steps of 5e-7
		torchtest.InDelta(t, x, turn(turn(x, 0.3), -0.3), 4e-6)
		rotated := torch.Cat([]torch.Tensor{x.Narrow(1, 2, 1), x.Narrow(1, 0, 2)}, 1) // red → green → blue
		torchtest.InDelta(t, rotated, turn(x, 1.0/3), 4e-6)
		grey := x.Narrow(1, 0, 1).Expand(-1, 3, -1, -1)
		assert.True(t, grey.Equal(turn(grey, 0.123)), "gray has no hue to turn, to the last bit")
	})
}

// TestJitterAppliesTheFourInTheOrderDrawn draws what jitter will draw, from the same source.
func TestJitterAppliesTheFourInTheOrderDrawn(t *testing.T) {
	const n = 6
	strength := [4]float64{0.4, 0.5, 0.6, 0.1}
	orders := map[string]bool{}
	for step := range 8 {
		torchtest.Run(t, fmt.Sprint(step), func(t *testing.T) {
			x := torch.NewRNG(1, step, "x").Uniform(0, 1, n, 3, 5, 5)
			rng := torch.NewRNG(1, step, "jitter")
			order := torch.ToSlice[int64](rng.Perm(4))
			orders[fmt.Sprint(order)] = true
			want := x
			for _, kind := range order {
				if kind == 3 {
					want = shiftHue(want, rng.Uniform(-strength[3], strength[3], n, 1, 1))
					continue
				}
				towards := []torch.Tensor{torch.Zeros([]int{1}, torch.Float32), gray(want).MeanKeepDim(1, 2, 3), gray(want)}[kind]
				want = blend(towards, want, rng.Uniform(1-strength[kind], 1+strength[kind], n, 1, 1, 1))
			}
			got := Augment{Jitter: strength}.jitter(x, torch.NewRNG(1, step, "jitter"))
			torchtest.InDelta(t, want, got, pixelSums)
			assert.False(t, got.Equal(x))
		})
	}
	assert.Greater(t, len(orders), 3, "orders differ between batches")
}

// bicubic resamples the box (top, left, height, width, in pixels) of one channel of h×w pixels back
// to h×w: Keys' kernel with a = −0.75, pixel centres at halves, and no pixel from outside lim (rows
// from, to, columns from, to).
func bicubic(pixels []float64, h, w int, box [4]float64, lim [4]int) []float64 {
	keys := func(d float64) float64 {
		const a = -0.75
		switch d = math.Abs(d); {
		case d < 1:
			return (a+2)*d*d*d - (a+3)*d*d + 1
		case d < 2:
			return a*d*d*d - 5*a*d*d + 8*a*d - 4*a
		}
		return 0
	}
	out := make([]float64, h*w)
	for i := range h {
		for j := range w {
			y, x := box[0]+(float64(i)+0.5)*box[2]/float64(h)-0.5, box[1]+(float64(j)+0.5)*box[3]/float64(w)-0.5
			for dy := -1; dy <= 2; dy++ {
				for dx := -1; dx <= 2; dx++ {
					r, c := int(math.Floor(y))+dy, int(math.Floor(x))+dx
					weight := keys(y-float64(r)) * keys(x-float64(c))
					out[i*w+j] += weight * pixels[min(max(r, lim[0]), lim[1]-1)*w+min(max(c, lim[2]), lim[3]-1)]
				}
			}
		}
	}
	return out
}

// TestBicubicReference checks the reference of the next test against torchvision's resized_crop,
// which sees no pixel outside the crop.
func TestBicubicReference(t *testing.T) {
	golden := torchtest.Load(t, "testdata/augment.npz")
	torchtest.Scope(t, func() {
		big, boxes, crops := golden.Tensor("big").Float64s(), golden.Tensor("boxes").Float64s(), golden.Tensor("crops").Float64s()
		const h, w = 10, 8
		for i := range len(boxes) / 4 {
			b := boxes[4*i : 4*i+4]
			for c := range 2 {
				lim := [4]int{int(b[0]), int(b[0] + b[2]), int(b[1]), int(b[1] + b[3])}
				got := bicubic(big[c*h*w:(c+1)*h*w], h, w, [4]float64(b), lim)
				assert.InDeltaSlice(t, crops[(2*i+c)*h*w:(2*i+c+1)*h*w], got, 2e-6, "box %v: sixteen float32 products", b)
			}
		}
	})
}

func TestCropIsBicubicOfTheBoxDrawn(t *testing.T) {
	const n, h, w = 12, 10, 8
	torchtest.Scope(t, func() {
		x := torch.NewRNG(1, 0, "x").Uniform(0, 1, n, 2, h, w)
		a := Augment{Crop: [2]float64{0.2, 1}, FlipProb: 0.5}
		got := a.crop(x, torch.NewRNG(1, 0, "crop")).Float64s()

		rng := torch.NewRNG(1, 0, "crop")
		widths, heights := a.boxes(n, h, w, rng)
		width, height := widths.Float64s(), heights.Float64s()
		left, top := rng.Uniform(0, 1, n, 1).Float64s(), rng.Uniform(0, 1, n, 1).Float64s()
		flip := rng.Bernoulli(0.5, n, 1).Float64s()
		pixels := x.Float64s()
		for i := range n {
			box := [4]float64{top[i] * (1 - height[i]) * h, left[i] * (1 - width[i]) * w, height[i] * h, width[i] * w}
			for c := range 2 {
				at := (2*i + c) * h * w
				want := bicubic(pixels[at:at+h*w], h, w, box, [4]int{0, h, 0, w})
				for p := range want {
					row, col := p/w, p%w
					if flip[i] == 1 {
						col = w - 1 - col
					}
					// A float32 position near 10 is off by 1e-6, and the image's slope reaches 2 a pixel.
					require.InDelta(t, min(max(want[p], 0), 1), got[at+row*w+col], 1e-5, "image %d, channel %d, pixel %d", i, c, p)
				}
			}
		}
	})
}

// TestCropsAreDistributedAsAsked reads the boxes off the views of two ramps, across and down.
func TestCropsAreDistributedAsAsked(t *testing.T) {
	const n, size = 400, 32
	torchtest.Scope(t, func() {
		ramp := torch.Arange(size).To(torch.Float32).MulScalar(1 / float64(size-1)) // pixel j is j/31
		x := torch.Stack([]torch.Tensor{ramp.Reshape(1, size).Expand(size, size), ramp.Reshape(size, 1).Expand(size, size)}, 0).
			Unsqueeze(0).Expand(n, 2, size, size)
		v := Augment{Crop: [2]float64{0.2, 1}, FlipProb: 0.25}.Apply(x, torch.NewRNG(3, 0, "views")).Float64s()
		// Away from the border the view is a ramp again, but for the kernel's ripple of 0.05 pixels.
		const from, to = 8, 23
		flips, small := 0, 0
		for i := range n {
			at := func(c, row, col int) float64 { return v[((i*2+c)*size+row)*size+col] * (size - 1) }
			width := (at(0, 16, to) - at(0, 16, from)) / (to - from) // in pixels a pixel: the fraction of the image
			height := (at(1, to, 16) - at(1, from, 16)) / (to - from)
			if width < 0 {
				flips++
				width = -width
			}
			require.InDelta(t, 0.6, width*height, 0.42, "area in [0.2, 1]")
			require.LessOrEqual(t, max(width, height), 1.01)
			require.Less(t, math.Abs(math.Log(width/height)), math.Log(4.0/3)+0.03, "aspect ratio in [3/4, 4/3]")
			if width*height < 0.6 {
				small++
			}
		}
		assert.InDelta(t, 0.25*n, flips, 4*math.Sqrt(n*0.25*0.75), "flips: binomial, four sigma")
		// Large boxes fit less often, so more than half lie below the middle.
		assert.Greater(t, float64(small), n/2-4*math.Sqrt(n/4.0))
	})
}

// TestBoxesAreThoseOfRandomResizedCrop compares with the rule of torchvision's get_params: draw again what
// leaves the image, at most ten times. With area s and |log ratio| u, a box fits a square if s ≤ exp(−u), so
// the mean area of those that fit is E[(exp(−2u) − 0.04)/1.6] / E[(exp(−u) − 0.2)/0.8] = 0.5384.
func TestBoxesAreThoseOfRandomResizedCrop(t *testing.T) {
	torchtest.Scope(t, func() {
		const n, limit = 20_000, 4.0 / 3
		a := Augment{Crop: [2]float64{0.2, 1}}
		for name, c := range map[string]struct {
			h, w int
			mean float64 // 0: not known
		}{"square": {32, 32, 0.5384}, "wide": {30, 40, 0}} {
			widths, heights := a.boxes(n, c.h, c.w, torch.NewRNG(1, 0, "boxes"))
			areas := widths.Mul(heights)
			assert.LessOrEqual(t, widths.Maximum(heights).Max().Item(), 1.0, name)
			for i, v := range areas.Float64s() {
				require.InDelta(t, 0.6, v, 0.4+1e-6, "%s: area in [0.2, 1]", name)
				ratio := widths.Select(0, i).Item() / heights.Select(0, i).Item() * float64(c.w) / float64(c.h)
				require.InDelta(t, 0, math.Log(ratio), math.Log(limit)+1e-6, "%s: aspect ratio in pixels", name)
				if i > 200 {
					break
				}
			}
			if c.mean > 0 {
				assert.InDelta(t, c.mean, areas.Mean().Item(), 4*0.22/math.Sqrt(n), "%s: four standard errors", name)
			}
		}
		whole := Augment{Crop: [2]float64{1, 1}}
		width, height := whole.boxes(50, 32, 32, torch.NewRNG(1, 0, "boxes"))
		assert.Equal(t, []float64{1, 1}, []float64{width.Min().Item(), height.Min().Item()}, "no candidate fits: all of a square")
		width, height = whole.boxes(50, 30, 60, torch.NewRNG(1, 0, "boxes"))
		assert.InDelta(t, 2.0/3, width.Min().Item(), 1e-6, "no candidate fits: 40 of 60 columns")
		assert.Equal(t, 1.0, height.Min().Item())
	})
}

func TestFlipAloneMovesPixelsAndNothingElse(t *testing.T) {
	golden := torchtest.Load(t, "testdata/augment.npz")
	torchtest.Scope(t, func() {
		x := golden.Tensor("big")
		torchtest.InDelta(t, golden.Tensor("flipped"), Augment{FlipProb: 1}.Apply(x, torch.NewRNG(1, 0, "v")), pixelSums*10) // positions rounded as in a crop
		torchtest.InDelta(t, x, Augment{FlipProb: 1e-9}.Apply(x, torch.NewRNG(1, 0, "v")), pixelSums*10)
	})
}

func TestZeroAugmentChangesNothing(t *testing.T) {
	torchtest.Scope(t, func() {
		x := torch.NewRNG(1, 0, "x").Uniform(0, 1, 4, 3, 8, 8)
		assert.True(t, x.Equal(Augment{}.Apply(x, torch.NewRNG(1, 0, "v"))))
		assert.True(t, x.Equal(Augment{Jitter: [4]float64{1, 1, 1, 0.5}}.Apply(x, torch.NewRNG(1, 0, "v"))), "strengths without a chance")
		assert.True(t, x.Equal(Augment{JitterProb: 1}.Apply(x, torch.NewRNG(1, 0, "v"))), "a chance without strengths")
	})
}

func TestViewsAreNamedByTheirRNG(t *testing.T) {
	torchtest.Scope(t, func() {
		x := torch.NewRNG(1, 0, "x").Uniform(0, 1, 4, 3, 8, 8)
		for name, a := range map[string]Augment{"SimCLR": SimCLRViews(), "noise": NoiseViews()} {
			view := a.Apply(x, torch.NewRNG(1, 0, "v"))
			assert.True(t, view.Equal(a.Apply(x, torch.NewRNG(1, 0, "v"))), name)
			assert.False(t, view.Equal(a.Apply(x, torch.NewRNG(1, 1, "v"))), name)
		}
	})
}

func TestViewsStayInRangeAndShape(t *testing.T) {
	for name, channels := range map[string]int{"colour": 3, "gray": 1} {
		torchtest.Run(t, name, func(t *testing.T) {
			strong := Augment{JitterProb: 1, Jitter: [4]float64{1, 1, 1, 0.5}, GrayProb: 0.5, Crop: [2]float64{0.01, 1}, FlipProb: 0.5}
			rng := torch.NewRNG(1, 0, "x")
			x := torch.Cat([]torch.Tensor{rng.Uniform(0, 1, 30, channels, 9, 7), rng.Bernoulli(0.5, 30, channels, 9, 7)}, 0).Contiguous(torch.ChannelsLast)
			copied := x.Clone()
			for view, a := range map[string]Augment{"SimCLR": SimCLRViews(), "strong": strong, "noise": NoiseViews()} {
				before := torch.Live()
				v := a.Apply(x, torch.NewRNG(1, 0, "v")).AssertShape(60, channels, 9, 7)
				assert.Equal(t, before+1, torch.Live(), "only the view is left")
				assert.GreaterOrEqual(t, v.Min().Item(), 0.0, view)
				assert.LessOrEqual(t, v.Max().Item(), 1.0, view)
			}
			assert.True(t, copied.Equal(x), "the images themselves are not touched")
		})
	}
}

// changed counts the images of v that differ from x's.
func changed(x, v torch.Tensor) int {
	n, d := 0, v.Sub(x).Abs().MaxDim(1, 2, 3).Float64s()
	for _, m := range d {
		if m > 0 {
			n++
		}
	}
	return n
}

func TestChancesAreAsAsked(t *testing.T) {
	const n = 2000
	torchtest.Scope(t, func() {
		x := torch.NewRNG(1, 0, "x").Uniform(0.3, 0.7, n, 3, 4, 4)
		rng := torch.NewRNG(2, 0, "v")
		for name, c := range map[string]struct {
			p    float64
			view torch.Tensor
		}{
			"jitter":   {0.8, Augment{JitterProb: 0.8, Jitter: [4]float64{0.4, 0, 0, 0}}.Apply(x, rng)},
			"gray":     {0.1, Augment{GrayProb: 0.1}.Apply(x, rng)},
			"replaced": {0.1, NoiseViews().Some(x, 0.1, rng)},
			"never":    {0, NoiseViews().Some(x, 0, rng)},
			"always":   {1, NoiseViews().Some(x, 1, rng)},
		} {
			assert.InDelta(t, c.p*n, changed(x, c.view), 4*math.Sqrt(n*c.p*(1-c.p)), "%s: binomial, four sigma", name)
		}
	})
}

func TestSomeReplacesWholeImagesByTheirViews(t *testing.T) {
	const n = 40
	torchtest.Scope(t, func() {
		x := torch.NewRNG(1, 0, "x").Uniform(0, 1, n, 3, 8, 8)
		view := SimCLRViews().Apply(x, torch.NewRNG(2, 0, "v"))
		got := SimCLRViews().Some(x, 0.5, torch.NewRNG(2, 0, "v"))
		replaced := 0
		for i := range n {
			kept := got.Select(0, i).Equal(x.Select(0, i))
			viewed := got.Select(0, i).Equal(view.Select(0, i))
			assert.True(t, kept != viewed, "image %d is itself or its view", i)
			if viewed {
				replaced++
			}
		}
		assert.InDelta(t, n/2, replaced, 4*math.Sqrt(n/4.0))
	})
}

func TestGrayImagesHaveNoSaturationHueOrGrayscale(t *testing.T) {
	torchtest.Scope(t, func() {
		one := torch.NewRNG(1, 0, "x").Uniform(0, 1, 6, 1, 5, 5)
		colours := Augment{JitterProb: 1, Jitter: [4]float64{0, 0, 0.9, 0.5}, GrayProb: 1}
		assert.True(t, one.Equal(colours.Apply(one, torch.NewRNG(1, 0, "v"))), "one channel")
		three := one.Expand(-1, 3, -1, -1)
		torchtest.InDelta(t, three, colours.Apply(three, torch.NewRNG(1, 0, "v")), pixelSums) // the luma weights sum to 1 but for rounding
	})
}

func TestNoiseStaysWithinItsLevel(t *testing.T) {
	torchtest.Scope(t, func() {
		levels := make([]byte, 256)
		for i := range levels {
			levels[i] = byte(i)
		}
		x := Floats(levels, 1, 16, 16, 1).Expand(200, 1, 16, 16)
		v := NoiseViews().Apply(x, torch.NewRNG(1, 0, "v")).MulScalar(256)
		u := v.Sub(x.MulScalar(255)) // U(0, 1) if each grey level got noise of its own width
		assert.GreaterOrEqual(t, u.Min().Item(), -1e-4, "float32 steps near 256 are 3e-5")
		assert.LessOrEqual(t, u.Max().Item(), 1+1e-4)
		n := float64(u.Numel())
		assert.InDelta(t, 0.5, u.Mean().Item(), 4*math.Sqrt(1.0/12/n)+1e-5)
		assert.InDelta(t, 1.0/12, u.AddScalar(-0.5).Square().Mean().Item(), 4*math.Sqrt(1.0/180/n)+1e-5)
		assert.LessOrEqual(t, v.Max().Item(), 256.0)
	})
}

func TestFloatsAndBytesAreInverse(t *testing.T) {
	const n, h, w, c = 2, 8, 16, 3
	torchtest.Scope(t, func() {
		pixels := make([]byte, n*h*w*c)
		for i := range pixels {
			pixels[i] = byte(i) // 768 values: every level three times
		}
		before := torch.Live()
		x := Floats(pixels, n, h, w, c).AssertShape(n, c, h, w)
		assert.Equal(t, before+1, torch.Live())
		assert.True(t, x.IsChannelsLast())
		assert.Equal(t, torch.Float32, x.DType())
		assert.Equal(t, pixels, Bytes(x), "every level comes back")
		assert.Equal(t, pixels, Bytes(x.Contiguous(torch.Contiguous)), "whatever the memory format")
		assert.InDelta(t, float64(pixels[((1*h+2)*w+5)*c+1])/255, x.Select(0, 1).Select(0, 1).Select(0, 2).Select(0, 5).To(torch.Float64).Item(), 1e-7)
		assert.Equal(t, 0.0, x.Min().Item())
		assert.Equal(t, 1.0, x.Max().Item())

		edges := torch.FromSlice([]float32{-0.5, 0, 0.4 / 255, 0.6 / 255, 254.4 / 255, 254.6 / 255, 1, 7}, 1, 1, 1, 8)
		assert.Equal(t, []byte{0, 0, 0, 1, 254, 255, 255, 255}, Bytes(edges), "clamped and rounded to the nearest")
	})
}

func TestAugmentNamesTheSettingThatMakesNoViews(t *testing.T) {
	assert.NoError(t, SimCLRViews().Validate())
	assert.NoError(t, NoiseViews().Validate())
	for want, change := range map[string]func(*Augment){
		"flip_prob NaN":         func(a *Augment) { a.FlipProb = math.NaN() },
		"jitter_prob is 2":      func(a *Augment) { a.JitterProb = 2 },
		"views.jitter is [-1":   func(a *Augment) { a.Jitter[0] = -1 },
		"at most 0.5":           func(a *Augment) { a.Jitter[3] = 0.6 },
		"views.crop is [0 1]":   func(a *Augment) { a.Crop[0] = 0 },
		"views.crop is [0.2 2]": func(a *Augment) { a.Crop[1] = 2 },
	} {
		a := SimCLRViews()
		change(&a)
		assert.ErrorContains(t, a.Validate(), want)
	}
}
