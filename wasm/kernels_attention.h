// Causal attention over a KV cache: tiles of queries by tiles of keys, softmax on the way (Milakov & Gimelshein 2018).
#ifndef KERNELS_ATTENTION_H
#define KERNELS_ATTENTION_H
#include "kernels_matmul.h"
#include "kernels_mix.h"
#include "kernels_norm.h"

enum { QUERIES = 16, KEYS = 64 };

// Keys whose sums are added up by themselves: one long sum would round away too much of the last ones.
enum { KEY_SPAN = 32 * KEYS };

// What queries have gathered from some keys.
struct gathered {
  float max[QUERIES], sum[QUERIES];
  float mixed[QUERIES * MAX_D]; // [count, d], Σ exp(score - max) · value
};

// Queries of one kv head with what they have gathered from the keys so far.
struct queries {
  struct rows scores;         // x: the queries, y: rows of `weights`
  float *out[QUERIES];
  uint32_t position[QUERIES]; // the last that a query sees
  struct gathered span, all;  // from the keys of this span, and from those of the spans before
  float weights[QUERIES * KEYS]; // [count, KEYS]
  float scratch[PACKED(MAX_D)];
};

// Turns the scores of keys first … first + n - 1 into weights; what was gathered before is rescaled to the new maximum.
// Keys beyond a query's position weigh nothing, exactly.
static void weigh(struct queries *qs, uint32_t q, uint32_t first, uint32_t n, uint32_t d, float scale) {
  float *scores = qs->weights + q * KEYS;
  const uint32_t whole = (n + 3) & ~3u, position = qs->position[q];
  const uint32_t seen = position < first ? 0 : min_u32(n, position + 1 - first);
  if (seen == 0) {
    for (uint32_t i = 0; i < whole; i += 4) store(scores + i, splat(0));
    return;
  }
  for (uint32_t i = seen; i < whole; i++) scores[i] = -__builtin_inff();
  v128_t best = splat(-__builtin_inff());
  for (uint32_t i = 0; i < whole; i += 4) best = wasm_f32x4_pmax(best, load(scores + i));
  float max = scale * max_lanes(best);
  struct gathered *span = &qs->span;
  if (max < span->max[q]) max = span->max[q];
  float fade = wasm_f32x4_extract_lane(exp4(splat(span->max[q] - max)), 0);
  span->max[q] = max;
  span->sum[q] = span->sum[q] * fade + exponentiate(scores, whole, scale, max);
  float *mixed = span->mixed + q * d;
  for (uint32_t i = 0; i < d; i += 4) store(mixed + i, mul(load(mixed + i), splat(fade)));
}

static void clear(struct gathered *g, uint32_t count, uint32_t d) {
  for (uint32_t q = 0; q < count; q++) {
    g->max[q] = -__builtin_inff();
    g->sum[q] = 0;
  }
  for (uint32_t i = 0; i < count * d; i += 4) store(g->mixed + i, splat(0));
}

// Adds a span that is over to what was gathered before. Of the first position every query sees something, so maxima are finite.
static void end_span(struct queries *qs, uint32_t d) {
  struct gathered *all = &qs->all, *span = &qs->span;
  for (uint32_t q = 0; q < qs->scores.count; q++) {
    const float max = all->max[q] > span->max[q] ? all->max[q] : span->max[q];
    const v128_t old = exp4(splat(all->max[q] - max)), new = exp4(splat(span->max[q] - max));
    all->max[q] = max;
    all->sum[q] = all->sum[q] * wasm_f32x4_extract_lane(old, 0) + span->sum[q] * wasm_f32x4_extract_lane(new, 0);
    float *to = all->mixed + q * d, *from = span->mixed + q * d;
    for (uint32_t i = 0; i < d; i += 4) store(to + i, add(mul(load(to + i), old), mul(load(from + i), new)));
  }
  clear(span, qs->scores.count, d);
}

static void write_out(const struct queries *qs, uint32_t d) {
  for (uint32_t q = 0; q < qs->scores.count; q++) {
    const v128_t factor = splat(1 / qs->all.sum[q]);
    for (uint32_t i = 0; i < d; i += 4) store(qs->out[q] + i, mul(load(qs->all.mixed + q * d + i), factor));
  }
}

// A layer's keys and values in pages: words of `cache` in kernels.h.
struct cache {
  const uint32_t *places; // [pages, 2]
  uint32_t size, width, halves;
};

// Rows of `which` (0 keys, 1 values) of one kv head, from that position on in its page.
INLINE struct weights cached(const struct cache *c, const uint32_t *table, uint32_t position, uint32_t which, uint32_t g,
                             uint32_t d) {
  const uint32_t page = table[position / c->size], bytes = (c->halves ? 2 : 4) * c->width;
  const uint8_t *rows = (const uint8_t *)c->places[2 * page + which] + (g * c->size + position % c->size) * bytes;
  return (struct weights){rows, bytes, c->halves ? F16 : F32, d, 0, 0, 1, d, 1, 0};
}

