import assert from "node:assert/strict";
import { refused, serve } from "./serve.ts";

Deno.test("POST /tokenize tells the tokens of a prompt and of a conversation, /detokenize their text", async () => {
  const { post } = serve();
  const json = async (path: string, body: unknown) => await (await post(path, body)).json();
  assert.deepEqual(await json("/tokenize", { model: "nano", prompt: "Hi", add_special_tokens: true }), {
    count: 2,
    max_model_len: 64,
    tokens: [72, 105],
  });
  const chat = await json("/tokenize", { messages: [{ role: "user", content: "Hi" }], add_generation_prompt: true });
  assert.equal(chat.count, chat.tokens.length);
  assert.deepEqual(await json("/detokenize", { tokens: chat.tokens }), { prompt: "user:Hi" });
});

Deno.test("/tokenize and /detokenize refuse by name, and need the key and the model as others do", async () => {
  const { post } = serve();
  const cases: [path: string, param: string | null, body: object][] = [
    ["/tokenize", "return_token_strs", { prompt: "Hi", return_token_strs: true }],
    ["/tokenize", "messages[0].role", { messages: [{ role: "bot", content: "" }] }],
    ["/tokenize", "prompt", {}],
    ["/detokenize", "tokens[0]", { tokens: [-1] }],
    ["/detokenize", "tokens", {}],
  ];
  for (const [path, param, body] of cases) assert.equal((await refused(await post(path, body), 400)).param, param);
  await refused(await post("/tokenize", { prompt: "Hi", model: "gpt" }), 404);
  await refused(await serve([], { apiKeys: ["secret"] }).post("/tokenize", { prompt: "Hi" }), 401);
  await refused(await serve([], { apiKeys: ["secret"] }).post("/detokenize", { tokens: [] }), 401);
});

Deno.test("the served name, the folder's name and auto are the model; its length is told once it is warm", async () => {
  const { app, ask, model } = serve(undefined, { name: "ring", root: "ring-nano" });
  const described = {
    id: "ring",
    object: "model",
    owned_by: "ringlet",
    root: "ring-nano",
    max_model_len: model.info.context,
  };
  for (const name of ["ring", "ring-nano", "auto"]) {
    const { created, ...rest } = await (await app.request(`/v1/models/${name}`)).json();
    assert.ok(Number.isInteger(created));
    assert.deepEqual(rest, described);
    const reply = await ask({ model: name, messages: [{ role: "user", content: "Hi" }] });
    assert.equal((await reply.json()).model, "ring");
  }
  const error = await refused(await ask({ model: "nano", messages: [{ role: "user", content: "Hi" }] }), 404);
  assert.equal(error.code, "model_not_found");
  const { data: [loading] } = await (await serve([], { model: () => null }).app.request("/v1/models")).json();
  assert.equal("max_model_len" in loading, false);
});
