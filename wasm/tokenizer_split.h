// The pre-tokenizer: where the piece that starts at a byte ends. One branch for each alternative of spec e.1's regex.
#include <stdbool.h>
#include <stdint.h>
#include <wasm_simd128.h>

#include "tokenizer_unicode.h"

enum { OTHER, LETTER, NUMBER, SPACE };

// One character: its class and its length in bytes.
typedef struct {
  uint32_t class;
  uint32_t bytes;
} Char;

static inline Char char_at(const uint8_t *p) {
  uint32_t code = p[0], bytes = 1;
  if (code >= 0xf0) {
    code = (code & 7) << 18 | (p[1] & 63) << 12 | (p[2] & 63) << 6 | (p[3] & 63), bytes = 4;
  } else if (code >= 0xe0) {
    code = (code & 15) << 12 | (p[1] & 63) << 6 | (p[2] & 63), bytes = 3;
  } else if (code >= 0xc0) {
    code = (code & 31) << 6 | (p[1] & 63), bytes = 2;
  }
  // BLOCKS holds two bits a code point, 32 bytes for 128 code points.
  uint32_t four = BLOCKS[BLOCK_OF[code >> 7] * 32 + (code >> 2 & 31)];
  return (Char){four >> (code & 3) * 2 & 3, bytes};
}

static inline bool is_newline(uint8_t byte) {
  return byte == '\r' || byte == '\n';
}

// How many of the 16 bytes at p, from the first on, are ASCII letters.
static inline uint32_t ascii_letters(const uint8_t *p) {
  v128_t lower = wasm_v128_or(wasm_v128_load(p), wasm_i8x16_splat(0x20));
  v128_t letter = wasm_u8x16_lt(wasm_i8x16_sub(lower, wasm_i8x16_splat('a')), wasm_i8x16_splat(26));
  return (uint32_t)__builtin_ctz(~wasm_i8x16_bitmask(letter));
}

// The end of a run of letters. The zeros after the text are no letters.
static inline uint32_t letters_end(const uint8_t *text, uint32_t at) {
  for (;;) {
    if (text[at] < 0x80) {
      uint32_t run = ascii_letters(text + at);
      at += run;
      if (run == 16) continue;
      if (text[at] < 0x80) return at;
    }
    Char c = char_at(text + at);
    if (c.class != LETTER) return at;
    at += c.bytes;
  }
}

// '(?:[sSdDmMtT]|[lL][lL]|[vV][eE]|[rR][eE]): the bytes of the contraction at p, 0 if there is none.
static inline uint32_t contraction(const uint8_t *p) {
  if (p[0] != '\'') return 0;
  uint8_t a = p[1] | 0x20, b = p[2] | 0x20;
  if (a == 's' || a == 'd' || a == 'm' || a == 't') return 2;
  return (a == 'l' && b == 'l') || ((a == 'v' || a == 'r') && b == 'e') ? 3 : 0;
}

// [^\s\p{L}\p{N}]+[\r\n]*
static uint32_t others_end(const uint8_t *text, uint32_t at, uint32_t length) {
  while (at < length) {
    Char c = char_at(text + at);
    if (c.class != OTHER) break;
    at += c.bytes;
  }
  while (is_newline(text[at])) at++;
  return at;
}

// \s*[\r\n]|\s+(?!\S)|\s+ : up to the last newline of the run; without one, all but the character before what follows.
static uint32_t spaces_end(const uint8_t *text, uint32_t start, uint32_t length) {
  uint32_t at = start, last = start, newline = 0;
  while (at < length) {
    Char c = char_at(text + at);
    if (c.class != SPACE) break;
    last = at;
    at += c.bytes;
    if (is_newline(text[last])) newline = at;
  }
  if (newline) return newline;
  return at < length && last > start ? last : at;
}

// The end of the piece that starts at byte `start` < length.
static uint32_t piece_end(const uint8_t *text, uint32_t start, uint32_t length) {
  uint32_t contracted = contraction(text + start);
  if (contracted) return start + contracted;
  Char first = char_at(text + start);
  uint32_t second = start + first.bytes;
  if (first.class == LETTER) return letters_end(text, second);
  if (first.class == NUMBER) return second;
  Char next = char_at(text + second); // at the end of the text a zero, which is neither letter nor space
  if (next.class == LETTER && !is_newline(text[start])) return letters_end(text, second);
  if (first.class == OTHER) return others_end(text, second, length);
  if (text[start] == ' ' && next.class == OTHER && second < length) return others_end(text, second, length);
  return spaces_end(text, start, length);
}
