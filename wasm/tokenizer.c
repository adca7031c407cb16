// Byte-level BPE over linear memory. The contract of each function is in tokenizer.h.
#include "tokenizer.h"

#include "tokenizer_split.h"

#define NONE UINT32_MAX
#define NO_PAIR UINT64_MAX
#define CACHE_SLOTS 32768 // 1 MiB: the words of a long text
#define KEY_BYTES 15      // of a cached piece; the 16th byte of its key is its length
#define CACHED_IDS 4

// A merge of the hash table; the pair is left | right << 32, NO_PAIR where the slot is empty.
typedef struct {
  uint64_t pair;
  uint32_t rank;
  uint32_t id;
} Merge;

// A piece that was merged before; unused ids are NONE.
typedef struct {
  v128_t key;
  uint32_t ids[CACHED_IDS];
} Cached;

typedef struct {
  Cached cache[CACHE_SLOTS]; // by hash; the last piece that had the hash
  uint32_t byte_ids[256];
  uint32_t mask; // slots of merges - 1
  uint32_t steps;
  _Alignas(16) Merge merges[]; // open addressing, linear probing
} Model;

static uint32_t merge_slots(uint32_t merges) {
  uint32_t slots = 16;
  while (slots < merges + merges / 2) slots *= 2;
  return slots;
}

static inline uint32_t hash(uint64_t key) {
  return (uint32_t)(key * 0x9e3779b97f4a7c15 >> 32);
}

// The slot of the pair, or the empty one where it would be.
static inline Merge *find(Model *model, uint32_t left, uint32_t right) {
  uint64_t pair = (uint64_t)right << 32 | left;
  uint32_t slot = hash(pair) & model->mask;
  while (model->merges[slot].pair != pair && model->merges[slot].pair != NO_PAIR) slot = (slot + 1) & model->mask;
  return &model->merges[slot];
}

uint32_t tokenizer_model_words(uint32_t merges) {
  return (sizeof(Model) + merge_slots(merges) * sizeof(Merge)) / 4;
}

void tokenizer_init(uint32_t *words, const uint32_t *byte_ids, const uint32_t *merges, uint32_t count) {
  Model *model = (Model *)words;
  model->mask = merge_slots(count) - 1;
  model->steps = 0;
  for (uint32_t i = 0; i < CACHE_SLOTS; i++) model->cache[i].key = wasm_i64x2_const(0, 0); // no piece has length 0
  for (uint32_t i = 0; i < 256; i++) model->byte_ids[i] = byte_ids[i];
  for (uint32_t i = 0; i <= model->mask; i++) model->merges[i].pair = NO_PAIR;
  for (uint32_t rank = 0; rank < count; rank++) {
    const uint32_t *merge = merges + rank * 3;
    *find(model, merge[0], merge[1]) = (Merge){(uint64_t)merge[1] << 32 | merge[0], rank, merge[2]};
  }
}

uint32_t tokenizer_split(const uint8_t *text, uint32_t length, uint32_t *ends) {
  uint32_t pieces = 0;
  for (uint32_t at = 0; at < length;) ends[pieces++] = at = piece_end(text, at, length);
  return pieces;
}

// The symbols of one piece, a linked list over the positions of their first bytes, and the tree that finds the next
// merge: leaf n + i is rank << 32 | i for the symbols at i and next[i], NO_PAIR without one; tree[1] is the least of all.
typedef struct {
  uint32_t n;     // bytes of the piece, and the position after the last symbol
  uint64_t *tree; // [2n], each inner node the lesser of its children
  uint32_t *id;   // [n]
  uint32_t *next; // [n]
  uint32_t *prev; // [n]
  uint32_t *into; // [n] what the symbols at i and next[i] merge into
} Piece;

#define SCRATCH_WORDS 8 // a byte: two nodes of two words, and four arrays

uint32_t tokenizer_scratch_words(const uint32_t *ends, uint32_t pieces) {
  uint32_t longest = 0, start = 0;
  for (uint32_t i = 0; i < pieces; start = ends[i++]) longest = ends[i] - start > longest ? ends[i] - start : longest;
  return longest * SCRATCH_WORDS;
}

static Piece piece_in(uint32_t *scratch, uint32_t n) {
  uint32_t *symbols = scratch + n * 4;
  return (Piece){n, (uint64_t *)scratch, symbols, symbols + n, symbols + n * 2, symbols + n * 3};
}

static inline uint64_t lesser(uint64_t a, uint64_t b) {
  return a < b ? a : b;
}

