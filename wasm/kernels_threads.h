// Threads that go through a plan together: each has its own pieces of every group, made once all groups before are done,
// and takes others' where their threads do not come. Words in shared memory, no locks.
#ifndef KERNELS_THREADS_H
#define KERNELS_THREADS_H
#include "kernels_calls.h"
#include "kernels_simd.h"

// The board, as tickets.ts lays it out: what all read, and behind it what threads write, in lines of its own. To write
// what others have read takes 0.1 µs, and as long once more for each of them to read it again.
enum {
  LINE = 32,
  RUN = 0, // the number of the run that is on; odd while what threads read of it is written
  STATE = 1,
  PROGRAM = 2,
  EACH = 3 * LINE, // words of a thread, the first of which follow the first line
  CLAIMED = LINE,  // how many of its pieces were taken, by whomever
  DONE = 2 * LINE, // how many of them were done
  CALLED = 3 * LINE, // the last run that it was called to
  SLEEPERS = 1,      // behind DONE and CALLED: how many sleep over the word
};
enum { OPEN = 0 };

// Looks before a thread sleeps, which take some 150 µs: a pause between two steps is hardly longer, and to be woken takes
// a third of that.
enum { LOOKS = 8000 };

// Looks before a thread takes pieces of others, some 0.5 µs: who is late by less makes them sooner, out of its own cache.
enum { PATIENCE = 24 };

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

// A call that is cut, or several that follow each other as one piece. Those of a group follow each other.
struct task {
  uint32_t from, calls;
  uint32_t pieces;
  uint32_t unused;
};

struct program {
  uint32_t groups, threads;
  const struct call *calls;
  const uint32_t *first;  // [groups] the first task of each
  const uint32_t *before; // [groups + 1, threads] how many pieces a thread has in all groups before
  const uint32_t *begun;  // [threads] how many it had in all runs before
  uint32_t unused[2];
  struct task task[];
};

INLINE uint32_t get(const uint32_t *word) { return __atomic_load_n(word, __ATOMIC_SEQ_CST); }
INLINE uint32_t add_to_word(uint32_t *word, uint32_t n) { return __atomic_add_fetch(word, n, __ATOMIC_SEQ_CST); }
INLINE uint32_t *word_of(uint32_t *board, uint32_t thread, uint32_t word) { return board + thread * EACH + word; }

// Takes some 30 ns and little of the core, which may be another thread's as well: divisions that wait for each other, by
// a number that no compiler knows. What it gives, 1 or 2 looks, depends on them, or they would be left out.
INLINE uint32_t pause(uint32_t number) {
  uint32_t x = -1u;
  UNROLL for (int i = 0; i < 8; i++) x = x / ((number & 2) | 1) | 1u << 31;
  return 1 + (x / ((number & 2) | 1) >> 31);
}

