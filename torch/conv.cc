#include "guard.h"

#include "conv.h"

#include <ATen/Parallel.h>
#include <ATen/ops/avg_pool2d.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/convolution_backward.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/threshold.h>
#include <ATen/ops/threshold_backward.h>
#include <ATen/ops/upsample_nearest2d.h>
#include <c10/core/impl/LocalDispatchKeySet.h>
#include <torch/csrc/autograd/custom_function.h>

#include <mutex>
#include <stdexcept>

#include "fastconv.h"
#include "profile.h"
#include "scope.h"

namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

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
  bool relu; // the convolution reads ReLU of x
};

struct FrozenConv2d : torch::autograd::Function<FrozenConv2d> {
  static Tensor forward(AutogradContext* ctx, const Tensor& x, const Layer& layer) {
    auto y = at::conv2d(layer.relu ? at::threshold(x, 0, 0) : x, layer.weight, layer.bias, layer.stride, layer.padding); // in bfloat16 threshold takes a fifth of the time of relu
    ctx->save_for_backward({layer.adjoint, layer.relu ? x : Tensor()});
    ctx->saved_data["stride"] = layer.stride;
    ctx->saved_data["padding"] = layer.weight.size(2) - 1 - layer.padding;
    return y;
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    auto saved = ctx->get_saved_variables();
    auto g = grads[0];
    if (ctx->saved_data["stride"].toInt() == 1) g = at::conv2d(g, saved[0], {}, 1, ctx->saved_data["padding"].toInt());
    else g = interleave(at::conv2d(g, saved[0], {}, 1, 1));
    if (saved[1].defined()) g = at::threshold_backward(g, saved[1], 0);
    return {g, Tensor()};
  }
};

bool fast(const Tensor& t) { return t.is_cpu() && t.scalar_type() == at::kFloat; }

Tensor none_of(const Tensor& w) { return at::empty({0}, w.options().requires_grad(false)); }

Tensor nhwc(const Tensor& x) { return x.contiguous(at::MemoryFormat::ChannelsLast); }

// Whether the result has half the height and width, or twice.
bool halves(liebm::Fast kind) { return kind == liebm::Fast::pooled || kind == liebm::Fast::strided; }
bool doubles(liebm::Fast kind) { return kind == liebm::Fast::adjoint || kind == liebm::Fast::strided_adjoint; }
bool flips(liebm::Fast kind) { return !halves(kind) && !doubles(kind); }

// A convolution for fast_conv: the weight, which for an adjoint is that of pooled or strided; the weight of the skip connection; and the
// kernels of constant weights, for the convolution and for its gradient. An undefined kernel is made for each call. An adjoint without an
// element is made when it is needed, and stays.
struct FastLayer {
  liebm::Fast kind;
  Tensor weight, bias, skip; // without an element if there is none
  Tensor forward, adjoint, skip_forward, skip_adjoint;
  bool relu; // the convolution reads ReLU of x

  int64_t out() const { return weight.size(doubles(kind) ? 1 : 0); }
};

// The transformed kernel of a convolution, or of its gradient in x: that of a 3×3 convolution has the flipped weight, its channels swapped.
// For an adjoint, w is the weight of pooled or strided.
Tensor fast_kernel(const Tensor& weight, liebm::Fast kind, bool gradient) {
  auto w = weight.detach();
  bool flip = gradient && flips(kind);
  if (gradient) kind = liebm::fast_adjoint(kind);
  bool swap = flip || doubles(kind);
  if (w.stride(0) != 1 && w.stride(1) != 1) w = w.contiguous(at::MemoryFormat::ChannelsLast);
  liebm::FastWeight of{w.data_ptr<float>(), w.stride(2), w.stride(3), w.stride(swap ? 0 : 1), w.stride(swap ? 1 : 0)};
  if (flip) of.w += 2 * (of.row + of.column), of.row = -of.row, of.column = -of.column;
  int64_t in = w.size(swap ? 0 : 1), out = w.size(swap ? 1 : 0);
  auto kernel = at::empty({liebm::fast_kernel_size(kind, in, out)}, w.options());
  liebm::Profiled profiled("liebm::fast_kernel", 0, double(w.nbytes() + kernel.nbytes()));
  liebm::fast_kernel(kind, of, in, out, kernel.data_ptr<float>(), at::get_num_threads());
  return kernel;
}

