/** A conversation on the page: sent, streamed, stopped, asked again, edited. */
import assert from "node:assert/strict";
import type { ChatRequest, Delta } from "../../src/chat/messages.ts";
import { content, finish, forever, type Script, ScriptedModel } from "../server/scripted_model.ts";
import { answers, lastAnswer, messageBox, pageTest, send } from "./browser.ts";

const echo = () => new ScriptedModel((question) => [content(`You said **${question}**.`), finish]);

let model = echo();
const scripted = (script: Script | ((question: string) => Script)) => () => {
  model = new ScriptedModel(script);
  return { model: () => model };
};

/** Comes when it is let. */
function held(delta: Delta): { part: () => Promise<Delta>; release: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { part: () => promise.then(() => delta), release: resolve };
}

{
  const later = held(content("and **bold**"));
  pageTest(
    "an answer streams: what has come is shown, as Markdown, before the rest is there",
    scripted([{ type: "reasoning", text: "Let me *see*" }, content("plain "), later.part, finish]),
    async ({ page }) => {
      await send(page, "Hi");
      await page.getByText("plain").waitFor();
      assert.equal(await answers(page).getAttribute("aria-busy"), "true");
      assert.equal(await page.locator(".answer strong").count(), 0);
      later.release();
      assert.equal(await lastAnswer(page), "plain and bold");
      assert.equal(await page.locator(".answer strong").innerText(), "bold");
      assert.match(await page.locator(".usage").innerText(), /^3 tokens.*prompt 7$/);
      assert.equal(await messageBox(page).inputValue(), "");
    },
  );
}

pageTest(
  "a thought is folded, and unfolds",
  scripted([{ type: "reasoning", text: "Let me *see*" }, content("Yes"), finish]),
  async ({ page }) => {
    await send(page, "Hi");
    await lastAnswer(page);
    assert.equal(await page.getByText("Let me").count(), 0);
    await page.locator("summary").click();
    assert.equal(await page.locator(".thought em").innerText(), "see");
  },
);

pageTest(
  "while the model thinks, the page says so",
  scripted([{ type: "reasoning", text: "hm" }, forever]),
  async ({ page }) => {
    await send(page, "Hi");
    await page.locator("summary", { hasText: "Thinking" }).waitFor();
  },
);

for (const [how, stop] of [["Escape", "key"], ["the button", "button"]] as const) {
  pageTest(
    `${how} stops an answer on the server too, and keeps what has come`,
    scripted([content("half "), forever]),
    async ({ page }) => {
      await send(page, "Hi");
      await page.getByText("half").waitFor();
      if (stop === "key") await page.keyboard.press("Escape");
      else await page.getByRole("button", { name: "Stop" }).click();
      await page.getByText("Stopped.", { exact: true }).first().waitFor();
      assert.equal(await lastAnswer(page), "half");
      for (let tries = 0; model.running > 0 && tries < 100; tries++) await new Promise((go) => setTimeout(go, 20));
      assert.equal(model.running, 0);
      assert.equal(await page.getByRole("button", { name: "Send" }).count(), 1);
    },
  );
}

pageTest("an answer can be had again", () => {
  let times = 0;
  return scripted(() => [content(`answer ${++times}`), finish])();
}, async ({ page }) => {
  await send(page, "Hi");
  assert.equal(await lastAnswer(page), "answer 1");
  await page.getByRole("button", { name: "Answer again" }).click();
  await page.getByText("answer 2").first().waitFor();
  assert.equal(await answers(page).count(), 1);
  const [first, second] = model.requests as ChatRequest[];
  assert.deepEqual(second!.messages, first!.messages);
});

pageTest("an edited message replaces what followed it", scripted(echo().script), async ({ page }) => {
  await send(page, "one");
  await lastAnswer(page);
  await send(page, "two");
  await page.getByText("You said two.").first().waitFor();
  await page.getByRole("button", { name: "Edit message" }).first().click();
  const editor = page.locator(".editor textarea");
  assert.equal(await editor.inputValue(), "one");
  await editor.fill("uno");
  await editor.press("Enter");
  await page.getByText("You said uno.").first().waitFor();
  assert.equal(await answers(page).count(), 1);
  assert.deepEqual((model.requests.at(-1) as ChatRequest).messages, [{ role: "user", content: "uno" }]);
});

