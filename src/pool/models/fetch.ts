/** Takes a model out of the store into a folder of the user's cache, where it appears when all of it is there. */
import { join } from "node:path";
import { fetchFiles, type Part, sizeOf } from "./fetch_files.ts";
import { contentHash, type Manifest } from "./manifest.ts";
import type { ModelStore } from "./store.ts";

export interface FetchOptions {
  readonly name: string;
  /** Of all fetched models. */
  readonly cache: string;
  /** What of the model is wanted; all if left out. */
  readonly part?: Part;
  /** Hears the bytes that are there, those from before among them, and those in all. */
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void;
  readonly signal?: AbortSignal;
}

/** Between two looks whether another process is done with the same model. */
const LOOK_MILLIS = 200;

/**
 * The folder of the model as it is in the store now. What was there from before is taken if its hashes are right, so that a fetch that was
 * interrupted goes on. Several processes may want it at once: one fetches, the others wait for it.
 * @throws {ModelStoreError} if there is no such model, or a piece is not what its hash says
 */
export async function fetchModel(store: ModelStore, options: FetchOptions): Promise<string> {
  const { name, cache, part, signal } = options;
  const manifest = await store.find(name);
  const all = join(cache, (await contentHash(manifest)).slice(0, 16));
  if (await isWhole(join(all, name), manifest)) return join(all, name);
  const above = part ? join(all, part.name) : all;
  const folder = join(above, name);
  if (await isWhole(folder, manifest)) return folder;
  await Deno.mkdir(above, { recursive: true });
  using _lock = await locked(join(above, "lock"), signal);
  if (await isWhole(folder, manifest)) return folder;
  const unfinished = join(above, "unfinished");
  await Deno.rename(folder, unfinished).catch(ignoreMissing); // somebody has taken a file out of it
  await fetchFiles({ store, manifest, folder: unfinished, ...(signal && { signal }) }, part, options.onProgress);
  await Deno.rename(unfinished, folder);
  return folder;
}

/** By the sizes of its files: to read all of them would take as long as to load the model. */
async function isWhole(folder: string, { files }: Manifest): Promise<boolean> {
  const sizes = await Promise.all(files.map(({ name }) => sizeOf(join(folder, name))));
  return sizes.every((size, i) => size === files[i]!.bytes);
}

/** Of one process at a time; the system takes it back from one that ends. */
async function locked(path: string, signal?: AbortSignal): Promise<Disposable> {
  using opened = new DisposableStack();
  const file = opened.use(await Deno.open(path, { create: true, write: true }));
  while (!await file.tryLock(true)) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_MILLIS));
    signal?.throwIfAborted();
  }
  return opened.move();
}

function ignoreMissing(error: unknown): void {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}
