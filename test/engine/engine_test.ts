/** The engine gives each request what its tokens alone determine, whatever runs beside it, and always gets its slots back. */
import { strict as assert } from "node:assert";
import { setImmediate } from "node:timers/promises";
import fc from "fast-check";
import type { Pipeline } from "../../src/pipeline/pipeline.ts";
import type { Runner } from "../../src/pipeline/runner.ts";
import type { EngineFinish } from "../../src/pipeline/requests.ts";
import { expectedLogits, expectedTokens } from "../stage/fake_stage.ts";
import { GREEDY, LocalEngine, request } from "./local_engine.ts";
import { text } from "./text.ts";

const DEPTH = 3;
const PROMPT = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3];

for (const joint of ["local", "port"] as const) {
  for (const stages of [1, 2, 3]) {
    for (const maxRows of [1, 3, 16]) {
      Deno.test(`Engine over ${stages} stages by ${joint} links in chunks of ${maxRows} gives the same tokens`, async () => {
        await using local = await LocalEngine.open({ stages, joint, maxRows });
        local.engine.generate(0, request(PROMPT));
        const { tokens, finish } = await local.end(0);
        assert.deepEqual(tokens, expectedTokens(DEPTH, PROMPT, 8));
        assert.equal(finish, "length");
      });
    }
  }
}

Deno.test("Engine gives sequences that run together what each gets alone", async () => {
  for (const [stages, slots] of [[1, 3], [3, 4]] as const) {
    await using local = await LocalEngine.open({ stages, slots, maxRows: 5, joint: "port" });
    const prompts = Array.from({ length: 10 }, (_, id) => text(id, 1 + (id * 5) % 17));
    for (const [id, prompt] of prompts.entries()) local.engine.generate(id, request(prompt, { maxTokens: 3 + id % 6 }));
    for (const [id, prompt] of prompts.entries()) {
      assert.deepEqual((await local.end(id)).tokens, expectedTokens(DEPTH, prompt, 3 + id % 6));
    }
    assert.equal(local.engine.freeSlots, slots);
  }
});

Deno.test("Engine samples from whole rows where candidates do not suffice, for every sequence of a step", async () => {
  const sampling = { ...GREEDY, temperature: 50 };
  const requests = [0, 1, 2].map((id) => request(text(id, 4), { sampling: { ...sampling, seed: id }, maxTokens: 20 }));
  const alone: number[][] = [];
  for (const [id, one] of requests.entries()) {
    await using local = await LocalEngine.open({ stages: 2 });
    local.engine.generate(id, one);
    alone.push((await local.end(id)).tokens);
  }
  await using local = await LocalEngine.open({ slots: 3 });
  for (const [id, one] of requests.entries()) local.engine.generate(id, one);
  for (const id of [0, 1, 2]) assert.deepEqual((await local.end(id)).tokens, alone[id]);
  assert.notDeepEqual(alone[0], alone[1]);
});

Deno.test("Engine ends at a stop token, at maxTokens and at the end of the context", async () => {
  const tokens = expectedTokens(DEPTH, PROMPT, 30);
  const stop = tokens[4]!;
  await using local = await LocalEngine.open({ context: 30 });
  const end = async (id: number, changes: Parameters<typeof request>[1]): Promise<[EngineFinish | null, number[]]> => {
    local.engine.generate(id, request(PROMPT, changes));
    const { finish, tokens } = await local.end(id);
    return [finish, tokens];
  };
  assert.deepEqual(await end(0, { stopTokens: [stop], maxTokens: 30 }), [
    "stop",
    tokens.slice(0, tokens.indexOf(stop) + 1),
  ]);
  assert.deepEqual(await end(1, { maxTokens: 1 }), ["length", tokens.slice(0, 1)]);
  assert.deepEqual(await end(2, { maxTokens: 1000 }), ["length", tokens.slice(0, 20)]);
});

