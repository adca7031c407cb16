/** Byte-level tokens: their strings spell bytes in an alphabet of 256 visible characters (GPT-2's). */

const utf8 = new TextEncoder();
const lossy = new TextDecoder("utf-8", { ignoreBOM: true });

/** The character of each byte: printable Latin-1 stands for itself, the others are numbered from U+0100 on. */
export const ALPHABET: readonly string[] = (() => {
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) => {
    const printable = (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad);
    return String.fromCharCode(printable ? byte : next++);
  });
})();

const BYTE_OF = new Int16Array(0x200).fill(-1);
ALPHABET.forEach((char, byte) => BYTE_OF[char.charCodeAt(0)] = byte);

// Writes the bytes that `token` spells to `bytes`, from `at` on; of a token with characters outside the alphabet its
// UTF-8, as the official decoder does. Returns how many: at most three a character.
function write(token: string, bytes: Uint8Array, at: number): number {
  for (let i = 0; i < token.length; i++) {
    const byte = BYTE_OF[token.charCodeAt(i)] ?? -1;
    if (byte < 0) return utf8.encodeInto(token, bytes.subarray(at)).written;
    bytes[at + i] = byte;
  }
  return token.length;
}

/** The bytes that a token stands for. */
export function spelledBytes(token: string): Uint8Array {
  const bytes = new Uint8Array(token.length * 3);
  return bytes.slice(0, write(token, bytes, 0));
}

/** The text that tokens stand for, with U+FFFD where their bytes are no UTF-8. */
export function spelledText(tokens: readonly string[]): string {
  const bytes = new Uint8Array(3 * tokens.reduce((sum, token) => sum + token.length, 0));
  let length = 0;
  for (const token of tokens) length += write(token, bytes, length);
  return lossy.decode(bytes.subarray(0, length));
}
