/** The WASM kernels one by one: GB/s of weights, state or cache and GFLOP/s, beside the bandwidth of a plain copy. */
import type { KernelsExports } from "../wasm/kernels.ts";
import { fastestUrl } from "../wasm/kernels_module.ts";
import { Memory } from "../wasm/memory.ts";

/** A kernel on one shape. Calls take the pieces in turn, so that what is read is not in a cache. */
interface Shape {
  readonly name: string;
  /** Of weights, state or cache that a call reads. */
  readonly bytes: number;
  readonly flops: number;
  readonly pieces: number;
  readonly call: (piece: number) => void;
}

/** More than caches hold. */
const COLD_BYTES = 96 * 2 ** 20;

/** Weights of a small model, which stay in the caches from token to token. */
const WARM_BYTES = 2 ** 20;

const memory = await Memory.load<KernelsExports>(fastestUrl, true);
const { kernels } = memory;

const piecesOf = (bytes: number, total: number) => Math.max(1, Math.round(total / bytes));
const random = (count: number) => memory.copy("f32", Float32Array.from({ length: count }, () => 2 * Math.random() - 1));

const TYPES = [["f32", 0, 4], ["bf16", 1, 2], ["f16", 2, 2], ["f8_e4m3", 3, 1]] as const;

function matmul(type: typeof TYPES[number], [T, N, K]: readonly [number, number, number], total: number): Shape {
  const [name, code, size] = type;
  const bytes = N * K * size;
  const pieces = piecesOf(bytes, total);
  const values = memory.alloc("u8", pieces * bytes);
  memory.view("u8", values, pieces * bytes).fill(0x38); // small normal numbers of every type
  const matrices = Array.from(
    { length: pieces },
    (_, i) => memory.copy("u32", [values + i * bytes, code, N, K, 0, 0, 1, K]),
  );
  const [x, y, scratch] = [random(T * K), memory.alloc("f32", T * N), memory.alloc("f32", 36 * K)];
  return {
    name: `matmul ${name} [${T}, ${K}] to ${N}${total === WARM_BYTES ? ", cached" : ""}`,
    bytes,
    flops: 2 * T * N * K,
    pieces,
    call: (piece) => kernels.matmul(y, x, matrices[piece]!, scratch, T, 0, 0, N),
  };
}

/** Codes and factors of a value in bits, factors included. */
const CODES = [["q8", 4, 8.5], ["q4", 5, 5]] as const;

/** Bytes of small positive float16 numbers, and codes that are not zero. */
const CODE_BYTE = 0x28;

function matmulCodes(type: typeof CODES[number], [T, N, K]: readonly [number, number, number], total: number): Shape {
  const [name, code, bits] = type;
  const [bytes, factorBytes] = [N * K * bits / 8, N * K / 32 * (name === "q8" ? 2 : 4)];
  const pieces = piecesOf(bytes, total);
  const values = memory.alloc("u8", pieces * bytes);
  memory.view("u8", values, pieces * bytes).fill(CODE_BYTE);
  const matrices = Array.from({ length: pieces }, (_, i) => {
    const at = values + i * bytes;
    return memory.copy("u32", [at, code, N, K, 0, at + bytes - factorBytes, 1, 32]);
  });
  const [x, narrowed] = [random(T * K), memory.alloc("u32", T * K)];
  kernels.narrow(narrowed, x, code, K, 0, T);
  const [y, scratch] = [memory.alloc("f32", T * N), memory.alloc("f32", 36 * K)];
  return {
    name: `matmul ${name} [${T}, ${K}] to ${N}${total === WARM_BYTES ? ", cached" : ""}`,
    bytes,
    flops: 2 * T * N * K,
    pieces,
    call: (piece) => kernels.matmul_codes(y, narrowed, matrices[piece]!, scratch, T, 0, 0, N),
  };
}

function narrow([name, code]: typeof CODES[number], T: number, K: number): Shape {
  const [x, y] = [random(T * K), memory.alloc("u32", T * K)];
  const call = () => kernels.narrow(y, x, code, K, 0, T);
  return { name: `narrow [${T}, ${K}] for ${name}`, bytes: 4 * T * K, flops: 0, pieces: 1, call };
}

function linearAttention(T: number, [heads, D]: readonly [number, number]): Shape {
  const bytes = 4 * heads * D * D;
  const pieces = piecesOf(bytes, COLD_BYTES);
  const state = memory.alloc("f32", pieces * bytes / 4);
  const powers = Array.from({ length: 33 }, (_, i) => 0.99 ** i);
  const decays = memory.copy(
    "f32",
    Array.from({ length: heads }, () => [...powers, ...powers.map((p) => 1 - p)]).flat(),
  );
  const [qkv, out] = [random(T * 3 * heads * D), memory.alloc("f32", T * heads * D)];
  const segments = Array.from({ length: pieces }, (_, slot) => memory.copy("u32", [slot, 1, T, 0]));
  return {
    name: `linear_attention ${T} rows, ${heads} heads of ${D}`,
    bytes: 2 * bytes,
    flops: T * heads * 5 * D * D,
    pieces,
    call: (piece) => kernels.linear_attention(out, qkv, state, decays, segments[piece]!, heads, D, 0, heads),
  };
}

/** Positions of a page of the cache; contexts are a multiple of it. */
const PAGE = 64;

