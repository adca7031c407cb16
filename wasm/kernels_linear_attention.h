// Linear attention (spec c.6): one token by the recurrence, more by chunks, with exponents of differences only.
#ifndef KERNELS_LINEAR_ATTENTION_H
#define KERNELS_LINEAR_ATTENTION_H
#include "kernels_matmul.h"
#include "kernels_mix.h"

enum { CHUNK = 32 };
_Static_assert(CHUNK + 1 == 33 && CHUNK <= ROW_BLOCK, "decays of kernels.h, and rows of one product");

// One head of consecutive rows.
struct head {
  const float *q, *k, *v; // rows `stride` apart
  float *out;             // rows `out_stride` apart
  float *state;           // [d(k), d(v)]
  const float *decay;     // exp(g i), i = 0 … CHUNK
  const float *loss;      // 1 - exp(g i), exact where the decay is near 1: errors do not grow over thousands of tokens
  uint32_t stride, out_stride, d;
  float scale;
};

// Rows of the state, of which there are a multiple of four, that are read side by side.
enum { STATE_ROWS = 4 };

// STATE_ROWS rows of the state: S += k ⊗ v - loss · S, and out += scale · q S.
static void step_rows(const struct head *h, uint32_t i) {
  const v128_t loss = splat(-h->loss[1]);
  v128_t k[STATE_ROWS], q[STATE_ROWS];
  UNROLL for (int r = 0; r < STATE_ROWS; r++) {
    k[r] = load_splat(h->k + i + r);
    q[r] = mul(load_splat(h->q + i + r), splat(h->scale));
  }
  float *state = h->state + i * h->d;
  for (uint32_t j = 0; j < h->d; j += 4) {
    const v128_t v = load(h->v + j);
    v128_t sum = splat(0);
    UNROLL for (int r = 0; r < STATE_ROWS; r++) {
      float *at = state + r * h->d + j;
      v128_t s = load(at);
      s = add(s, madd(loss, s, mul(k[r], v)));
      store(at, s);
      sum = madd(q[r], s, sum);
    }
    store(h->out + j, add(load(h->out + j), sum));
  }
}

static void step(const struct head *h) {
  for (uint32_t j = 0; j < h->d; j += 4) store(h->out + j, splat(0));
  for (uint32_t i = 0; i < h->d; i += STATE_ROWS) step_rows(h, i);
}

// scores[a,b] = scale · exp(g (a - b)) · q_a · k_b for b ≤ a, 0 for b > a
static void chunk_scores(const struct head *h, uint32_t n, float *scores) {
  float scratch[PACKED(MAX_D)];
  struct rows rows = {.count = n};
  for (uint32_t a = 0; a < n; a++) {
    rows.x[a] = h->q + a * h->stride;
    rows.y[a] = scores + a * CHUNK;
  }
  const struct weights keys = plain_weights(h->k, h->stride, h->d);
  multiply(&rows, &keys, 0, n, 0, scratch);
  for (uint32_t a = 0; a < n; a++) {
    for (uint32_t b = 0; b <= a; b++) scores[a * CHUNK + b] *= h->scale * h->decay[a - b];
    for (uint32_t b = a + 1; b < n; b++) scores[a * CHUNK + b] = 0;
  }
}

// out_a = scale · exp(g (a + 1)) · q_a S + Σ_b scores[a,b] v_b
static void chunk_out(const struct head *h, uint32_t n, const float *scores) {
  for (uint32_t a = 0; a < n; a++) {
    for (uint32_t i = 0; i < h->d; i += 4) store(h->out + a * h->out_stride + i, splat(0));
  }
  mix(h->out, h->out_stride, h->q, h->stride, 1, h->state, h->d, n, h->d, h->d);
  for (uint32_t a = 0; a < n; a++) {
    const v128_t factor = splat(h->scale * h->decay[a + 1]);
    float *out = h->out + a * h->out_stride;
    for (uint32_t i = 0; i < h->d; i += 4) store(out + i, mul(load(out + i), factor));
  }
  for (uint32_t a = 0; a < n; a += 4) { // rows of scores are 0 beyond their own column
    mix(h->out + a * h->out_stride, h->out_stride, scores + a * CHUNK, CHUNK, 1, h->v, h->stride, min_u32(4, n - a),
        min_u32(a + 4, n), h->d);
  }
}

// S = exp(g n) · S + Σ_b exp(g (n - 1 - b)) k_b ⊗ v_b
static void chunk_state(const struct head *h, uint32_t n) {
  float keys[CHUNK * MAX_D];
  for (uint32_t b = 0; b < n; b++) {
    const v128_t factor = splat(h->decay[n - 1 - b]);
    for (uint32_t i = 0; i < h->d; i += 4) store(keys + b * h->d + i, mul(load(h->k + b * h->stride + i), factor));
  }
  const v128_t loss = splat(-h->loss[n]);
  for (uint32_t i = 0; i < h->d * h->d; i += 4) {
    v128_t s = load(h->state + i);
    store(h->state + i, madd(loss, s, s));
  }
  mix(h->state, h->d, keys, 1, h->d, h->v, h->stride, h->d, n, h->d);
}

static void chunk(const struct head *h, uint32_t n) {
  float scores[CHUNK * CHUNK];
  chunk_scores(h, n, scores);
  chunk_out(h, n, scores);
  chunk_state(h, n);
}

void linear_attention(float *out, const float *qkv, float *state, const float *decays, const uint32_t *segments,
                      uint32_t heads, uint32_t d, uint32_t begin, uint32_t end) {
  struct head h = {.stride = 3 * heads * d, .out_stride = heads * d, .d = d, .scale = 1 / __builtin_sqrtf((float)d)};
  for (uint32_t unit = begin; unit < end; unit++) {
    const uint32_t i = unit % heads, *s = segments + 4 * (unit / heads);
    const uint32_t place = s[0], start = s[1], rows = s[2], first = s[3];
    h.decay = decays + i * 2 * (CHUNK + 1);
    h.loss = h.decay + CHUNK + 1;
    h.state = state + (place * heads + i) * d * d;
    for (uint32_t j = 0; start == 0 && j < d * d; j += 4) store(h.state + j, splat(0));
    for (uint32_t r = 0; r < rows; r += CHUNK) {
      const uint32_t n = min_u32(CHUNK, rows - r);
      h.q = qkv + (first + r) * h.stride + i * d;
      h.k = h.q + heads * d;
      h.v = h.k + heads * d;
      h.out = out + (first + r) * h.out_stride + i * d;
      if (n == 1) step(&h);
      else chunk(&h, n);
    }
  }
}

#endif