pageTest("the whole conversation is sent, without its thoughts", () => {
  return scripted([{ type: "reasoning", text: "hm" }, content("yes"), finish])();
}, async ({ page }) => {
  await send(page, "one");
  await lastAnswer(page);
  await send(page, "two");
  await page.locator(".answer[aria-busy=false]").nth(1).waitFor();
  assert.deepEqual((model.requests.at(-1) as ChatRequest).messages, [
    { role: "user", content: "one" },
    { role: "assistant", content: "yes" },
    { role: "user", content: "two" },
  ]);
});

pageTest(
  "nothing of an answer's runs or is fetched: HTML is text, images are links, other links than of the web are none",
  scripted([
    content(`<img src=x onerror=alert(1)> <script>alert(2)</script>\n\n`),
    content(
      `![pixel](https://example.com/a.png) [bad](javascript:alert) [data](data:text/html,x) [good](https://e.org/)`,
    ),
    content(` [mail](mailto:a@e.org) [here](/v1/models)\n`),
    finish,
  ]),
  async ({ page }) => {
    await send(page, "Hi");
    assert.match(await lastAnswer(page), /^<img src=x onerror=alert\(1\)> <script>alert\(2\)<\/script>/);
    assert.equal(await page.locator(".answer :is(img, script)").count(), 0);
    const links = await page.evaluate(
      "[...document.querySelectorAll('.answer a')].map((a) => [a.innerText, a.getAttribute('href')])",
    );
    assert.deepEqual(links, [
      ["pixel", "https://example.com/a.png"],
      ["bad", null],
      ["data", null],
      ["good", "https://e.org/"],
      ["mail", "mailto:a@e.org"],
      ["here", null],
    ]);
    assert.equal(await page.getByRole("link", { name: "good" }).getAttribute("rel"), "noopener noreferrer nofollow");
  },
);

pageTest(
  "messages and code can be copied",
  scripted([content("Look:\n\n```ts\nconst a = 1;\n```\n"), finish]),
  async ({ page }) => {
    const copied = () => page.evaluate<string>("navigator.clipboard.readText()");
    await send(page, "Hi there");
    await lastAnswer(page);
    assert.equal(await page.locator(".code-language").innerText(), "ts");
    await page.getByRole("button", { name: "Copy code" }).click();
    await page.getByText("Copied").waitFor();
    assert.equal(await copied(), "const a = 1;");
    await page.getByRole("button", { name: "Copy answer" }).click();
    await page.getByRole("button", { name: "Copied" }).waitFor();
    assert.equal(await copied(), "Look:\n\n```ts\nconst a = 1;\n```\n");
    await page.getByRole("button", { name: "Copy message" }).click();
    await page.getByRole("button", { name: "Copied" }).nth(1).waitFor();
    assert.equal(await copied(), "Hi there");
  },
);

pageTest("Shift and Enter break the line", scripted(echo().script), async ({ page }) => {
  await messageBox(page).pressSequentially("one");
  await page.keyboard.press("Shift+Enter");
  await page.keyboard.type("two");
  await page.keyboard.press("Enter");
  await lastAnswer(page);
  assert.deepEqual((model.requests[0] as ChatRequest).messages, [{ role: "user", content: "one\ntwo" }]);
});

{
  const usage = { prompt_tokens: 1200, completion_tokens: 3, prompt_tokens_details: { cached_tokens: 1100 } };
  const chunks = [{ choices: [{ delta: { content: "Hello" }, finish_reason: "length" }] }, { choices: [], usage }];
  const events = `: keep-alive\n\n${
    chunks.map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`).join("")
  }data: [DONE]\n\n`;
  pageTest("what was cached is shown, and that an answer reached its limit", () => ({
    model: () => model,
    instead: ({ method }) => method === "POST" ? new Response(events) : null,
  }), async ({ page }) => {
    await send(page, "Hi");
    assert.equal(await lastAnswer(page), "Hello");
    assert.equal(await page.locator(".usage").innerText(), "3 tokens · prompt 1,200 (1,100 cached)");
    assert.equal(await page.locator(".ending").innerText(), "The answer reached the limit of tokens.");
  });
}