function attention(T: number, context: number, [heads, kvHeads, D]: readonly [number, number, number]): Shape {
  const bytes = 2 * 4 * context * kvHeads * D;
  const pieces = piecesOf(bytes, COLD_BYTES);
  const [keys, values] = [random(pieces * bytes / 8), random(pieces * bytes / 8)];
  const pageBytes = 4 * PAGE * kvHeads * D;
  const perSlot = context / PAGE;
  const places = Array.from({ length: pieces * perSlot }, (_, i) => [keys + i * pageBytes, values + i * pageBytes])
    .flat();
  const cache = memory.copy("u32", [memory.copy("u32", places), PAGE, D, 0]);
  const tables = Array.from(
    { length: pieces },
    (_, slot) => memory.copy("u32", Array.from({ length: perSlot }, (_, n) => slot * perSlot + n)),
  );
  const scratch = memory.alloc("f32", 64 * D);
  const [qkv, out] = [random(T * (heads + 2 * kvHeads) * D), memory.alloc("f32", T * heads * D)];
  const segments = Array.from({ length: pieces }, (_, slot) => memory.copy("u32", [slot, context - T, T, 0]));
  return {
    name: `attention ${T} rows at ${context}, ${heads} heads of ${D} over ${kvHeads}`,
    bytes,
    flops: 4 * T * heads * D * (context - T / 2),
    pieces,
    call: (piece) =>
      kernels.attention(
        ...[
          out,
          qkv,
          cache,
          tables[piece]!,
          perSlot,
          segments[piece]!,
          1,
          heads,
          kvHeads,
          D,
          scratch,
          T,
          0,
          T * kvHeads,
        ] as const,
      ),
  };
}

function candidates(V: number, K: number): Shape {
  const [x, ids, logits, sum] = [random(V), memory.alloc("u32", K), memory.alloc("f32", K), memory.alloc("f32", 1)];
  const call = () => kernels.candidates(ids, logits, sum, x, V, K, 0, 1);
  return { name: `candidates ${K} of ${V}`, bytes: 4 * V, flops: 0, pieces: 1, call };
}

function swiglu(count: number): Shape {
  const [gate, up] = [random(count), random(count)];
  const call = () => kernels.swiglu(gate, up, 0, count);
  return { name: `swiglu of ${count}`, bytes: 8 * count, flops: 0, pieces: 1, call };
}

const SHAPES: readonly Shape[] = [
  ...TYPES.map((type) => matmul(type, [1, 2048, 2048], COLD_BYTES)),
  ...TYPES.map((type) => matmul(type, [128, 2048, 2048], COLD_BYTES)),
  ...[1, 2, 3, 4, 8, 128].map((T) => matmul(TYPES[1], [T, 768, 256], WARM_BYTES)),
  matmul(TYPES[1], [1, 768, 256], COLD_BYTES),
  ...CODES.flatMap((type) => [
    ...[1, 2, 4, 16, 64].map((T) => matmulCodes(type, [T, 512, 2048], COLD_BYTES)),
    matmulCodes(type, [1, 768, 256], WARM_BYTES),
    narrow(type, 1, 2048),
  ]),
  linearAttention(1, [4, 64]),
  linearAttention(256, [4, 64]),
  linearAttention(1, [16, 128]),
  linearAttention(256, [16, 128]),
  attention(1, 1024, [4, 2, 64]),
  attention(256, 1024, [4, 2, 64]),
  attention(1, 8192, [16, 4, 128]),
  candidates(157_184, 64),
  swiglu(65_536),
];

/** Bytes a second, read and written, of a copy that no cache holds. */
function copyBandwidth(): number {
  const [from, to] = [new Uint8Array(COLD_BYTES).fill(1), new Uint8Array(COLD_BYTES)];
  return 2 * COLD_BYTES / fastest(() => to.set(from), 1);
}

/** The shortest time of a call in seconds, of some rounds of a few milliseconds. */
function fastest(call: (piece: number) => void, pieces: number): number {
  let [best, piece] = [Infinity, 0];
  for (let round = 0, calls = 1; round < 20; round++) {
    const start = performance.now();
    for (let i = 0; i < calls; i++) call(piece = (piece + 1) % pieces);
    const seconds = (performance.now() - start) / 1e3;
    best = Math.min(best, seconds / calls);
    if (seconds < 0.01) calls *= 2;
  }
  return best;
}

for (const { name, pieces, call } of SHAPES) {
  let piece = 0;
  Deno.bench(name, () => call(piece = (piece + 1) % pieces));
}

if (import.meta.main) {
  const print = (line: string) => Deno.stdout.writeSync(new TextEncoder().encode(line + "\n"));
  print(`${"copy, read and written".padEnd(48)}${(copyBandwidth() / 1e9).toFixed(1).padStart(20)} GB/s`);
  for (const { name, bytes, flops, pieces, call } of SHAPES) {
    const seconds = fastest(call, pieces);
    const [micros, rate, work] = [1e6 * seconds, bytes / seconds / 1e9, flops / seconds / 1e9].map((x) => x.toFixed(1));
    print(`${name.padEnd(48)}${micros!.padStart(10)} µs${rate!.padStart(7)} GB/s${work!.padStart(7)} GFLOP/s`);
  }
}