Deno.test("Engine refuses requests that it cannot run, by name, and goes on", async () => {
  await using local = await LocalEngine.open({ context: 20 });
  const refusal = async (id: number, changes: Parameters<typeof request>[1]) => {
    local.engine.generate(id, request(PROMPT, changes));
    return (await local.end(id)).reason;
  };
  const prompt = (...tokens: number[]) => ({ prompt: Uint32Array.from(tokens) });
  assert.equal(await refusal(0, prompt()), "Cannot run a request as it has no tokens: send at least one");
  assert.equal(
    await refusal(1, prompt(...text(0, 20))),
    "Cannot run a request of 20 tokens: the context has room for 19",
  );
  assert.equal(await refusal(2, prompt(1, 50)), "Cannot run token 50: the vocabulary has 50 tokens, counted from 0");
  assert.equal(await refusal(3, { maxTokens: 0 }), "Cannot generate 0 tokens: maxTokens must be at least 1");
  assert.match(await refusal(4, { sampling: { ...GREEDY, topP: 7 } }) ?? "", /7/);
  const thinking = { budget: 1, end: Uint32Array.of(1), close: Uint32Array.of(99) };
  assert.match(await refusal(5, { thinking }) ?? "", /Cannot run token 99/);
  assert.equal(await refusal(6, {}), null);
  assert.equal(local.engine.freeSlots, 1);
});

Deno.test("Engine closes a thought after its budget, in tokens that are reported and counted", async () => {
  const free = expectedTokens(DEPTH, PROMPT, 20);
  const close = [11, 12, 13];
  const thinking = (budget: number, end = [49, 49]) => ({
    budget,
    end: Uint32Array.from(end),
    close: Uint32Array.from(close),
  });
  for (const [stages, maxRows] of [[1, 16], [2, 2]] as const) {
    await using local = await LocalEngine.open({ stages, maxRows });
    const run = async (id: number, changes: Parameters<typeof request>[1]) => {
      local.engine.generate(id, request(PROMPT, changes));
      return (await local.end(id)).tokens;
    };
    const forcedAfter = (count: number, rest: number) => {
      const begun = [...free.slice(0, count), ...close];
      return [...begun, ...expectedTokens(DEPTH, [...PROMPT, ...begun], rest)];
    };
    assert.deepEqual(await run(0, { thinking: thinking(4), maxTokens: 12 }), forcedAfter(4, 5));
    assert.deepEqual(await run(1, { thinking: thinking(0), maxTokens: 5 }), forcedAfter(0, 2));
    assert.deepEqual(await run(2, { thinking: thinking(4), maxTokens: 6 }), [...free.slice(0, 4), 11, 12]);
    assert.deepEqual(await run(3, { thinking: thinking(0), maxTokens: 2 }), [11, 12]);
    assert.deepEqual(await run(4, { thinking: thinking(6, free.slice(2, 4)), maxTokens: 12 }), free.slice(0, 12));
    assert.deepEqual(await run(5, { thinking: thinking(4, free.slice(2, 4)), maxTokens: 12 }), free.slice(0, 12));
    assert.deepEqual(await run(6, { thinking: thinking(3, free.slice(2, 4)), maxTokens: 12 }), forcedAfter(3, 6));
    const sampling = { ...GREEDY, repetitionPenalty: 1e6 };
    const [...penalised] = await run(7, { thinking: thinking(0), maxTokens: 3 + 38, sampling });
    assert.deepEqual(penalised.splice(0, 3), close);
    assert.equal(new Set([...PROMPT, ...close, ...penalised]).size, 7 + 3 + 38, "a token was repeated");
  }
});

