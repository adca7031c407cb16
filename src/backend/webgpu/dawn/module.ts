/** Opens dawn.node, if it is the release that is expected. */
import process from "node:process";
import { LibraryError } from "../libraries/library_error.ts";
import { RELEASE } from "./release.ts";

/** A method as a prototype has it. */
type Method = (this: unknown, ...args: unknown[]) => unknown;

/** What dawn.node gives. */
export interface DawnModule {
  readonly create: (options: readonly string[]) => GPU;
  /** The classes, which it leaves to others to make global. */
  readonly globals: Readonly<Record<string, { readonly prototype: Record<string, Method> }>>;
}

/** Node's way of loading it, which Deno's types lack; `require` would run any other file as JavaScript. */
interface Loader {
  dlopen(module: { exports: object }, path: string): void;
}

/** All that gives a promise which Dawn keeps later. */
export const AWAITED: readonly (readonly [type: string, method: string])[] = [
  ["GPU", "requestAdapter"],
  ["GPUAdapter", "requestDevice"],
  ["GPUDevice", "createComputePipelineAsync"],
  ["GPUDevice", "createRenderPipelineAsync"],
  ["GPUDevice", "popErrorScope"],
  ["GPUBuffer", "mapAsync"],
  ["GPUQueue", "onSubmittedWorkDone"],
  ["GPUShaderModule", "getCompilationInfo"],
];

/** @throws {LibraryError} if it cannot be loaded, or is another module */
export function loadModule(path: string): DawnModule {
  const module = open(path);
  const lacking = AWAITED.find(([type, method]) => !module.globals?.[type]?.prototype[method]);
  if (typeof module.create === "function" && lacking === undefined) return module as DawnModule;
  throw new LibraryError(
    `Cannot use ${path} as Dawn: it has no ${lacking?.join(".") ?? "create"}(), as npm's webgpu ${RELEASE} has`,
  );
}

function open(path: string): Partial<DawnModule> {
  try {
    const module: { exports: Partial<DawnModule> } = { exports: {} };
    (process as unknown as Loader).dlopen(module, path);
    return module.exports;
  } catch (error) {
    if (error instanceof Deno.errors.PermissionDenied || error instanceof Deno.errors.NotCapable) throw error;
    const [reason] = (error instanceof Error ? error.message : String(error)).split("\n");
    throw new LibraryError(`Cannot use ${path} as Dawn: ${reason}`);
  }
}
