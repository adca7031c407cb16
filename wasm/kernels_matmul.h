// Products of rows with weights, plain and by expert.
#ifndef KERNELS_MATMUL_H
#define KERNELS_MATMUL_H
#include "kernels_tiles.h"

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
