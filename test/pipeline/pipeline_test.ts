/** A pipeline gives the same whatever its stages and links, never holds more steps than stages, and says how it ended. */
import { strict as assert } from "node:assert";
import type { Link } from "../../src/pipeline/link.ts";
import type { Candidates, FromStage, Released, Step, ToStage } from "../../src/pipeline/steps.ts";
import { Pipeline } from "../../src/pipeline/pipeline.ts";
import type { StageModel } from "../../src/stage/stage.ts";
import { expectedLogits, VOCABULARY } from "../stage/fake_stage.ts";
import { joinFakes, joinStages, linkPair } from "./joined_stages.ts";

const JOINTS = ["local", "port"] as const;
/** A step of one sequence with all rows as outputs. */
function step(id: number, start: number, rows: number, slot = 0): Step {
  return { id, segments: [{ slot, start, rows }], outputs: Uint32Array.from({ length: rows }, (_, row) => row) };
}

/** Stages that finish a step only when told to. */
class GatedStage implements StageModel {
  readonly gates: (() => void)[] = [];
  constructor(readonly last: boolean) {}
  async forward(): Promise<Float32Array | Candidates> {
    await new Promise<void>((resolve) => this.gates.push(resolve));
    return this.last ? noCandidates() : new Float32Array(1);
  }
  release(): void {}

  store(): Promise<void> {
    return Promise.resolve();
  }
  logits(): Promise<Float32Array> {
    return Promise.resolve(new Float32Array());
  }
}

/** Stages that tell what they are asked for. */
class TellingStage implements StageModel {
  readonly told: string[] = [];
  constructor(readonly last: boolean) {}
  forward({ id }: Step): Promise<Float32Array | Candidates> {
    this.told.push(`step ${id}`);
    return Promise.resolve(this.last ? noCandidates() : new Float32Array(1));
  }
  release({ slots }: Released): void {
    this.told.push(`slot ${slots}`);
  }
  store(): Promise<void> {
    return Promise.resolve();
  }
  logits(): Promise<Float32Array> {
    return Promise.resolve(new Float32Array());
  }
}

function noCandidates(): Candidates {
  return { perRow: 0, ids: new Uint32Array(), logits: new Float32Array(), logSumExp: new Float32Array() };
}

const settle = () => new Promise((resolve) => setTimeout(resolve, 5));

