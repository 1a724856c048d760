#include "fastconv.h"

#ifdef __x86_64__

#include <algorithm>

#include "simd.h"

namespace liebm {
namespace {

// The algorithms, in one dimension. data takes `patch` values to `products` values, kernel takes 3 taps to as many, and result takes
// the products to `outputs` values. Patches begin at tile·step + first. spread and taps are the transposes of result and kernel.
struct Conv { // F(4,3) at the points 0, ±a, ±b and ∞, with a² = 1/2 and b² = 2: small and even powers keep the rounding errors small
  static constexpr int patch = 6, products = 6, outputs = 4, step = 4, first = -1;
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
  static constexpr int patch = 6, products = 5, outputs = 2, step = 4, first = -1;
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
  static constexpr int patch = 4, products = 6, outputs = 4, step = 2, first = -1;
  template <class T> static INLINE void data(const T* d, T* t) { t[0] = d[0] - d[2], t[1] = d[1] + d[2], t[2] = d[2] - d[1], t[3] = d[1] - d[3], t[4] = d[1], t[5] = d[2]; }
  template <class T> static INLINE void kernel(const T* g, T* u) {
    u[0] = g[2] / 2, u[1] = (g[2] + g[0]) / 4, u[2] = (g[2] - g[0]) / 4, u[3] = g[0] / 2, u[4] = u[5] = g[1] / 2;
  }
  template <class T> static INLINE void result(const T* m, T* y) {
    T sum = m[1] + m[2], e = m[1] - m[2];
    y[0] = m[0] + sum + m[4], y[1] = e + m[4], y[2] = e + m[5], y[3] = sum - m[3] + m[5];
  }
};

// With stride 2, output p is g0·x[2p−1] + g1·x[2p] + g2·x[2p+1]. The odd pixels have a kernel of two taps, as in Pooled.
struct Strided : Pooled {
  static constexpr int patch = 5;
  template <class T> static INLINE void data(const T* d, T* t) { t[0] = d[0] - d[2], t[1] = d[2], t[2] = d[4] - d[2], t[3] = d[1], t[4] = d[3]; }
  template <class T> static INLINE void kernel(const T* g, T* u) { u[0] = g[0], u[1] = g[0] + g[2], u[2] = g[2], u[3] = u[4] = g[1]; }
  template <class T> static INLINE void taps(const T* u, T* g) { g[0] = u[0] + u[1], g[1] = u[3] + u[4], g[2] = u[1] + u[2]; }
};

// Pixel 2p gets g1·d[p], and pixel 2p+1 gets g2·d[p] + g0·d[p+1], where d is the gradient in the result.
struct StridedAdjoint {
  static constexpr int patch = 3, products = 5, outputs = 4, step = 2, first = 0;
  template <class T> static INLINE void data(const T* d, T* t) { t[0] = d[0] - d[1], t[1] = d[1], t[2] = d[2] - d[1], t[3] = d[0], t[4] = d[1]; }
  template <class T> static INLINE void kernel(const T* g, T* u) { u[0] = g[2], u[1] = g[0] + g[2], u[2] = g[0], u[3] = u[4] = g[1]; }
  template <class T> static INLINE void result(const T* m, T* y) { y[0] = m[3], y[1] = m[0] + m[1], y[2] = m[4], y[3] = m[1] + m[2]; }
};

// transpose makes row i of 8 vectors column i.
INLINE void transpose(V8* rows) {
  typedef int32_t I8 __attribute__((vector_size(32)));
  UNROLLED (int s = 1; s < 8; s *= 2) {
    I8 low, high; // lanes of the pair that become rows i and i+s
    UNROLLED (int lane = 0; lane < 8; lane++) low[lane] = lane & s ? 8 + lane - s : lane, high[lane] = lane & s ? 8 + lane : lane + s;
    UNROLLED (int i = 0; i < 8; i++) {
      if (i & s) continue;
      const V8 a = rows[i], b = rows[i + s];
      rows[i] = __builtin_shuffle(a, b, low), rows[i + s] = __builtin_shuffle(a, b, high);
    }
  }
}

// transforms the weights of 8 input channels, from channel i on. u: [products²,out/16,in,16].
template <class A> AVX2 void weights(const FastWeight& w, int64_t i, int64_t in, int64_t out, float* u) {
  constexpr int P = A::products;
  const bool turned = w.in == 1; // a vector of memory has 8 input channels
  for (int64_t o = 0; o < out; o += 8) {
    V8 g[8][3][3]; // [input channel,row,column]: 8 output channels
    for (int tap = 0; tap < 9; tap++) {
      V8 rows[8];
      UNROLLED (int k = 0; k < 8; k++) rows[k] = load<V8>(w.w + i * w.in + o * w.out + k * (turned ? w.out : w.in) + tap / 3 * w.row + tap % 3 * w.column);
      if (turned) transpose(rows);
      UNROLLED (int k = 0; k < 8; k++) g[k][tap / 3][tap % 3] = rows[k];
    }
    for (int k = 0; k < 8; k++) {
      V8 half[P][3];
      UNROLLED (int column = 0; column < 3; column++) {
        V8 taps[3] = {g[k][0][column], g[k][1][column], g[k][2][column]}, got[P];
        A::kernel(taps, got);
        UNROLLED (int p = 0; p < P; p++) half[p][column] = got[p];
      }
      UNROLLED (int p = 0; p < P; p++) {
        V8 got[P];
        A::kernel(half[p], got);
        UNROLLED (int q = 0; q < P; q++) store<V8>(u + (((p * P + q) * (out / block) + o / block) * in + i + k) * block + o % block, got[q]);
      }
    }
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
  static constexpr int size = A::patch, first = A::first, step = A::step, products = A::products;
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
  float limit;                    // the least value that is read
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
        UNROLLED (int i = 0; i < D; i++) d[i] = at_least(x.limit, load<V8>(line[i] + j * next[i] + k));
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
  const int64_t top = t.row * O, left = t.column * O, out = c.out, first = ((t.image * r.h + top) * r.w + left) * out;
  const bool whole = top + O <= r.h && left + O <= r.w;
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
        const int64_t at = first + (i * r.w + j) * out + k;
        if (!whole && (top + i >= r.h || left + j >= r.w)) continue;
        V8 v = got[j] + bias;
        if (c.mask) v = load<V8>(c.mask + at) <= 0 ? V8{} : v;
        store<V8>(c.y + at, v);
      }
    }
  }
}

