// The forward pass as SIMD kernels: pure functions over pointers, without state or allocation, f32 activations.
//
// Arrays are row-major and contiguous: `x[t,k]` has K elements a row. `begin, end` is the half-open range of the work
// that a call does, rows t unless said otherwise, so that threads can share it. No row's result depends on other rows.
//
// matrix: eight words that describe W[n,k] or a stack of them W[e,n,k], K a multiple of 4:
//   values, type (0 f32, 1 bf16, 2 f16, 3 f8_e4m3, 4 q8, 5 q4), N, K, bias[n] or 0,
//   factors[e, ceil(N / block rows), ceil(K / block columns)] or 0, block rows, block columns (a multiple of 4);
//   of q8 and q4 a block is 1 by 32, and the factors are f16[e,N,K / 32] or f16[e,N,K / 32,2], a scale and a minimum
// cache: four words that describe a layer's keys and values in pages: places[pages,2], where the keys and the values of
//   each begin; the positions of a page, a power of two from 64 on; the elements of a row, d or more; 1 if they are f16,
//   0 if f32. Both are [kv_heads, positions, width]
// segments[s,4]: place of its states, position of the first row, rows, index of the first row
#ifndef KERNELS_H
#define KERNELS_H
#include <stdint.h>

// y[t,k] = W[ids[t],k]
void embed(float *y, const uint32_t *ids, const uint32_t *matrix, uint32_t begin, uint32_t end);

// y[t,h] = weight[h] · x[t,h] / sqrt(mean_h(x²) + eps)
void rms_norm(float *y, const float *x, const float *weight, float eps, uint32_t h, uint32_t begin, uint32_t end);

// y[t,n] = x[t,k] @ W[n,k]^T + bias[n], with `add_to` y[t,n] += …; scratch[36,k]; begin, end: of n
void matmul(float *y, const float *x, const uint32_t *matrix, float *scratch, uint32_t rows, uint32_t add_to,
            uint32_t begin, uint32_t end);

// Rows of x[t,k] as integers, for weights of type q8 or q4: narrowed rows, each of which has, of every 32 columns,
//   q8: i16[16] for the even ones, i16[16] for the odd ones of each 16; then f32[k / 32 or some more] scales
//   q4: i8[16] for the even ones, i8[16] for the odd ones; scales as above; as many sums of the codes times the scale
void narrow(uint32_t *y, const float *x, uint32_t type, uint32_t k, uint32_t begin, uint32_t end);

// matmul for a matrix of q8 or q4, of narrowed rows
void matmul_codes(float *y, const uint32_t *x, const uint32_t *matrix, float *scratch, uint32_t rows, uint32_t add_to,
                  uint32_t begin, uint32_t end);

// x[i] = silu(x[i])
void silu(float *x, uint32_t begin, uint32_t end);

// gate[i] = silu(gate[i]) · up[i]
void swiglu(float *gate, const float *up, uint32_t begin, uint32_t end);

// For x[t,heads,d], rows `stride` elements apart: RMSNorm over d unless weight is 0; then, unless rope is 0, channel
// j < half turns with channel j + half by the angle of positions[t]; rope[position,2,half]: cosines, then sines
void norm_rope(float *x, uint32_t stride, uint32_t heads, uint32_t d, const float *weight, float eps, const float *rope,
               uint32_t half, const uint32_t *positions, uint32_t begin, uint32_t end);

// out[t,heads,d] = d^(-1/2) q_t S_t with S_t = exp(g) S_(t-1) + k_t ⊗ v_t from and into state[place,heads,d(k),d(v)],
// zero before position 0: qkv[t,3,heads,d], d ≤ 256; decays[heads,2,33]: exp(g i), then 1 - exp(g i), i = 0 … 32;
// begin, end: of [segments, heads]
void linear_attention(float *out, const float *qkv, float *state, const float *decays, const uint32_t *segments,
                      uint32_t heads, uint32_t d, uint32_t begin, uint32_t end);

// x[t,w] = weight[w] · x[t,w] / sqrt(mean(x²) + eps) · sigmoid(gate[t,w]), the mean over each of `groups` equal pieces
void group_norm_gate(float *x, const float *gate, const float *weight, float eps, uint32_t w, uint32_t groups,
                     uint32_t begin, uint32_t end);

// Writes the k and v of qkv[t, heads + 2 kv_heads, d] into the cache, in pages tables[s,most] of each segment;
// begin, end: of kv heads
void append(const uint32_t *cache, const uint32_t *tables, uint32_t most, const float *qkv, const uint32_t *segments,
            uint32_t count, uint32_t heads, uint32_t kv_heads, uint32_t d, uint32_t begin, uint32_t end);

