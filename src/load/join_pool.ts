/** Opens layers of a model as a stage of a pool: in a worker, measured, and offered to whoever serves there. */
import project from "../../deno.json" with { type: "json" };
import { connectBroker } from "../pool/connection.ts";
import { newMemberId } from "../pool/member_id.ts";
import type { NatsOptions } from "../pool/nats_options.ts";
import { PoolStage, type PoolStageEvent } from "../pool/pool_stage.ts";
import { inboxSubject, PROTOCOL, type StageOffer } from "../pool/protocol.ts";
import { modelIdentity } from "../stage/identity.ts";
import { stageConfig } from "../stage/open.ts";
import { openWire } from "../wire/open.ts";
import type { WireOptions } from "../wire/wire.ts";
import { type OpenedStage, openStageWorker } from "./open_stage.ts";
import { EMBEDDED_MODEL } from "./options.ts";
import { type StageSettings, type StageSetup, stageSetup } from "./stage_options.ts";
import { measureStage } from "./stage_speed.ts";

export interface JoinSettings extends StageSettings {
  readonly nats: NatsOptions;
  /** The pool's name; `default` if left out. */
  readonly pool?: string;
  /** Where others reach it; a free port under all its addresses if left out, only by way of the broker if null. */
  readonly direct?: WireOptions["direct"];
  readonly onEvent?: (event: PoolStageEvent) => void;
  /** Folder of the workers' entries. */
  readonly workers?: URL;
}

/**
 * Resolves once the stage is in the pool. Disposing leaves it in order.
 * @throws with one sentence if the broker cannot be reached, and for a model or options that cannot be used
 */
export async function joinPool(settings: JoinSettings): Promise<JoinedStage> {
  const { model = EMBEDDED_MODEL, ropeScaling = null, pool = "default", direct = { port: 0, hosts: [] } } = settings;
  await using stack = new AsyncDisposableStack();
  const broker = stack.use(await connectBroker(settings.nats, "stage"));
  const setup = await stageSetup(settings, await stageConfig({ model, ropeScaling }));
  const identity = await modelIdentity(setup);
  const opened = stack.use(await openStageWorker(setup, settings));
  const offer = await offerOf(setup, identity, opened);
  const subject = (inbox: string) => inboxSubject(pool, inbox);
  const wire = stack.use(await openWire(broker.nats, { subject, direct, secure: broker.secure }));
  const { input, output, ended } = opened;
  const parts = { broker, pool, wire, offer, input, output, ended };
  const { onEvent, signal } = settings;
  const stage = stack.use(await PoolStage.join({ ...parts, ...(onEvent && { onEvent }), ...(signal && { signal }) }));
  const all = stack.move();
  return { pool, offer, ended: stage.ended, [Symbol.asyncDispose]: () => all[Symbol.asyncDispose]() };
}

/** A stage that is in a pool. */
export interface JoinedStage extends AsyncDisposable {
  readonly pool: string;
  readonly offer: StageOffer;
  /** Resolves to a sentence once it can do nothing any more. */
  readonly ended: Promise<string>;
}

async function offerOf(
  setup: StageSetup,
  model: StageOffer["model"],
  { info, input, output, ended }: OpenedStage,
): Promise<StageOffer> {
  const { layers, slots, context, maxRows, keptLogits, snapshots, pages, alignment } = setup;
  const host = Deno.hostname();
  const speed = measureStage(input, output, {
    rows: maxRows,
    hidden: model.hidden,
    vocabulary: layers.start === 0 ? model.vocabulary : null,
    last: layers.end === model.layers,
  });
  return {
    protocol: PROTOCOL,
    version: project.version,
    id: newMemberId(host),
    host,
    model,
    layers,
    capacity: { slots, context, maxRows, keptLogits, snapshots, pages, alignment },
    info,
    speed: await Promise.race([speed, ended.then((reason) => Promise.reject(new Error(reason)))]),
  };
}
