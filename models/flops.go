package models

// FLOPs is the number of floating-point operations of the forward pass of one image. A multiplication and an
// addition count as two. Only convolutions and linear layers count, with the fused kernels that the networks use.

// FLOPs of E on images of size×size pixels.
func (c EnergyConfig) FLOPs(size int) float64 {
	total, in, pixels := 0.0, c.Channels, float64(size*size)
	for i, out := range c.Widths {
		total += 2 * pixels * float64(9*in*out)
		kernel := 9
		if c.Downs[i] {
			pixels, kernel = pixels/4, 16
		}
		total += 2 * pixels * float64(kernel*out*out)
		if in != out || c.Downs[i] {
			total += 2 * pixels * float64(in*out)
		}
		in = out
	}
	linear := in*c.FeatureDim + c.Features()*c.HeadDim + c.HeadDim*c.LatentDim
	return total + 2*float64(linear)
}

// FLOPs of G.
func (c GeneratorConfig) FLOPs() float64 {
	in := c.Widths[0]
	total, pixels := 2*float64(c.LatentDim*in*16), 16.0
	for _, out := range c.Widths[1:] {
		total += 2 * pixels * float64(in*out) // the skip, before upsampling
		pixels *= 4
		total += 2 * pixels * float64(9*(in*out+out*out))
		in = out
	}
	return total + 2*pixels*float64(9*in*c.Channels)
}

// FLOPs of q on images of size×size pixels.
func (c InferenceConfig) FLOPs(size int) float64 {
	total, in, pixels := 0.0, c.Channels, float64(size*size)
	if c.Stem > 0 {
		total, in = 2*pixels*float64(9*in*c.Stem), c.Stem
	}
	for _, out := range c.Widths {
		pixels /= 4
		total, in = total+2*pixels*float64(16*in*out), out
	}
	return total + 2*2*float64(16*in*c.LatentDim)
}

// FLOPs of h on images of size×size pixels.
func (c EncoderConfig) FLOPs(size int) float64 {
	kernel, side := 9, size
	if c.Stem == "large" {
		kernel, side = 49, size/2
	}
	in := c.Widths[0]
	total := 2 * float64(side*side*kernel*c.Channels*in)
	if c.Stem != "small" {
		side /= 2
	}
	for i, out := range c.Widths {
		for j := range c.Blocks[i] {
			if i > 0 && j == 0 {
				side /= 2
			}
			block := 9 * (in*out + out*out)
			if in != out || (i > 0 && j == 0) {
				block += in * out
			}
			total += 2 * float64(side*side*block)
			in = out
		}
	}
	return total + 2*float64(in*c.HeadDim+c.HeadDim*c.LatentDim)
}