// Looks up the merge of the symbols at i and next[i] and returns its leaf.
static inline uint64_t leaf(Model *model, Piece *piece, uint32_t i) {
  if (piece->next[i] == piece->n) return NO_PAIR;
  Merge *merge = find(model, piece->id[i], piece->id[piece->next[i]]);
  if (merge->pair == NO_PAIR) return NO_PAIR;
  piece->into[i] = merge->id;
  return (uint64_t)merge->rank << 32 | i;
}

static inline void set_leaf(Model *model, Piece *piece, uint32_t i, uint64_t value) {
  uint32_t node = piece->n + i;
  piece->tree[node] = value;
  while (node >>= 1) {
    model->steps++;
    uint64_t least = lesser(piece->tree[node * 2], piece->tree[node * 2 + 1]);
    if (piece->tree[node] == least) return;
    piece->tree[node] = least;
  }
}

static void begin(Model *model, Piece *piece, const uint8_t *bytes) {
  for (uint32_t i = 0; i < piece->n; i++) {
    piece->id[i] = model->byte_ids[bytes[i]];
    piece->next[i] = i + 1;
    piece->prev[i] = i - 1;
  }
  for (uint32_t i = 0; i < piece->n; i++) piece->tree[piece->n + i] = leaf(model, piece, i);
  for (uint32_t i = piece->n - 1; i > 0; i--) piece->tree[i] = lesser(piece->tree[i * 2], piece->tree[i * 2 + 1]);
  model->steps += piece->n;
}

// Merges the pair of the lowest rank, the leftmost of equals, until none is left: O(n log n). Returns how many ids.
static uint32_t merge(Model *model, const uint8_t *bytes, uint32_t n, uint32_t *scratch, uint32_t *ids) {
  Piece piece = piece_in(scratch, n);
  begin(model, &piece, bytes);
  while (piece.tree[1] != NO_PAIR) {
    uint32_t left = (uint32_t)piece.tree[1], right = piece.next[left], after = piece.next[right];
    piece.id[left] = piece.into[left];
    piece.next[left] = after;
    if (after < n) piece.prev[after] = left;
    set_leaf(model, &piece, right, NO_PAIR);
    set_leaf(model, &piece, left, leaf(model, &piece, left));
    if (left > 0) set_leaf(model, &piece, piece.prev[left], leaf(model, &piece, piece.prev[left]));
  }
  uint32_t count = 0;
  for (uint32_t i = 0; i < n; i = piece.next[i]) ids[count++] = piece.id[i];
  return count;
}

// The key of a piece of at most KEY_BYTES bytes: the bytes, zeros, and its length.
static inline v128_t key_of(const uint8_t *bytes, uint32_t n) {
  v128_t lane = wasm_i8x16_const(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  v128_t inside = wasm_i8x16_lt(lane, wasm_i8x16_splat((int8_t)n));
  return wasm_i8x16_replace_lane(wasm_v128_and(wasm_v128_load(bytes), inside), KEY_BYTES, (int8_t)n);
}

static inline Cached *cached(Model *model, v128_t key) {
  uint64_t low = (uint64_t)wasm_i64x2_extract_lane(key, 0), high = (uint64_t)wasm_i64x2_extract_lane(key, 1);
  return &model->cache[hash(low ^ high * 0xff51afd7ed558ccd) % CACHE_SLOTS];
}

// As merge(), for a short piece: takes its ids from the cache, or leaves them there.
static inline uint32_t merge_cached(Model *model, const uint8_t *bytes, uint32_t n, uint32_t *scratch, uint32_t *ids) {
  v128_t key = key_of(bytes, n);
  Cached *slot = cached(model, key);
  if (wasm_i8x16_all_true(wasm_i8x16_eq(slot->key, key))) {
    uint32_t count = 0;
    while (count < CACHED_IDS && slot->ids[count] != NONE) ids[count] = slot->ids[count], count++;
    return count;
  }
  uint32_t count = merge(model, bytes, n, scratch, ids);
  if (count <= CACHED_IDS) {
    slot->key = key;
    for (uint32_t i = 0; i < CACHED_IDS; i++) slot->ids[i] = i < count ? ids[i] : NONE;
  }
  return count;
}

uint32_t tokenizer_encode(uint32_t *words, const uint8_t *text, const uint32_t *ends, uint32_t pieces,
                          uint32_t *scratch, uint32_t *ids) {
  Model *model = (Model *)words;
  uint32_t count = 0;
  model->steps = 0;
  for (uint32_t i = 0, start = 0; i < pieces; start = ends[i++]) {
    uint32_t n = ends[i] - start;
    if (n <= KEY_BYTES) {
      count += merge_cached(model, text + start, n, scratch, ids + count);
    } else {
      count += merge(model, text + start, n, scratch, ids + count);
    }
  }
  return count;
}

uint32_t tokenizer_steps(const uint32_t *words) {
  return ((const Model *)words)->steps;
}
