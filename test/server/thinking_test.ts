import assert from "node:assert/strict";
import { question, serve } from "./serve.ts";

Deno.test("reasoning_effort becomes a switch and a budget, unless these are given", async () => {
  const cases: [body: object, thinking: boolean | undefined, budget: number | undefined][] = [
    [{}, undefined, undefined],
    [{ reasoning_effort: "none" }, false, undefined],
    [{ reasoning_effort: "minimal" }, true, 256],
    [{ reasoning_effort: "low" }, true, 1024],
    [{ reasoning_effort: "medium" }, true, 4096],
    [{ reasoning_effort: "high" }, true, undefined],
    [{ reasoning_effort: "low", thinking_budget: 5 }, true, 5],
    [{ reasoning_effort: "none", chat_template_kwargs: { enable_thinking: true } }, true, undefined],
    [{ chat_template_kwargs: { enable_thinking: false, thinking_budget: 9 } }, false, 9],
  ];
  for (const [body, thinking, thinkBudget] of cases) {
    const { ask, model } = serve();
    assert.equal((await ask({ ...question, ...body })).status, 200);
    const request = model.requests[0]!;
    assert.ok("messages" in request);
    assert.deepEqual([request.thinking, request.thinkBudget], [thinking, thinkBudget], JSON.stringify(body));
  }
});
