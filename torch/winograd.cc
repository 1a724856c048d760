#include "winograd.h"

#ifdef __x86_64__

#include <dlfcn.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <new>

// GCC warns that the ABI of vectors depends on the target. It does not matter: functions that take vectors are inlined.
#pragma GCC diagnostic ignored "-Wpsabi"

namespace liebm {
namespace {

#define INLINE inline __attribute__((always_inline)) // into a function for AVX2 and one for AVX-512
#define UNROLLED _Pragma("GCC unroll 16") for

typedef float V8 __attribute__((vector_size(32)));
typedef float V16 __attribute__((vector_size(64)));

template <class V> INLINE V load(const float* from) {
  V v;
  __builtin_memcpy(&v, from, sizeof v);
  return v;
}

template <class V> INLINE void store(float* to, const V& v) { __builtin_memcpy(to, &v, sizeof v); }

// The algorithms, in one dimension. data takes `patch` values to `products` values, kernel takes 3 taps to as many, and result takes
// the products to `outputs` values. Patches begin at tile·step − 1. spread and taps are the transposes of result and kernel.
struct Conv { // F(4,3) at the points 0, ±a, ±b and ∞, with a² = 1/2 and b² = 2: small and even powers keep the rounding errors small
  static constexpr int patch = 6, products = 6, outputs = 4, step = 4;
  static constexpr float a = 0.70710678118654752f, b = 2 * a;
  template <class T> static INLINE void data(const T* d, T* t) {
    T even = d[4] - 2 * d[2], odd = a * d[3] - b * d[1], even2 = d[4] - d[2] / 2, odd2 = b * d[3] - a * d[1];
    t[0] = d[0] + d[4] - 2.5f * d[2], t[1] = even + odd, t[2] = even - odd, t[3] = even2 + odd2, t[4] = even2 - odd2, t[5] = d[1] + d[5] - 2.5f * d[3];
  }
  template <class T> static INLINE void kernel(const T* g, T* u) {
    T even = g[0] + g[2] / 2, odd = a * g[1], even2 = g[0] + 2 * g[2], odd2 = b * g[1];
    u[0] = g[0], u[1] = (even + odd) / -1.5f, u[2] = (even - odd) / -1.5f, u[3] = (even2 + odd2) / 6, u[4] = (even2 - odd2) / 6, u[5] = g[2];
  }
  template <class T> static INLINE void result(const T* m, T* y) {
    T sum = m[1] + m[2], difference = m[1] - m[2], sum2 = m[3] + m[4], difference2 = m[3] - m[4];
    y[0] = m[0] + sum + sum2, y[1] = a * difference + b * difference2, y[2] = sum / 2 + 2 * sum2, y[3] = a / 2 * difference + 2 * b * difference2 + m[5];
  }
  template <class T> static INLINE void spread(const T* y, T* m) {
    T even = y[0] + y[2] / 2, odd = a * y[1] + a / 2 * y[3], even2 = y[0] + 2 * y[2], odd2 = b * y[1] + 2 * b * y[3];
    m[0] = y[0], m[1] = even + odd, m[2] = even - odd, m[3] = even2 + odd2, m[4] = even2 - odd2, m[5] = y[3];
  }
  template <class T> static INLINE void taps(const T* u, T* g) {
    T even = (u[1] + u[2]) / -1.5f, odd = (u[1] - u[2]) / -1.5f, even2 = (u[3] + u[4]) / 6, odd2 = (u[3] - u[4]) / 6;
    g[0] = u[0] + even + even2, g[1] = a * odd + b * odd2, g[2] = even / 2 + 2 * even2 + u[5];
  }
};

// The average of two neighbours commutes with the convolution. s[i] is the sum of the neighbours i and i+1. Output p is
// (g0·s[2p] + g1·s[2p+1] + g2·s[2p+2])/2. The sums at even places have a kernel of two taps, which F(2,2) computes in 3 products.
struct Pooled {
  static constexpr int patch = 6, products = 5, outputs = 2, step = 4;
  template <class T> static INLINE void data(const T* d, T* t) {
    t[1] = d[2] + d[3], t[0] = d[0] + d[1] - t[1], t[2] = d[4] + d[5] - t[1], t[3] = d[1] + d[2], t[4] = d[3] + d[4];
  }
  template <class T> static INLINE void kernel(const T* g, T* u) { u[0] = g[0] / 2, u[1] = (g[0] + g[2]) / 2, u[2] = g[2] / 2, u[3] = u[4] = g[1] / 2; }
  template <class T> static INLINE void result(const T* m, T* y) { y[0] = m[0] + m[1] + m[3], y[1] = m[1] + m[2] + m[4]; }
  template <class T> static INLINE void spread(const T* y, T* m) { m[0] = m[3] = y[0], m[1] = y[0] + y[1], m[2] = m[4] = y[1]; }
  template <class T> static INLINE void taps(const T* u, T* g) { g[0] = (u[0] + u[1]) / 2, g[1] = (u[3] + u[4]) / 2, g[2] = (u[1] + u[2]) / 2; }
};

// Pixel 2p gets (e[p] + g1·d[p])/2 and pixel 2p+1 gets (g1·d[p] + e[p+1])/2, where d is the gradient in the averages and
// e[p] = g2·d[p−1] + g0·d[p]. Three e are computed in 4 products by F(3,2).
struct Adjoint {
  static constexpr int patch = 4, products = 6, outputs = 4, step = 2;
  template <class T> static INLINE void data(const T* d, T* t) { t[0] = d[0] - d[2], t[1] = d[1] + d[2], t[2] = d[2] - d[1], t[3] = d[1] - d[3], t[4] = d[1], t[5] = d[2]; }
  template <class T> static INLINE void kernel(const T* g, T* u) {
    u[0] = g[2] / 2, u[1] = (g[2] + g[0]) / 4, u[2] = (g[2] - g[0]) / 4, u[3] = g[0] / 2, u[4] = u[5] = g[1] / 2;
  }
  template <class T> static INLINE void result(const T* m, T* y) {
    T sum = m[1] + m[2], e = m[1] - m[2];
    y[0] = m[0] + sum + m[4], y[1] = e + m[4], y[2] = e + m[5], y[3] = sum - m[3] + m[5];
  }
};

constexpr int block = 16; // output channels of a block of the matrix product

// transforms the taps of input channel i. w: [3,3,in,out] → u: [products²,out/16,in,16].
template <class A> __attribute__((target("avx2,fma"))) void weights(const float* w, int64_t i, int64_t in, int64_t out, float* u) {
  constexpr int P = A::products;
  for (int64_t o = 0; o < out; o += 8) {
    V8 half[P][3];
    UNROLLED (int column = 0; column < 3; column++) {
      V8 g[3], got[P];
      UNROLLED (int row = 0; row < 3; row++) g[row] = load<V8>(w + ((row * 3 + column) * in + i) * out + o);
      A::kernel(g, got);
      UNROLLED (int p = 0; p < P; p++) half[p][column] = got[p];
    }
    UNROLLED (int p = 0; p < P; p++) {
      V8 got[P];
      A::kernel(half[p], got);
      UNROLLED (int q = 0; q < P; q++) store<V8>(u + (((p * P + q) * (out / block) + o / block) * in + i) * block + o % block, got[q]);
    }
  }
}

// product is a·b, or with add it adds a·b to c. a: [rows,k] with its rows and columns down and along floats apart, b: [k,16] with rows of
// across floats, c: [rows,16] with rows of stride floats.
template <class V, int rows, bool add> INLINE void product(const float* a, int64_t down, int64_t along, const float* b, int64_t across, int64_t k, float* c, int64_t stride) {
  constexpr int width = sizeof(V) / 4, parts = block / width;
  V sum[rows][parts] = {};
  if constexpr (add) {
    UNROLLED (int r = 0; r < rows; r++)
      UNROLLED (int j = 0; j < parts; j++) sum[r][j] = load<V>(c + r * stride + j * width);
  }
  for (int64_t i = 0; i < k; i++) {
    V of[parts];
    UNROLLED (int j = 0; j < parts; j++) of[j] = load<V>(b + i * across + j * width);
    UNROLLED (int r = 0; r < rows; r++)
      UNROLLED (int j = 0; j < parts; j++) sum[r][j] += a[r * down + i * along] * of[j];
  }
  UNROLLED (int r = 0; r < rows; r++)
    UNROLLED (int j = 0; j < parts; j++) store<V>(c + r * stride + j * width, sum[r][j]);
}

// tile_product is the product of `left` rows of a, or of `rows` if there are more. a: [·,k], b: [k,16], without gaps.
template <class V, int rows> INLINE void tile_product(int64_t left, const float* a, const float* b, float* c, int64_t k, int64_t stride) {
  if (left >= rows) {
    product<V, rows, false>(a, k, 1, b, block, k, c, stride);
  } else if constexpr (rows > 1) {
    tile_product<V, rows - 1>(left, a, b, c, k, stride);
  }
}

// A Tile is the place of a tile.
struct Tile {
  int64_t image, row, column;
};

template <class A> struct Result {
  int64_t n, h, w, down, right; // down, right: tiles of an image
  explicit Result(const FastConv& c)
      : n(c.n), h(c.h * A::outputs / A::step), w(c.w * A::outputs / A::step), down((h + A::outputs - 1) / A::outputs), right((w + A::outputs - 1) / A::outputs) {}
  int64_t tiles() const { return n * down * right; }
  Tile tile(int64_t i) const { return {i / (down * right), i / right % down, i % right}; }
  void advance(Tile& t) const {
    if (++t.column == right) t.column = 0, t.row++;
    if (t.row == down) t.row = 0, t.image++;
  }
};

// Data and Spread are the transforms of the patch of a tile: size values from tile·step + first on.
template <class A> struct Data {
  static constexpr int size = A::patch, first = -1, step = A::step, products = A::products;
  template <class T> static INLINE void apply(const T* from, T* to) { A::data(from, to); }
};
template <class A> struct Spread {
  static constexpr int size = A::outputs, first = 0, step = A::outputs, products = A::products;
  template <class T> static INLINE void apply(const T* from, T* to) { A::spread(from, to); }
};

// Some channels of images: at is the first of them in the first pixel.
struct Pixels {
  const float* at;
  int64_t h, w, channels, stride; // stride: from a pixel to the next
};

// transform takes the patch of a tile to its products: for each of them a row with the channels, `distance` floats apart. zeros
// has a zero for each channel.
template <class S> INLINE void transform(const Pixels& x, Tile t, const float* zeros, float* to, int64_t distance) {
  constexpr int D = S::size, P = S::products;
  const int64_t top = t.row * S::step + S::first, left = t.column * S::step + S::first;
  const float* line[D];
  int64_t next[D]; // from a pixel of the line to the next
  bool inside[D];
  UNROLLED (int i = 0; i < D; i++) {
    const bool row = top + i >= 0 && top + i < x.h;
    line[i] = row ? x.at + ((t.image * x.h + top + i) * x.w + left) * x.stride : zeros;
    next[i] = row ? x.stride : 0;
    inside[i] = left + i >= 0 && left + i < x.w;
  }
  for (int64_t k = 0; k < x.channels; k += 8) {
    V8 half[P][D];
    UNROLLED (int j = 0; j < D; j++) {
      V8 d[D] = {}, got[P];
      if (inside[j]) {
        UNROLLED (int i = 0; i < D; i++) d[i] = load<V8>(line[i] + j * next[i] + k);
      }
      S::apply(d, got);
      UNROLLED (int p = 0; p < P; p++) half[p][j] = got[p];
    }
    UNROLLED (int p = 0; p < P; p++) {
      V8 got[P];
      S::apply(half[p], got);
      UNROLLED (int q = 0; q < P; q++) store<V8>(to + (p * P + q) * distance + k, got[q]);
    }
  }
}

// finish takes the sums of a tile, whose rows are stride floats apart, to its pixels of the result.
template <class A> INLINE void finish(const FastConv& c, const Result<A>& r, Tile t, const float* sums, int64_t stride) {
  constexpr int P = A::products, O = A::outputs;
  const int64_t top = t.row * O, left = t.column * O, out = c.out;
  const bool whole = top + O <= r.h && left + O <= r.w;
  float* y = c.y + ((t.image * r.h + top) * r.w + left) * out;
  for (int64_t k = 0; k < out; k += 8) {
    V8 half[O][P];
    UNROLLED (int q = 0; q < P; q++) {
      V8 m[P], got[O];
      UNROLLED (int p = 0; p < P; p++) m[p] = load<V8>(sums + (p * P + q) * stride + k);
      A::result(m, got);
      UNROLLED (int i = 0; i < O; i++) half[i][q] = got[i];
    }
    V8 bias = {};
    if (c.bias) bias = load<V8>(c.bias + k);
    UNROLLED (int i = 0; i < O; i++) {
      V8 got[O];
      A::result(half[i], got);
      UNROLLED (int j = 0; j < O; j++) {
        V8 v = got[j] + bias;
        if (c.relu) v = v <= 0 ? V8{} : v; // keeps NaN, as libtorch does
        if (whole || (top + i < r.h && left + j < r.w)) store<V8>(y + (i * r.w + j) * out + k, v);
      }
    }
  }
}

// tiles computes the tiles from first to first+count.
template <class A, class V, int rows> INLINE void tiles(const FastConv& c, int64_t first, int64_t count, float* memory) {
  constexpr int P = A::products;
  const Result<A> y(c);
  const int64_t in = c.in, out = c.out;
  const Pixels x{c.x, c.h, c.w, in, in};
  float *zeros = memory, *data = zeros + in, *sums = data + P * P * count * in;
  std::fill(zeros, data, 0);
  Tile from = y.tile(first), to = from;
  for (int64_t t = 0; t < count; t++, y.advance(from)) transform<Data<A>>(x, from, zeros, data + t * in, count * in);
  for (int p = 0; p < P * P; p++)
    for (int64_t o = 0; o < out; o += block) {
      const float *a = data + p * count * in, *b = c.kernel + (p * out + o) * in;
      float* sum = sums + p * count * out + o;
      for (int64_t t = 0; t < count; t += rows) tile_product<V, rows>(count - t, a + t * in, b, sum + t * out, in, out);
    }
  for (int64_t t = 0; t < count; t++, y.advance(to)) finish<A>(c, y, to, sums + t * out, count * out);
}

template <class A> __attribute__((target("avx2,fma"))) void tiles_avx2(const FastConv& c, int64_t first, int64_t count, float* memory) {
  tiles<A, V8, 6>(c, first, count, memory);
}

template <class A> __attribute__((target("avx512f,avx512vl,avx512dq"))) void tiles_avx512(const FastConv& c, int64_t first, int64_t count, float* memory) {
  tiles<A, V16, 14>(c, first, count, memory);
}

// A part of a kernel's gradient: that of the tiles from first to last, in some input channels, from channel on. sums receives it before
// the transform to taps: [products²,channels,out].
struct Part {
  const FastConv& c; // y is the gradient in its result
  int64_t channel, channels, first, last;
  float *sums, *memory;
};

constexpr int64_t at_once = 24; // tiles

template <class A, class V, int rows> INLINE void kernel_gradient(const Part& g) {
  constexpr int P = A::products;
  const Result<A> y(g.c);
  const int64_t in = g.channels, out = g.c.out;
  const Pixels x{g.c.x + g.channel, g.c.h, g.c.w, in, g.c.in}, gradient{g.c.y, y.h, y.w, out, out};
  float *zeros = g.memory, *data = zeros + std::max(in, out), *spread = data + P * P * at_once * in;
  std::fill(zeros, data, 0);
  std::fill_n(g.sums, P * P * in * out, 0);
  Tile tile = y.tile(g.first);
  for (int64_t first = g.first; first < g.last; first += at_once) {
    const int64_t count = std::min(at_once, g.last - first);
    for (int64_t t = 0; t < count; t++, y.advance(tile)) {
      transform<Data<A>>(x, tile, zeros, data + t * in, at_once * in);
      transform<Spread<A>>(gradient, tile, zeros, spread + t * out, at_once * out);
    }
    for (int p = 0; p < P * P; p++)
      for (int64_t o = 0; o < out; o += block)
        for (int64_t i = 0; i < in; i += rows)
          product<V, rows, true>(data + p * at_once * in + i, 1, in, spread + p * at_once * out + o, out, count, g.sums + (p * in + i) * out + o, out);
  }
}

template <class A> __attribute__((target("avx2,fma"))) void kernel_gradient_avx2(const Part& g) { kernel_gradient<A, V8, 4>(g); }

template <class A> __attribute__((target("avx512f,avx512vl,avx512dq"))) void kernel_gradient_avx512(const Part& g) { kernel_gradient<A, V16, 8>(g); }

// taps adds up the parts of a kernel's gradient and transforms them to the taps of one input channel. sums: [parts,products²,in,out]; i is
// the channel in sums. w: [3,3,all,out]; it writes input channel + i.
template <class A> __attribute__((target("avx2,fma"))) void taps(const float* sums, int64_t parts, int64_t in, int64_t i, int64_t out, float* w, int64_t channel, int64_t all) {
  constexpr int P = A::products;
  for (int64_t o = 0; o < out; o += 8) {
    V8 half[3][P];
    UNROLLED (int q = 0; q < P; q++) {
      V8 u[P] = {}, got[3];
      for (int64_t part = 0; part < parts; part++)
        UNROLLED (int p = 0; p < P; p++) u[p] += load<V8>(sums + ((part * P * P + p * P + q) * in + i) * out + o);
      A::taps(u, got);
      UNROLLED (int r = 0; r < 3; r++) half[r][q] = got[r];
    }
    UNROLLED (int r = 0; r < 3; r++) {
      V8 got[3];
      A::taps(half[r], got);
      UNROLLED (int column = 0; column < 3; column++) store<V8>(w + ((r * 3 + column) * all + channel + i) * out + o, got[column]);
    }
  }
}

// The OpenMP library that libtorch has loaded. Another one would have threads of its own.
const auto omp_parallel = reinterpret_cast<void (*)(void (*)(void*), void*, unsigned, unsigned)>(dlsym(RTLD_DEFAULT, "GOMP_parallel"));

template <class F> struct Work {
  const F& call;
  const int64_t n;
  std::atomic<int64_t> next{0};
  std::atomic<int> threads{0};

  static void share(void* argument) {
    auto& work = *static_cast<Work*>(argument);
    const int thread = work.threads++;
    for (int64_t i; (i = work.next++) < work.n;) work.call(i, thread);
  }
};

// in_parallel calls call(i, thread) for each i below n.
template <class F> void in_parallel(int64_t n, int threads, const F& call) {
  Work<F> work{call, n};
  if (threads > 1 && omp_parallel) omp_parallel(Work<F>::share, &work, threads, 0);
  else Work<F>::share(&work);
}

struct Aligned {
  void operator()(float* p) const { ::operator delete[](p, std::align_val_t{64}); }
};

using Memory = std::unique_ptr<float[], Aligned>;
Memory floats(int64_t n) { return Memory(new (std::align_val_t{64}) float[n]); }

bool wide() {
  static const bool has = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
  return has;
}

template <class A> void run(const FastConv& c, int threads) {
  const auto some = wide() ? tiles_avx512<A> : tiles_avx2<A>;
  const int64_t total = Result<A>(c).tiles(), fair = (total + threads - 1) / threads;
  if (total == 0) return;
  const int64_t most = wide() ? 28 : 24, calls = (fair + most - 1) / most, chunk = (fair + calls - 1) / calls;
  const int64_t share = (c.in + A::products * A::products * chunk * (c.in + c.out) + 15) / 16 * 16;
  const Memory memory = floats(share * threads);
  in_parallel((total + chunk - 1) / chunk, threads, [&](int64_t i, int thread) {
    some(c, i * chunk, std::min(chunk, total - i * chunk), memory.get() + share * thread);
  });
}

// The work is divided into parts whose number depends on the shapes alone, so that the sums do not depend on the threads.
template <class A> void run_gradient(const FastConv& c, float* w, int threads) {
  constexpr int64_t P = A::products * A::products;
  const auto some = wide() ? kernel_gradient_avx512<A> : kernel_gradient_avx2<A>;
  const int64_t total = Result<A>(c).tiles(), channels = c.in % 32 ? 16 : 32, blocks = c.in / channels;
  const int64_t parts = std::max<int64_t>(1, std::min<int64_t>(16 / blocks, total / (2 * at_once))), tiles = (total + parts - 1) / parts;
  const int64_t share = (std::max(channels, c.out) + P * at_once * (channels + c.out) + 15) / 16 * 16;
  const Memory memory = floats(share * threads), sums = floats(blocks * parts * P * channels * c.out);
  in_parallel(blocks * parts, threads, [&](int64_t i, int thread) {
    const int64_t block = i / parts, part = i % parts;
    some({c, block * channels, channels, std::min(total, part * tiles), std::min(total, (part + 1) * tiles), sums.get() + i * P * channels * c.out, memory.get() + share * thread});
  });
  in_parallel(c.in, c.in * c.out < 4096 ? 1 : threads, [&](int64_t i, int) {
    taps<A>(sums.get() + i / channels * parts * P * channels * c.out, parts, channels, i % channels, c.out, w, i / channels * channels, c.in);
  });
}

} // namespace

bool fast_possible(int64_t in, int64_t out) {
  static const bool cpu = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  return cpu && in % block == 0 && out % block == 0;
}

int64_t fast_products(Fast kind) {
  return kind == Fast::conv ? Conv::products * Conv::products : kind == Fast::pooled ? Pooled::products * Pooled::products : Adjoint::products * Adjoint::products;
}

void fast_kernel(Fast kind, const float* w, int64_t in, int64_t out, float* kernel, int threads) {
  const auto channel = kind == Fast::conv ? weights<Conv> : kind == Fast::pooled ? weights<Pooled> : weights<Adjoint>;
  in_parallel(in, in * out < 4096 ? 1 : threads, [=](int64_t i, int) { channel(w, i, in, out, kernel); });
}

void fast_conv(const FastConv& c, int threads) {
  if (c.kind == Fast::conv) run<Conv>(c, threads);
  if (c.kind == Fast::pooled) run<Pooled>(c, threads);
  if (c.kind == Fast::adjoint) run<Adjoint>(c, threads);
}

void fast_kernel_gradient(const FastConv& c, float* w, int threads) {
  if (c.kind == Fast::conv) run_gradient<Conv>(c, w, threads);
  if (c.kind == Fast::pooled) run_gradient<Pooled>(c, w, threads);
}

} // namespace liebm

#else

namespace liebm {

bool fast_possible(int64_t, int64_t) { return false; }
int64_t fast_products(Fast) { return 0; }
void fast_kernel(Fast, const float*, int64_t, int64_t, float*, int) {}
void fast_conv(const FastConv&, int) {}
void fast_kernel_gradient(const FastConv&, float*, int) {}

} // namespace liebm

#endif
