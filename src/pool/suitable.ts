/** Which stages a server takes, and for what its engine has room with them. */
import type { ModelIdentity, StageCapacity, StageOffer } from "./protocol.ts";

/** What a server asks of its stages. */
export interface Wanted {
  /** Ringlet's version: another one may compute other bits. */
  readonly version: string;
  readonly model: ModelIdentity;
  /** For what its engine was opened; null before that. */
  readonly room: StageCapacity | null;
}

/** Why a server does not take a stage, in one sentence; null if it does. */
export function refusalOf({ version, model, capacity }: StageOffer, wanted: Wanted): string | null {
  if (version !== wanted.version) return `It runs Ringlet ${version}, this server ${wanted.version}`;
  if (model.hash !== wanted.model.hash) {
    return `It has another model: its hash is ${short(model)}, this server's ${short(wanted.model)}`;
  }
  for (const [name, flag] of NUMERICS) {
    if (model[name] === wanted.model[name]) continue;
    return `It was started with ${flag} ${model[name] ?? "none"}, this server with ${wanted.model[name] ?? "none"}`;
  }
  return wanted.room && lackOf(capacity, wanted.room);
}

const NUMERICS = [
  ["quantize", "--quantize"],
  ["kvCache", "--kv-cache"],
  ["decay", "--decay"],
  ["ropeScaling", "--rope-scaling"],
] as const;

const short = ({ hash }: ModelIdentity): string => hash.slice(0, 12);

function lackOf(capacity: StageCapacity, room: StageCapacity): string | null {
  if (capacity.alignment !== room.alignment) {
    return `Its pages have ${capacity.alignment} positions, those of this server's stages ${room.alignment}`;
  }
  for (const [name, what] of COUNTED) {
    if (capacity[name] < room[name]) {
      return `It has room for ${capacity[name]} ${what}, this server needs ${room[name]}`;
    }
  }
  return null;
}

const COUNTED = [
  ["slots", "sequences"],
  ["context", "tokens of a sequence"],
  ["maxRows", "rows of a step"],
  ["pages", "pages of keys and values"],
  ["snapshots", "states of the prefix cache"],
  ["keptLogits", "steps' logits"],
] as const;

/** For what all of some stages have room, and no more than a server wants. They have pages of one size. */
export function leastRoom(
  stages: readonly StageOffer[],
  most: { readonly slots: number; readonly context: number },
): StageCapacity {
  const least = (what: (capacity: StageCapacity) => number) =>
    Math.min(...stages.map(({ capacity }) => what(capacity)));
  const maxRows = least(({ maxRows }) => maxRows);
  return {
    slots: Math.min(most.slots, maxRows, least(({ slots }) => slots)),
    context: Math.min(most.context, least(({ context }) => context)),
    maxRows,
    keptLogits: least(({ keptLogits }) => keptLogits),
    snapshots: least(({ snapshots }) => snapshots),
    pages: least(({ pages }) => pages),
    alignment: stages[0]!.capacity.alignment,
  };
}
