package data

import "math/rand/v2"

// stack returns a set of as many colour images as the gray set base has. The red, green and blue of an image are three
// images of base, each channel in a random order of its own, which is the same every time. If r, g and b are their
// labels, from 0 to 9, its label is 100·r + 10·g + b.
func stack(base *Set, name string) *Set {
	shape := base.Shape
	shape.C = 3
	out := base.derive(shape, make([]byte, shape.N*shape.ImageBytes()))
	out.Name, out.Classes, out.Labels = name, nil, make([]int32, shape.N)
	for c := range shape.C {
		order := rand.New(keyed(0, uint64(c), "liebm/data/stack")).Perm(shape.N)
		for i, from := range order {
			pixels := out.Image(i)
			for at, v := range base.Image(from) {
				pixels[at*shape.C+c] = v
			}
			out.Labels[i] = out.Labels[i]*10 + base.Labels[from]
		}
	}
	return out
}