// The nearest float16, ties to even, the largest finite ones at most.
INLINE uint16_t half_of(float x) {
  union {
    float value;
    uint32_t bits;
  } f = {x < -65504 ? -65504 : x > 65504 ? 65504 : x};
  const uint32_t sign = f.bits >> 16 & 0x8000;
  f.bits &= 0x7fffffff;
  if (f.bits < 113u << 23) { // subnormal: the sum has steps of 2^-24
    f.value += 0.5f;
    return sign | (f.bits - (126u << 23));
  }
  return sign | (f.bits - (112u << 23) + 0xfff + (f.bits >> 13 & 1)) >> 13;
}

INLINE void store_cached(const struct weights *to, const float *x, uint32_t d) {
  if (to->type == F32) {
    for (uint32_t i = 0; i < d; i += 4) store((float *)to->values + i, load(x + i));
  } else {
    for (uint32_t i = 0; i < d; i++) ((uint16_t *)to->values)[i] = half_of(x[i]);
  }
}

void append(const uint32_t *cache, const uint32_t *tables, uint32_t most, const float *qkv, const uint32_t *segments,
            uint32_t count, uint32_t heads, uint32_t kv_heads, uint32_t d, uint32_t begin, uint32_t end) {
  const struct cache *c = (const struct cache *)cache;
  for (uint32_t n = 0; n < count; n++) {
    const uint32_t start = segments[4 * n + 1], rows = segments[4 * n + 2], row = segments[4 * n + 3];
    for (uint32_t r = 0; r < rows; r++) {
      const float *k = qkv + ((row + r) * (heads + 2 * kv_heads) + heads) * d, *v = k + kv_heads * d;
      for (uint32_t g = begin; g < end; g++) {
        const struct weights key = cached(c, tables + n * most, start + r, 0, g, d);
        const struct weights value = cached(c, tables + n * most, start + r, 1, g, d);
        store_cached(&key, k + g * d, d);
        store_cached(&value, v + g * d, d);
      }
    }
  }
}

// Values as f32 rows, `*stride` elements apart; those that are not are widened into scratch[n,d].
INLINE const float *widened(const struct weights *values, uint32_t n, float *scratch, uint32_t *stride) {
  *stride = values->type == F32 ? values->stride / 4 : values->k;
  if (values->type == F32) return (const float *)values->values;
  for (uint32_t i = 0; i < n; i++) widen_row(scratch + i * values->k, values, i, F16);
  return scratch;
}

// Tiles of KEYS positions lie in one page each.
static void attend(struct queries *qs, const struct cache *c, const uint32_t *table, uint32_t g, uint32_t d,
                   float *scratch) {
  const uint32_t count = qs->scores.count, last = qs->position[count - 1];
  const float scale = 1 / __builtin_sqrtf((float)d);
  clear(&qs->span, count, d);
  clear(&qs->all, count, d);
  for (uint32_t q = 0; q < count; q++) qs->scores.y[q] = qs->weights + q * KEYS;
  for (uint32_t first = 0; first <= last; first += KEYS) {
    const uint32_t n = min_u32(KEYS, last + 1 - first);
    const struct weights keys = cached(c, table, first, 0, g, d), values = cached(c, table, first, 1, g, d);
    multiply(&qs->scores, &keys, 0, n, 0, qs->scratch);
    for (uint32_t q = 0; q < count; q++) weigh(qs, q, first, n, d, scale);
    uint32_t stride;
    const float *rows = widened(&values, n, scratch, &stride);
    mix(qs->span.mixed, d, qs->weights, KEYS, 1, rows, stride, count, n, d);
    if ((first + KEYS) % KEY_SPAN == 0) end_span(qs, d);
  }
  end_span(qs, d);
  write_out(qs, d);
}

// Rows begin … end - 1 of the step, as far as they are the segment's, and the queries of kv head g.
static void attend_segment(struct queries *qs, float *out, const float *qkv, const struct cache *c,
                           const uint32_t *table, const uint32_t *segment, uint32_t heads, uint32_t kv_heads, uint32_t d,
                           float *scratch, uint32_t g, uint32_t begin, uint32_t end) {
  const uint32_t group = heads / kv_heads, start = segment[1], row = segment[3];
  const uint32_t low = begin > row ? begin : row, high = min_u32(end, row + segment[2]);
  for (uint32_t first = low * group; first < high * group; first += QUERIES) {
    qs->scores.count = min_u32(QUERIES, high * group - first);
    for (uint32_t q = 0; q < qs->scores.count; q++) {
      const uint32_t r = (first + q) / group, head = g * group + (first + q) % group;
      qs->scores.x[q] = qkv + (r * (heads + 2 * kv_heads) + head) * d;
      qs->out[q] = out + (r * heads + head) * d;
      qs->position[q] = start + r - row;
    }
    attend(qs, c, table, g, d, scratch);
  }
}

void attention(float *out, const float *qkv, const uint32_t *cache, const uint32_t *tables, uint32_t most,
               const uint32_t *segments, uint32_t count, uint32_t heads, uint32_t kv_heads, uint32_t d, float *scratch,
               uint32_t rows, uint32_t begin, uint32_t end) {
  struct queries qs;
  for (uint32_t g = begin / rows; g * rows < end; g++) {
    const uint32_t low = begin > g * rows ? begin - g * rows : 0, high = min_u32(rows, end - g * rows);
    for (uint32_t n = 0; n < count; n++) {
      attend_segment(&qs, out, qkv, (const struct cache *)cache, tables + n * most, segments + 4 * n, heads, kv_heads,
                     d, scratch, g, low, high);
    }
  }
}

#endif
