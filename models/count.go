package models

// Count is the size of a network. It is computed from the config, since drawing the weights of the largest
// networks takes half a minute.
type Count struct {
	// Params is the number of weights that training changes, without the statistics of batch norm and
	// the vectors of spectral norm.
	Params int
	// FLOPs is the number of floating-point operations of the forward pass of one image: two for each
	// multiplication and addition in convolutions and linear layers, with the fused kernels that the
	// networks use.
	FLOPs float64
}

// layer adds a convolution. kernel is the number of pixels of its kernel, pixels that of its output. Both are 1 for a linear layer.
func (n *Count) layer(in, out, kernel, bias, pixels int) {
	n.Params += (kernel*in + bias) * out
	n.FLOPs += 2 * float64(kernel*in*out) * float64(pixels)
}

func (n *Count) norm(width int) { n.Params += 2 * width }

// Count is the size of E on images of size×size pixels.
func (c EnergyConfig) Count(size int) (n Count) {
	in, pixels, bias := c.Channels, size*size, 0
	if c.Bias {
		bias = 1
	}
	for i, out := range c.Widths {
		n.layer(in, out, 9, bias, pixels)
		if c.Downs[i] {
			pixels /= 4
			n.FLOPs += 2 * float64((16-9)*out*out) * float64(pixels) // a 4×4 kernel convolves and pools
		}
		n.layer(out, out, 9, bias, pixels)
		if in != out || c.Downs[i] {
			n.layer(in, out, 1, bias, pixels) // the skip
		}
		in = out
	}
	n.layer(in, c.FeatureDim, 1, bias, 1)
	if c.Posterior != NoLatent {
		n.layer(c.Features(), c.HeadDim, 1, 1, 1)
		n.layer(c.HeadDim, c.headWidth(), 1, 1, 1)
	}
	if c.LinearF {
		n.layer(c.Features(), 1, 1, 0, 1)
	}
	return n
}

// Count is the size of G.
func (c GeneratorConfig) Count() (n Count) {
	in, pixels := c.Widths[0], 4*4
	n.layer(c.LatentDim, in*pixels, 1, 1, 1)
	for _, out := range c.Widths[1:] {
		n.norm(in)
		n.layer(in, out, 1, 1, pixels) // the skip, before upsampling
		pixels *= 4
		n.layer(in, out, 9, 1, pixels)
		n.norm(out)
		n.layer(out, out, 9, 1, pixels)
		in = out
	}
	n.norm(in)
	n.layer(in, c.Channels, 9, 1, pixels)
	return n
}

// Count is the size of q on images of size×size pixels.
func (c InferenceConfig) Count(size int) (n Count) {
	in, pixels := c.Channels, size*size
	if c.Stem > 0 {
		n.layer(in, c.Stem, 9, 0, pixels)
		in = c.Stem
	}
	for _, out := range c.Widths {
		pixels /= 4
		n.layer(in, out, 16, 0, pixels)
		in = out
	}
	n.layer(in, 2*c.LatentDim, 16, 1, 1)
	return n
}

// Count is the size of h on images of size×size pixels.
func (c EncoderConfig) Count(size int) (n Count) {
	kernel, side, in := 9, size, c.Widths[0]
	if c.Stem == "large" {
		kernel, side = 49, size/2
	}
	n.layer(c.Channels, in, kernel, 0, side*side)
	n.norm(in)
	if c.Stem != "small" {
		side /= 2
	}
	for i, out := range c.Widths {
		for j := range c.Blocks[i] {
			halves := i > 0 && j == 0
			if halves {
				side /= 2
			}
			if halves || in != out {
				n.layer(in, out, 1, 0, side*side) // the skip
				n.norm(out)
			}
			n.layer(in, out, 9, 0, side*side)
			n.norm(out)
			n.layer(out, out, 9, 0, side*side)
			n.norm(out)
			in = out
		}
	}
	n.layer(in, c.HeadDim, 1, 1, 1)
	n.norm(c.HeadDim)
	n.layer(c.HeadDim, c.LatentDim, 1, 1, 1)
	return n
}
