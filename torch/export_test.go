package torch

// BucketedGrads is Group.Grads with buckets of another size.
func BucketedGrads(g *Group, y Tensor, xs []Tensor, bytes int) []Tensor {
	return g.bucketed(y, xs, bytes)
}
