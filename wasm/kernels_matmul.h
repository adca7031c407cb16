// Products of rows with weights, plain and by expert.
#ifndef KERNELS_MATMUL_H
#define KERNELS_MATMUL_H
#include "kernels_tiles.h"

// Fewer rows are not worth the packing.
enum { LEAST_TILED = 8 };

// y[r,n] = x[r] · W[n] + bias[n], or += with `add_to`, for all rows and begin ≤ n < end. scratch[PACKED(k)]
static void multiply(const struct rows *rows, const struct weights *w, uint32_t begin, uint32_t end, uint32_t add_to,
                     float *scratch) {
  uint32_t r = rows->count < LEAST_TILED ? 0 : rows->count / TILE_ROWS * TILE_ROWS;
  if (r > 0) multiply_tiled(rows, r, w, begin, end, add_to, scratch);
  for (; r + 2 <= rows->count; r += 2) multiply_few(2, rows->x + r, rows->y + r, w, begin, end, add_to);
  if (r < rows->count) multiply_few(1, rows->x + r, rows->y + r, w, begin, end, add_to);
}

void matmul(float *y, const float *x, const uint32_t *matrix, float *scratch, uint32_t rows, uint32_t add_to,
            uint32_t begin, uint32_t end) {
  const struct weights w = weights_of(matrix, 0);
  const uint32_t n = ((const struct matrix *)matrix)->n;
  for (uint32_t first = 0; first < rows; first += ROW_BLOCK) {
    struct rows block = {.count = min_u32(ROW_BLOCK, rows - first)};
    for (uint32_t r = 0; r < block.count; r++) {
      block.x[r] = x + (first + r) * w.k;
      block.y[r] = y + (first + r) * n;
    }
    multiply(&block, &w, begin, end, add_to, scratch);
  }
}

void experts_matmul(float *y, const float *x, const uint32_t *matrix, float *scratch, const uint32_t *order,
                    const uint32_t *starts, uint32_t experts, uint32_t per_row, uint32_t begin, uint32_t end) {
  const uint32_t n = ((const struct matrix *)matrix)->n;
  for (uint32_t e = 0; e < experts; e++) {
    const struct weights w = weights_of(matrix, e);
    for (uint32_t first = starts[e]; first < starts[e + 1]; first += ROW_BLOCK) {
      struct rows block = {.count = min_u32(ROW_BLOCK, starts[e + 1] - first)};
      for (uint32_t r = 0; r < block.count; r++) {
        block.x[r] = x + order[first + r] / per_row * w.k;
        block.y[r] = y + order[first + r] * n;
      }
      multiply(&block, &w, begin, end, 0, scratch);
    }
  }
}

#endif
