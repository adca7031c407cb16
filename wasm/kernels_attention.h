// Causal attention over a KV cache: tiles of queries by tiles of keys, softmax on the way (Milakov & Gimelshein 2018).
#ifndef KERNELS_ATTENTION_H
#define KERNELS_ATTENTION_H
#include "kernels_matmul.h"
#include "kernels_mix.h"
#include "kernels_norm.h"

enum { QUERIES = 16, KEYS = 64 };

// Queries of one kv head with what they have gathered from the keys so far.
struct queries {
  struct rows scores;         // x: the queries, y: rows of `weights`
  float *out[QUERIES];
  uint32_t position[QUERIES]; // the last that a query sees
  float max[QUERIES], sum[QUERIES];
  float mixed[QUERIES * MAX_D];  // [count, d], Σ exp(score - max) · value
  float weights[QUERIES * KEYS]; // [count, KEYS]
  float scratch[PACKED(MAX_D)];
};

// Turns the scores of keys first … first + n - 1 into weights; what was gathered before is rescaled to the new maximum.
// Keys beyond a query's position weigh nothing, exactly.
static void weigh(struct queries *qs, uint32_t q, uint32_t first, uint32_t n, uint32_t d, float scale) {
  float *scores = qs->weights + q * KEYS;
  const uint32_t whole = (n + 3) & ~3u, position = qs->position[q];
  const uint32_t seen = position < first ? 0 : min_u32(n, position + 1 - first);
  for (uint32_t i = seen; i < whole; i++) scores[i] = -__builtin_inff();
  v128_t best = splat(-__builtin_inff());
  for (uint32_t i = 0; i < whole; i += 4) best = wasm_f32x4_pmax(best, load(scores + i));
  float max = scale * max_lanes(best);
  if (max < qs->max[q]) max = qs->max[q];
  float fade = wasm_f32x4_extract_lane(exp4(splat(qs->max[q] - max)), 0);
  qs->max[q] = max;
  qs->sum[q] = qs->sum[q] * fade + exponentiate(scores, whole, scale, max);
  float *mixed = qs->mixed + q * d;
  for (uint32_t i = 0; i < d; i += 4) store(mixed + i, mul(load(mixed + i), splat(fade)));
}

static void clear(struct queries *qs, uint32_t d) {
  for (uint32_t q = 0; q < qs->scores.count; q++) {
    qs->scores.y[q] = qs->weights + q * KEYS;
    qs->max[q] = -__builtin_inff();
    qs->sum[q] = 0;
  }
  for (uint32_t i = 0; i < qs->scores.count * d; i += 4) store(qs->mixed + i, splat(0));
}

static void write_out(const struct queries *qs, uint32_t d) {
  for (uint32_t q = 0; q < qs->scores.count; q++) {
    const v128_t factor = splat(1 / qs->sum[q]);
    for (uint32_t i = 0; i < d; i += 4) store(qs->out[q] + i, mul(load(qs->mixed + q * d + i), factor));
  }
}

// keys and values: of position 0, rows `stride` elements apart
static void attend(struct queries *qs, const float *keys, const float *values, uint32_t stride, uint32_t d) {
  const uint32_t count = qs->scores.count, last = qs->position[count - 1];
  const float scale = 1 / __builtin_sqrtf((float)d);
  clear(qs, d);
  for (uint32_t first = 0; first <= last; first += KEYS) {
    const uint32_t n = min_u32(KEYS, last + 1 - first);
    const struct weights w = plain_weights(keys + first * stride, stride, d);
    multiply(&qs->scores, &w, 0, n, 0, qs->scratch);
    for (uint32_t q = 0; q < count; q++) weigh(qs, q, first, n, d, scale);
    mix(qs->mixed, d, qs->weights, KEYS, 1, values + first * stride, stride, count, n, d);
  }
  write_out(qs, d);
}

void append(float *keys, float *values, const float *qkv, const uint32_t *segments, uint32_t count, uint32_t q_width,
            uint32_t width, uint32_t context) {
  for (const uint32_t *s = segments; s < segments + 4 * count; s += 4) {
    const uint32_t slot = s[0], start = s[1], rows = s[2], row = s[3];
    for (uint32_t r = 0; r < rows; r++) {
      const float *k = qkv + (row + r) * (q_width + 2 * width) + q_width, *v = k + width;
      float *key = keys + (slot * context + start + r) * width, *value = values + (slot * context + start + r) * width;
      for (uint32_t i = 0; i < width; i += 4) {
        store(key + i, load(k + i));
        store(value + i, load(v + i));
      }
    }
  }
}

void attention(float *out, const float *qkv, const float *keys, const float *values, const uint32_t *segments,
               uint32_t count, uint32_t context, uint32_t heads, uint32_t kv_heads, uint32_t d, uint32_t begin,
               uint32_t end) {
  const uint32_t group = heads / kv_heads;
  struct queries qs;
  for (const uint32_t *s = segments; s < segments + 4 * count; s += 4) {
    const uint32_t slot = s[0], start = s[1], rows = s[2], row = s[3];
    for (uint32_t g = begin; g < end; g++) {
      const uint32_t cache = (slot * context * kv_heads + g) * d;
      for (uint32_t first = 0; first < rows * group; first += QUERIES) {
        qs.scores.count = min_u32(QUERIES, rows * group - first);
        for (uint32_t q = 0; q < qs.scores.count; q++) {
          const uint32_t r = (first + q) / group, head = g * group + (first + q) % group;
          qs.scores.x[q] = qkv + ((row + r) * (heads + 2 * kv_heads) + head) * d;
          qs.out[q] = out + ((row + r) * heads + head) * d;
          qs.position[q] = start + r;
        }
        attend(&qs, keys + cache, values + cache, kv_heads * d, d);
      }
    }
  }
}

#endif
