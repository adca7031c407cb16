// Sampling from a row of logits: penalties, weights, and an exact inversion by rank and mass that never sorts the row.
#include "sampler.h"
#include <float.h>
#include <math.h>
#include <wasm_simd128.h>

void adjust(float *logits, const uint32_t *where, const int32_t *counts, const float *biases, uint32_t n,
            float repetition, float presence, float frequency) {
  for (uint32_t i = 0; i < n; i++) {
    float logit = logits[where[i]];
    if (counts[i] >= 0) logit = logit > 0 ? logit / repetition : logit * repetition;
    if (counts[i] > 0) logit -= presence + frequency * (float)counts[i];
    logit += biases[i];
    logits[where[i]] = logit > FLT_MAX ? FLT_MAX : logit;
  }
}

float largest(const float *logits, uint32_t n) {
  v128_t max = wasm_f32x4_splat(-INFINITY), other = max; // two chains, as each waits for its last result
  uint32_t i = 0;
  for (; i + 8 <= n; i += 8) {
    max = wasm_f32x4_max(max, wasm_v128_load(logits + i)); // f32x4.max keeps NaN
    other = wasm_f32x4_max(other, wasm_v128_load(logits + i + 4));
  }
  for (; i < n; i++) max = wasm_f32x4_max(max, wasm_f32x4_splat(logits[i]));
  max = wasm_f32x4_max(max, other);
  max = wasm_f32x4_max(max, wasm_i32x4_shuffle(max, max, 2, 3, 0, 1));
  max = wasm_f32x4_max(max, wasm_i32x4_shuffle(max, max, 1, 0, 3, 2));
  return wasm_f32x4_extract_lane(max, 0);
}

// exp(x) for x ≤ 0: x = n·ln 2 + r with |r| ≤ ln 2 / 2, then the Taylor sum up to r^7 (its rest is below 6e-9) times 2^n.
static inline v128_t exp4(v128_t x) {
  static const float INVERSE_FACTORIALS[] = {1.f / 720, 1.f / 120, 1.f / 24, 1.f / 6, 1.f / 2, 1, 1};
  const v128_t round = wasm_f32x4_splat(0x1.8p23f); // added to a small number it leaves an integer in the low bits
  v128_t rounded = wasm_f32x4_add(wasm_f32x4_mul(x, wasm_f32x4_splat(1.44269504f)), round);
  v128_t n = wasm_f32x4_sub(rounded, round);
  // ln 2 in two parts: the first has 9 bits, so that its product with n is exact.
  v128_t r = wasm_f32x4_sub(x, wasm_f32x4_mul(n, wasm_f32x4_splat(355.f / 512)));
  r = wasm_f32x4_sub(r, wasm_f32x4_mul(n, wasm_f32x4_splat(-2.12194440e-4f)));
  v128_t sum = wasm_f32x4_splat(1.f / 5040);
  for (int k = 0; k < 7; k++) sum = wasm_f32x4_add(wasm_f32x4_mul(sum, r), wasm_f32x4_splat(INVERSE_FACTORIALS[k]));
  v128_t power = wasm_i32x4_shl(wasm_i32x4_add(rounded, wasm_i32x4_splat(127)), 23);
  return wasm_v128_and(wasm_f32x4_mul(sum, power), wasm_f32x4_ge(x, wasm_f32x4_splat(-87)));
}

static inline v128_t weigh4(v128_t logits, float max, float temperature) {
  return exp4(wasm_f32x4_div(wasm_f32x4_sub(logits, wasm_f32x4_splat(max)), wasm_f32x4_splat(temperature)));
}

void weigh(const float *logits, float max, float temperature, float *weights, uint32_t n) {
  uint32_t i = 0;
  for (; i + 4 <= n; i += 4) wasm_v128_store(weights + i, weigh4(wasm_v128_load(logits + i), max, temperature));
  for (; i < n; i++) weights[i] = wasm_f32x4_extract_lane(weigh4(wasm_f32x4_splat(logits[i]), max, temperature), 0);
}

// ---- order: 32 bits that rise where logits fall, looked at 11 bits at a time

enum { BUCKETS = 1 << 11, TOP_SHIFT = 21 };

static inline v128_t order4(v128_t logits) {
  v128_t bits = wasm_f32x4_add(logits, wasm_f32x4_splat(0)); // −0 and 0 are equal logits
  return wasm_v128_xor(bits, wasm_v128_andnot(wasm_i32x4_splat(0x7fffffff), wasm_i32x4_shr(bits, 31)));
}

static inline uint32_t order(float logit) {
  return (uint32_t)wasm_i32x4_extract_lane(order4(wasm_f32x4_splat(logit)), 0);
}

static inline uint32_t bucket_of(float logit, int shift) {
  return order(logit) >> shift & (BUCKETS - 1);
}