// out[t,heads,d] = softmax(d^(-1/2) q · keys) @ values over the positions up to the row's own; q head h reads kv head
// h / (heads / kv_heads): qkv[t, heads + 2 kv_heads, d], d ≤ 256; keys and values in pages tables[s,most] of each
// segment; scratch[64,d]; begin, end: of [kv heads, t], with `rows` of t
void attention(float *out, const float *qkv, const uint32_t *cache, const uint32_t *tables, uint32_t most,
               const uint32_t *segments, uint32_t count, uint32_t heads, uint32_t kv_heads, uint32_t d, float *scratch,
               uint32_t rows, uint32_t begin, uint32_t end);

// x[i] = sigmoid(x[i])
void sigmoid(float *x, uint32_t begin, uint32_t end);

// x[t,n] = softmax over n
void softmax(float *x, uint32_t n, uint32_t begin, uint32_t end);

// ids[t,k], weights[t,k]: the k best of scores[t,e] + bias[e] (bias may be 0), falling, ties to the lower index, from
// the `kept` best of `groups` equal groups by the sum of their two best; weights: scale · score, with `normalize` over
// the sum of the k scores; e ≤ 1024
void choose(uint32_t *ids, float *weights, const float *scores, const float *bias, uint32_t e, uint32_t groups,
            uint32_t kept, uint32_t k, uint32_t normalize, float scale, uint32_t begin, uint32_t end);

// order[p]: the pairs p by rising expert ids[p], in their order; those of expert e are order[starts[e] … starts[e+1])
void sort_by_expert(uint32_t *order, uint32_t *starts, const uint32_t *ids, uint32_t pairs, uint32_t experts);

// y[p,n] = x[p / per_row,k] @ W[e,n,k]^T for the pairs p in order[starts[e] … starts[e+1]); scratch[36,k];
// begin, end: of n
void experts_matmul(float *y, const float *x, const uint32_t *matrix, float *scratch, const uint32_t *order,
                    const uint32_t *starts, uint32_t experts, uint32_t per_row, uint32_t begin, uint32_t end);

// experts_matmul for a matrix of q8 or q4, of narrowed rows
void experts_matmul_codes(float *y, const uint32_t *x, const uint32_t *matrix, float *scratch, const uint32_t *order,
                          const uint32_t *starts, uint32_t experts, uint32_t per_row, uint32_t begin, uint32_t end);

// hidden[t,h] += Σ_k weights[t,k] · y[t,k,h]
void combine(float *hidden, const float *y, const float *weights, uint32_t k, uint32_t h, uint32_t begin,
             uint32_t end);

// ids[r,k], logits[r,k]: the k ≤ n greatest of x[r,n], falling, ties to the lower index;
// log_sum_exp[r] = ln Σ_n exp(x[r,n])
void candidates(uint32_t *ids, float *logits, float *log_sum_exp, const float *x, uint32_t n, uint32_t k,
                uint32_t begin, uint32_t end);

// Notes each row's candidates, trail[step · r, 2 k + 2]: ids, logits, log_sum_exp and, while step = chain[0] < chain[1], the
// token drawn by rules[step,r,5] (temperature, top-k, top-p, min-p, u), with which its sequence's next row goes on in
// tokens[r], positions[r] and segments[r,4]; chain[0] is then one more. scratch[k]; end: of r
void draw(uint32_t *trail, const uint32_t *ids, const float *logits, const float *log_sum_exp, uint32_t *chain,
          const double *rules, uint32_t *tokens, uint32_t *positions, uint32_t *segments, double *scratch, uint32_t k,
          uint32_t end);

// y[i] = exp(x[i]), relative error ≤ 2e-7: what all kernels use, exported for its test
void exponential(float *y, const float *x, uint32_t begin, uint32_t end);

// Makes pieces of run `run` beside other threads until none is left to be taken; 0 if the threads are done for: board as
// in tickets.ts, program as in program.ts
uint32_t share(uint32_t *board, const uint32_t *program, uint32_t run, uint32_t thread);

// Waits until all pieces of the run are done; 0 if they never will be
uint32_t wait_done(uint32_t *board, const uint32_t *program, uint32_t run);

// Shares every run that the thread is called to, until the threads are let go
uint32_t serve(uint32_t *board, uint32_t thread);

#endif
