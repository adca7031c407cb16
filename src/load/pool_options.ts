/** What an engine over a pool is told, out of what was asked for. */
import { basename } from "node:path";
import type { PoolEngineOptions } from "../pipeline/messages.ts";
import type { SessionOptions } from "../pool/session.ts";
import { modelIdentity } from "../stage/identity.ts";
import { CHUNK_ROWS } from "./devices.ts";
import { EMBEDDED_MODEL, type EngineSettings, type PoolOptions } from "./options.ts";

/** So long requests wait while layers are missing. */
const TIMEOUT_MILLIS = 30_000;

/** How a server joins its pool; of the checkpoint only what tells it from others is read. */
export async function sessionOptions(pool: PoolOptions, settings: EngineSettings): Promise<SessionOptions> {
  const { model = EMBEDDED_MODEL, ropeScaling = null, decay = "serving", randomWeights = false } = settings;
  const { quantize = "none", kvCache = "f32", maxSequences: slots = 1, maxContext: context = Infinity } = settings;
  const { nats, name = "default", timeoutMillis = TIMEOUT_MILLIS, activations = "f32" } = pool;
  return {
    nats,
    pool: name,
    direct: pool.direct === undefined ? { port: 0, hosts: [] } : pool.direct,
    activations,
    timeoutMillis,
    model: await modelIdentity({ model, quantize, kvCache, decay, ropeScaling, randomWeights }),
    modelName: basename(model),
    slots,
    context,
  };
}

export function poolEngineOptions(settings: EngineSettings): PoolEngineOptions {
  const { deterministic = false, maxWaiting, onStep, tokens } = settings;
  return {
    deterministic,
    rowsBeside: settings.chunkRows ?? CHUNK_ROWS.besideOthers,
    profile: onStep !== undefined,
    ...(maxWaiting !== undefined && { maxWaiting }),
    ...(tokens && { tokens }),
  };
}
