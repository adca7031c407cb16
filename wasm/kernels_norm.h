// Norms, rotations, gates: everything that works on one row and needs no weights but a vector.
#ifndef KERNELS_NORM_H
#define KERNELS_NORM_H
#include "kernels_simd.h"

// 1 / sqrt(mean(x²) + eps)
INLINE float inverse_rms(const float *x, uint32_t n, float eps) {
  return 1 / __builtin_sqrtf(sum_squares(x, n) / (float)n + eps);
}

// y[i] = x[i] · factor · weight[i]
INLINE void scale_by(float *y, const float *x, float factor, const float *weight, uint32_t n) {
  uint32_t i = 0;
  for (; i + 4 <= n; i += 4) store(y + i, mul(mul(load(x + i), splat(factor)), load(weight + i)));
  for (; i < n; i++) y[i] = x[i] * factor * weight[i];
}

void rms_norm(float *y, const float *x, const float *weight, float eps, uint32_t h, uint32_t begin, uint32_t end) {
  for (uint32_t t = begin; t < end; t++) scale_by(y + t * h, x + t * h, inverse_rms(x + t * h, h, eps), weight, h);
}

// Turns channel j with channel j + half; cosines[half], then sines[half].
INLINE void rotate(float *x, const float *cosines, uint32_t half) {
  const float *sines = cosines + half;
  float *other = x + half;
  uint32_t j = 0;
  for (; j + 4 <= half; j += 4) {
    v128_t a = load(x + j), b = load(other + j), c = load(cosines + j), s = load(sines + j);
    store(x + j, sub(mul(a, c), mul(b, s)));
    store(other + j, add(mul(b, c), mul(a, s)));
  }
  for (; j < half; j++) {
    float a = x[j], b = other[j];
    x[j] = a * cosines[j] - b * sines[j];
    other[j] = b * cosines[j] + a * sines[j];
  }
}

void norm_rope(float *x, uint32_t stride, uint32_t heads, uint32_t d, const float *weight, float eps, const float *rope,
               uint32_t half, const uint32_t *positions, uint32_t begin, uint32_t end) {
  for (uint32_t t = begin; t < end; t++) {
    for (float *head = x + t * stride, *last = head + heads * d; head < last; head += d) {
      if (weight) scale_by(head, head, inverse_rms(head, d, eps), weight, d);
      if (rope) rotate(head, rope + positions[t] * 2 * half, half);
    }
  }
}

void group_norm_gate(float *x, const float *gate, const float *weight, float eps, uint32_t w, uint32_t groups,
                     uint32_t begin, uint32_t end) {
  const uint32_t size = w / groups;
  for (uint32_t t = begin; t < end; t++) {
    for (uint32_t at = 0; at < w; at += size) {
      float *piece = x + t * w + at;
      scale_by(piece, piece, inverse_rms(piece, size, eps), weight + at, size);
    }
  }
  map(x, x, gate, begin * w, end * w, gate4);
}

void silu(float *x, uint32_t begin, uint32_t end) { map(x, x, x, begin, end, swish4); }

void swiglu(float *gate, const float *up, uint32_t begin, uint32_t end) { map(gate, gate, up, begin, end, swiglu4); }

void sigmoid(float *x, uint32_t begin, uint32_t end) { map(x, x, x, begin, end, sigmoid4); }

void exponential(float *y, const float *x, uint32_t begin, uint32_t end) { map(y, x, x, begin, end, exponential4); }

// Replaces x[n] by exp(scale · x - max), and gives their sum. n is a multiple of 4.
INLINE float exponentiate(float *x, uint32_t n, float scale, float max) {
  v128_t sum = splat(0);
  for (uint32_t i = 0; i < n; i += 4) {
    v128_t p = exp4(sub(mul(load(x + i), splat(scale)), splat(max)));
    sum = add(sum, p);
    store(x + i, p);
  }
  return sum_lanes(sum);
}

void softmax(float *x, uint32_t n, uint32_t begin, uint32_t end) {
  for (float *row = x + begin * n; row < x + end * n; row += n) {
    float max = row[0], sum = 0;
    for (uint32_t i = 1; i < n; i++) max = row[i] > max ? row[i] : max;
    for (uint32_t i = 0; i < n; i++) {
      row[i] = wasm_f32x4_extract_lane(exp4(splat(row[i] - max)), 0);
      sum += row[i];
    }
    for (uint32_t i = 0; i < n; i++) row[i] /= sum;
  }
}

#endif
