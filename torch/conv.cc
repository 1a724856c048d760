#include "guard.h"

#include "conv.h"

#include <ATen/Parallel.h>
#include <ATen/ops/avg_pool2d.h>
#include <ATen/ops/col2im.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/convolution_backward.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/threshold.h>
#include <ATen/ops/threshold_backward.h>
#include <torch/csrc/autograd/custom_function.h>

#include <stdexcept>

#include "profile.h"
#include "scope.h"
#include "winograd.h"

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

bool fast(const Tensor& t) { return t.is_cpu() && t.scalar_type() == at::kFloat; }

// Whether fast_conv can use the weight w: [out,in,3,3], for the convolution and its gradient.
bool fast_layer(const Tensor& w) {
  return fast(w) && w.dim() == 4 && w.size(2) == 3 && w.size(3) == 3 && liebm::fast_possible(w.size(1), w.size(0));
}

// Whether fast_conv can read x, and the bias b of w if there is one.
bool fast_input(const Tensor& x, const Tensor& w, const Tensor& b, bool pooled) {
  bool even = x.dim() == 4 && x.size(2) % 2 == 0 && x.size(3) % 2 == 0;
  return fast(x) && x.dim() == 4 && x.size(1) == w.size(1) && x.numel() > 0 && (even || !pooled) &&
         (!b.defined() || (fast(b) && b.dim() == 1 && b.size(0) == w.size(0)));
}

// The weight of a convolution, transformed for it and for its gradient. An undefined kernel is made when it is needed.
struct Kernels {
  liebm::Fast kind;
  Tensor forward, adjoint;
};

Tensor fast_kernel(const Tensor& w, liebm::Fast kind) {
  auto of = w.detach();
  if (kind == liebm::Fast::adjoint) of = of.transpose(0, 1);
  int64_t out = of.size(0), in = of.size(1);
  of = of.permute({2, 3, 1, 0}).contiguous();
  auto kernel = at::empty({liebm::fast_products(kind), in, out}, of.options());
  liebm::Profiled profiled("liebm::fast_kernel", 0, double(of.nbytes() + kernel.nbytes()));
  liebm::fast_kernel(kind, of.data_ptr<float>(), in, out, kernel.data_ptr<float>(), at::get_num_threads());
  return kernel;
}

Tensor no_bias(const Tensor& w) { return at::empty({0}, w.options().requires_grad(false)); }

// The gradient of a 3×3 convolution is one with the flipped weight, its channels swapped.
Tensor flipped(const Tensor& w) { return w.flip({2, 3}).transpose(0, 1); }

// The operations of a direct convolution, for the profile: 9 products per output, or 16 for pooled, which is a 4×4 convolution. small is
// the smaller of input and result.
double direct_operations(liebm::Fast kind, const Tensor& small, int64_t channels) {
  return 2 * double(kind == liebm::Fast::conv ? 9 : 16) * double(channels) * double(small.size(0) * small.size(2) * small.size(3));
}

// fast_conv with its gradients in x, in the weight w: [out,in,3,3] and in the bias, which has no element if there is none. For the
// kind adjoint, w is that of pooled.
struct FastConv2d : torch::autograd::Function<FastConv2d> {
  static Tensor forward(AutogradContext* ctx, const Tensor& x, const Tensor& w, const Tensor& bias, const Kernels& k, bool relu) {
    auto kernel = k.forward.defined() ? k.forward : fast_kernel(w, k.kind);
    int64_t h = x.size(2), width = x.size(3), out = kernel.size(2);
    if (k.kind == liebm::Fast::pooled) h /= 2, width /= 2;
    if (k.kind == liebm::Fast::adjoint) h *= 2, width *= 2;
    auto nhwc = x.contiguous(at::MemoryFormat::ChannelsLast), b = bias.contiguous();
    auto y = at::empty({x.size(0), out, h, width}, x.options(), at::MemoryFormat::ChannelsLast);
    liebm::Profiled profiled("liebm::fast_conv2d", direct_operations(k.kind, k.kind == liebm::Fast::adjoint ? x : y, x.size(1) * out),
                             double(x.nbytes() + kernel.nbytes() + y.nbytes()));
    liebm::fast_conv({k.kind, nhwc.data_ptr<float>(), x.size(0), x.size(2), x.size(3), x.size(1), kernel.data_ptr<float>(),
                      b.numel() > 0 ? b.data_ptr<float>() : nullptr, out, relu, y.data_ptr<float>()},
                     at::get_num_threads());
    ctx->save_for_backward({w.requires_grad() ? x : Tensor(), w, relu ? y : Tensor(), k.forward, k.adjoint});
    ctx->saved_data["kind"] = int64_t(k.kind);
    return y;
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    auto saved = ctx->get_saved_variables();
    auto g = grads[0], x = saved[0], w = saved[1];
    auto kind = liebm::Fast(ctx->saved_data["kind"].toInt());
    if (saved[2].defined()) g = at::threshold_backward(g, saved[2], 0);
    variable_list result(5);
    if (ctx->needs_input_grad(0)) {
      auto back = kind == liebm::Fast::conv ? kind : kind == liebm::Fast::pooled ? liebm::Fast::adjoint : liebm::Fast::pooled;
      bool flip = kind == liebm::Fast::conv && !saved[4].defined(); // kernels of lt_fast_kernels are made of the flipped weight already
      result[0] = apply(g, flip ? flipped(w) : w, no_bias(w), Kernels{back, saved[4], saved[3]}, false);
    }
    if (ctx->needs_input_grad(1)) result[1] = kind == liebm::Fast::adjoint ? weight_gradient(g, x, w, true) : weight_gradient(x, g, w, kind == liebm::Fast::pooled);
    if (ctx->needs_input_grad(2)) result[2] = g.sum({0, 2, 3});
    return result;
  }