struct tally {
  double mass[BUCKETS];
  uint32_t count[BUCKETS];
};

static inline void put(struct tally *tally, uint32_t bucket, float weight) {
  tally->mass[bucket] += weight;
  tally->count[bucket]++;
}

struct row {
  const float *logits, *weights; // [n]
  uint32_t n;
  uint32_t *list; // [n] scratch
  struct tally top;
};

struct prefix {
  double mass;
  uint32_t count;
  uint32_t last; // its last token
};

static double mass_from(const struct tally *tally, double mass) {
  for (uint32_t b = 0; b < BUCKETS; b++) mass += tally->mass[b];
  return mass;
}

// The first bucket in which the count reaches k or the mass reaches target; `prefix` grows by the buckets before it.
// The mass is first cut to what the buckets hold when added in this very order, so that rounding cannot let it pass all.
static uint32_t reach(const struct tally *tally, struct prefix *prefix, uint32_t k, double target) {
  double all = mass_from(tally, prefix->mass);
  if (target > all) target = all;
  uint32_t b = 0;
  for (; b < BUCKETS - 1; b++) {
    if (tally->count[b] == 0) continue;
    uint32_t count = prefix->count + tally->count[b];
    double mass = prefix->mass + tally->mass[b];
    if (count >= k || mass >= target) break;
    prefix->count = count;
    prefix->mass = mass;
  }
  return b;
}

// The tokens of one of the row's top buckets, ids rising.
static uint32_t gather(const struct row *row, uint32_t bucket) {
  uint32_t found = 0, i = 0;
  for (; i + 4 <= row->n; i += 4) {
    v128_t buckets = wasm_u32x4_shr(order4(wasm_v128_load(row->logits + i)), TOP_SHIFT);
    uint32_t lanes = wasm_i32x4_bitmask(wasm_i32x4_eq(buckets, wasm_i32x4_splat((int)bucket)));
    for (; lanes != 0; lanes &= lanes - 1) row->list[found++] = i + (uint32_t)__builtin_ctz(lanes);
  }
  for (; i < row->n; i++) {
    if (bucket_of(row->logits[i], TOP_SHIFT) == bucket) row->list[found++] = i;
  }
  return found;
}

// The shortest prefix of the order that has k tokens or a mass of target.
static struct prefix shortest(const struct row *row, uint32_t k, double target) {
  struct prefix prefix = {0};
  uint32_t *list = row->list;
  uint32_t left = gather(row, reach(&row->top, &prefix, k, target));
  for (int shift = 10; shift >= 0 && left > 1; shift -= 10) {
    struct tally tally = {0};
    for (uint32_t i = 0; i < left; i++) put(&tally, bucket_of(row->logits[list[i]], shift), row->weights[list[i]]);
    uint32_t bucket = reach(&tally, &prefix, k, target);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < left; i++) {
      uint32_t token = list[i];
      list[kept] = token;
      kept += bucket_of(row->logits[token], shift) == bucket;
    }
    left = kept;
  }
  // What is left has equal logits, and so equal weights.
  for (uint32_t i = 0; i < left; i++) {
    prefix.last = list[i];
    prefix.mass += row->weights[list[i]];
    prefix.count++;
    if (prefix.count >= k || prefix.mass >= target) break;
  }
  return prefix;
}

static uint32_t count_from(const float *logits, uint32_t n, float floor) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < n; i++) count += logits[i] >= floor;
  return count;
}

uint32_t draw(const float *logits, const float *weights, uint32_t n, uint32_t top_k, double top_p, float floor, double u,
              uint32_t *list) {
  struct row row = {.logits = logits, .weights = weights, .n = n, .list = list};
  for (uint32_t i = 0; i < n; i++) put(&row.top, bucket_of(logits[i], TOP_SHIFT), weights[i]);
  double mass = top_k < n ? shortest(&row, top_k, INFINITY).mass : mass_from(&row.top, 0);
  if (top_p < 1) mass = shortest(&row, n, top_p * mass).mass;
  uint32_t likely = count_from(logits, n, floor);
  if (likely < n) mass = fmin(mass, shortest(&row, likely, INFINITY).mass);
  return shortest(&row, n, u * mass).last;
}

// ---- random numbers

static uint64_t mix(uint64_t x) {
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
  x = (x ^ x >> 27) * 0x94d049bb133111eb;
  return x ^ x >> 31;
}

double uniform(double seed, uint32_t position) {
  const uint64_t golden = 0x9e3779b97f4a7c15;
  uint64_t state = mix((uint64_t)(int64_t)seed + golden);
  uint64_t bits = mix(state + (position + 1ull) * golden);
  return (double)((bits >> 11) + 1) * 0x1p-53;
}