for (const joint of JOINTS) {
  for (const stages of [1, 2, 3]) {
    Deno.test(`Pipeline over ${stages} stages by ${joint} links computes what the tokens alone determine`, async () => {
      const { pipeline, ended } = joinFakes({ stages, joint, slots: 2 });
      const tokens = [3, 1, 4, 1, 5, 9, 2, 6];
      await pipeline.run(step(0, 0, 3, 1), Uint32Array.from([7, 7, 7]));
      const first = await pipeline.run(step(1, 0, 5), Uint32Array.from(tokens.slice(0, 5)));
      const second = await pipeline.run(step(2, 5, 3), Uint32Array.from(tokens.slice(5)));
      const logits = await pipeline.logits(2);
      const expected = tokens.map((_, i) => expectedLogits(3, tokens.slice(0, i + 1)));
      assert.deepEqual([...logits], expected.slice(5).flat());
      assert.equal(logits.length, 3 * VOCABULARY);
      const best = expected.map((row) => row.indexOf(Math.max(...row)));
      const found = [first, second].flatMap(({ ids, perRow }) => [...ids].filter((_, i) => i % perRow === 0));
      assert.deepEqual(found, best);
      await pipeline[Symbol.asyncDispose]();
      await Promise.all(ended);
    });

    Deno.test(`Pipeline of ${stages} stages by ${joint} links has pages taken back between steps, in the order it was told`, async () => {
      const models = Array.from({ length: stages }, (_, i) => new TellingStage(i === stages - 1));
      const { pipeline, ended } = joinStages(models, joint);
      const ids = [0, 1, 2, 3];
      await Promise.all(ids.map((id) => {
        void pipeline.release({ slots: [id], snapshots: [] });
        return pipeline.run(step(id, 0, 1), Uint32Array.of(1)); // the last one waits for a credit
      }));
      const wanted = ids.flatMap((id) => [`slot ${id}`, `step ${id}`]);
      for (const { told } of models) assert.deepEqual(told, wanted);
      await pipeline[Symbol.asyncDispose]();
      await Promise.all(ended);
    });

    Deno.test(`Pipeline of ${stages} stages by ${joint} links has at most ${stages} steps under way`, async () => {
      const models = Array.from({ length: stages }, (_, i) => new GatedStage(i === stages - 1));
      const { pipeline, ended } = joinStages(models, joint);
      let begun = 0;
      let done = 0;
      let most = 0;
      const count = <T>(model: StageModel, forward: () => Promise<T>) => () => {
        if (model === models[0]) begun++;
        most = Math.max(most, begun - done);
        return forward();
      };
      for (const model of models) model.forward = count(model, model.forward.bind(model));
      const runs = Array.from({ length: 10 }, (_, id) =>
        pipeline.run(step(id, id, 1), Uint32Array.of(0)).then(() => {
          done++;
          return id;
        }));
      for (let open = 0; open < 10 * stages;) {
        await settle();
        for (const { gates } of models) {
          for (const gate of gates.splice(0)) {
            open++;
            gate();
          }
        }
      }
      assert.deepEqual(await Promise.all(runs), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
      assert.equal(most, stages);
      await pipeline[Symbol.asyncDispose]();
      await Promise.all(ended);
    });
  }

  Deno.test(`Pipeline by ${joint} links rejects a step that failed in any stage, and only that one`, async () => {
    for (const layer of [0, 1, 2]) {
      const { pipeline } = joinFakes({ stages: 3, joint, behaviour: { at: { layer, position: 4, act: "throw" } } });
      const runs = [0, 1, 2].map((id) =>
        pipeline.run(step(id, 0, id === 1 ? 5 : 2), new Uint32Array(id === 1 ? 5 : 2))
      );
      const outcomes = await Promise.allSettled(runs);
      assert.deepEqual(outcomes.map(({ status }) => status), ["fulfilled", "rejected", "fulfilled"]);
      assert.equal((outcomes[1] as PromiseRejectedResult).reason.message, "the fake threw");
      assert.equal(pipeline.broken.aborted, false);
      await pipeline[Symbol.asyncDispose]();
    }
  });

  Deno.test(`Pipeline by ${joint} links gives the logits of the last steps, as many as are kept`, async () => {
    for (const stages of [1, 2, 3]) {
      const { pipeline } = joinFakes({ stages, joint, keptLogits: stages - 1 });
      const tokens = [1, 2, 3, 4, 5];
      const runs = tokens.map((token, id) => pipeline.run(step(id, id, 1), Uint32Array.of(token)));
      await Promise.all(runs);
      for (const id of tokens.keys()) {
        const logits = pipeline.logits(id);
        if (id < tokens.length - stages) {
          await assert.rejects(logits, { message: `the fake has no logits of step ${id}` });
        } else assert.deepEqual([...await logits], expectedLogits(3, tokens.slice(0, id + 1)));
      }
      await pipeline[Symbol.asyncDispose]();
    }
  });

  Deno.test(`Pipeline by ${joint} links rejects all who wait when a stage loses its device, and all later ones`, async () => {
    for (const layer of [0, 1, 2]) {
      const { pipeline, ended } = joinFakes({
        stages: 3,
        joint,
        behaviour: { at: { layer, position: 3, act: "lose" } },
      });
      const outcomes = await Promise.allSettled(
        Array.from({ length: 9 }, (_, id) => pipeline.run(step(id, id, 1), Uint32Array.of(0))),
      );
      const reasons = outcomes.map((outcome) => outcome.status === "rejected" ? outcome.reason.message : "");
      assert.deepEqual([reasons[0], ...reasons.slice(3)], ["", ...Array(6).fill("the fake lost its device")]);
      assert.ok(pipeline.broken.aborted);
      await assert.rejects(pipeline.run(step(9, 0, 1), Uint32Array.of(0)), /the fake lost its device/);
      await assert.rejects(pipeline.logits(8), /the fake lost its device/);
      await pipeline[Symbol.asyncDispose]();
      await Promise.all(ended);
    }
  });

  Deno.test(`Pipeline by ${joint} links rejects all who wait when a link ends`, async () => {
    const [first, input] = linkPair<never, ToStage>(joint);
    const [output, last] = linkPair<never, FromStage>(joint);
    const pipeline = new Pipeline(first, last as unknown as Link<FromStage, never>, 1);
    const outcomes = Promise.allSettled([0, 1].map((id) => pipeline.run(step(id, 0, 1), Uint32Array.of(0))));
    output[Symbol.dispose]();
    for (const outcome of await outcomes) {
      assert.equal(outcome.status === "rejected" && outcome.reason.message, "a stage ended without a word");
    }
    assert.equal(pipeline.broken.reason.message, "a stage ended without a word");
    await pipeline[Symbol.asyncDispose]();
    input[Symbol.dispose]();
  });

  Deno.test(`Pipeline by ${joint} links finishes what is under way when it is disposed, and nothing more`, async () => {
    const { pipeline, ended } = joinFakes({ stages: 3, joint });
    const running = [0, 1, 2, 3, 4].map((id) => pipeline.run(step(id, id, 1), Uint32Array.of(id)));
    const outcomes = Promise.allSettled(running);
    await Promise.resolve();
    await pipeline[Symbol.asyncDispose]();
    const statuses = (await outcomes).map(({ status }) => status);
    assert.deepEqual(statuses, ["fulfilled", "fulfilled", "fulfilled", "rejected", "rejected"]);
    await assert.rejects(running[4]!, new Error("Cannot run the step: the pipeline is closed"));
    assert.equal(pipeline.broken.aborted, false);
    await Promise.all(ended);
  });
}