Deno.test("Engine scores every token after those before it, however the text is cut", async () => {
  const tokens = text(5, 23);
  const rows = tokens.map((_, i) => expectedLogits(DEPTH, tokens.slice(0, i + 1)));
  const expected = tokens.map((token, i) => {
    if (i === 0) return NaN;
    const row = rows[i - 1]!;
    return row[token]! - Math.log(row.reduce((sum, logit) => sum + Math.exp(logit), 0));
  });
  await using local = await LocalEngine.open({ stages: 2, slots: 2 });
  local.engine.generate(100, request(PROMPT, { maxTokens: 60 })); // decodes beside it all the while
  for (const [id, chunks] of [[], [1], [7], [3, 1, 5]].entries()) {
    const logits = id % 2 === 0;
    local.engine.score(id, { tokens: Uint32Array.from(tokens), logits, chunks, ...(logits ? { top: 2 } : {}) });
    const { rows: scored, finish } = await local.end(id);
    assert.equal(finish, "stop");
    const sizes = scored.map(({ logprobs }) => logprobs.length);
    const cycle = Array.from(sizes, (_, i) => (chunks.length ? chunks : [16])[i % (chunks.length || 1)]!);
    assert.deepEqual(sizes.slice(0, -1), cycle.slice(0, -1));
    assert.deepEqual(
      scored.map(({ first }) => first),
      sizes.map((_, i) => sizes.slice(0, i).reduce((a, b) => a + b, 0)),
    );
    const found = scored.flatMap(({ logprobs }) => [...logprobs]);
    assert.equal(found.length, tokens.length);
    for (const [i, logprob] of found.entries()) {
      assert.ok(i === 0 ? Number.isNaN(logprob) : Math.abs(logprob - expected[i]!) < 1e-12, `${i}: ${logprob}`);
    }
    if (logits) assert.deepEqual(scored.flatMap(({ logits }) => [...logits!]), rows.flat());
    else assert.ok(scored.every(({ logits, top }) => logits === null && top === undefined));
    for (const [i, likeliest] of scored.flatMap(({ top = [] }) => top).entries()) {
      const row = i === 0 ? [] : rows[i - 1]!;
      const ranked = [...row.keys()].sort((a, b) => row[b]! - row[a]! || a - b).slice(0, 2);
      assert.deepEqual(likeliest.map(([id]) => id), ranked);
      const same = likeliest.find(([id]) => id === tokens[i]);
      if (same) assert.equal(same[1], found[i]);
    }
  }
  local.engine.score(9, { tokens: Uint32Array.from(tokens), logits: false, chunks: [17] });
  assert.equal((await local.end(9)).reason, "Cannot score in chunks of 17 rows: use whole numbers from 1 to 16");
  assert.deepEqual((await local.end(100)).tokens, expectedTokens(DEPTH, PROMPT, 60));
});

Deno.test("Engine fails the sequence whose step failed and no other", async () => {
  for (const layer of [0, 1, 2]) {
    const behaviour = { at: { layer, position: 14, act: "throw" } } as const;
    await using local = await LocalEngine.open({ stages: 3, slots: 2, maxRows: 4, behaviour });
    local.engine.generate(0, request(text(0, 20)));
    local.engine.generate(1, request(text(1, 3), { maxTokens: 6 }));
    assert.equal((await local.end(0)).reason, "the fake threw");
    assert.deepEqual((await local.end(1)).tokens, expectedTokens(DEPTH, text(1, 3), 6));
    local.engine.generate(2, request(text(2, 3), { maxTokens: 6 }));
    assert.deepEqual((await local.end(2)).tokens, expectedTokens(DEPTH, text(2, 3), 6));
    assert.deepEqual([local.engine.freeSlots, local.failure], [2, null]);
  }
});

Deno.test("Engine fails every request, also later ones, once a stage is lost", async () => {
  for (const layer of [0, 1, 2]) {
    const behaviour = { at: { layer, position: 14, act: "lose" } } as const;
    await using local = await LocalEngine.open({ stages: 3, slots: 2, maxRows: 4, behaviour });
    local.engine.generate(0, request(text(0, 20)));
    local.engine.generate(1, request(text(1, 3), { maxTokens: 90 }));
    local.engine.generate(2, request(text(1, 3), { maxTokens: 90 }));
    while (local.failure === null) await setImmediate();
    assert.equal(local.failure, "The engine stopped: the fake lost its device");
    assert.equal(local.outcome(1).finish, null);
    local.engine.generate(3, request(PROMPT));
    assert.equal((await local.end(3)).reason, local.failure);
    assert.equal(local.engine.freeSlots, 2);
  }
});

Deno.test("Engine aborts a request before its next step, running or waiting, and says nothing of it afterwards", async () => {
  await using local = await LocalEngine.open({ stages: 2 });
  local.engine.generate(0, request(PROMPT, { maxTokens: 80 }));
  local.engine.generate(1, request(PROMPT, { maxTokens: 80 }));
  local.engine.generate(2, request(PROMPT));
  while (local.outcome(0).tokens.length < 5) await setImmediate();
  const heard = local.outcome(0).tokens.length;
  local.engine.abort(1);
  local.engine.abort(0);
  assert.deepEqual([local.outcome(0).finish, local.outcome(1).finish], ["abort", "abort"]);
  assert.equal(local.engine.freeSlots, 1);
  assert.deepEqual((await local.end(2)).tokens, expectedTokens(DEPTH, PROMPT, 8));
  assert.deepEqual([local.outcome(0).tokens.length, local.outcome(1).tokens.length], [heard, 0]);
  local.engine.abort(0);
});

