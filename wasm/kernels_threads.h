// Threads that go through a plan together: pieces are numbered in its order, and whoever is free takes the next number,
// once all pieces that it builds on are done. Words in shared memory, no locks.
#ifndef KERNELS_THREADS_H
#define KERNELS_THREADS_H
#include "kernels_calls.h"
#include "kernels_simd.h"

// The board, as tickets.ts lays it out. What is written often lies in lines of its own.
enum {
  LINE = 32,
  RUN = 0, // the number of the run that is on; odd while what threads read of it is written
  STATE = 1,
  PROGRAM = 2,
  FIRST = 3, // the number of the run's first piece
  NEXT = LINE, // the next piece to be taken
  DONE = 2 * LINE, // how many pieces were done
  CALLED = 2 * LINE, // behind it, a line for each further thread: the last run that it was called to
  SLEEPERS = 1, // behind DONE and the calls: how many sleep over the word
};
enum { OPEN = 0 };

// Looks before a thread sleeps, which take some 150 µs: a pause between two steps is hardly longer, and to be woken takes
// a third of that.
enum { LOOKS = 8000 };

// A thread that was told to end while it sleeps does so after this time.
#define SLEEP_NANOS 500000000ll

enum { MOST_ARGUMENTS = 16 };

// A call, as program.ts writes it; what has no place in the arguments goes to the last one, which no kernel has.
struct call {
  uint32_t kernel, length, grain;
  uint32_t begin, end;     // the arguments for the ends of a piece
  uint32_t own, own_bytes; // the argument that lies so far further for each thread
  uint32_t unused;
  union argument arguments[MOST_ARGUMENTS];
};

// A call that is cut, or several that follow each other as one piece.
struct task {
  uint32_t first, pieces; // counted from the run's first
  uint32_t gate;          // how many pieces must be done before it
  uint32_t until;         // how many are done when it is, and all beside it
  uint32_t rouses;        // whether threads may be asleep that then have work
  uint32_t from, calls;
  uint32_t unused;
};

struct program {
  uint32_t tasks;
  const struct call *calls;
  uint32_t unused[2];
  struct task task[];
};

INLINE uint32_t get(const uint32_t *word) { return __atomic_load_n(word, __ATOMIC_SEQ_CST); }
INLINE uint32_t add_to_word(uint32_t *word, uint32_t n) { return __atomic_add_fetch(word, n, __ATOMIC_SEQ_CST); }

// Takes some 30 ns and little of the core, which may be another thread's as well: divisions that wait for each other, by
// a number that no compiler knows. What it gives, 1 or 2 looks, depends on them, or they would be left out.
INLINE uint32_t pause(uint32_t number) {
  uint32_t x = -1u;
  UNROLL for (int i = 0; i < 8; i++) x = x / ((number & 2) | 1) | 1u << 31;
  return 1 + (x / ((number & 2) | 1) >> 31);
}

// Waits until `word`, on which threads may sleep, has come to `number`; 0 if the threads are done for before.
static __attribute__((noinline)) uint32_t wait_for(uint32_t *board, uint32_t *word, uint32_t number) {
  for (uint32_t looks = 0;;) {
    const uint32_t seen = get(word);
    if (get(board + STATE) != OPEN) return 0;
    if ((int32_t)(seen - number) >= 0) return 1;
    if (looks < LOOKS) {
      looks += pause(seen);
      continue;
    }
    add_to_word(word + SLEEPERS, 1);
    __builtin_wasm_memory_atomic_wait32((int *)word, (int)seen, SLEEP_NANOS);
    add_to_word(word + SLEEPERS, -1u);
  }
}

static void wake(uint32_t *word) {
  if (get(word + SLEEPERS) > 0) __builtin_wasm_memory_atomic_notify((int *)word, -1u);
}

// Where a piece begins, a multiple of the grain.
INLINE uint32_t edge(const struct call *c, uint32_t piece, uint32_t pieces) {
  if (piece == pieces) return c->length;
  return (uint32_t)((uint64_t)c->length * piece / pieces) / c->grain * c->grain;
}

static void make_piece(const struct call *c, uint32_t piece, uint32_t pieces, uint32_t thread) {
  union argument arguments[MOST_ARGUMENTS];
  for (int i = 0; i < MOST_ARGUMENTS; i += 4) store((float *)(arguments + i), load((const float *)(c->arguments + i)));
  arguments[c->own].count += thread * c->own_bytes;
  arguments[c->begin].count = edge(c, piece, pieces);
  arguments[c->end].count = edge(c, piece + 1, pieces);
  call_kernel(c->kernel, arguments);
}

static void make_task(const struct program *program, const struct task *t, uint32_t piece, uint32_t thread) {
  for (uint32_t i = 0; i < t->calls; i++) {
    const struct call *c = program->calls + t->from + i;
    if (c->length > 0) make_piece(c, piece, t->pieces, thread);
  }
}

// A thread may be late: what it has read of the program is of this run only if that is still on, and then a piece is
// its own if it takes the number.
uint32_t share(uint32_t *board, const uint32_t *words, uint32_t run, uint32_t first, uint32_t thread) {
  const struct program *program = (const struct program *)words;
  const struct task *t = program->task, *last = t + program->tasks;
  for (;;) {
    uint32_t number = get(board + NEXT);
    const uint32_t at = number - first;
    while (t < last && t->first + t->pieces <= at) t++;
    if (t == last) return get(board + STATE) == OPEN;
    const struct task task = *t;
    if (get(board + RUN) != run) return get(board + STATE) == OPEN;
    if (!wait_for(board, board + DONE, first + task.gate)) return 0;
    if (!__atomic_compare_exchange_n(board + NEXT, &number, number + 1, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) continue;
    make_task(program, &task, at - task.first, thread);
    if (add_to_word(board + DONE, 1) - first == task.until && task.rouses) wake(board + DONE);
  }
}

uint32_t wait_done(uint32_t *board, uint32_t number) { return wait_for(board, board + DONE, number); }

uint32_t serve(uint32_t *board, uint32_t thread) {
  for (uint32_t last = 0; wait_for(board, board + CALLED + thread * LINE, last + 1);) {
    const uint32_t run = get(board + RUN), program = get(board + PROGRAM), first = get(board + FIRST);
    if (run & 1 || get(board + RUN) != run) continue; // another one has begun meanwhile
    last = run;
    if (!share(board, (const uint32_t *)program, run, first, thread)) return 0;
  }
  return 0;
}

#endif