// Waits until `word`, on which threads may sleep, has come to `number`; 0 if the threads are done for before, or if it is
// waited for in a run, that is over.
static __attribute__((noinline)) uint32_t wait_for(uint32_t *board, uint32_t *word, uint32_t number, uint32_t run) {
  for (uint32_t looks = 0;;) {
    const uint32_t seen = get(word);
    if (get(board + STATE) != OPEN || (run && get(board + RUN) != run)) return 0;
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

// A piece of a group, counted through its tasks.
static void make(const struct program *p, uint32_t group, uint32_t piece, uint32_t thread) {
  const struct task *t = p->task + p->first[group];
  for (; piece >= t->pieces; t++) piece -= t->pieces;
  for (uint32_t i = 0; i < t->calls; i++) {
    const struct call *c = p->calls + t->from + i;
    if (c->length > 0) make_piece(c, piece, t->pieces, thread);
  }
}

// How many pieces a thread must have done, or may have taken, in this run and before, for the group to begin.
INLINE uint32_t count_before(const struct program *p, uint32_t group, uint32_t owner) {
  return get(p->begun + owner) + get(p->before + group * get(&p->threads) + owner);
}

// Makes what is left of a thread's pieces of a group that may begin. Whoever does it may be late: what it has read of the
// program is of this run only if that is still on, and then a piece is its own if it takes the number.
static uint32_t make_pieces_of(uint32_t owner, uint32_t *board, const struct program *p, uint32_t run, uint32_t group,
                               uint32_t thread) {
  uint32_t made = 0, *taken = word_of(board, owner, CLAIMED);
  for (;;) {
    uint32_t number = get(taken);
    const uint32_t at = number - count_before(p, group, owner);
    const uint32_t left = count_before(p, group + 1, owner) - number, piece = owner + at * get(&p->threads);
    if ((int32_t)at < 0 || (int32_t)left <= 0 || get(board + RUN) != run) break;
    if (!__atomic_compare_exchange_n(taken, &number, number + 1, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) continue;
    make(p, group, piece, thread);
    made++;
  }
  if (made == 0) return 0;
  uint32_t *done = word_of(board, owner, DONE);
  add_to_word(done, made);
  if (get(done + SLEEPERS) > 0) __builtin_wasm_memory_atomic_notify((int *)done, -1u);
  return made;
}

// Whether all pieces of a thread before a group are done.
INLINE uint32_t has_done(uint32_t *board, const struct program *p, uint32_t group, uint32_t owner) {
  return (int32_t)(get(word_of(board, owner, DONE)) - count_before(p, group, owner)) >= 0;
}

INLINE uint32_t may_begin(uint32_t *board, const struct program *p, uint32_t group) {
  const uint32_t threads = get(&p->threads);
  for (uint32_t i = 0; i < threads; i++) {
    if (!has_done(board, p, group, i)) return 0;
  }
  return 1;
}

// Helps with a group that this thread has made its pieces of, unless it is over after so many looks; whether it is over.
// There is no patience for the next one as long as others do not come, who may have no processor.
static uint32_t help_with(uint32_t *board, const struct program *p, uint32_t run, uint32_t group, uint32_t thread,
                          uint32_t *patience) {
  for (uint32_t looks = 0;; looks += pause(looks)) {
    if (may_begin(board, p, group + 1)) return 1;
    if (looks >= *patience) break;
  }
  const uint32_t threads = get(&p->threads);
  uint32_t made = 0;
  for (uint32_t i = 1; i <= threads; i++) {
    const uint32_t owner = (thread + i) % threads;
    if (!has_done(board, p, group + 1, owner)) made += make_pieces_of(owner, board, p, run, group, thread);
  }
  *patience = made > 0 ? 0 : PATIENCE;
  return 0;
}

// Waits until a group may begin. Who sleeps over it sleeps over a piece that somebody has taken.
static uint32_t wait_before(uint32_t *board, const struct program *p, uint32_t run, uint32_t group) {
  const uint32_t threads = get(&p->threads);
  for (uint32_t i = 0; i < threads; i++) {
    if (!wait_for(board, word_of(board, i, DONE), count_before(p, group, i), run)) return 0;
  }
  return 1;
}

uint32_t share(uint32_t *board, const uint32_t *program, uint32_t run, uint32_t thread) {
  const struct program *p = (const struct program *)program;
  const uint32_t groups = get(&p->groups), owns = thread < get(&p->threads);
  uint32_t may = 1, patience = PATIENCE;
  for (uint32_t group = 0; group < groups; group++) {
    if (!may && !wait_before(board, p, run, group)) return get(board + STATE) == OPEN;
    if (owns) make_pieces_of(thread, board, p, run, group, thread);
    may = help_with(board, p, run, group, thread, &patience);
  }
  return 1;
}

uint32_t wait_done(uint32_t *board, const uint32_t *program, uint32_t run) {
  const struct program *p = (const struct program *)program;
  return wait_before(board, p, run, p->groups);
}

uint32_t serve(uint32_t *board, uint32_t thread) {
  for (uint32_t last = 0; wait_for(board, word_of(board, thread, CALLED), last + 1, 0);) {
    const uint32_t run = get(board + RUN), program = get(board + PROGRAM);
    if (run & 1 || get(board + RUN) != run) continue; // another one has begun meanwhile
    last = run;
    if (!share(board, (const uint32_t *)program, run, thread)) return 0;
  }
  return 0;
}

#endif