Deno.test("Engine cancels a step once nobody waits for it", async () => {
  const cancelled: number[] = [];
  let steps = 0;
  const through = (join: () => { readonly pipeline: Pipeline }): Runner => {
    const { pipeline } = join();
    const run: Runner["run"] = async (step, tokens) => {
      steps = step.id;
      await setImmediate();
      if (step.id === 2) local.engine.abort(0); // the other one waits
      if (step.id === 4) local.engine.abort(1);
      return await pipeline.run(step, tokens);
    };
    const { broken } = pipeline;
    const rest = { release: pipeline.release.bind(pipeline), store: pipeline.store.bind(pipeline) };
    return { broken, run, ...rest, logits: pipeline.logits.bind(pipeline), cancel: (id) => void cancelled.push(id) };
  };
  await using local: LocalEngine = await LocalEngine.open({ slots: 2, through });
  local.engine.generate(0, request([1, 2], { maxTokens: 50 }));
  local.engine.generate(1, request([3, 4], { maxTokens: 50 }));
  await Promise.all([local.end(0), local.end(1)]);
  await setImmediate();
  assert.deepEqual([cancelled, steps], [[4], 4]);
});

Deno.test("Engine says nothing of a token whose request is aborted while it is sampled", async () => {
  await using local = await LocalEngine.open();
  const logits = local.pipeline.logits.bind(local.pipeline);
  let reads = 0;
  local.pipeline.logits = (id) => {
    if (++reads === 3) local.engine.abort(0);
    return logits(id);
  };
  const sampling = { ...GREEDY, logitBias: [[7, 1]] } as const; // which only a whole row can weigh
  local.engine.generate(0, request(PROMPT, { sampling }));
  local.engine.generate(1, request(PROMPT));
  const { finish, tokens } = await local.end(0);
  assert.deepEqual([finish, tokens.length, reads], ["abort", 2, 3]);
  assert.deepEqual((await local.end(1)).tokens, expectedTokens(DEPTH, PROMPT, 8));
  assert.equal(tokens.length, 2);
});

Deno.test("Engine has all slots free after any interleaving of requests and aborts, and no answer is disturbed", async () => {
  const action = fc.record({
    kind: fc.constantFrom("generate", "generate", "score", "abort"),
    length: fc.integer({ min: 1, max: 25 }),
    maxTokens: fc.integer({ min: 1, max: 10 }),
    victim: fc.nat(30),
    turns: fc.nat(4),
  });
  const scene = fc.record({
    actions: fc.array(action, { minLength: 1, maxLength: 20 }),
    stages: fc.integer({ min: 1, max: 3 }),
    devices: fc.integer({ min: 1, max: 3 }),
    slots: fc.integer({ min: 1, max: 4 }),
    maxRows: fc.integer({ min: 4, max: 9 }),
  });
  await fc.assert(
    fc.asyncProperty(scene, async ({ actions, ...options }) => {
      await using local = await LocalEngine.open({ ...options, devices: Math.min(options.devices, options.stages) });
      for (const [id, { kind, length, maxTokens, victim, turns }] of actions.entries()) {
        if (kind === "generate") local.engine.generate(id, request(text(id, length), { maxTokens }));
        if (kind === "score") {
          local.engine.score(id, { tokens: Uint32Array.from(text(id, length)), logits: false, chunks: [] });
        }
        if (kind === "abort") local.engine.abort(victim);
        for (let turn = 0; turn < turns; turn++) await setImmediate();
      }
      for (const [id, { kind, length, maxTokens }] of actions.entries()) {
        if (kind === "abort") continue;
        const { finish, tokens, rows } = await local.end(id);
        const expected = kind === "generate" ? expectedTokens(DEPTH, text(id, length), maxTokens) : [];
        assert.deepEqual(tokens, expected.slice(0, finish === "abort" ? tokens.length : undefined));
        if (kind === "score" && finish === "stop") {
          assert.equal(rows.flatMap(({ logprobs }) => [...logprobs]).length, length);
        }
        assert.ok(finish === "abort" || finish === (kind === "score" ? "stop" : "length"), `${finish}`);
      }
      assert.equal(local.engine.freeSlots, options.slots);
    }),
    { numRuns: 200 },
  );
});
