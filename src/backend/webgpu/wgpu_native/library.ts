/** Opens the C library, if it is the release that the bindings are made for. */
import { LibraryError } from "../libraries/library_error.ts";
import { FUNCTIONS } from "./webgpu_h.ts";

/** The functions of the C library. */
export type Symbols = Deno.DynamicLibrary<typeof FUNCTIONS>["symbols"];

/** Releases of other majors lay out other structs. */
export const MAJOR = 29;

const VERSION = { wgpuGetVersion: { parameters: [], result: "u32" } } as const;

/** An open library. */
export class Library implements Disposable {
  readonly symbols: Symbols;
  /** As `29.0.1.1`. */
  readonly version: string;
  readonly #library: Deno.DynamicLibrary<typeof FUNCTIONS>;

  /** @throws {LibraryError} if the file is no library, or of another major version */
  constructor(path: string) {
    this.version = versionOf(path);
    this.#library = Deno.dlopen(path, FUNCTIONS);
    this.symbols = this.#library.symbols;
  }

  [Symbol.dispose](): void {
    this.#library.close();
  }
}

/** Asked first and by itself, as other releases lack some of the functions. */
function versionOf(path: string): string {
  const number = askVersion(path);
  const version = [24, 16, 8, 0].map((shift) => number >>> shift & 0xff).join(".");
  if (number >>> 24 === MAJOR) return version;
  throw new LibraryError(
    `Cannot use ${path}: it is wgpu-native ${version}, and the bindings are made for version ${MAJOR}`,
  );
}

function askVersion(path: string): number {
  try {
    const library = Deno.dlopen(path, VERSION);
    const version = library.symbols.wgpuGetVersion();
    library.close();
    return version;
  } catch (error) {
    if (error instanceof Deno.errors.PermissionDenied || error instanceof Deno.errors.NotCapable) throw error;
    const text = error instanceof Error ? error.message.replace(/\s*\n\s*/g, " ") : String(error);
    const reason = text.includes("wgpuGetVersion") ? "it is another library" : text;
    throw new LibraryError(`Cannot use ${path} as wgpu-native: ${reason}`);
  }
}
