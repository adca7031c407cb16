/** What members put into the pool's bucket, read with suspicion: it may be another version's, or of somebody who means harm. */
import { z } from "zod";
import type { GpuProvider } from "../pipeline/messages.ts";
import { PROTOCOL, type ServerEntry, serverKey, type StageEntry, stageKey } from "./protocol.ts";

/** Who is in a pool. What cannot be read is there as well, with the reason in one sentence. */
export type Member =
  | { readonly kind: "stage"; readonly id: string; readonly entry: StageEntry }
  | { readonly kind: "server"; readonly id: string; readonly entry: ServerEntry }
  | { readonly kind: "unknown"; readonly id: string; readonly reason: string };

/** Most bytes of an entry; more is not read. */
const MOST_BYTES = 1 << 18;

/** The first zod issues that are told. */
const MOST_ISSUES = 2;

const count = z.number().int().nonnegative();
const amount = z.number().nonnegative();
const MOST_CHARACTERS = 400;
/** Without control characters: it is shown on terminals. */
export const text = z.string().max(MOST_CHARACTERS).regex(/^[^\p{Cc}\p{Cf}]*$/u, "has characters that cannot be shown");
/** Of which a sentence may name two. */
const word = text.max(100);
/** Becomes a part of keys and subjects. */
const id = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, "is no name of letters and digits");
const hash = z.string().regex(/^[0-9a-f]{64}$/, "is no sha256");

const layers = z.object({ start: count, end: count }).refine(({ start, end }) => start < end, "begins behind its end");

const model = z.object({
  hash,
  layers: count.min(1),
  hidden: count.min(1),
  vocabulary: count.min(1),
  quantize: z.enum(["none", "q8", "q4"]),
  kvCache: z.enum(["f32", "f16"]),
  decay: word,
  ropeScaling: word.nullable(),
});

const capacity = z.object({
  slots: count.min(1),
  context: count.min(1),
  maxRows: count.min(1),
  keptLogits: count,
  snapshots: count,
  pages: count.min(1),
  alignment: count.min(1),
});

const info = z.object({
  layers,
  backend: z.enum(["webgpu", "wasm"]),
  device: text,
  gpu: z.custom<GpuProvider>((name) => text.safeParse(name).success).exactOptional(),
  weightBytes: count,
  stateBytes: count,
  cacheBytes: count,
  vocabulary: count.min(1),
  decodeRows: count.min(1).exactOptional(),
});

const offer = z.object({
  protocol: z.literal(PROTOCOL),
  version: word,
  id,
  host: text,
  model,
  layers,
  capacity,
  info,
  speed: z.object({ rowMillis: amount, promptRows: amount }),
}).refine(({ layers, model }) => layers.end <= model.layers, "has layers that its model has not");

const hop = z.object({
  route: count,
  to: id,
  transport: z.enum(["tcp", "nats"]),
  roundTripMillis: amount.nullable(),
});

const status = z.object({
  session: id.nullable(),
  steps: count,
  rows: count,
  rowsPerSecond: amount,
  busy: amount,
  queue: count,
  malformed: count,
  hops: z.array(hop).max(1000),
});

const stageEntry: z.ZodType<StageEntry> = z.object({ offer, status, beat: count });

const serverEntry: z.ZodType<ServerEntry> = z.object({
  protocol: z.literal(PROTOCOL),
  version: word,
  session: id,
  host: text,
  hash,
  running: count,
  waiting: count,
  routes: z.array(z.object({ route: count, stages: z.array(id).max(1000), sequences: count })).max(1000),
  refused: z.array(z.object({ id, reason: text })).max(1000),
  beat: count,
});

/** Reads the value of a key; null for a key that is no member's. */
export function readMember(key: string, value: Uint8Array): Member | null {
  const [, kind, id] = /^(stage|server)\.([A-Za-z0-9_-]{1,64})$/.exec(key) ?? [];
  if (kind === undefined || id === undefined) return null;
  try {
    if (value.length > MOST_BYTES) throw new RangeError(`it has ${value.length} bytes`);
    const json: unknown = JSON.parse(new TextDecoder().decode(value));
    checkProtocol(json);
    if (kind === "stage") {
      const entry = parsed(stageEntry, json);
      if (stageKey(entry.offer.id) !== key) throw new RangeError("it names another stage");
      return { kind, id, entry };
    }
    const entry = parsed(serverEntry, json);
    if (serverKey(entry.session) !== key) throw new RangeError("it names another server");
    return { kind: "server", id, entry };
  } catch (error) {
    return { kind: "unknown", id, reason: shown(`Cannot read the entry of ${key}: ${(error as Error).message}`) };
  }
}

/** As much of a sentence as goes into an entry, and without what does not. */
export function shown(sentence: string): string {
  return sentence.replaceAll(/[\p{Cc}\p{Cf}]/gu, " ").slice(0, MOST_CHARACTERS);
}

/** Before anything else, as the rest may be of another form. */
function checkProtocol(json: unknown): void {
  const { protocol, offer } = json as { protocol?: unknown; offer?: { protocol?: unknown } };
  const theirs = protocol ?? offer?.protocol;
  if (typeof theirs === "number" && theirs !== PROTOCOL) {
    throw new RangeError(`it speaks version ${theirs} of the pool's protocol, this is version ${PROTOCOL}`);
  }
}

function parsed<T>(schema: z.ZodType<T>, json: unknown): T {
  const { data, error } = schema.safeParse(json);
  if (data !== undefined) return data;
  const issues = error!.issues.slice(0, MOST_ISSUES).map(({ path, message }) => `${path.join(".")}: ${message}`);
  throw new TypeError(issues.join("; "));
}
