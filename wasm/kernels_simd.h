// The kernels' vocabulary: four lanes, their sums, and the exponential.
#ifndef KERNELS_SIMD_H
#define KERNELS_SIMD_H
#include "kernels.h"
#include <wasm_simd128.h>

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("clang loop unroll(full)")

// What the compiler knows of a value ends here. Keeps loads from being moved up to where more values live than there are
// registers, and constants in memory from becoming constants in the code, of which V8 makes a vector anew at every use.
#define IN_ORDER(value) __asm__ volatile("" : "+r"(value))

// Most channels of a head: bounds arrays on the stack.
enum { MAX_D = 256 };

INLINE v128_t load(const float *x) { return wasm_v128_load(x); }
INLINE v128_t load_splat(const float *x) { return wasm_v128_load32_splat(x); }
INLINE void store(float *y, v128_t x) { wasm_v128_store(y, x); }
INLINE v128_t splat(float x) { return wasm_f32x4_splat(x); }
INLINE v128_t add(v128_t a, v128_t b) { return wasm_f32x4_add(a, b); }
INLINE v128_t sub(v128_t a, v128_t b) { return wasm_f32x4_sub(a, b); }
INLINE v128_t mul(v128_t a, v128_t b) { return wasm_f32x4_mul(a, b); }

// sum + a · b, rounded once where the module is built for it
INLINE v128_t madd(v128_t a, v128_t b, v128_t sum) {
#ifdef __wasm_relaxed_simd__
  return __builtin_wasm_fma_f32x4(a, b, sum);
#else
  return add(sum, mul(a, b));
#endif
}

INLINE uint32_t min_u32(uint32_t a, uint32_t b) { return a < b ? a : b; }

INLINE float sum_lanes(v128_t x) {
  x = add(x, wasm_i32x4_shuffle(x, x, 2, 3, 0, 1));
  x = add(x, wasm_i32x4_shuffle(x, x, 1, 0, 3, 2));
  return wasm_f32x4_extract_lane(x, 0);
}

// The sums of four vectors' lanes, added in the order of sum_lanes.
INLINE v128_t sum_lanes_of_four(const v128_t *x) {
  v128_t a = add(wasm_i32x4_shuffle(x[0], x[1], 0, 1, 4, 5), wasm_i32x4_shuffle(x[0], x[1], 2, 3, 6, 7));
  v128_t b = add(wasm_i32x4_shuffle(x[2], x[3], 0, 1, 4, 5), wasm_i32x4_shuffle(x[2], x[3], 2, 3, 6, 7));
  return add(wasm_i32x4_shuffle(a, b, 0, 2, 4, 6), wasm_i32x4_shuffle(a, b, 1, 3, 5, 7));
}

INLINE float max_lanes(v128_t x) {
  x = wasm_f32x4_pmax(x, wasm_i32x4_shuffle(x, x, 2, 3, 0, 1));
  x = wasm_f32x4_pmax(x, wasm_i32x4_shuffle(x, x, 1, 0, 3, 2));
  return wasm_f32x4_extract_lane(x, 0);
}

// The first n < 4 elements, zeros after them.
INLINE v128_t load_part(const float *x, uint32_t n) {
  float lanes[4] = {0};
  for (uint32_t i = 0; i < n; i++) lanes[i] = x[i];
  return load(lanes);
}

INLINE void store_part(float *y, v128_t x, uint32_t n) {
  float lanes[4];
  store(lanes, x);
  for (uint32_t i = 0; i < n; i++) y[i] = lanes[i];
}

// y[i] = f(a[i], b[i]) for begin ≤ i < end
INLINE void map(float *y, const float *a, const float *b, uint32_t begin, uint32_t end, v128_t f(v128_t, v128_t)) {
  uint32_t i = begin;
  for (; i + 4 <= end; i += 4) store(y + i, f(load(a + i), load(b + i)));
  store_part(y + i, f(load_part(a + i, end - i), load_part(b + i, end - i)), end - i);
}

// Σ x², in 16 lanes.
INLINE float sum_squares(const float *x, uint32_t n) {
  v128_t sums[4] = {splat(0), splat(0), splat(0), splat(0)};
  uint32_t i = 0;
  for (; i + 16 <= n; i += 16)
    UNROLL for (int j = 0; j < 4; j++) sums[j] = add(sums[j], mul(load(x + i + 4 * j), load(x + i + 4 * j)));
  for (; i + 4 <= n; i += 4) sums[0] = add(sums[0], mul(load(x + i), load(x + i)));
  v128_t rest = load_part(x + i, n - i);
  sums[1] = add(sums[1], mul(rest, rest));
  return sum_lanes(add(add(sums[0], sums[1]), add(sums[2], sums[3])));
}

// What n = round(x / ln 2) is added to, so that it lies in the lowest bits of the sum.
#define ROUNDING 0x1.8p23f

// exp(x) = 2^n exp(r) with r = x - n ln 2, |r| ≤ ln 2 / 2, and a minimax polynomial (that of Cephes' expf). The power
// comes in two halves, so that results below 2^-126 or above 2^127 round as they should: to subnormals, 0, infinity.
INLINE v128_t exp4(v128_t x) {
  static const float CONSTANTS[] = {
    90, -110, 1.44269504f, ROUNDING,
    -0.693359375f, 2.12194440e-4f, // ln 2: the first has 9 bits, so that its product is exact
    1.9875691500e-4f, 1.3981999507e-3f, 8.3334519073e-3f, 4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f, 1,
  };
  const float *c = CONSTANTS;
  IN_ORDER(c);
  x = wasm_f32x4_pmax(wasm_f32x4_pmin(x, load_splat(c)), load_splat(c + 1)); // NaN stays
  const v128_t rounding = load_splat(c + 3), sum = madd(x, load_splat(c + 2), rounding), n = sub(sum, rounding);
  const v128_t r = madd(n, load_splat(c + 5), madd(n, load_splat(c + 4), x));
  v128_t p = load_splat(c + 6);
  UNROLL for (int i = 7; i < 12; i++) p = madd(p, r, load_splat(c + i));
  const v128_t one = load_splat(c + 12);
  p = add(one, madd(p, mul(r, r), r));
  const v128_t power = wasm_i32x4_sub(sum, rounding), half = wasm_i32x4_shr(power, 1);
  p = mul(p, wasm_i32x4_add(wasm_i32x4_shl(half, 23), one));
  return mul(p, wasm_i32x4_add(wasm_i32x4_shl(wasm_i32x4_sub(power, half), 23), one));
}

INLINE v128_t exponential4(v128_t x, v128_t unused) { return (void)unused, exp4(x); }
INLINE v128_t gate4(v128_t x, v128_t gate) { return wasm_f32x4_div(x, add(splat(1), exp4(wasm_f32x4_neg(gate)))); }
INLINE v128_t sigmoid4(v128_t x, v128_t unused) { return (void)unused, gate4(splat(1), x); }
INLINE v128_t swish4(v128_t x, v128_t unused) { return (void)unused, gate4(x, x); }
INLINE v128_t swiglu4(v128_t gate, v128_t up) { return mul(gate4(gate, gate), up); }

#endif
