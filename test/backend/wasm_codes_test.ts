/** The WASM backend's products of integers: what rows become, products as exact as those of floats, and the same bits on every path. */
import { strict as assert } from "node:assert";
import { codeType, narrowedWords } from "../../src/backend/wasm/input.ts";
import { Bindings } from "../../src/backend/wasm/binding.ts";
import { WasmBackend } from "../../src/backend/wasm/wasm_backend.ts";
import { type KernelsExports, url } from "../../wasm/kernels.ts";
import { relaxedUrl } from "../../wasm/kernels_module.ts";
import { Memory } from "../../wasm/memory.ts";
import { CaseMaker, random } from "./case_maker.ts";
import { ReferenceBackend } from "./reference_backend.ts";
import { weightAt } from "./reference_tensor.ts";

/** The builds of the kernels, of which a machine uses one. */
const BUILDS = [["", url], [", relaxed", relaxedUrl]] as const;
const TYPES = ["q8", "q4"] as const;
type CodeType = typeof TYPES[number];

/** Of the greatest magnitude of a group. */
const MOST = { q8: 32767, q4: 127 } as const;
const GROUP = 32;

/** Of f32 sums, in units of the largest result. */
const TOLERANCE = 2e-6;

/** Rows, columns, and rows of weights: whole and partial vectors of all. */
const SHAPES = [[1, 32, 1], [1, 64, 5], [2, 96, 9], [3, 256, 13], [4, 128, 8], [7, 160, 21], [70, 64, 40]] as const;

/** Rows with what is hard to round: a group of zeros, one of tiny numbers, one with a single large number. */
function rowsOf(rows: number, K: number): Float32Array {
  const next = random(5);
  const x = new Float32Array(rows * K).map(() => 3 * next());
  x.fill(0, 0, GROUP);
  if (K > GROUP) x.subarray(GROUP, 2 * GROUP).forEach((value, i, group) => group[i] = value * 1e-20);
  x[x.length - 3] = 500;
  return x;
}

/** A row as kernels.h says that `narrow` writes it: each number as its code times the group's scale. */
function widened(bytes: DataView, at: number, type: CodeType, K: number): Float64Array {
  const scales = at + (type === "q8" ? 2 * K : K);
  return Float64Array.from({ length: K }, (_, k) => {
    const group = Math.floor(k / GROUP);
    const unit = type === "q8" ? Math.floor(k / 16) : group;
    const lane = (k % (type === "q8" ? 16 : GROUP)) >> 1;
    const code = type === "q8"
      ? bytes.getInt16(at + 32 * unit + 16 * (k % 2) + 2 * lane, true)
      : bytes.getInt8(at + 32 * unit + 16 * (k % 2) + lane);
    return code * bytes.getFloat32(scales + 4 * group, true);
  });
}

/** A weight, rows of x as numbers and as integers, and room for what comes out. */
async function prepared(module: URL, type: CodeType, [T, K, N]: readonly [number, number, number], experts?: number) {
  const memory = await Memory.load<KernelsExports>(module, true);
  const backend = new WasmBackend(memory);
  const shape = experts === undefined ? [N, K] : [experts, N, K];
  const makers = [backend, new ReferenceBackend()].map((backend) => new CaseMaker(backend, 9));
  const [weight, plain] = makers.map((make) => make.weight(type, shape)) as [ReturnType<CaseMaker["weight"]>, never];
  for (const make of makers) await make.written();
  const values = rowsOf(T, K);
  const [x, words] = [memory.copy("f32", values), narrowedWords(codeType(weight)!, K)];
  const narrowed = memory.alloc("u32", T * words);
  memory.kernels.narrow(narrowed, x, codeType(weight)!, K, 0, T);
  const bytes = new DataView(memory.view("u8", narrowed as number as never, 4 * T * words).buffer);
  const rows = Array.from({ length: T }, (_, t) => widened(bytes, narrowed + 4 * t * words, type, K));
  const product = (t: number, n: number, e = 0) =>
    rows[t]!.reduce((sum, value, k) => sum + value * weightAt(plain, e, n, k), 0);
  const matrix = new Bindings(memory).matrix(weight);
  return { memory, values, rows, narrowed, words, matrix, product, scratch: memory.alloc("f32", 36 * K), weight };
}

