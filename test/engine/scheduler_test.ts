/** The scheduler's decisions: who has a slot, what a step holds, whose outputs are whose. */
import { strict as assert } from "node:assert";
import fc from "fast-check";
import type { Batch } from "../../src/engine/batch.ts";
import { Scheduler } from "../../src/engine/scheduler.ts";
import { Sequence } from "../../src/engine/sequence.ts";

function sequence(id: number, length: number, feeding?: ConstructorParameters<typeof Sequence>[2]): Sequence {
  return new Sequence(id, Uint32Array.from({ length }, (_, i) => 100 * id + i), feeding);
}

/** A batch as `id@start+rows` for each segment, and its output rows. */
function describe(batch: Batch | null): string | null {
  if (!batch) return null;
  const segments = batch.step.segments.map(({ start, rows }, i) => `${batch.shares[i]!.sequence.id}@${start}+${rows}`);
  return `${segments.join(" ")} -> ${batch.step.outputs.join(",")}`;
}

Deno.test("Scheduler cuts a prompt into chunks and asks for the logits of its last row only", () => {
  const scheduler = new Scheduler({ slots: 1, maxRows: 4 });
  const one = sequence(1, 10);
  scheduler.add(one);
  const batches = [scheduler.schedule(), scheduler.schedule(), scheduler.schedule()];
  assert.deepEqual(batches.map(describe), ["1@0+4 -> ", "1@4+4 -> ", "1@8+2 -> 1"]);
  assert.deepEqual(batches.map((batch) => [...batch!.tokens]), [[100, 101, 102, 103], [104, 105, 106, 107], [
    108,
    109,
  ]]);
  assert.deepEqual(batches.map((batch) => batch!.step.id), [0, 1, 2]);
  assert.equal(scheduler.schedule(), null);
  one.append(7);
  assert.equal(describe(scheduler.schedule()), "1@10+1 -> 0");
});

Deno.test("Scheduler decodes all sequences together, by turns with the chunks of the prompt that has the least to go", () => {
  const scheduler = new Scheduler({ slots: 4, maxRows: 4 });
  const sequences = [sequence(1, 1), sequence(2, 1), sequence(3, 9), sequence(4, 6)];
  for (const one of sequences) scheduler.add(one);
  const decoded = () => {
    const batch = scheduler.schedule()!;
    for (const { sequence, outputs } of batch.shares) if (outputs > 0) sequence.append(0);
    return describe(batch);
  };
  assert.deepEqual(Array.from({ length: 9 }, decoded), [
    "4@0+4 -> ",
    "1@0+1 2@0+1 -> 0,1",
    "4@4+2 -> 1",
    "1@1+1 2@1+1 4@6+1 -> 0,1,2",
    "3@0+4 -> ",
    "1@2+1 2@2+1 4@7+1 -> 0,1,2",
    "3@4+4 -> ",
    "1@3+1 2@3+1 3@8+1 4@8+1 -> 0,1,2,3",
    "1@4+1 2@4+1 3@9+1 4@9+1 -> 0,1,2,3",
  ]);
});

Deno.test("Scheduler gives every row of a sequence that wants them, in chunks of the sizes that it names", () => {
  const scheduler = new Scheduler({ slots: 2, maxRows: 4 });
  scheduler.add(sequence(1, 8, { chunks: [3, 1], everyRow: true }));
  const batches = Array.from({ length: 5 }, () => scheduler.schedule());
  assert.deepEqual(batches.map(describe), ["1@0+3 -> 0,1,2", "1@3+1 -> 0", "1@4+3 -> 0,1,2", "1@7+1 -> 0", null]);
});

Deno.test("Scheduler serves first come, first served, and gives a slot on as soon as it is left", () => {
  const scheduler = new Scheduler({ slots: 2, maxRows: 8 });
  const [one, two, three, four] = [1, 2, 3, 4].map((id) => sequence(id, 2));
  for (const waiting of [one, two, three, four]) scheduler.add(waiting!);
  scheduler.schedule();
  assert.deepEqual([one, two, three, four].map((each) => each!.slot), [0, 1, null, null]);
  scheduler.remove(three!);
  scheduler.remove(one!);
  scheduler.remove(one!);
  assert.equal(scheduler.freeSlots, 1);
  assert.equal(describe(scheduler.schedule()), "2@0+2 -> 1");
  assert.deepEqual([one, two, three, four].map((each) => each!.slot), [null, 1, null, 0]);
  assert.equal(scheduler.freeSlots, 0);
});

