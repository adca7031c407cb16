/** Linear memory: zeros wherever it is taken, its end, and a computer that gives no more. */
import { strict as assert } from "node:assert";
import { fileURLToPath } from "node:url";
import { WasmBackend } from "../../src/backend/wasm/wasm_backend.ts";
import { type KernelsExports, url } from "../../wasm/kernels.ts";
import { Memory } from "../../wasm/memory.ts";

const MIB = 2 ** 20;

/** With another value of a property until it is disposed of. */
function replaced<T extends object, K extends keyof T>(target: T, key: K, value: T[K]): Disposable {
  const before = target[key];
  target[key] = value;
  return { [Symbol.dispose]: () => void (target[key] = before) };
}

const refused = () => {
  throw new RangeError("WebAssembly.Memory.grow(): Unable to grow instance memory");
};

Deno.test("alloc() gives zeros, also where something was before", async () => {
  const memory = await Memory.load<KernelsExports>(url, true);
  const mark = memory.mark();
  for (const size of [10, 3 * MIB, 5 * MIB, 100, 4 * MIB]) {
    const ptr = memory.alloc("u8", size);
    const bytes = memory.view("u8", ptr, size);
    assert.ok(bytes.every((byte) => byte === 0), `${size} bytes`);
    bytes.fill(7);
    if (size > 100) memory.release(mark);
  }
});

Deno.test("alloc() refuses what lies behind the memory's end, and goes on with less", async () => {
  const memory = await Memory.load<KernelsExports>(url, true, 4 * MIB);
  assert.throws(() => memory.alloc("f32", MIB), {
    name: "MemoryFullError",
    message: "Cannot allocate 4194304 bytes: a WASM memory ends at 4194304",
  });
  memory.view("u8", memory.alloc("u8", 3 * MIB), 3 * MIB).fill(1);
});

Deno.test("alloc() says that the computer gives no more, and a backend which of its tensors or plans has no room", async () => {
  const memory = await Memory.load<KernelsExports>(url, true);
  using backend = new WasmBackend(memory);
  const small = backend.tensor("small", "f32", [1000]);
  using _grow = replaced(WebAssembly.Memory.prototype, "grow", refused);
  assert.throws(() => memory.alloc("u8", 8 * MIB), {
    name: "MemoryFullError",
    message: "Cannot allocate 8388608 bytes: the computer gives a WASM memory no more",
  });
  assert.throws(() => backend.tensor("large", "f32", [2 * MIB]), {
    name: "OutOfMemoryError",
    message:
      /^Cannot allocate large \(8388608 bytes\) on CPU \(WASM SIMD\) beside the 4000 bytes that are in use: use /,
  });
  await assert.rejects(backend.allocate([{ label: "pages", dtype: "f32", shape: [2 * MIB] }]), {
    name: "OutOfMemoryError",
  });
  const capacity = { rows: 4 * MIB, segments: 1, outputs: 0 };
  assert.throws(() => backend.record(capacity, () => {}), {
    name: "OutOfMemoryError",
    message: /^Cannot allocate a plan for 4194304 rows \(\d+ bytes\) on CPU/,
  });
  await backend.write(small, 0, new Uint8Array(4000)); // and is of use
});

Deno.test("load() says that threads cannot share memory here", async () => {
  const { SharedArrayBuffer } = globalThis;
  try {
    // @ts-expect-error every runtime that is known to TypeScript has it
    delete globalThis.SharedArrayBuffer;
    await assert.rejects(Memory.load<KernelsExports>(url, true), {
      name: "TypeError",
      message: /no SharedArrayBuffer/,
    });
  } finally {
    globalThis.SharedArrayBuffer = SharedArrayBuffer;
  }
});

const noFlag = Deno.build.arch === "x86_64" ? "" : " (skipped: V8 can be denied SIMD on x86 only)";

Deno.test({
  name: `ringlet ends with one sentence on a machine without SIMD${noFlag}`,
  ignore: noFlag !== "",
  fn: async () => {
    const main = fileURLToPath(new URL("../../src/main.ts", import.meta.url));
    const args = [
      "run",
      "-A",
      "--v8-flags=--no-enable-sse4-1,--no-enable-ssse3",
      main,
      "generate",
      "--backend",
      "wasm",
      "hi",
    ];
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), { args }).output();
    const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
    assert.deepEqual([code, out], [1, ""]);
    assert.match(
      err!,
      /^ringlet: Cannot compute in WASM: this processor has none of the SIMD .*; use another machine\n$/,
    );
  },
});

Deno.test("load() says that a process may not have the address space", async () => {
  using _memory = replaced(
    WebAssembly,
    "Memory",
    class extends WebAssembly.Memory {
      constructor(limits: WebAssembly.MemoryDescriptor) {
        super(limits);
        throw new RangeError("WebAssembly.Memory(): could not allocate memory");
      }
    },
  );
  await assert.rejects(Memory.load<KernelsExports>(url, true), {
    name: "MemoryFullError",
    message: /^Cannot allocate 2097152 bytes: the process may not have the address space of a WASM memory/,
  });
});
