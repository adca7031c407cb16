/** Entries of members as tests put them into a pool. */
import { PROTOCOL, type ServerEntry, type StageEntry, type StageOffer } from "../../src/pool/protocol.ts";

export function exampleOffer(id: string, more: Partial<StageOffer> = {}): StageOffer {
  const layers = { start: 0, end: 4 };
  return {
    ...{ protocol: PROTOCOL, version: "0.1.0", id, host: "box" },
    model: {
      ...{ hash: "ab".repeat(32), layers: 4, hidden: 256, vocabulary: 4096 },
      ...{ quantize: "none", kvCache: "f32", decay: "serving", ropeScaling: null },
    },
    layers,
    capacity: {
      ...{ slots: 2, context: 512, maxRows: 256, keptLogits: 3, snapshots: 4, pages: 4, alignment: 256 },
    },
    info: {
      ...{ layers, backend: "wasm", device: "CPU (WASM SIMD)" },
      ...{ weightBytes: 1, stateBytes: 2, cacheBytes: 3, vocabulary: 4096 },
    },
    speed: { rowMillis: 1.5, promptRows: 1000 },
    ...more,
  };
}

export function exampleStage(id: string, beat = 1, more: Partial<StageOffer> = {}): StageEntry {
  const status = {
    ...{ session: null, steps: 0, rows: 0, rowsPerSecond: 0, busy: 0, queue: 0, malformed: 0 },
    hops: [{ route: 1, to: "server", transport: "tcp" as const, roundTripMillis: 0.2 }],
  };
  return { offer: exampleOffer(id, more), status, beat };
}

export function exampleServer(session: string, beat = 1): ServerEntry {
  return {
    ...{ protocol: PROTOCOL, version: "0.1.0", session, host: "box", hash: "ab".repeat(32) },
    ...{ running: 1, waiting: 0, beat },
    routes: [{ route: 1, stages: ["a", "b"], sequences: 1 }],
    refused: [{ id: "c", reason: "it has another model" }],
  };
}
