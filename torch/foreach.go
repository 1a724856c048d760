package torch

// The multi-tensor operators torch._foreach_*. One call into C handles a whole list.

// ForeachAdd is a[i] += alpha·b[i].
func ForeachAdd(a, b []Tensor, alpha float64) { call0("aten::_foreach_add_.List", a, b, alpha) }

// ForeachMul is a[i] *= v.
func ForeachMul(a []Tensor, v float64) { call0("aten::_foreach_mul_.Scalar", a, v) }

// ForeachDiv returns a[i]/b[i].
func ForeachDiv(a, b []Tensor) []Tensor { return callList("aten::_foreach_div.List", a, b) }

// ForeachAddScalar is a[i] += v.
func ForeachAddScalar(a []Tensor, v float64) { call0("aten::_foreach_add_.Scalar", a, v) }

// ForeachAddcmul is a[i] += v·b[i]·c[i].
func ForeachAddcmul(a, b, c []Tensor, v float64) {
	call0("aten::_foreach_addcmul_.Scalar", a, b, c, v)
}

// ForeachAddcdiv is a[i] += v·b[i]/c[i].
func ForeachAddcdiv(a, b, c []Tensor, v float64) {
	call0("aten::_foreach_addcdiv_.Scalar", a, b, c, v)
}

// ForeachSqrt returns √a[i].
func ForeachSqrt(a []Tensor) []Tensor { return callList("aten::_foreach_sqrt", a) }

// ForeachNorm returns the Euclidean norm of each a[i].
func ForeachNorm(a []Tensor) []Tensor { return callList("aten::_foreach_norm.Scalar", a) }
