// The forward pass: one unit of all kernels, in the order in which they lean on each other. The contract is kernels.h.
#include "kernels.h"

#include "kernels_attention.h"
#include "kernels_candidates.h"
#include "kernels_linear_attention.h"
#include "kernels_matmul.h"
#include "kernels_mix.h"
#include "kernels_moe.h"
#include "kernels_norm.h"
#include "kernels_simd.h"
#include "kernels_streams.h"
#include "kernels_tiles.h"
#include "kernels_weights.h"
