/** The page with the embedded model: from the keyboard to the kernels and back. */
import assert from "node:assert/strict";
import { type Chat, load } from "../../src/mod.ts";
import { lastAnswer, messageBox, pageTest, send } from "./browser.ts";

let chat: Chat | null = null;

pageTest("ring-nano adds on the page, thinking first, and is stopped there", () => {
  load({ backend: "wasm" }).then((loaded) => chat = loaded);
  return { model: () => chat };
}, async ({ page }) => {
  try {
    await page.getByText("What would you like to ask nano?").waitFor({ timeout: 60_000 });
    await page.getByText("The model is still being loaded.").waitFor({ state: "detached", timeout: 60_000 });
    await send(page, "Add 4867 and 2759");
    assert.equal(await lastAnswer(page), "4867 + 2759 = 7626");
    await page.locator("summary").click();
    assert.ok((await page.locator(".thought .markdown").innerText()).length > 50);
    assert.match(await page.locator(".usage").innerText(), /^\d+ tokens · [\d.,]+ tok\/s · prompt \d+/);
    await page.reload();
    assert.equal(await lastAnswer(page), "4867 + 2759 = 7626");
    await send(page, "Tell me a long story.");
    await page.locator(".answer").nth(1).locator(".usage").waitFor();
    await messageBox(page).press("Escape");
    await page.locator(".answer").nth(1).and(page.locator("[aria-busy=false]")).waitFor();
  } finally {
    await chat?.[Symbol.asyncDispose]();
  }
});