// add_skip adds the 1×1 convolution of the averages of skip to the sums of `count` tiles. Output (i,j) of a tile is the product (3+i,3+j)
// and others, so it adds to that product.
template <class V, int rows> INLINE void add_skip(const FastConv& c, Tile tile, int64_t count, float* data, float* sums) {
  const int64_t in = c.skip_in, out = c.out, line = c.w * in;
  const Result<Pooled> y(c);
  for (int64_t t = 0; t < count; t++, y.advance(tile))
    for (int i = 0; i < 2; i++)
      for (int j = 0; j < 2; j++) {
        const int64_t row = 2 * tile.row + i, column = 2 * tile.column + j;
        float* to = data + ((2 * i + j) * count + t) * in;
        if (row >= y.h || column >= y.w) {
          std::fill_n(to, in, 0);
          continue;
        }
        const float *upper = c.skip + (tile.image * c.h + 2 * row) * line + 2 * column * in, *lower = upper + line;
        int64_t k = 0;
        for (; k + 8 <= in; k += 8) store<V8>(to + k, load<V8>(upper + k) + load<V8>(upper + in + k) + load<V8>(lower + k) + load<V8>(lower + in + k));
        for (; k < in; k++) to[k] = upper[k] + upper[in + k] + lower[k] + lower[in + k];
      }
  for (int q = 0; q < 4; q++)
    for (int64_t o = 0; o < out; o += block) {
      const int place = (3 + q / 2) * Pooled::products + 3 + q % 2;
      products<V, rows, true>(count, data + q * count * in, c.skip_kernel + o * in, sums + place * count * out + o, in, out);
    }
}

// tiles computes the tiles from first to first+count.
template <class A, class V, int rows> INLINE void tiles(const FastConv& c, int64_t first, int64_t count, float* memory) {
  constexpr int P = A::products;
  const Result<A> y(c);
  const int64_t in = c.in, out = c.out;
  const Pixels x{c.x, c.h, c.w, in, in, floor_of(c.relu)};
  float *zeros = memory, *data = zeros + in, *sums = data + count * std::max(P * P * in, 4 * c.skip_in);
  std::fill(zeros, data, 0);
  Tile from = y.tile(first), to = from;
  for (int64_t t = 0; t < count; t++, y.advance(from)) transform<Data<A>>(x, from, zeros, data + t * in, count * in);
  for (int p = 0; p < P * P; p++)
    for (int64_t o = 0; o < out; o += block) {
      const float *a = data + p * count * in, *b = c.kernel + (p * out + o) * in;
      products<V, rows, false>(count, a, b, sums + p * count * out + o, in, out);
    }
  if constexpr (std::is_same_v<A, Pooled>) {
    if (c.skip) add_skip<V, rows>(c, y.tile(first), count, data, sums);
  }
  for (int64_t t = 0; t < count; t++, y.advance(to)) finish<A>(c, y, to, sums + t * out, count * out);
}

template <class A> AVX2 void tiles_avx2(const FastConv& c, int64_t first, int64_t count, float* memory) {
  tiles<A, V8, 6>(c, first, count, memory);
}

