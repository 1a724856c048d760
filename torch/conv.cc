#include "guard.h"

#include "conv.h"

#include <ATen/ops/col2im.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/threshold.h>
#include <ATen/ops/threshold_backward.h>
#include <torch/csrc/autograd/custom_function.h>

#include <stdexcept>

#include "scope.h"

namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Whether conv2d_to_few is faster in two parts. The limits are measured.
bool few(int64_t out, int64_t in) { return out < 8 && in >= 16 * out; }

// conv2d with stride 1; bias may be none. An output of few channels is computed in two parts. A 1×1 convolution has a channel
// for each output channel and each tap of the kernel. col2im shifts each of them by its tap and adds them up.
Tensor conv2d_to_few(const Tensor& x, const Tensor& w, const Tensor& bias, int64_t padding) {
  int64_t out = w.size(0), in = w.size(1), k = w.size(2);
  bool possible = k > 1 && w.size(3) == k && padding < k;
  if (!possible || !few(out, in) || !x.is_cpu() || x.scalar_type() == at::kBFloat16) return at::conv2d(x, w, bias, 1, padding);
  auto taps = at::conv2d(x, w.flip({2, 3}).permute({0, 2, 3, 1}).reshape({out * k * k, in, 1, 1}));
  int64_t grow = 2 * padding - k + 1, crop = k - 1 - padding;
  auto y = at::col2im(taps.flatten(2), {x.size(2) + grow, x.size(3) + grow}, {k, k}, {1, 1}, {crop, crop}, {1, 1});
  if (bias.defined()) y = y.add(bias.view({1, out, 1, 1}));
  return y.contiguous(x.suggest_memory_format());
}

// The gradient of a convolution in x is a convolution of the gradient g in y. With stride 1 its kernel is
// the weight, flipped, with its channels swapped. With stride 2, a 4×4 kernel and padding 1, even and odd
// pixels of a row need different taps of the kernel. Even pixels 2p use g[p−1] with tap 3 and g[p] with
// tap 1. Odd pixels 2p+1 use g[p] with tap 2 and g[p+1] with tap 0. adjoint holds the four 2×2 kernels,
// for even and odd rows a and columns b, as the output channels of one kernel: [(a,b,in),out,2,2].
Tensor adjoint(const Tensor& w, int64_t stride, int64_t padding) {
  if (stride == 1) return w.flip({2, 3}).transpose(0, 1).contiguous(at::MemoryFormat::ChannelsLast);
  if (stride != 2 || padding != 1 || w.size(2) != 4 || w.size(3) != 4)
    throw std::runtime_error("with a stride the kernel must be 4x4, the stride 2 and the padding 1");
  auto taps = at::tensor({3, 1, 2, 0}, w.options().dtype(at::kLong).requires_grad(false));
  auto split = w.index_select(2, taps).index_select(3, taps).view({w.size(0), w.size(1), 2, 2, 2, 2});
  return split.permute({2, 4, 1, 0, 3, 5}).reshape({4 * w.size(1), w.size(0), 2, 2}).contiguous(at::MemoryFormat::ChannelsLast);
}

// interleave takes [n,(a,b,c),h+1,w+1], where parities a and b begin at row a and column b, to [n,c,2h,2w].
Tensor interleave(const Tensor& parts) {
  int64_t n = parts.size(0), c = parts.size(1) / 4, h = parts.size(2) - 1, w = parts.size(3) - 1;
  auto from = parts.permute({0, 2, 3, 1});
  auto pixels = at::empty({n, h, 2, w, 2, c}, parts.options());
  for (int64_t a = 0; a < 2; a++)
    for (int64_t b = 0; b < 2; b++)
      pixels.select(4, b).select(2, a).copy_(from.slice(1, a, a + h).slice(2, b, b + w).narrow(3, (2 * a + b) * c, c));
  return pixels.view({n, 2 * h, 2 * w, c}).permute({0, 3, 1, 2});
}

// Layer is hidden from autograd as a whole: its tensors are constants, and the bias may be none.
struct Layer {
  Tensor weight, bias, adjoint;
  int64_t stride, padding;
  bool relu;
};

struct FrozenConv2d : torch::autograd::Function<FrozenConv2d> {
  static Tensor forward(AutogradContext* ctx, const Tensor& x, const Layer& layer) {
    auto y = at::conv2d(x, layer.weight, layer.bias, layer.stride, layer.padding);
    if (layer.relu) at::threshold_(y, 0, 0); // in bfloat16 a fifth of the time of relu_
    ctx->save_for_backward({layer.adjoint, layer.relu ? y : Tensor()});
    ctx->saved_data["stride"] = layer.stride;
    ctx->saved_data["padding"] = layer.weight.size(2) - 1 - layer.padding;
    return y;
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    auto saved = ctx->get_saved_variables();
    auto g = grads[0];
    if (saved[1].defined()) g = at::threshold_backward(g, saved[1], 0);
    if (ctx->saved_data["stride"].toInt() == 1) g = conv2d_to_few(g, saved[0], {}, ctx->saved_data["padding"].toInt());
    else g = interleave(at::conv2d(g, saved[0], {}, 1, 1));
    return {g, Tensor()};
  }
};

} // namespace

int lt_few_channels(int64_t out, int64_t in) { return few(out, in); }

char* lt_conv2d_to_few(uint64_t x, uint64_t weight, uint64_t bias, int64_t padding, uint64_t* out) {
  return liebm::guard([=] {
    *out = liebm::make_handle(conv2d_to_few(liebm::get(x), liebm::get(weight), bias ? liebm::get(bias) : Tensor(), padding));
  });
}

char* lt_frozen_adjoint(uint64_t weight, int64_t stride, int64_t padding, uint64_t* out) {
  return liebm::guard([=] { *out = liebm::make_handle(adjoint(liebm::get(weight), stride, padding)); });
}

char* lt_frozen_conv2d(uint64_t x, uint64_t weight, uint64_t bias, uint64_t adjoint, int64_t stride, int64_t padding,
                       int relu, uint64_t* out) {
  return liebm::guard([=] {
    Layer layer{liebm::get(weight), bias ? liebm::get(bias) : Tensor(), liebm::get(adjoint), stride, padding, relu != 0};
    *out = liebm::make_handle(FrozenConv2d::apply(liebm::get(x), layer));
  });
}
