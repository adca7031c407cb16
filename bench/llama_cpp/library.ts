/** llama.cpp through its C interface, as far as a benchmark needs it: the libraries that node-llama-cpp 3.22.1 ships (v0.5.0). */
import { ggufHead, ggufTensors, type Quantize } from "./gguf.ts";
import { RandomBlocks } from "./random_blocks.ts";
import type { ModelConfig } from "../../src/model/config.ts";

/** Structs go by value; all that are used are larger than 16 bytes or two words, so that words stand for their fields. */
const words = (count: number) => ({ struct: Array.from({ length: count }, () => "u64" as const) });
const MODEL_PARAMS = words(10);
const CONTEXT_PARAMS = words(20);
const BATCH = words(7);
const GGUF_PARAMS = words(2);

const GGML_BASE = {
  gguf_init_from_buffer: { parameters: ["buffer", "usize", GGUF_PARAMS], result: "pointer" },
  ggml_get_name: { parameters: ["pointer"], result: "pointer" },
  ggml_backend_tensor_set: { parameters: ["pointer", "buffer", "usize", "usize"], result: "void" },
  ggml_backend_dev_description: { parameters: ["pointer"], result: "pointer" },
  ggml_backend_dev_type: { parameters: ["pointer"], result: "i32" },
} as const;

const GGML = {
  ggml_backend_load_all_from_path: { parameters: ["buffer"], result: "void" },
  ggml_backend_dev_count: { parameters: [], result: "usize" },
  ggml_backend_dev_get: { parameters: ["usize"], result: "pointer" },
} as const;

const LLAMA = {
  llama_model_default_params: { parameters: [], result: MODEL_PARAMS },
  llama_model_init_from_user: { parameters: ["pointer", "function", "pointer", MODEL_PARAMS], result: "pointer" },
  llama_model_free: { parameters: ["pointer"], result: "void" },
  llama_context_default_params: { parameters: [], result: CONTEXT_PARAMS },
  llama_init_from_model: { parameters: ["pointer", CONTEXT_PARAMS], result: "pointer" },
  llama_free: { parameters: ["pointer"], result: "void" },
  llama_get_memory: { parameters: ["pointer"], result: "pointer" },
  llama_memory_clear: { parameters: ["pointer", "bool"], result: "void" },
  llama_decode: { parameters: ["pointer", BATCH], result: "i32" },
  llama_synchronize: { parameters: ["pointer"], result: "void" },
  llama_get_logits_ith: { parameters: ["pointer", "i32"], result: "pointer" },
} as const;

/** Byte offsets of the fields that are set, or whose defaults prove the layout. */
const MODEL_FIELDS = { devices: 0, gpuLayers: 16, useExtraBuffers: 74 } as const;
const CONTEXT_FIELDS = {
  context: 0,
  batch: 4,
  microBatch: 8,
  threads: [28, 32],
  flashAttention: 52,
  keyType: 104,
  offloadKqv: 129,
} as const;

/** GGML_BACKEND_DEVICE_TYPE_CPU; every other kind is a GPU or what goes beside one. */
const CPU_DEVICE = 0;

export interface ContextOptions {
  /** Positions. */
  readonly context: number;
  /** Most rows of a call, and of one pass through the layers ("ubatch"). */
  readonly batch: number;
  readonly microBatch: number;
  /** Of the CPU, which wait for each other busily: more than are free take forever. */
  readonly threads: number;
}

type Libraries = ReturnType<typeof open>;

/** The package with Vulkan says so in its libraries' names; that for CPUs has all of their variants. */
function open(folder: string) {
  const build = Array.from(Deno.readDirSync(folder)).some(({ name }) => name.includes(".vulkan.")) ? ".vulkan" : "";
  const load = <const S extends Deno.ForeignLibraryInterface>(file: string, symbols: S) =>
    Deno.dlopen(`${folder}/${file}`, symbols).symbols;
  return {
    base: load("libggml-base.so", GGML_BASE),
    ggml: load(`libggml${build}.v0.5.0.so`, GGML),
    llama: load(`libllama${build}.v0.5.0.so`, LLAMA),
  };
}

/** A model with random weights in llama.cpp, on the first GPU or on the CPU. */
export class LlamaModel implements Disposable {
  readonly #libraries: Libraries;
  readonly #model: Deno.PointerValue;

  private constructor(libraries: Libraries, model: Deno.PointerValue, readonly device: string) {
    this.#libraries = libraries;
    this.#model = model;
  }

  /**
   * Makes the weights where llama.cpp wants them, without a file.
   * @throws Error if there is no such device or llama.cpp refuses the model; it says why on stderr
   */
  static random(
    folder: string,
    config: ModelConfig,
    quantize: Quantize,
    backend: "vulkan" | "cpu",
  ): LlamaModel {
    const head = ggufHead(config, quantize);
    const libraries = open(folder);
    const { base, ggml, llama } = libraries;
    ggml.ggml_backend_load_all_from_path(cString(folder));
    const device = findDevice(libraries, backend);
    const devices = BigUint64Array.of(backend === "cpu" ? 0n : address(device), 0n);
    const params = llama.llama_model_default_params();
    const view = new DataView(params.buffer);
    if (view.getInt32(MODEL_FIELDS.gpuLayers, true) !== -1 || view.getUint8(MODEL_FIELDS.useExtraBuffers) !== 1) {
      throw new Error(WRONG_VERSION);
    }
    view.setBigUint64(MODEL_FIELDS.devices, address(Deno.UnsafePointer.of(devices)), true);
    const metadata = base.gguf_init_from_buffer(
      head,
      BigInt(head.length),
      new Uint8Array(BigUint64Array.of(1n, 0n).buffer),
    );
    if (metadata === null) throw new Error("llama.cpp cannot read the model's metadata: see its own messages");
    using fill = filler(libraries, config, quantize);
    const model = llama.llama_model_init_from_user(metadata, fill.callback.pointer, null, params);
    if (model === null) throw new Error("llama.cpp cannot make the model: see its own messages");
    fill.check();
    return new LlamaModel(libraries, model, text(base.ggml_backend_dev_description(device)));
  }

