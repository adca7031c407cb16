/** What may be done with a pool from outside of it: to watch it, and to hand out models by way of its broker. */
import { join } from "node:path";
import { parseStage } from "../pipeline/partition.ts";
import { connectBroker } from "../pool/connection.ts";
import { fetchModel as fetchFrom } from "../pool/models/fetch.ts";
import { ModelStoreError } from "../pool/models/manifest.ts";
import { pushModel as pushTo } from "../pool/models/push.ts";
import { ModelStore, type StoredModel } from "../pool/models/store.ts";
import type { NatsOptions } from "../pool/nats_options.ts";
import type { Overview as PoolOverview } from "../pool/overview.ts";
import { watchPool as watchBy } from "../pool/watch.ts";
import { checkpointFiles, layerRanges } from "../stage/checkpoint_files.ts";
import { cacheFolder } from "../stage/remembered.ts";

export type { PoolOverview, StoredModel };

/** The pool once a second, until the signal aborts. */
export async function* watchPool(
  { nats, pool, signal }: { readonly nats: NatsOptions; readonly pool: string; readonly signal: AbortSignal },
): AsyncGenerator<PoolOverview> {
  await using broker = await connectBroker(nats, "watch");
  yield* watchBy(broker, pool, signal);
}

export interface ModelTransfer {
  readonly nats: NatsOptions;
  /** In the broker's store. */
  readonly name: string;
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void;
  readonly signal?: AbortSignal;
}

/**
 * Puts a checkpoint into the broker's store, in place of what has its name there.
 * @throws {CheckpointError} if it is not whole
 * @throws {ModelStoreError} if the store does not take it
 */
export async function pushModel(options: ModelTransfer & { readonly model: string }): Promise<StoredModel> {
  const files = await checkpointFiles(options.model);
  await using broker = await connectBroker(options.nats, "publish");
  const store = await ModelStore.open(broker.nats, { make: true });
  return await pushTo(store, { ...options, folder: options.model, files });
}

export async function storedModels(nats: NatsOptions): Promise<StoredModel[]> {
  await using broker = await connectBroker(nats, "watch");
  return await (await ModelStore.open(broker.nats)).list();
}

/**
 * The folder of a model of the broker's store, in the user's cache; what is not there yet is fetched: the weights of a stage's layers, as
 * `10-19`, none for a server, which has no layers, and all else.
 * @throws {ModelStoreError} if there is no such model, or it is not what its hashes say
 * @throws {RangeError} if it has not these layers
 */
export async function fetchModel(options: ModelTransfer & { readonly layers: string | null }): Promise<string> {
  const folder = cacheFolder();
  if (folder === null) {
    throw new ModelStoreError("Cannot tell where to put what is fetched: XDG_CACHE_HOME and HOME are not set");
  }
  const { layers } = options;
  const part = layers === null ? { name: "no-weights", ranges: () => Promise.resolve([]) } : partOf(layers);
  await using broker = await connectBroker(options.nats, layers === null ? "server" : "stage");
  const store = await ModelStore.open(broker.nats);
  return await fetchFrom(store, { ...options, part, cache: join(folder, "models") });
}

function partOf(layers: string) {
  const { start, end } = parseStage(layers, Infinity);
  return { name: `layers-${start}-${end - 1}`, ranges: (model: string) => layerRanges(model, layers) };
}
