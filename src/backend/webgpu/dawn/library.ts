/** Dawn in this thread, and its turns. */
import { dirname } from "node:path";
import { isFile } from "../libraries/cached.ts";
import { LibraryError } from "../libraries/library_error.ts";
import { CHOICE, findDawn } from "./find.ts";
import { AWAITED, loadModule } from "./module.ts";
import { FILE_NAME, RELEASE } from "./release.ts";
import { Ticks } from "./ticks.ts";

/** Unsafe is what the standard has not got yet; f16 on NVIDIA, as its older drivers fail Dawn's tests. */
const ENABLED = ["allow_unsafe_apis", "vulkan_enable_f16_on_nvidia", "use_vulkan_memory_model"];

/** With it timestamps are multiples of 65,536 ns. */
const DISABLED = ["timestamp_quantization"];

/** Dawn with the turns that it asks for. */
export interface Dawn {
  readonly gpu: GPU;
  readonly ticks: Ticks;
}

let opened: Dawn | null = null;

/**
 * Opens it once.
 * @throws {LibraryError} if there is none, or not the right one
 */
export function openDawn(): Dawn {
  return opened ??= loadDawn(dawnFile());
}

/**
 * The module's file.
 * @throws {LibraryError} if there is none
 */
export function dawnFile(): string {
  const path = findDawn();
  if (path !== null && isFile(path)) return path;
  if (path !== null) throw new LibraryError(`Cannot find Dawn: ${CHOICE} names ${path}, and there is no such file`);
  throw new LibraryError(
    `Cannot find Dawn: there is no ${FILE_NAME}; "ringlet devices --install dawn" fetches it, or ${CHOICE} names that of ` +
      `npm's webgpu ${RELEASE}`,
  );
}

function loadDawn(path: string): Dawn {
  const { create, globals } = loadModule(path);
  const ticks = new Ticks();
  for (const [type, method] of AWAITED) {
    const { prototype } = globals[type]!;
    const call = prototype[method]!;
    prototype[method] = function (...args) {
      return ticks.during(() => call.apply(this, args));
    };
  }
  const toggles = [`enable-dawn-features=${ENABLED}`, `disable-dawn-features=${DISABLED}`];
  return { gpu: create([...toggles, `dlldir=${dirname(path)}`]), ticks };
}
