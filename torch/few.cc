// Convolutions from and to images of few channels, and the skip connection of pooled convolutions.
#include "fastconv.h"

#include <algorithm>

#ifdef __x86_64__

#include "simd.h"

namespace liebm {
namespace {

// Three rows of an image, each with a pixel of zeros before and after it.
struct Lines {
  const float* row[3];
};

// dots is y[r] = Σ taps·pixels for `rows` neighbours of a row, in 16 output channels. lines: those of the first pixel. kernel: [9·in,16].
template <class V, int rows> INLINE void dots(const Lines& lines, int64_t in, const float* kernel, const float* bias, float* y, int64_t stride) {
  constexpr int width = sizeof(V) / 4, parts = block / width;
  V sum[rows][parts];
  UNROLLED (int r = 0; r < rows; r++)
    UNROLLED (int j = 0; j < parts; j++) sum[r][j] = load<V>(bias + j * width);
  for (int line = 0; line < 3; line++)
    for (int64_t i = 0; i < 3 * in; i++, kernel += block) {
      V of[parts];
      UNROLLED (int j = 0; j < parts; j++) of[j] = load<V>(kernel + j * width);
      UNROLLED (int r = 0; r < rows; r++)
        UNROLLED (int j = 0; j < parts; j++) sum[r][j] += lines.row[line][r * in + i] * of[j];
    }
  UNROLLED (int r = 0; r < rows; r++)
    UNROLLED (int j = 0; j < parts; j++) store<V>(y + r * stride + j * width, sum[r][j]);
}

// all_dots computes count neighbours, `rows` at a time.
template <class V, int rows> INLINE void all_dots(int64_t count, Lines lines, int64_t in, const float* kernel, const float* bias, float* y, int64_t stride) {
  for (; count >= rows; count -= rows, y += rows * stride) {
    dots<V, rows>(lines, in, kernel, bias, y, stride);
    for (auto& row : lines.row) row += rows * in;
  }
  if constexpr (rows > 1) {
    if (count > 0) all_dots<V, rows - 1>(count, lines, in, kernel, bias, y, stride);
  }
}

int64_t from_few_memory(const FastConv& c) { return 3 * (c.w + 2) * c.in + c.out; }

// from_few computes one row. memory: from_few_memory, zeros at first.
template <class V, int rows> INLINE void from_few(const FastConv& c, int64_t image, int64_t row, float* memory) {
  const int64_t in = c.in, out = c.out, length = c.w * in, padded = length + 2 * in;
  const float *zeros = memory + 3 * padded, *bias = c.bias ? c.bias : zeros, limit = floor_of(c.relu);
  Lines lines;
  for (int i = 0; i < 3; i++) {
    float* to = memory + i * padded;
    lines.row[i] = to;
    const int64_t from = row + i - 1;
    const float* x = c.x + (image * c.h + from) * length;
    for (int64_t k = 0; k < length; k++) to[in + k] = from < 0 || from >= c.h ? 0 : at_least(limit, x[k]);
  }
  const int64_t first = (image * c.h + row) * c.w * out;
  for (int64_t o = 0; o < out; o += block) all_dots<V, rows>(c.w, lines, in, c.kernel + 9 * o * in, bias + o, c.y + first + o, out);
  if (c.mask)
    for (int64_t k = first; k < first + c.w * out; k += 8) store<V8>(c.y + k, load<V8>(c.mask + k) <= 0 ? V8{} : load<V8>(c.y + k));
}

AVX2 void from_few_avx2(const FastConv& c, int64_t image, int64_t row, float* memory) { from_few<V8, 6>(c, image, row, memory); }
AVX512 void from_few_avx512(const FastConv& c, int64_t image, int64_t row, float* memory) { from_few<V16, 14>(c, image, row, memory); }

int64_t padded(int64_t channels) { return (channels + block - 1) / block * block; }

int64_t to_few_memory(const FastConv& c) { return c.w * (3 * padded(9 * c.out) + c.in); }

// to_few computes the rows from first to last of an image. A pixel has a share in each of its nine neighbours: shares are those of three
// rows, [3,w,(9,out)].
template <class V, int rows> INLINE void to_few(const FastConv& c, int64_t image, int64_t first, int64_t last, float* memory) {
  const int64_t in = c.in, out = c.out, wide = padded(9 * out), line = c.w * wide;
  float *shares = memory, *positive = shares + 3 * line;
  for (int64_t row = std::max<int64_t>(first - 1, 0); row <= last; row++) {
    if (row < c.h) {
      const float* x = c.x + (image * c.h + row) * c.w * in;
      if (c.relu) {
        for (int64_t k = 0; k < c.w * in; k += 8) store<V8>(positive + k, at_least(0, load<V8>(x + k)));
        x = positive;
      }
      for (int64_t o = 0; o < wide; o += block) products<V, rows, false>(c.w, x, c.kernel + o * in, shares + row % 3 * line + o, in, wide);
    }
    if (row <= first) continue;
    const int64_t at = row - 1, from = std::max<int64_t>(at - 1, 0), to = std::min(at + 1, c.h - 1);
    float* y = c.y + (image * c.h + at) * c.w * out;
    const float* mask = c.mask ? c.mask + (y - c.y) : nullptr;
    for (int64_t column = 0; column < c.w; column++)
      for (int64_t o = 0; o < out; o++, y++) {
        float sum = c.bias ? c.bias[o] : 0;
        for (int64_t r = from; r <= to; r++)
          for (int64_t k = std::max<int64_t>(column - 1, 0); k <= std::min(column + 1, c.w - 1); k++)
            sum += shares[r % 3 * line + k * wide + ((r - at + 1) * 3 + k - column + 1) * out + o];
        *y = mask && *mask++ <= 0 ? 0 : sum;
      }
  }
}

AVX2 void to_few_avx2(const FastConv& c, int64_t image, int64_t first, int64_t last, float* memory) { to_few<V8, 6>(c, image, first, last, memory); }
AVX512 void to_few_avx512(const FastConv& c, int64_t image, int64_t first, int64_t last, float* memory) { to_few<V16, 14>(c, image, first, last, memory); }

// spread computes two rows of the gradient in skip.
template <class V, int rows> INLINE void spread(const SkipGradient& s, int64_t row, float* memory) {
  const int64_t wide = padded(s.in), line = 2 * s.w * s.in;
  for (int64_t i = 0; i < wide; i += block) products<V, rows, false>(s.w, s.y + row * s.w * s.out, s.kernel + i * s.out, memory + i, s.out, wide);
  float *upper = s.x + 2 * row * line, *lower = upper + line;
  for (int64_t column = 0; column < s.w; column++, memory += wide)
    for (float* to : {upper + 2 * column * s.in, lower + 2 * column * s.in}) {
      std::copy_n(memory, s.in, to);
      std::copy_n(memory, s.in, to + s.in);
    }
}

AVX2 void spread_avx2(const SkipGradient& s, int64_t row, float* memory) { spread<V8, 6>(s, row, memory); }
AVX512 void spread_avx512(const SkipGradient& s, int64_t row, float* memory) { spread<V16, 14>(s, row, memory); }

// blocks takes a matrix [in,out] to blocks of 16 columns: [padded(out)/16,in,16].
template <class F> void blocks(int64_t in, int64_t out, const F& element, float* to) {
  for (int64_t o = 0; o < padded(out); o++)
    for (int64_t i = 0; i < in; i++) to[(o / block * in + i) * block + o % block] = o < out ? element(i, o) : 0;
}

} // namespace

int64_t skip_kernel_size(int64_t in, int64_t out) { return in * padded(out); }

void skip_kernel(const float* w, int64_t in, int64_t out, float* kernel) {
  blocks(in, out, [=](int64_t i, int64_t o) { return w[i * out + o] / 4; }, kernel);
}

void skip_gradient(const SkipGradient& s, int threads) {
  const auto some = wide() ? spread_avx512 : spread_avx2;
  const int64_t share = padded(s.w * padded(s.in));
  const Memory memory = floats(share * threads);
  in_parallel(s.n * s.h, threads, [&](int64_t row, int thread) { some(s, row, memory.get() + share * thread); });
}

void few_kernel(Fast kind, const FastWeight& w, int64_t in, int64_t out, float* kernel) {
  const auto tap = [&](int64_t t, int64_t i, int64_t o) { return w.w[t / 3 * w.row + t % 3 * w.column + i * w.in + o * w.out]; };
  if (kind == Fast::from_few) blocks(9 * in, out, [=](int64_t i, int64_t o) { return tap(i / in, i % in, o); }, kernel);
  else blocks(in, 9 * out, [=](int64_t i, int64_t o) { return tap(o / out, i, o % out); }, kernel);
}

void few_conv(const FastConv& c, int threads) {
  if (c.kind == Fast::from_few) {
    const auto some = wide() ? from_few_avx512 : from_few_avx2;
    const int64_t share = padded(from_few_memory(c)), at_once = 8; // rows
    const Memory memory = floats(share * threads);
    std::fill_n(memory.get(), share * threads, 0);
    in_parallel((c.n * c.h + at_once - 1) / at_once, threads, [&](int64_t i, int thread) {
      for (int64_t row = i * at_once; row < std::min((i + 1) * at_once, c.n * c.h); row++) some(c, row / c.h, row % c.h, memory.get() + share * thread);
    });
  } else {
    const auto some = wide() ? to_few_avx512 : to_few_avx2;
    const int64_t share = padded(to_few_memory(c));
    const Memory memory = floats(share * threads);
    // A part of an image computes the rows beside it, too. So an image is divided only if there are few.
    const int64_t at_once = c.n >= 2 * threads ? c.h : 16, parts = (c.h + at_once - 1) / at_once;
    in_parallel(c.n * parts, threads, [&](int64_t i, int thread) {
      const int64_t first = i % parts * at_once;
      some(c, i / parts, first, std::min(first + at_once, c.h), memory.get() + share * thread);
    });
  }
}

} // namespace liebm

#else

namespace liebm {

int64_t skip_kernel_size(int64_t, int64_t) { return 0; }
void skip_kernel(const float*, int64_t, int64_t, float*) {}
void skip_gradient(const SkipGradient&, int) {}
void few_kernel(Fast, const FastWeight&, int64_t, int64_t, float*) {}
void few_conv(const FastConv&, int) {}

} // namespace liebm

#endif
