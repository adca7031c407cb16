// Products of any number of rows: some rows at a time, with some weights at a time, which stay in the cache meanwhile.
#ifndef KERNELS_TILES_H
#define KERNELS_TILES_H
#include "kernels_streams.h"

// Rows computed with the same weights, one after the other.
enum { ROW_BLOCK = 32 };

// Bytes of weights that stay in the cache while all rows of a block are multiplied with them.
enum { CACHED_BYTES = 1 << 17 };

// Weights that are widened once for all rows of a block, where that takes longer than to store and load them.
enum { PACKED_ROWS = 36 };

// Floats of scratch for k columns.
#define PACKED(k) (PACKED_ROWS * (k))
_Static_assert(PACKED(1) == 36, "scratch of kernels.h");

// Rows of x and of y, anywhere.
struct rows {
  const float *x[ROW_BLOCK];
  float *y[ROW_BLOCK];
  uint32_t count;
};

INLINE void widen_rows(const enum weight_type type, float *y, const struct weights *w, uint32_t begin, uint32_t end) {
  const struct widening how = widening_of(type);
  const uint32_t k = w->k;
  for (const uint8_t *row = w->values + begin * w->stride, *last = row + (end - begin) * w->stride; row < last;
       row += w->stride) {
    uint32_t i = 0;
    for (; i + 8 <= k; i += 8, y += 8) {
      const v128_t words = load8(row, i, type);
      store(y, widen4(words, 0, type, &how));
      store(y + 4, widen4(words, 1, type, &how));
    }
    if (i < k) {
      store(y, load4(row, i, type, &how));
      y += 4;
    }
  }
}

// Rows begin ≤ n < end without their factors in scratch[PACKED(k)], as weights whose rows have the same numbers.
static struct weights pack(const struct weights *w, uint32_t begin, uint32_t end, float *scratch) {
  struct weights packed = *w;
  packed.stride = 4 * w->k;
  packed.values = (const uint8_t *)((uintptr_t)scratch - begin * packed.stride);
  switch (w->type) {
  case F16: widen_rows(F16, scratch, w, begin, end); break;
  case F8_E4M3: widen_rows(F8_E4M3, scratch, w, begin, end); break;
  }
  return packed;
}

// How many of the rows that are left are taken next: those are cut into fours and fives, with a two or a one last. Threes
// take longer.
INLINE uint32_t next_rows(uint32_t left) { return left == MOST_ROWS + 1 || left == MOST_ROWS + 3 ? 4 : min_u32(left, MOST_ROWS); }

// All rows, some at a time.
INLINE void multiply_tiles(const struct rows *rows, const struct weights *w, const int packed, uint32_t begin,
                           uint32_t end, uint32_t add_to) {
  for (uint32_t r = 0, count; r < rows->count; r += count) {
    count = next_rows(rows->count - r);
    multiply_few(count, packed, rows->x + r, rows->y + r, w, begin, end, add_to);
  }
}

// y[r,n] = x[r] · W[n] + bias[n], or += with `add_to`, for all rows and begin ≤ n < end. scratch[PACKED(k)]
static void multiply(const struct rows *rows, const struct weights *w, uint32_t begin, uint32_t end, uint32_t add_to,
                     float *scratch) {
  const int packs = w->type >= F16 && rows->count > MOST_ROWS;
  const uint32_t most = rows->count <= MOST_ROWS ? end - begin
                        : packs                  ? PACKED_ROWS
                                                 : 12 * (CACHED_BYTES / 12 / w->stride + 1);
  for (uint32_t n = begin, last; n < end; n = last) {
    last = min_u32(n + most, end);
    const struct weights packed = packs ? pack(w, n, last, scratch) : *w;
    multiply_tiles(rows, &packed, packs, n, last, add_to);
  }
}

#endif