// made returns a kernel of a constant weight. If it has no element yet, make makes it.
template <class F> Tensor made(const Tensor& kernel, const F& make) {
  static std::mutex one; // two threads may use the same layer
  std::lock_guard<std::mutex> lock(one);
  if (kernel.numel() == 0) kernel.set_data(make());
  return kernel;
}

// The kernel of the skip connection: w is [in,out].
Tensor skip_kernel(const Tensor& w) {
  auto matrix = w.detach().contiguous();
  auto kernel = at::empty({liebm::skip_kernel_size(w.size(0), w.size(1))}, matrix.options());
  liebm::skip_kernel(matrix.data_ptr<float>(), w.size(0), w.size(1), kernel.data_ptr<float>());
  return kernel;
}

Tensor matrix(const Tensor& w) { return w.flatten(1); } // [out,in,1,1] → [out,in]

// The operations of a direct convolution, for the profile: 9 products per output, or 16 for pooled, which is a 4×4 convolution. small is
// the smaller of input and result.
double direct_operations(liebm::Fast kind, const Tensor& small, int64_t channels) {
  bool pooled = kind == liebm::Fast::pooled || kind == liebm::Fast::adjoint;
  return 2 * double(pooled ? 16 : 9) * double(channels) * double(small.size(0) * small.size(2) * small.size(3));
}

// fast_conv of images, without gradients. mask and skip may be undefined.
Tensor fast_conv(const Tensor& images, const FastLayer& l, const Tensor& kernel, const Tensor& mask, const Tensor& skip) {
  int64_t h = images.size(2), width = images.size(3), out = l.out();
  if (halves(l.kind)) h /= 2, width /= 2;
  if (doubles(l.kind)) h *= 2, width *= 2;
  auto x = nhwc(images), y = at::empty({x.size(0), out, h, width}, x.options(), at::MemoryFormat::ChannelsLast);
  liebm::FastConv c{l.kind, x.data_ptr<float>(), x.size(0), x.size(2), x.size(3), x.size(1), kernel.data_ptr<float>(), out, y.data_ptr<float>()};
  c.relu = l.relu;
  auto bias = l.bias.contiguous();
  if (bias.numel() > 0) c.bias = bias.data_ptr<float>();
  Tensor above = mask.defined() ? nhwc(mask) : mask, added = skip.defined() ? nhwc(skip) : skip, added_kernel;
  if (above.defined()) c.mask = above.data_ptr<float>();
  if (added.defined()) {
    added_kernel = l.skip_forward.defined() ? l.skip_forward : skip_kernel(matrix(l.skip).t());
    c.skip = added.data_ptr<float>(), c.skip_kernel = added_kernel.data_ptr<float>(), c.skip_in = added.size(1);
  }
  double operations = direct_operations(l.kind, doubles(l.kind) ? x : y, x.size(1) * out);
  if (added.defined()) operations += 2 * double(y.numel() * added.size(1));
  double bytes = x.nbytes() + kernel.nbytes() + y.nbytes();
  if (above.defined()) bytes += above.nbytes();
  if (added.defined()) bytes += added.nbytes() + added_kernel.nbytes();
  liebm::Profiled profiled("liebm::fast_conv2d", operations, bytes);
  liebm::fast_conv(c, at::get_num_threads());
  return y;
}