/** Throws AssertionError unless all are within rounding of f32. */
function assertClose(actual: Float32Array, expected: readonly number[], where: string): void {
  const largest = Math.max(...expected.map(Math.abs));
  const worst = Math.max(...expected.map((value, i) => Math.abs(value - actual[i]!)));
  assert.ok(worst <= TOLERANCE * largest, `${where}: off by ${worst / largest} of the largest`);
}

for (const [build, module] of BUILDS) {
  for (const type of TYPES) {
    Deno.test(`narrow()${build} rounds each number for ${type} to the nearest of its group`, async () => {
      const [T, K] = [5, 160];
      const { values, rows } = await prepared(module, type, [T, K, 4]);
      for (let start = 0; start < T * K; start += GROUP) {
        const group = values.subarray(start, start + GROUP);
        const step = Math.max(...group.map(Math.abs)) / MOST[type];
        group.forEach((value, i) => {
          const off = Math.abs(value - rows[Math.floor(start / K)]![start % K + i]!);
          assert.ok(
            off <= 0.5001 * step + MOST[type] * step * 2 ** -23,
            `${value} in a group of ${step} is off by ${off}`,
          );
        });
      }
    });

    Deno.test(`matmul_codes()${build} of ${type} gives NaN for a row that has one, and for no other`, async () => {
      const [K, N] = [64, 5];
      const { memory, narrowed, matrix, scratch, weight } = await prepared(module, type, [2, K, N]);
      const x = memory.copy("f32", new Float32Array(2 * K).fill(1).fill(NaN, K + 40, K + 41));
      memory.kernels.narrow(narrowed, x, codeType(weight)!, K, 0, 2);
      const y = memory.alloc("f32", 2 * N);
      memory.kernels.matmul_codes(y, narrowed, matrix, scratch, 2, 0, 0, N);
      assert.deepEqual(
        Array.from(memory.view("f32", y, 2 * N), Number.isNaN),
        Array.from({ length: 2 * N }, (_, i) => i >= N),
      );
    });

    Deno.test(`matmul_codes()${build} of ${type} is exact but for f32 sums, with the same bits however it is cut`, async () => {
      for (const [T, K, N] of SHAPES) {
        const { memory, narrowed, words, matrix, product, scratch } = await prepared(module, type, [T, K, N]);
        const { matmul_codes } = memory.kernels;
        const y = memory.alloc("f32", T * N);
        const result = () => memory.view("f32", y, T * N).slice();
        matmul_codes(y, narrowed, matrix, scratch, T, 0, 0, N);
        const whole = result();
        const expected = Array.from(whole, (_, i) => product(Math.floor(i / N), i % N));
        assertClose(whole, expected, `${T} rows, ${K} to ${N}`);
        for (let part = 0; part < 3; part++) {
          matmul_codes(y, narrowed, matrix, scratch, T, 0, Math.floor(N * part / 3), Math.floor(N * (part + 1) / 3));
        }
        assert.deepEqual(result(), whole, `${T} rows, ${K} to ${N}, in three pieces`);
        for (let t = 0; t < T; t++) {
          matmul_codes(
            y + 4 * t * N as typeof y,
            narrowed + 4 * t * words as typeof narrowed,
            matrix,
            scratch,
            1,
            0,
            0,
            N,
          );
        }
        assert.deepEqual(result(), whole, `${T} rows, ${K} to ${N}, one by one`);
      }
    });

    Deno.test(`experts_matmul_codes()${build} of ${type} gives each pair its expert's product`, async () => {
      const [T, K, N, E, perToken] = [9, 96, 11, 4, 2];
      const { memory, narrowed, matrix, product, scratch } = await prepared(module, type, [T, K, N], E);
      const ids = Array.from({ length: T * perToken }, (_, pair) => pair % perToken === 0 ? 2 : pair % 3 === 0 ? 3 : 0);
      const [order, starts] = [memory.alloc("u32", ids.length), memory.alloc("u32", E + 1)];
      memory.kernels.sort_by_expert(order, starts, memory.copy("u32", ids), ids.length, E);
      const y = memory.alloc("f32", ids.length * N);
      memory.kernels.experts_matmul_codes(y, narrowed, matrix, scratch, order, starts, E, perToken, 0, N);
      const expected = ids.flatMap((e, pair) =>
        Array.from({ length: N }, (_, n) => product(Math.floor(pair / perToken), n, e))
      );
      assertClose(memory.view("f32", y, expected.length), expected, "experts");
    });
  }
}
