/** What the page says when something goes wrong, and how one gets on from there. */
import assert from "node:assert/strict";
import { RequestError } from "../../src/chat/request_error.ts";
import { content, finish, type Script, ScriptedModel } from "../server/scripted_model.ts";
import { lastAnswer, pageTest, send } from "./browser.ts";

const hello: Script = [content("Hello"), finish];
const failing = (error: Error): Script => [() => {
  throw error;
}];

pageTest("where the server asks for a key, so does the page", () => {
  const model = new ScriptedModel(hello);
  return { model: () => model, apiKeys: ["secret"] };
}, async ({ page }) => {
  const field = page.locator("#key");
  await page.getByText("This server asks for an API key.").waitFor();
  await field.fill("wrong");
  await field.press("Enter");
  await page.getByText("The server does not accept this API key.").waitFor();
  await send(page, "Hi");
  await page.locator(".failure", { hasText: "The server does not accept this API key." }).waitFor();
  await page.getByRole("button", { name: "Enter a key" }).click();
  await page.getByLabel("API key", { exact: true }).fill("secret");
  await page.getByRole("button", { name: "Done" }).click();
  await page.getByText("nano", { exact: true }).waitFor();
  await page.getByRole("button", { name: "Try again" }).click();
  assert.equal(await lastAnswer(page), "Hello");
});

pageTest("a busy server is asked again when it says so", () => {
  const model = new ScriptedModel(hello);
  let refusals = 1;
  return {
    model: () => model,
    instead: ({ url }) =>
      url.endsWith("/v1/chat/completions") && refusals-- > 0
        ? Response.json({ error: { message: "Too many" } }, { status: 429, headers: { "retry-after": "2" } })
        : null,
  };
}, async ({ page }) => {
  await send(page, "Hi");
  await page.getByText("The server is busy with other requests.").first().waitFor();
  assert.equal(await page.getByRole("button", { name: /Try again in \d s/ }).isDisabled(), true);
  await page.getByRole("button", { name: "Try again", exact: true }).click();
  assert.equal(await lastAnswer(page), "Hello");
});

pageTest("a conversation that is too long for the model offers a new one", () => {
  const error = new RequestError("Cannot answer a prompt of 9000 tokens: the context holds 8192", "messages");
  const model = new ScriptedModel(failing(error));
  return { model: () => model };
}, async ({ page }) => {
  await send(page, "Hi");
  await page.getByText("longer than the model can read").first().waitFor();
  await page.locator(".failure").getByRole("button", { name: "New conversation" }).click();
  await page.getByText("What would you like").waitFor();
});

pageTest("an answer that breaks off keeps what has come", () => {
  const model = new ScriptedModel([content("half "), ...failing(new Error("device lost"))]);
  return { model: () => model };
}, async ({ page }) => {
  await send(page, "Hi");
  await page.getByText("The server failed to answer this request").first().waitFor();
  assert.equal(await lastAnswer(page), "half");
  await page.getByRole("button", { name: "Try again" }).waitFor();
});

pageTest("a server that is gone is said to be, and waited for", () => {
  const model = new ScriptedModel(hello);
  return { model: () => model };
}, async ({ page, server }) => {
  await page.getByText("nano", { exact: true }).waitFor();
  await server.shutdown();
  await send(page, "Hi");
  await page.locator(".failure", { hasText: "The server does not answer." }).waitFor();
  await page.getByText("Trying again every two seconds").waitFor();
});

pageTest("a model that has stopped is said to have", () => {
  const model = new ScriptedModel(hello);
  model.failure = new Error("device lost");
  return { model: () => model };
}, async ({ page }) => {
  await page.getByText("The model has stopped.").waitFor();
});

pageTest("a model that is being loaded is waited for", () => {
  const model = new ScriptedModel(hello);
  let questions = 0;
  return { model: () => ++questions > 2 ? model : null };
}, async ({ page }) => {
  await page.getByText("The model is still being loaded.").waitFor();
  await page.getByText("The model is still being loaded.").waitFor({ state: "detached" });
  await send(page, "Hi");
  assert.equal(await lastAnswer(page), "Hello");
});
