/** Stages in this thread, joined into a pipeline by links of either kind. */
import { MessageChannel } from "node:worker_threads";
import { type Link, localLinks, portLink } from "../../src/pipeline/link.ts";
import type { FromStage, ToStage } from "../../src/pipeline/steps.ts";
import { partition } from "../../src/pipeline/partition.ts";
import { Pipeline } from "../../src/pipeline/pipeline.ts";
import { serveStage, type StageModel } from "../../src/stage/stage.ts";
import { type FakeBehaviour, FakeStage, STAGE_INFO, STAGE_OPTIONS } from "../stage/fake_stage.ts";

export type Joint = "local" | "port";

type Message = ToStage | FromStage;

/** Both ends of a link. */
export function linkPair<A, B>(joint: Joint): [Link<A, B>, Link<B, A>] {
  if (joint === "local") return localLinks();
  const { port1, port2 } = new MessageChannel();
  return [portLink(port1), portLink(port2)];
}

/** A pipeline through `models`; `ended` settles as each stage does. */
export function joinStages(models: readonly StageModel[], joint: Joint) {
  const joints = Array.from({ length: models.length + 1 }, () => linkPair<never, Message>(joint));
  const last = joints.at(-1)![1] as unknown as Link<FromStage, never>;
  const pipeline = new Pipeline(joints[0]![0], last, models.length);
  const ended = models.map((model, i) => {
    const open = () => Promise.resolve({ model: Object.assign(model, { [Symbol.dispose]() {} }), info: STAGE_INFO });
    const input = joints[i]![1] as unknown as Link<ToStage, never>;
    return serveStage(open, STAGE_OPTIONS, input, joints[i + 1]![0], (event) => {
      if (event.type === "failed") pipeline.break(event.reason);
    });
  });
  return { pipeline, ended };
}

/** A pipeline of fakes with `depth` layers in all. */
export function joinFakes(
  { depth = 3, stages = 1, slots = 1, joint = "local" as Joint, behaviour = {} as FakeBehaviour, keptLogits = 0 },
) {
  const models = partition(depth, stages).map((layers) =>
    new FakeStage({ layers, slots, keptLogits }, layers.end === depth, behaviour)
  );
  return { ...joinStages(models, joint), models };
}