  context({ context, batch, microBatch, threads }: ContextOptions): LlamaContext {
    const { llama } = this.#libraries;
    const params = llama.llama_context_default_params();
    const view = new DataView(params.buffer);
    const fields = CONTEXT_FIELDS;
    const found = [view.getUint32(fields.batch, true), view.getInt32(fields.flashAttention, true)];
    found.push(view.getInt32(fields.keyType, true), view.getUint8(fields.offloadKqv));
    if (String(found) !== "2048,-1,1,1") throw new Error(WRONG_VERSION);
    view.setUint32(fields.context, context, true);
    view.setUint32(fields.batch, batch, true);
    view.setUint32(fields.microBatch, microBatch, true);
    for (const field of fields.threads) view.setInt32(field, threads, true);
    const pointer = llama.llama_init_from_model(this.#model, params);
    if (pointer === null) throw new Error(`llama.cpp cannot hold a context of ${context} tokens: see its own messages`);
    return new LlamaContext(llama, pointer);
  }

  [Symbol.dispose](): void {
    this.#libraries.llama.llama_model_free(this.#model);
  }
}

/** One sequence. */
export class LlamaContext implements Disposable {
  readonly #llama: Libraries["llama"];
  readonly #context: Deno.PointerValue;

  constructor(llama: Libraries["llama"], context: Deno.PointerValue) {
    this.#llama = llama;
    this.#context = context;
  }

  /** Forgets all tokens. */
  clear(): void {
    this.#llama.llama_memory_clear(this.#llama.llama_get_memory(this.#context), true);
  }

  /** Reads tokens after those before, and waits until the last one's logits are in the host's memory. */
  decode(tokens: Int32Array<ArrayBuffer>): void {
    const batch = new BigUint64Array(7);
    batch[0] = BigInt(tokens.length);
    batch[1] = address(Deno.UnsafePointer.of(tokens));
    const status = this.#llama.llama_decode(this.#context, new Uint8Array(batch.buffer));
    if (status !== 0) throw new Error(`llama.cpp cannot read ${tokens.length} tokens: llama_decode gave ${status}`);
    this.#llama.llama_synchronize(this.#context);
  }

  /** The logits of the last token, [V]. */
  logits(vocabulary: number): Float32Array {
    const row = this.#llama.llama_get_logits_ith(this.#context, -1);
    return new Float32Array(Deno.UnsafePointerView.getArrayBuffer(row!, 4 * vocabulary).slice(0));
  }

  [Symbol.dispose](): void {
    this.#llama.llama_free(this.#context);
  }
}

const WRONG_VERSION =
  "Cannot use these libraries: their parameters are laid out in another way than those of llama.cpp v0.5.0";

function findDevice({ base, ggml }: Libraries, backend: "vulkan" | "cpu"): Deno.PointerValue {
  for (let i = 0n; i < ggml.ggml_backend_dev_count(); i++) {
    const device = ggml.ggml_backend_dev_get(i);
    if ((base.ggml_backend_dev_type(device) === CPU_DEVICE) === (backend === "cpu")) return device;
  }
  throw new Error(`llama.cpp finds no ${backend} device: see its own messages`);
}

/** A callback that fills each tensor as llama.cpp has made it; check() throws what went wrong within. */
function filler({ base }: Libraries, config: ModelConfig, quantize: Quantize) {
  const tensors = new Map([...ggufTensors(config, quantize)].map((tensor) => [tensor.name, tensor]));
  const blocks = new RandomBlocks();
  let unfilled = tensors.size;
  const unknown: string[] = [];
  const fill = (pointer: Deno.PointerValue): void => {
    const name = text(base.ggml_get_name(pointer));
    const tensor = tensors.get(name);
    if (!tensor) return void unknown.push(name);
    unfilled--;
    const bytes = blocks.take(tensor);
    base.ggml_backend_tensor_set(pointer, bytes, 0n, BigInt(bytes.length));
  };
  const callback = new Deno.UnsafeCallback({ parameters: ["pointer", "pointer"], result: "void" }, fill);
  const check = () => {
    if (unfilled === 0 && unknown.length === 0) return;
    throw new Error(
      `llama.cpp wants other tensors: ${unfilled} not at all, and of those unknown ${unknown.join(", ")}`,
    );
  };
  return { callback, check, [Symbol.dispose]: () => callback.close() };
}

const address = (pointer: Deno.PointerValue): bigint => BigInt(Deno.UnsafePointer.value(pointer));
const cString = (value: string) => new TextEncoder().encode(`${value}\0`);
const text = (pointer: Deno.PointerValue): string => Deno.UnsafePointerView.getCString(pointer!);
