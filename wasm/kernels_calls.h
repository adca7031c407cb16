// Calls of kernels by their numbers, generated from kernels.h by build.ts. Do not edit.
#ifndef KERNELS_CALLS_H
#define KERNELS_CALLS_H
#include "kernels.h"

union argument {
  void *pointer;
  float number;
  uint32_t count;
};

static void call_kernel(uint32_t kernel, const union argument *a) {
  switch (kernel) {
  case 0: return embed(a[0].pointer, a[1].pointer, a[2].pointer, a[3].count, a[4].count);
  case 1: return rms_norm(a[0].pointer, a[1].pointer, a[2].pointer, a[3].number, a[4].count, a[5].count, a[6].count);
  case 2: return matmul(a[0].pointer, a[1].pointer, a[2].pointer, a[3].pointer, a[4].count, a[5].count, a[6].count, a[7].count);
  case 3: return narrow(a[0].pointer, a[1].pointer, a[2].count, a[3].count, a[4].count, a[5].count);
  case 4: return matmul_codes(a[0].pointer, a[1].pointer, a[2].pointer, a[3].pointer, a[4].count, a[5].count, a[6].count, a[7].count);
  case 5: return silu(a[0].pointer, a[1].count, a[2].count);
  case 6: return swiglu(a[0].pointer, a[1].pointer, a[2].count, a[3].count);
  case 7: return norm_rope(a[0].pointer, a[1].count, a[2].count, a[3].count, a[4].pointer, a[5].number, a[6].pointer, a[7].count, a[8].pointer, a[9].count, a[10].count);
  case 8: return linear_attention(a[0].pointer, a[1].pointer, a[2].pointer, a[3].pointer, a[4].pointer, a[5].count, a[6].count, a[7].count, a[8].count);
  case 9: return group_norm_gate(a[0].pointer, a[1].pointer, a[2].pointer, a[3].number, a[4].count, a[5].count, a[6].count, a[7].count);
  case 10: return append(a[0].pointer, a[1].pointer, a[2].count, a[3].pointer, a[4].pointer, a[5].count, a[6].count, a[7].count, a[8].count, a[9].count, a[10].count);
  case 11: return attention(a[0].pointer, a[1].pointer, a[2].pointer, a[3].pointer, a[4].count, a[5].pointer, a[6].count, a[7].count, a[8].count, a[9].count, a[10].pointer, a[11].count, a[12].count, a[13].count);
  case 12: return sigmoid(a[0].pointer, a[1].count, a[2].count);
  case 13: return softmax(a[0].pointer, a[1].count, a[2].count, a[3].count);
  case 14: return choose(a[0].pointer, a[1].pointer, a[2].pointer, a[3].pointer, a[4].count, a[5].count, a[6].count, a[7].count, a[8].count, a[9].number, a[10].count, a[11].count);
  case 15: return sort_by_expert(a[0].pointer, a[1].pointer, a[2].pointer, a[3].count, a[4].count);
  case 16: return experts_matmul(a[0].pointer, a[1].pointer, a[2].pointer, a[3].pointer, a[4].pointer, a[5].pointer, a[6].count, a[7].count, a[8].count, a[9].count);
  case 17: return experts_matmul_codes(a[0].pointer, a[1].pointer, a[2].pointer, a[3].pointer, a[4].pointer, a[5].pointer, a[6].count, a[7].count, a[8].count, a[9].count);
  case 18: return combine(a[0].pointer, a[1].pointer, a[2].pointer, a[3].count, a[4].count, a[5].count, a[6].count);
  case 19: return candidates(a[0].pointer, a[1].pointer, a[2].pointer, a[3].pointer, a[4].count, a[5].count, a[6].count, a[7].count);
  case 20: return draw(a[0].pointer, a[1].pointer, a[2].pointer, a[3].pointer, a[4].pointer, a[5].pointer, a[6].pointer, a[7].pointer, a[8].pointer, a[9].pointer, a[10].count, a[11].count);
  case 21: return exponential(a[0].pointer, a[1].pointer, a[2].count, a[3].count);
  }
}

#endif