Deno.test("Scheduler refuses more slots than rows", () => {
  const message = "Cannot decode 9 sequences together in steps of 8 rows: use fewer slots";
  assert.throws(() => new Scheduler({ slots: 9, maxRows: 8 }), new RangeError(message));
});

Deno.test("Scheduler feeds every sequence its tokens once and in order, in steps that hold no slot twice", () => {
  const scene = fc.record({
    slots: fc.integer({ min: 1, max: 5 }),
    maxRows: fc.integer({ min: 5, max: 9 }),
    prompts: fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 12 }),
    answer: fc.integer({ min: 1, max: 6 }),
  });
  fc.assert(fc.property(scene, ({ slots, maxRows, prompts, answer }) => {
    const scheduler = new Scheduler({ slots: slots, maxRows: maxRows });
    const sequences = prompts.map((length, id) => sequence(id, length));
    const fed = new Map(sequences.map((one): [Sequence, number[]] => [one, []]));
    for (const one of sequences) scheduler.add(one);
    for (let batch = scheduler.schedule(); batch; batch = scheduler.schedule()) {
      const { step, tokens, shares } = batch;
      assert.ok(tokens.length <= maxRows);
      assert.equal(new Set(step.segments.map(({ slot }) => slot)).size, step.segments.length);
      let row = 0;
      for (const [i, { sequence, outputs }] of shares.entries()) {
        const { start, rows } = step.segments[i]!;
        assert.equal(start, fed.get(sequence)!.length);
        fed.get(sequence)!.push(...tokens.subarray(row, row += rows));
        if (outputs === 0) continue;
        assert.ok(step.outputs.includes(row - 1));
        sequence.append(sequence.length);
        if (sequence.length === prompts[sequence.id]! + answer) scheduler.remove(sequence);
      }
    }
    for (const [{ id }, tokens] of fed) {
      const expected = Array.from({ length: prompts[id]! + answer - 1 }, (_, i) => i < prompts[id]! ? 100 * id + i : i);
      assert.deepEqual(tokens, expected);
    }
    assert.equal(scheduler.freeSlots, slots);
  }));
});

Deno.test("Scheduler lets a short prompt pass a long one, and a long one wait only for those that come in its own time", () => {
  const scheduler = new Scheduler({ slots: 20, maxRows: 20 });
  scheduler.add(sequence(1, 200)); // ten chunks
  const order: number[] = [];
  for (let id = 2; id < 16; id++) {
    order.push(scheduler.schedule()!.shares[0]!.sequence.id);
    scheduler.add(sequence(id, 40)); // two chunks, one of them in this time
  }
  assert.equal(order[0], 1);
  assert.ok(order.indexOf(2) > 0);
  assert.ok(order.lastIndexOf(1) > order.indexOf(2), "the short one passed");
  const left = Array.from({ length: 40 }, () => scheduler.schedule()?.shares[0]?.sequence.id);
  const end = [...order, ...left].lastIndexOf(1);
  assert.ok(end < 24, `the long one was read at step ${end}`);
});

Deno.test("Scheduler lets at most so many sequences decode in a step, by turns", () => {
  const scheduler = new Scheduler({ slots: 5, maxRows: 8, mostDecoding: 2 });
  for (let id = 0; id < 5; id++) scheduler.add(sequence(id, 1));
  const steps = Array.from({ length: 5 }, () => {
    const { shares, allDecode } = scheduler.schedule()!;
    for (const { sequence } of shares) sequence.append(0);
    return [...shares.map(({ sequence }) => sequence.id), allDecode];
  });
  assert.deepEqual(steps, [[0, 1, true], [2, 3, true], [0, 4, true], [1, 2, true], [0, 3, true]]);
});

Deno.test("Scheduler reads prompts in smaller chunks while others decode", () => {
  const scheduler = new Scheduler({ slots: 2, maxRows: 12, rowsBeside: 4, alignment: 4 });
  const long = sequence(1, 40);
  scheduler.add(long);
  assert.equal(describe(scheduler.schedule()), "1@0+12 -> ");
  const short = sequence(2, 1);
  scheduler.add(short);
  assert.equal(describe(scheduler.schedule()), "2@0+1 -> 0");
  short.append(7);
  assert.equal(describe(scheduler.schedule()), "1@12+4 -> ");
  assert.equal(describe(scheduler.schedule()), "2@1+1 -> 0");
  assert.equal(describe(scheduler.schedule()), "1@16+4 -> "); // as its next token is to come
  scheduler.remove(short);
  assert.equal(describe(scheduler.schedule()), "1@20+12 -> ");
});

