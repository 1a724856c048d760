// Vectors, matrix products and threads for the convolutions of fastconv.h.
#ifndef LIEBM_TORCH_SIMD_H
#define LIEBM_TORCH_SIMD_H

#include <dlfcn.h>

#include <atomic>
#include <cstdint>
#include <limits>
#include <memory>
#include <new>

// GCC warns that the ABI of vectors depends on the target. It does not matter: functions that take vectors are inlined.
#pragma GCC diagnostic ignored "-Wpsabi"

#define INLINE inline __attribute__((always_inline)) // into a function for AVX2 and one for AVX-512
#define AVX2 __attribute__((target("avx2,fma")))
#define AVX512 __attribute__((target("avx512f,avx512vl,avx512dq")))
#define UNROLLED _Pragma("GCC unroll 16") for

namespace liebm {
namespace {

typedef float V8 __attribute__((vector_size(32)));
typedef float V16 __attribute__((vector_size(64)));

template <class V> INLINE V load(const float* from) {
  V v;
  __builtin_memcpy(&v, from, sizeof v);
  return v;
}

template <class V> INLINE void store(float* to, const V& v) { __builtin_memcpy(to, &v, sizeof v); }

// The lower limit of values after ReLU, or without it.
inline float floor_of(bool relu) { return relu ? 0 : -std::numeric_limits<float>::infinity(); }

// at_least is max(v, limit), and keeps NaN, as libtorch does.
template <class T> INLINE T at_least(float limit, const T& v) { return limit + T{} > v ? limit + T{} : v; }

constexpr int block = 16; // output channels of a block of a matrix product

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

// products is the product of count rows, `rows` at a time. a: [count,k], b: [k,16], both without gaps.
template <class V, int rows, bool add> INLINE void products(int64_t count, const float* a, const float* b, float* c, int64_t k, int64_t stride) {
  for (; count >= rows; count -= rows, a += rows * k, c += rows * stride) product<V, rows, add>(a, k, 1, b, block, k, c, stride);
  if constexpr (rows > 1) {
    if (count > 0) products<V, rows - 1, add>(count, a, b, c, k, stride);
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

} // namespace
} // namespace liebm

#endif
