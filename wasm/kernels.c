// The forward pass: one unit of all kernels, in the order in which they lean on each other. The contract is kernels.h.
// Each is a function of its own, or the first call of one would have all compiled in earnest.
#pragma clang attribute push(__attribute__((noinline)), apply_to = function)
#include "kernels.h"
#pragma clang attribute pop

#include "kernels_attention.h"
#include "kernels_candidates.h"
#include "kernels_codes_tiles.h"
#include "kernels_draw.h"
#include "kernels_linear_attention.h"
#include "kernels_matmul.h"
#include "kernels_mix.h"
#include "kernels_moe.h"
#include "kernels_norm.h"
#include "kernels_simd.h"
#include "kernels_streams.h"
#include "kernels_sums.h"
#include "kernels_threads.h"
#include "kernels_tiles.h"
#include "kernels_weights.h"