  // The gradient in w of a convolution of x whose result has the gradient g.
  static Tensor weight_gradient(const Tensor& x, const Tensor& g, const Tensor& w, bool pooled) {
    if (at::GradMode::is_enabled()) return differentiable_weight_gradient(x, g, w, pooled);
    auto images = x.contiguous(at::MemoryFormat::ChannelsLast), in_result = g.contiguous(at::MemoryFormat::ChannelsLast);
    auto taps = at::empty({3, 3, w.size(1), w.size(0)}, w.options());
    auto kind = pooled ? liebm::Fast::pooled : liebm::Fast::conv;
    liebm::Profiled profiled("liebm::fast_kernel_gradient", direct_operations(kind, g, w.size(0) * w.size(1)), double(x.nbytes() + g.nbytes() + w.nbytes()));
    liebm::fast_kernel_gradient({kind, images.data_ptr<float>(), x.size(0), x.size(2), x.size(3), x.size(1), nullptr,
                                 nullptr, w.size(0), false, in_result.data_ptr<float>()},
                                taps.data_ptr<float>(), at::get_num_threads());
    return taps.permute({3, 2, 0, 1}).contiguous(w.suggest_memory_format());
  }

  // The same by operators of libtorch. With pooled it is first the gradient of a 4×4 kernel.
  static Tensor differentiable_weight_gradient(const Tensor& x, const Tensor& g, const Tensor& w, bool pooled) {
    auto kernel = pooled ? w.new_empty({w.size(0), w.size(1), 4, 4}) : w;
    int64_t stride = pooled ? 2 : 1;
    auto got = std::get<1>(at::convolution_backward(g, x, kernel, at::OptionalIntArrayRef(), {stride, stride}, {1, 1}, {1, 1}, false, {0, 0}, 1, {false, true, false}));
    return pooled ? at::avg_pool2d(got, 2, 1) : got;
  }
};

liebm::Fast kind_of(int pooled) { return pooled ? liebm::Fast::pooled : liebm::Fast::conv; }

} // namespace

char* lt_fast_conv2d(uint64_t x, uint64_t weight, uint64_t bias, int pooled, uint64_t* out) {
  return liebm::guard([=] {
    *out = 0;
    auto images = liebm::get(x), w = liebm::get(weight), b = bias ? liebm::get(bias) : Tensor();
    if (!fast_layer(w) || !fast_input(images, w, b, pooled) || !images.is_contiguous(at::MemoryFormat::ChannelsLast)) return;
    *out = liebm::make_handle(FastConv2d::apply(images, w, bias ? b : no_bias(w), Kernels{kind_of(pooled), {}, {}}, false));
  });
}

char* lt_fast_kernels(uint64_t weight, int pooled, uint64_t* forward, uint64_t* adjoint) {
  return liebm::guard([=] {
    *forward = *adjoint = 0;
    auto w = liebm::get(weight);
    if (!fast_layer(w)) return;
    *forward = liebm::make_handle(fast_kernel(w, kind_of(pooled)));
    *adjoint = liebm::make_handle(pooled ? fast_kernel(w, liebm::Fast::adjoint) : fast_kernel(flipped(w), liebm::Fast::conv));
  });
}

char* lt_fast_frozen(uint64_t x, uint64_t weight, uint64_t bias, uint64_t forward, uint64_t adjoint, int pooled, int relu, uint64_t* out) {
  return liebm::guard([=] {
    *out = 0;
    auto images = liebm::get(x), w = liebm::get(weight), b = bias ? liebm::get(bias) : Tensor();
    if (!fast_input(images, w, b, pooled)) return;
    Kernels kernels{kind_of(pooled), liebm::get(forward), liebm::get(adjoint)};
    *out = liebm::make_handle(FastConv2d::apply(images, w, bias ? b : no_bias(w), kernels, relu != 0));
  });
}

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
