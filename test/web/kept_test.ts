/** What the browser keeps: conversations and settings. */
import assert from "node:assert/strict";
import type { ChatRequest } from "../../src/chat/messages.ts";
import { content, finish, forever, ScriptedModel } from "../server/scripted_model.ts";
import { answers, lastAnswer, messageBox, pageTest, send } from "./browser.ts";

let model: ScriptedModel;
const echoing = () => {
  model = new ScriptedModel((question) => [content(`You said ${question}.`), finish]);
  return { model: () => model };
};

pageTest("conversations outlast a reload, the open one first", echoing, async ({ page }) => {
  const list = page.locator(".conversation-open");
  await send(page, "first");
  await lastAnswer(page);
  await page.getByRole("button", { name: "New conversation" }).first().click();
  await page.getByText("What would you like").waitFor(); // with the next frame
  assert.equal(await answers(page).count(), 0);
  await send(page, "second");
  await lastAnswer(page);
  assert.deepEqual(await list.allInnerTexts(), ["second", "first"]);
  await page.reload();
  assert.equal(await lastAnswer(page), "You said second.");
  assert.deepEqual(await list.allInnerTexts(), ["second", "first"]);
  await page.getByRole("button", { name: "first", exact: true }).click();
  await page.getByText("You said first.").first().waitFor(); // the page draws it with the next frame
  await page.goBack();
  await page.getByText("You said second.").first().waitFor();
});

pageTest("a reload in the middle of an answer keeps what has come of it", () => {
  model = new ScriptedModel([content("half "), forever]);
  return { model: () => model };
}, async ({ page }) => {
  await send(page, "Hi");
  await page.getByText("half").waitFor();
  await page.reload();
  assert.equal(await lastAnswer(page), "half");
  await page.locator(".ending", { hasText: "Stopped." }).waitFor();
});

pageTest("a deleted conversation is gone, unless it is taken back", echoing, async ({ page }) => {
  await send(page, "first");
  await lastAnswer(page);
  const remove = page.getByRole("button", { name: "Delete “first”" });
  await remove.click();
  await page.getByRole("button", { name: "Undo" }).click();
  assert.equal(await lastAnswer(page), "You said first.");
  await remove.click();
  await page.getByText("What would you like").waitFor();
  await page.reload();
  await page.getByText("What would you like").waitFor();
  assert.equal(await page.locator(".conversation").count(), 0);
});

pageTest("a conversation can be deleted while it is being answered", () => {
  model = new ScriptedModel([content("half "), forever]);
  return { model: () => model };
}, async ({ page }) => {
  await send(page, "first");
  await page.getByText("half").waitFor();
  await page.getByRole("button", { name: "Delete “first”" }).click();
  await page.getByText("What would you like").waitFor();
  await page.getByRole("button", { name: "Undo" }).click();
  assert.equal(await lastAnswer(page), "half");
  assert.equal(model.running, 0);
});

pageTest("settings are part of the next request, also after a reload", echoing, async ({ page }) => {
  await page.getByRole("button", { name: "Settings" }).click();
  await page.getByLabel("System prompt").fill("Be brief");
  await page.getByLabel("Temperature").fill("0.7");
  await page.getByLabel("Top-p").fill("0.9");
  await page.getByLabel("Answer, tokens at most").fill("50");
  await page.getByLabel("Thought, tokens at most").fill("20");
  await page.getByRole("button", { name: "Done" }).click();
  await page.reload();
  await send(page, "Hi");
  await lastAnswer(page);
  const { messages, sampling, maxTokens, thinking, thinkBudget } = model.requests[0] as ChatRequest;
  assert.deepEqual(messages, [{ role: "system", content: "Be brief" }, { role: "user", content: "Hi" }]);
  assert.deepEqual([sampling, maxTokens], [{ temperature: 0.7, topP: 0.9 }, 50]);
  assert.deepEqual([thinking, thinkBudget], [true, 20]);
});

pageTest("thinking can be switched off", echoing, async ({ page }) => {
  await page.getByRole("button", { name: "Think first", pressed: true }).click();
  await page.getByRole("button", { name: "Think first", pressed: false }).waitFor();
  await send(page, "Hi");
  await lastAnswer(page);
  assert.equal((model.requests[0] as ChatRequest).thinking, false);
});

pageTest("a number that the server would refuse is not taken", echoing, async ({ page }) => {
  await page.getByRole("button", { name: "Settings" }).click();
  await page.getByLabel("Temperature").fill("9");
  await page.getByText("A number from 0 to 2").waitFor();
  await page.keyboard.press("Escape");
  await send(page, "Hi");
  await lastAnswer(page);
  assert.deepEqual((model.requests[0] as ChatRequest).sampling, {});
});

pageTest("another tab's conversations appear", echoing, async ({ page }) => {
  const other = await page.context().newPage();
  await other.goto(page.url());
  await send(other, "from there");
  await lastAnswer(other);
  await page.locator(".conversation-open", { hasText: "from there" }).waitFor();
  assert.equal(await messageBox(page).inputValue(), "");
});
