/** Kernels out of WGSL text: the shader itself says what it binds, and in which order its parameters lie. */
import { assemble, type Constants, type Shader, type Variant } from "../../../shaders/mod.ts";
import type { Device } from "./device.ts";
import { MATRIX_ENABLES } from "./matrices.ts";
import type { Memory } from "./memory.ts";

type BindingType = "uniform" | "storage" | "read-only-storage";

interface Binding {
  readonly index: number;
  readonly name: string;
  readonly type: BindingType;
}

interface Param {
  readonly name: string;
  readonly type: "u32" | "f32";
}

/** A kernel's pipeline with its resources: all that a dispatch needs but the number of workgroups. */
export interface BoundKernel {
  readonly pipeline: GPUComputePipeline;
  /** By group. */
  readonly bindings: readonly GPUBindGroup[];
}

/** Makes a pass's next dispatch one of this kernel. */
export function setKernel(pass: GPUComputePassEncoder, { pipeline, bindings }: BoundKernel): void {
  pass.setPipeline(pipeline);
  for (let i = 0; i < bindings.length; i++) pass.setBindGroup(i, bindings[i]!);
}

const BINDING =
  /@group\(0\)\s*@binding\((\d+)\)\s*var<\s*(uniform|storage)\s*(?:,\s*(read|read_write)\s*)?>\s*(\w+)\s*:/g;
const PARAMS = /struct Params\s*\{([^}]*)\}/;
const PARAM = /^\s*(\w+)\s*:\s*(u32|f32)\s*,/gm;

/** The bindings that a text declares, by index. */
export function parseBindings(text: string): Binding[] {
  const found = [...text.matchAll(BINDING)].map(([, index, space, access, name]): Binding => ({
    index: Number(index),
    name: name!,
    type: space === "uniform" ? "uniform" : access === "read_write" ? "storage" : "read-only-storage",
  }));
  return found.sort((a, b) => a.index - b.index);
}

/** The fields of a text's `struct Params`, in order; each takes 4 bytes. */
export function parseParams(text: string): Param[] {
  const body = text.match(PARAMS)?.[1] ?? "";
  return [...body.matchAll(PARAM)].map(([, name, type]) => ({ name: name!, type: type as Param["type"] }));
}

/** A compiled shader of one variant. */
export class Kernel<B extends string = string, P extends string = string> {
  readonly #gpu: GPUDevice;
  readonly #memory: Memory;
  readonly #name: string;
  readonly #bindings: readonly Binding[];
  readonly #params: readonly Param[];
  readonly #layouts: readonly GPUBindGroupLayout[];
  readonly #pipeline: GPUComputePipeline;

  /** `ahead` is how many buffers it binds for the dispatch behind it, in a group of their own. */
  constructor(gpu: GPUDevice, memory: Memory, name: string, text: string, ahead = 0) {
    this.#gpu = gpu;
    this.#memory = memory;
    this.#name = name;
    this.#bindings = parseBindings(text);
    this.#params = parseParams(text);
    // Explicit, as the layout "auto" drops bindings that one variant does not use.
    const groups = ahead > 0 ? [this.#bindings, aheadBindings(ahead)] : [this.#bindings];
    this.#layouts = groups.map((bindings) => layoutOf(gpu, bindings));
    const layout = gpu.createPipelineLayout({ bindGroupLayouts: [...this.#layouts] });
    const module = gpu.createShaderModule({ label: name, code: text });
    this.#pipeline = gpu.createComputePipeline({ label: name, layout, compute: { module, entryPoint: "main" } });
  }

  /**
   * Binds a buffer to every name that the text declares. Throws TypeError if the names are others than the text's.
   */
  bind(
    buffers: Readonly<Record<B, GPUBuffer>>,
    params: Readonly<Record<P, number>>,
    ahead: readonly GPUBuffer[] = [],
  ): BoundKernel {
    const all = new Map<string, GPUBuffer>(Object.entries(buffers));
    if (this.#params.length > 0) all.set("params", this.#memory.uniform(this.#pack(params)));
    const own = this.#bindings.map(({ index, name }) => [index, this.#named(all, name, "buffer")] as const);
    const groups = ahead.length > 0 ? [own, [...ahead.entries()]] : [own];
    return { pipeline: this.#pipeline, bindings: groups.map((group, i) => this.#group(this.#layouts[i]!, group)) };
  }

  #group(layout: GPUBindGroupLayout, buffers: readonly (readonly [number, GPUBuffer])[]): GPUBindGroup {
    const entries = buffers.map(([binding, buffer]) => ({ binding, resource: { buffer } }));
    return this.#gpu.createBindGroup({ label: this.#name, layout, entries });
  }

  #pack(params: Readonly<Record<string, number>>): ArrayBuffer {
    const values = new Map(Object.entries(params));
    const view = new DataView(new ArrayBuffer(4 * this.#params.length));
    this.#params.forEach(({ name, type }, i) => {
      const value = this.#named(values, name, "parameter");
      if (type === "u32") view.setUint32(4 * i, value, true);
      else view.setFloat32(4 * i, value, true);
    });
    return view.buffer;
  }

  #named<T>(values: ReadonlyMap<string, T>, name: string, kind: string): T {
    const value = values.get(name);
    if (value === undefined) {
      throw new TypeError(`Cannot bind the kernel ${this.#name}: its ${kind} "${name}" is missing`);
    }
    return value;
  }
}

function layoutOf(gpu: GPUDevice, bindings: readonly Pick<Binding, "index" | "type">[]): GPUBindGroupLayout {
  const visibility = GPUShaderStage.COMPUTE;
  return gpu.createBindGroupLayout({
    entries: bindings.map(({ index, type }) => ({ binding: index, visibility, buffer: { type } })),
  });
}

const aheadBindings = (count: number) =>
  Array.from({ length: count }, (_, index) => ({ index, type: "read-only-storage" as const }));

/** Types of weights, and of keys and values, where a kernel reads any. */
export type Types = Partial<Pick<Variant, "weight" | "shared" | "cache">>;

/** All kernels of a device, each text compiled once. */
export class Kernels {
  readonly #device: Device;
  readonly #memory: Memory;
  readonly #kernels = new Map<string, Kernel>();

  constructor(device: Device, memory: Memory) {
    this.#device = device;
    this.#memory = memory;
  }

  /** The kernel of a shader for some constants and types of what it reads. Compile errors surface in {@linkcode Device.settled}. */
  get<B extends string, P extends string>(
    shader: Shader<B, P>,
    constants: Constants,
    { weight = null, shared = "alike", cache = null }: Types = {},
    ahead = 0,
  ): Kernel<B, P> {
    const { subgroups, minSubgroup, lanes } = this.#device;
    const enables = [...this.#device.enables, ...(shader.parts.includes("matrices") ? MATRIX_ENABLES : [])];
    const { LANES = lanes, TEAM = LANES } = constants;
    const all = { SUBGROUP: minSubgroup, ...constants, LANES, TEAM };
    const text = assemble(shader, { enables, subgroups, weight, shared, cache, constants: all });
    const key = `${ahead} ${text}`;
    const kernel = this.#kernels.get(key) ?? this.#compile(shader.name, text, ahead);
    this.#kernels.set(key, kernel);
    return kernel as Kernel<B, P>;
  }

  #compile(name: string, text: string, ahead: number): Kernel {
    return this.#device.guarded(
      "validation",
      () => new Kernel(this.#device.gpu, this.#memory, name, text, ahead),
      (message) => new SyntaxError(`Cannot compile the kernel ${name}: ${message}`),
    );
  }
}
