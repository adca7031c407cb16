// Byte-level BPE: splits UTF-8 text into pieces (spec e.1) and merges the bytes of each piece into tokens.
// Every text is valid UTF-8 and is followed by 16 zero bytes: vectors are loaded past its end.
#include <stdint.h>

// How many u32 a model of `merges` merges takes.
uint32_t tokenizer_model_words(uint32_t merges);

// Builds `model` [tokenizer_model_words(count)] from byte_ids [256], the token of each byte, and merges [count, 3]:
// left token, right token, merged token, the most important merge first. Of a pair given twice the last counts.
void tokenizer_init(uint32_t *model, const uint32_t *byte_ids, const uint32_t *merges, uint32_t count);

// Splits text [length] into pieces: ends [length] gets the byte offset where each ends. Returns how many pieces.
uint32_t tokenizer_split(const uint8_t *text, uint32_t length, uint32_t *ends);

// How many u32 of scratch tokenizer_encode needs for these pieces.
uint32_t tokenizer_scratch_words(const uint32_t *ends, uint32_t pieces);

// Merges each piece of text into tokens: ids [ends[pieces - 1]]. Returns how many tokens.
uint32_t tokenizer_encode(uint32_t *model, const uint8_t *text, const uint32_t *ends, uint32_t pieces,
                          uint32_t *scratch, uint32_t *ids);

// How many nodes of the merge tree the last tokenizer_encode compared: what its time is proportional to.
uint32_t tokenizer_steps(const uint32_t *model);
