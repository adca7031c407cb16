/** What a machine must have to run the modules, told in a sentence before V8 refuses them in its own words. */

/** A module with one function that takes a vector and gives it back. */
const SIMD = Uint8Array.of(
  ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
  ...[0x01, 0x06, 0x01, 0x60, 0x01, 0x7b, 0x01, 0x7b], // type: (v128) to v128
  ...[0x03, 0x02, 0x01, 0x00], // function
  ...[0x0a, 0x06, 0x01, 0x04, 0x00, 0x20, 0x00, 0x0b], // its code
);

/** @throws {TypeError} if there is no WASM SIMD, or with `shared` no memory that threads can share */
export function checkMachine(shared: boolean): void {
  if (!WebAssembly.validate(SIMD)) {
    throw new TypeError(
      "Cannot compute in WASM: this processor has none of the SIMD that it needs, on x86 SSE 4.1; use another machine",
    );
  }
  if (shared && !("SharedArrayBuffer" in globalThis)) {
    throw new TypeError(
      "Cannot compute in WASM: this runtime has no SharedArrayBuffer, which its threads need; use Deno",
    );
  }
}