// fast_conv with its gradients in x, in the weight: [out,in,3,3], in the bias, in the images of the skip connection and in its weight:
// [out,c,1,1]. What is not there has no element.
struct FastConv2d : torch::autograd::Function<FastConv2d> {
  static Tensor forward(AutogradContext* ctx, const Tensor& x, const Tensor& w, const Tensor& bias, const Tensor& skip, const Tensor& skip_weight, FastLayer l) {
    bool has_skip = skip.numel() > 0;
    l.weight = w, l.bias = bias, l.skip = skip_weight;
    auto y = fast_conv(x, l, l.forward.defined() ? l.forward : fast_kernel(w, l.kind, false), {}, has_skip ? skip : Tensor());
    ctx->save_for_backward({l.relu || w.requires_grad() ? x : Tensor(), w, skip_weight.requires_grad() ? skip : Tensor(), skip_weight,
                            l.skip_adjoint});
    if (l.forward.defined()) ctx->saved_data["forward"] = l.forward, ctx->saved_data["adjoint"] = l.adjoint; // an adjoint may still change
    ctx->saved_data["kind"] = int64_t(l.kind);
    ctx->saved_data["relu"] = l.relu;
    return y;
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    auto saved = ctx->get_saved_variables();
    auto g = grads[0], x = saved[0], w = saved[1], skip_weight = saved[3];
    auto kind = liebm::Fast(ctx->saved_data["kind"].toInt());
    bool relu = ctx->saved_data["relu"].toBool(), differentiable = at::GradMode::is_enabled(); // the gradients get a graph
    variable_list result(6);
    if (ctx->needs_input_grad(0)) {
      FastLayer back{liebm::fast_adjoint(kind), {}, none_of(w), {}, {}, {}, {}, {}, false};
      auto make = [&] { return fast_kernel(w, kind, true); };
      if (ctx->saved_data.count("adjoint")) {
        back.forward = made(ctx->saved_data["adjoint"].toTensor(), make);
        back.adjoint = ctx->saved_data["forward"].toTensor();
      }
      if (differentiable) {
        back.weight = flips(kind) ? w.flip({2, 3}).transpose(0, 1) : w;
        result[0] = apply(g, back.weight, back.bias, back.bias, back.bias, back);
        if (relu) result[0] = at::threshold_backward(result[0], x, 0);
      } else {
        back.weight = flips(kind) ? w.transpose(0, 1) : w; // only its shape is read
        result[0] = fast_conv(g, back, back.forward.defined() ? back.forward : make(), relu ? x : Tensor(), {});
      }
    }
    if (ctx->needs_input_grad(1)) result[1] = doubles(kind) ? weight_gradient(g, x, w, liebm::fast_adjoint(kind), relu) : weight_gradient(x, g, w, kind, relu);
    if (ctx->needs_input_grad(2)) result[2] = g.sum({0, 2, 3});
    if (ctx->needs_input_grad(3)) result[3] = differentiable ? differentiable_skip_gradient(g, skip_weight) : skip_gradient(g, skip_weight, saved[4]);
    if (ctx->needs_input_grad(4)) {
      auto rows = [](const Tensor& t) { return t.permute({0, 2, 3, 1}).reshape({-1, t.size(1)}); };
      result[4] = rows(g).t().mm(rows(at::avg_pool2d(saved[2], 2))).view(skip_weight.sizes());
    }
    return result;
  }

  // The gradient in w of a convolution of x whose result has the gradient g.
  static Tensor weight_gradient(const Tensor& x, const Tensor& g, const Tensor& w, liebm::Fast kind, bool relu) {
    bool few = kind == liebm::Fast::from_few || kind == liebm::Fast::to_few;
    if (at::GradMode::is_enabled() || few) return differentiable_weight_gradient(relu ? x.relu() : x, g, w, kind);
    auto images = nhwc(x), in_result = nhwc(g);
    auto taps = at::empty({3, 3, w.size(1), w.size(0)}, w.options());
    liebm::Profiled profiled("liebm::fast_kernel_gradient", direct_operations(kind, g, w.size(0) * w.size(1)), double(x.nbytes() + g.nbytes() + w.nbytes()));
    liebm::FastConv c{kind, images.data_ptr<float>(), x.size(0), x.size(2), x.size(3), x.size(1), nullptr, w.size(0), in_result.data_ptr<float>()};
    c.relu = relu;
    liebm::fast_kernel_gradient(c, taps.data_ptr<float>(), at::get_num_threads());
    return taps.permute({3, 2, 0, 1}).contiguous(w.suggest_memory_format());
  }

  // The same by operators of libtorch. With pooled it is first the gradient of a 4×4 kernel.
  static Tensor differentiable_weight_gradient(const Tensor& x, const Tensor& g, const Tensor& w, liebm::Fast kind) {
    bool pooled = kind == liebm::Fast::pooled;
    auto kernel = pooled ? w.new_empty({w.size(0), w.size(1), 4, 4}) : w;
    int64_t stride = halves(kind) ? 2 : 1;
    auto got = std::get<1>(at::convolution_backward(g, x, kernel, at::OptionalIntArrayRef(), {stride, stride}, {1, 1}, {1, 1}, false, {0, 0}, 1, {false, true, false}));
    return pooled ? at::avg_pool2d(got, 2, 1) : got;
  }

  // The gradient in the images of the skip connection. kernel is made of its weight w, or undefined.
  static Tensor skip_gradient(const Tensor& g, const Tensor& w, const Tensor& kernel) {
    auto y = nhwc(g), k = kernel.defined() ? kernel : skip_kernel(matrix(w));
    auto x = at::empty({g.size(0), w.size(1), 2 * g.size(2), 2 * g.size(3)}, g.options(), at::MemoryFormat::ChannelsLast);
    liebm::Profiled profiled("liebm::skip_gradient", 2 * double(g.numel() * w.size(1)), double(y.nbytes() + x.nbytes()));
    liebm::skip_gradient({y.data_ptr<float>(), y.size(0), y.size(2), y.size(3), y.size(1), k.data_ptr<float>(), w.size(1), x.data_ptr<float>()}, at::get_num_threads());
    return x;
  }