template <class A> AVX512 void tiles_avx512(const FastConv& c, int64_t first, int64_t count, float* memory) {
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
  const Pixels x{g.c.x + g.channel, g.c.h, g.c.w, in, g.c.in, floor_of(g.c.relu)}, gradient{g.c.y, y.h, y.w, out, out, floor_of(false)};
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

template <class A> AVX2 void kernel_gradient_avx2(const Part& g) { kernel_gradient<A, V8, 4>(g); }

template <class A> AVX512 void kernel_gradient_avx512(const Part& g) { kernel_gradient<A, V16, 8>(g); }

// taps adds up the parts of a kernel's gradient and transforms them to the taps of one input channel. sums: [parts,products²,in,out]; i is
// the channel in sums. w: [3,3,all,out]; it writes input channel + i.
template <class A> AVX2 void taps(const float* sums, int64_t parts, int64_t in, int64_t i, int64_t out, float* w, int64_t channel, int64_t all) {
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

template <class A> void run(const FastConv& c, int threads) {
  const auto some = wide() ? tiles_avx512<A> : tiles_avx2<A>;
  const int64_t total = Result<A>(c).tiles(), fair = (total + threads - 1) / threads;
  if (total == 0) return;
  const int64_t most = wide() ? 28 : 24, calls = (fair + most - 1) / most, chunk = (fair + calls - 1) / calls;
  const int64_t places = A::products * A::products, data = std::max(places * c.in, 4 * c.skip_in); // of a tile
  const int64_t share = (c.in + chunk * (data + places * c.out) + 15) / 16 * 16;
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

Fast fast_kind(int64_t in, int64_t out, Fast kind) {
  static const bool cpu = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const auto few = [](int64_t channels) { return channels > 0 && channels < 8; };
  const auto many = [](int64_t channels) { return channels > 0 && channels % block == 0; };
  if (!cpu) return Fast::none;
  if (many(in) && many(out)) return kind;
  if (few(in) && many(out) && kind == Fast::conv) return Fast::from_few;
  if (many(in) && few(out) && kind == Fast::conv) return Fast::to_few;
  return Fast::none;
}

Fast fast_adjoint(Fast kind) {
  switch (kind) {
  case Fast::pooled: return Fast::adjoint;
  case Fast::adjoint: return Fast::pooled;
  case Fast::strided: return Fast::strided_adjoint;
  case Fast::strided_adjoint: return Fast::strided;
  case Fast::from_few: return Fast::to_few;
  case Fast::to_few: return Fast::from_few;
  default: return kind;
  }
}

int64_t fast_kernel_size(Fast kind, int64_t in, int64_t out) {
  const auto square = [](int64_t products) { return products * products; };
  switch (kind) {
  case Fast::conv: return square(Conv::products) * in * out;
  case Fast::pooled: return square(Pooled::products) * in * out;
  case Fast::adjoint: return square(Adjoint::products) * in * out;
  case Fast::strided: return square(Strided::products) * in * out;
  case Fast::strided_adjoint: return square(StridedAdjoint::products) * in * out;
  default: return skip_kernel_size(kind == Fast::from_few ? 9 * in : in, kind == Fast::to_few ? 9 * out : out);
  }
}

void fast_kernel(Fast kind, const FastWeight& w, int64_t in, int64_t out, float* kernel, int threads) {
  if (kind == Fast::from_few || kind == Fast::to_few) return few_kernel(kind, w, in, out, kernel);
  const auto channels = kind == Fast::conv      ? weights<Conv>
                        : kind == Fast::pooled  ? weights<Pooled>
                        : kind == Fast::adjoint ? weights<Adjoint>
                        : kind == Fast::strided ? weights<Strided>
                                                : weights<StridedAdjoint>;
  in_parallel(in / 8, in * out < 2048 ? 1 : threads, [&](int64_t i, int) { channels(w, 8 * i, in, out, kernel); });
}

void fast_conv(const FastConv& c, int threads) {
  switch (c.kind) {
  case Fast::conv: return run<Conv>(c, threads);
  case Fast::pooled: return run<Pooled>(c, threads);
  case Fast::adjoint: return run<Adjoint>(c, threads);
  case Fast::strided: return run<Strided>(c, threads);
  case Fast::strided_adjoint: return run<StridedAdjoint>(c, threads);
  default: return few_conv(c, threads);
  }
}

void fast_kernel_gradient(const FastConv& c, float* w, int threads) {
  if (c.kind == Fast::conv) run_gradient<Conv>(c, w, threads);
  if (c.kind == Fast::pooled) run_gradient<Pooled>(c, w, threads);
  if (c.kind == Fast::strided) run_gradient<Strided>(c, w, threads);
}

} // namespace liebm

#else

namespace liebm {

Fast fast_kind(int64_t, int64_t, Fast) { return Fast::none; }
Fast fast_adjoint(Fast kind) { return kind; }
int64_t fast_kernel_size(Fast, int64_t, int64_t) { return 0; }
void fast_kernel(Fast, const FastWeight&, int64_t, int64_t, float*, int) {}
void fast_conv(const FastConv&, int) {}
void fast_kernel_gradient(const FastConv&, float*, int) {}

} // namespace liebm

#endif