/** Plays a pipeline over so many devices: steps end in their order, and each gives its sequences a token. */
class Play {
  readonly scheduler: Scheduler;
  readonly #underWay: Batch[] = [];

  constructor(readonly devices: number, slots: number) {
    this.scheduler = new Scheduler({ slots, maxRows: 8, devices });
  }

  add(...sequences: readonly Sequence[]): void {
    for (const one of sequences) this.scheduler.add(one);
  }

  /** Begins what may be, and ends the first that is under way; the steps that began, by their sequences. */
  next(): string[] {
    const begun: string[] = [];
    while (this.#underWay.length < this.devices) {
      const batch = this.scheduler.schedule(this.#underWay.filter(({ decodes }) => decodes).length);
      if (!batch) break;
      this.#underWay.push(batch);
      begun.push(`${batch.decodes ? "" : "reads "}${batch.shares.map(({ sequence }) => sequence.id).join(" ")}`);
    }
    for (const { sequence, outputs } of this.#underWay.shift()?.shares ?? []) if (outputs > 0) sequence.append(0);
    return begun;
  }
}

Deno.test("Scheduler divides those that decode between devices, evenly again after some have come or left", () => {
  const play = new Play(2, 8);
  const sequences = Array.from({ length: 8 }, (_, id) => sequence(id, 1));
  play.add(...sequences.slice(0, 5));
  assert.deepEqual([play.next(), play.next(), play.next()], [["0 1 2", "3 4"], ["0 1 2"], ["3 4"]]);
  play.add(...sequences.slice(5)); // who all join the next group, which leaves one of its own to the other
  assert.deepEqual([play.next(), play.next(), play.next()], [["0 5 6 7"], ["1 2 3 4"], ["0 5 6 7"]]);
  for (const one of [0, 5, 6]) play.scheduler.remove(sequences[one]!);
  assert.deepEqual([play.next(), play.next(), play.next()], [["1 2 3"], ["4 7"], ["1 2 3"]]);
  for (const one of [1, 2, 3, 4]) play.scheduler.remove(sequences[one]!);
  assert.deepEqual([play.next(), play.next(), play.next()], [["7"], [], ["7"]]);
});

Deno.test("Scheduler leaves some for every device where there are enough", () => {
  for (
    const [devices, count, groups] of [[3, 4, ["0 1", "2", "3"]], [4, 6, ["0 1", "2 3", "4", "5"]], [3, 2, [
      "0",
      "1",
    ]]] as const
  ) {
    const play = new Play(devices, count);
    play.add(...Array.from({ length: count }, (_, id) => sequence(id, 1)));
    assert.deepEqual(play.next(), groups);
    for (const group of groups.slice(0, devices)) assert.deepEqual(play.next(), [group]);
  }
});

Deno.test("Scheduler lets all decode together behind a prompt's chunk on the other device, and again in parts when it is read", () => {
  const play = new Play(2, 5);
  play.add(...[0, 1, 2, 3].map((id) => sequence(id, 1)), sequence(4, 24));
  const steps = Array.from({ length: 9 }, () => play.next());
  assert.deepEqual(steps, [
    ["reads 4", "0 1 2 3"],
    ["reads 4"],
    ["0 1 2 3"],
    ["reads 4"],
    ["0 1"],
    ["2 3 4"],
    ["0 1"],
    ["2 3 4"],
    ["0 1"],
  ]);
});

Deno.test("Scheduler lets no further group begin than there are devices, or than chunks leave room for", () => {
  const scheduler = new Scheduler({ slots: 4, maxRows: 8, devices: 2 });
  for (let id = 0; id < 3; id++) scheduler.add(sequence(id, 1));
  assert.equal(scheduler.schedule(2), null);
  assert.equal(describe(scheduler.schedule(1)), "0@0+1 1@0+1 -> 0,1");
  scheduler.add(sequence(3, 24));
  assert.deepEqual([describe(scheduler.schedule(1)), describe(scheduler.schedule(1))], ["3@0+8 -> ", "3@8+8 -> "]);
  assert.equal(describe(scheduler.schedule(0)), "2@0+1 -> 0");
});