  static Tensor differentiable_skip_gradient(const Tensor& g, const Tensor& w) {
    auto quarter = at::conv2d(g, w.transpose(0, 1)).div(4);
    return at::upsample_nearest2d(quarter, c10::OptionalArrayRef<int64_t>(), at::ArrayRef<double>({2., 2.}));
  }
};

// The algorithm for the weight: [out,in,3,3].
liebm::Fast kind_of(const Tensor& w, const lt_fast_layer& l) {
  bool possible = fast(w) && w.dim() == 4 && w.size(2) == 3 && w.size(3) == 3;
  auto kind = l.pooled ? liebm::Fast::pooled : l.stride == 2 ? liebm::Fast::strided : liebm::Fast::conv;
  return possible ? liebm::fast_kind(w.size(1), w.size(0), kind) : liebm::Fast::none;
}

// Whether autocast is on, so that libtorch must choose the type of the result.
bool autocast() { return !c10::impl::tls_is_dispatch_key_excluded(c10::DispatchKey::AutocastCPU); }

// Whether the layer can read the images x, and those of the skip connection.
bool fits(const FastLayer& l, const Tensor& x, const Tensor& skip) {
  auto images = [](const Tensor& t, int64_t channels) { return fast(t) && t.dim() == 4 && t.size(1) == channels && t.numel() > 0; };
  bool pooled = l.kind == liebm::Fast::pooled, has_skip = l.skip.numel() > 0;
  return !autocast() && has_skip == (skip.numel() > 0) && l.kind != liebm::Fast::none && images(x, l.weight.size(1)) && (!halves(l.kind) || (x.size(2) % 2 == 0 && x.size(3) % 2 == 0)) &&
         (l.bias.numel() == 0 || (fast(l.bias) && l.bias.dim() == 1 && l.bias.size(0) == l.weight.size(0))) &&
         (!has_skip || (pooled && fast(l.skip) && l.skip.dim() == 4 && l.skip.size(0) == l.weight.size(0) && l.skip.size(2) == 1 && l.skip.size(3) == 1 &&
                        images(skip, l.skip.size(1)) && skip.size(0) == x.size(0) && skip.size(2) == x.size(2) && skip.size(3) == x.size(3)));
}

FastLayer layer_of(const lt_fast_layer& l) {
  auto or_none = [](uint64_t handle, const Tensor& w) { return handle ? liebm::get(handle) : none_of(w); };
  auto or_undefined = [](uint64_t handle) { return handle ? liebm::get(handle) : Tensor(); };
  auto w = liebm::get(l.weight);
  return {kind_of(w, l), w, or_none(l.bias, w), or_none(l.skip, w),
          or_undefined(l.forward), or_undefined(l.adjoint), or_undefined(l.skip_forward), or_undefined(l.skip_adjoint), l.relu != 0};
}

} // namespace

char* lt_fast_conv2d(uint64_t x, uint64_t skip, lt_fast_layer layer, uint64_t* out) {
  return liebm::guard([=] {
    *out = 0;
    auto images = liebm::get(x);
    auto l = layer_of(layer);
    auto added = skip ? liebm::get(skip) : none_of(l.weight);
    bool constant = l.forward.defined();
    if (!fits(l, images, added) || !(constant || images.is_contiguous(at::MemoryFormat::ChannelsLast))) return;
    *out = liebm::make_handle(FastConv2d::apply(images, l.weight, l.bias, added, l.skip, l));
  });
}

char* lt_fast_kernels(lt_fast_layer* layer) {
  return liebm::guard([=] {
    auto l = layer_of(*layer);
    if (l.kind == liebm::Fast::none) return;
    layer->forward = liebm::make_handle(fast_kernel(l.weight, l.kind, false));
    layer->adjoint = liebm::make_handle(none_of(l.weight)); // until a gradient needs it
    if (l.skip.numel() == 0) return;
    layer->skip_forward = liebm::make_handle(skip_kernel(matrix(l.skip).t()));
    layer->skip_adjoint = liebm::make_handle(skip_kernel(matrix(l.skip)));
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
