package models

// Params is the number of weights that training moves. It is computed from the shapes, since drawing the weights
// of the largest networks takes half a minute. It does not count the statistics of batch norm and the vectors of
// spectral norm.

// Params of E.
func (c EnergyConfig) Params() int {
	n, in, bias := 0, c.Channels, 0
	if c.Bias {
		bias = 1
	}
	for i, out := range c.Widths {
		n += (9*in+bias)*out + (9*out+bias)*out
		if in != out || c.Downs[i] {
			n += (in + bias) * out // the skip
		}
		in = out
	}
	n += (in + bias) * c.FeatureDim
	if c.Posterior != NoLatent {
		n += (c.Features()+1)*c.HeadDim + (c.HeadDim+1)*c.headWidth()
	}
	if c.LinearF {
		n += c.Features()
	}
	return n
}

// Params of G.
func (c GeneratorConfig) Params() int {
	in := c.Widths[0]
	n := (c.LatentDim + 1) * in * 4 * 4
	for _, out := range c.Widths[1:] {
		n += 2*in + (9*in+1)*out + 2*out + (9*out+1)*out + (in+1)*out // bn, conv, bn, conv, skip
		in = out
	}
	return n + 2*in + (9*in+1)*c.Channels
}

// Params of q.
func (c InferenceConfig) Params() int {
	n, in := 0, c.Channels
	if c.Stem > 0 {
		n, in = 9*in*c.Stem, c.Stem
	}
	for _, out := range c.Widths {
		n, in = n+16*in*out, out
	}
	return n + 2*(16*in+1)*c.LatentDim
}

// Params of h.
func (c EncoderConfig) Params() int {
	kernel, in := 9, c.Widths[0]
	if c.Stem == "large" {
		kernel = 49
	}
	n := kernel*c.Channels*in + 2*in
	for i, out := range c.Widths {
		for j := range c.Blocks[i] {
			n += 9*in*out + 2*out + 9*out*out + 2*out // conv, bn, conv, bn
			if in != out || (i > 0 && j == 0) {
				n += in*out + 2*out // the skip and its bn
			}
			in = out
		}
	}
	return n + (in+1)*c.HeadDim + 2*c.HeadDim + (c.HeadDim+1)*c.LatentDim
}
