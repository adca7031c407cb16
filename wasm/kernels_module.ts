/** Which build of the kernels is the fastest that can run here. */
import { url } from "./kernels.ts";

/** The build whose products and sums are rounded once together. */
export const relaxedUrl: URL = new URL("./kernels_relaxed.wasm", import.meta.url);

/** A module with one function of three vectors, which is `f32x4.relaxed_madd`. */
const RELAXED_MADD = Uint8Array.of(
  ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
  ...[0x01, 0x08, 0x01, 0x60, 0x03, 0x7b, 0x7b, 0x7b, 0x01, 0x7b], // type: (v128, v128, v128) to v128
  ...[0x03, 0x02, 0x01, 0x00], // function
  ...[0x0a, 0x0d, 0x01, 0x0b, 0x00, 0x20, 0x00, 0x20, 0x01, 0x20, 0x02, 0xfd, 0x85, 0x02, 0x0b], // its code
);

export const fastestUrl: URL = WebAssembly.validate(RELAXED_MADD) ? relaxedUrl : url;
