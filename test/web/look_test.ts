/** How the page looks and is used without a mouse: colours, a phone's width, accessibility. */
import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { content, finish, forever, type Script, ScriptedModel } from "../server/scripted_model.ts";
import { complaints } from "./axe.ts";
import { lastAnswer, pageTest, send } from "./browser.ts";

const text = `## Title

A *long* answer. With [a link](https://example.com/), \`code\` and

\`\`\`ts
const wide = "${"x".repeat(200)}";
\`\`\`

| ${"column | ".repeat(12)}
| ${"--- | ".repeat(12)}
| ${"value | ".repeat(12)}

- [x] done
`;
const script: Script = [{ type: "reasoning", text: "hm" }, content(text), finish];
const phone = { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true };

const serving = (browser = {}, said = script) => () => {
  const model = new ScriptedModel(said);
  return { model: () => model, browser };
};

/** Between 0, black, and 1, white. */
async function brightness(page: Page): Promise<number> {
  const colour = await page.evaluate<string>("getComputedStyle(document.body).backgroundColor");
  const channels = colour.match(/[\d.]+/g)!.slice(0, 3).map(Number);
  return channels.reduce((sum, channel) => sum + channel, 0) / 3 / 255;
}

for (const colorScheme of ["light", "dark"] as const) {
  for (const [device, size] of [["a desk", {}], ["a phone", phone]] as const) {
    pageTest(
      `axe finds nothing serious in ${colorScheme} on ${device}`,
      serving({ colorScheme, ...size }),
      async ({ page }) => {
        await page.getByText("What would you like to ask nano?").waitFor();
        assert.deepEqual(await complaints(page), [], "empty");
        await send(page, "Hi");
        await lastAnswer(page);
        await page.locator("summary").click();
        assert.deepEqual(await complaints(page), [], "a conversation");
        await page.getByRole("button", { name: "Edit message" }).click();
        if (device === "a phone") await page.getByRole("button", { name: "Show conversations" }).click();
        assert.deepEqual(await complaints(page), [], "the list, and editing");
        await page.getByRole("button", { name: "Settings" }).click();
        await page.getByLabel("Temperature").fill("9");
        assert.deepEqual(await complaints(page), [], "settings");
      },
    );
  }
}

pageTest(
  "axe finds nothing serious where something went wrong",
  () => ({ model: () => null, apiKeys: ["secret"] }),
  async ({ page }) => {
    await page.getByText("This server asks for an API key.").waitFor();
    await send(page, "Hi");
    await page.locator(".failure").waitFor();
    await page.getByRole("button", { name: /Delete/ }).click();
    await page.locator(".toast").waitFor();
    assert.deepEqual(await complaints(page), []);
  },
);

pageTest(
  "colours follow the system until they are chosen, and the choice is kept",
  serving({ colorScheme: "dark" }),
  async ({ page }) => {
    const until = async (light: boolean) => {
      for (let tries = 0; (await brightness(page) > 0.5) !== light && tries < 50; tries++) {
        await page.waitForTimeout(
          20,
        );
      }
      assert.equal(await brightness(page) > 0.5, light);
    };
    await until(false);
    await page.emulateMedia({ colorScheme: "light" });
    await until(true);
    await page.getByRole("radio", { name: "Dark colours" }).check();
    await until(false);
    await page.reload();
    await until(false);
    await page.getByRole("radio", { name: "Light colours" }).check();
    await page.emulateMedia({ colorScheme: "dark" });
    await until(true);
  },
);

pageTest(
  "on a phone nothing is wider than the screen, and the list of conversations comes over it",
  serving(phone),
  async ({ page }) => {
    await send(page, "a".repeat(300));
    await lastAnswer(page);
    const overflow = () => page.locator(".messages").evaluate((room) => room.scrollWidth - room.clientWidth);
    assert.ok(await overflow() <= 0, `${await overflow()} pixels too wide`);
    assert.equal(await page.evaluate("document.documentElement.scrollWidth"), 360);
    assert.equal(await page.locator("#sidebar").isVisible(), false);
    await page.getByRole("button", { name: "Show conversations" }).tap();
    await page.locator("#sidebar").waitFor();
    await page.locator("#sidebar").getByRole("button", { name: "New conversation" }).tap();
    await page.locator("#sidebar").waitFor({ state: "hidden" });
    await page.getByText("What would you like").waitFor();
  },
);

pageTest(
  "the keyboard reaches everything: the way to the message box first, then lists, then messages",
  serving(),
  async ({ page }) => {
    await send(page, "Hi");
    await lastAnswer(page);
    const focused = "document.activeElement.getAttribute('aria-label') ?? document.activeElement.innerText";
    const stops: string[] = [];
    await page.evaluate("document.querySelector('.skip').focus()");
    for (let tabs = 0; stops.at(-1) !== "Message" && tabs < 40; tabs++) {
      stops.push((await page.evaluate<string>(focused)).trim());
      await page.keyboard.press("Tab");
    }
    const order = [
      "Skip to the message box",
      "New conversation",
      "Hi",
      "Delete “Hi”",
      "Settings",
      "Hide conversations",
      "Thought",
      "Copy code",
      "Message",
    ];
    assert.deepEqual(stops.filter((stop) => order.includes(stop)), order);
    for (const name of ["Copy message", "Edit message", "Copy answer", "Answer again", "a link"]) {
      assert.ok(stops.includes(name), `${name} is not among ${stops.join(", ")}`);
    }
  },
);

pageTest(
  "a screen reader hears whole sentences as they come, and the end",
  serving({}, [{ type: "reasoning", text: "hm" }, content("One **thing**. Another"), content(" one."), finish]),
  async ({ page }) => {
    await send(page, "Hi");
    await lastAnswer(page);
    const log = page.getByRole("log");
    assert.equal(await log.getAttribute("aria-live"), "polite");
    const heard = (await log.locator("p").allInnerTexts()).join(" ");
    assert.match(heard, /^(Thinking )?One thing\. Another one\. The answer is complete\.$/);
  },
);

pageTest(
  "nothing moves where motion is not wanted",
  serving({ reducedMotion: "reduce" }, [forever]),
  async ({ page }) => {
    await send(page, "Hi");
    await page.locator(".waiting").waitFor();
    assert.equal(await page.evaluate("getComputedStyle(document.querySelector('.waiting')).animationName"), "none");
  },
);

{
  const text = "word ".repeat(100) + "\n\n";
  const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()] as const;
  const script: Script = [
    content(text.repeat(10)),
    () => gates[0].promise.then(() => content(text.repeat(10))),
    () => gates[1].promise.then(() => content("The end.\n\n")),
    finish,
  ];
  pageTest("the room follows an answer until one scrolls away from its end", serving({}, script), async ({ page }) => {
    const room = page.locator(".messages");
    const fromEnd = () => room.evaluate((room) => room.scrollHeight - room.scrollTop - room.clientHeight);
    const paragraphs = (count: number) => page.locator(".answer .markdown p").nth(count - 1).waitFor();
    await send(page, "Hi");
    await paragraphs(10);
    assert.ok(await fromEnd() < 2, `${await fromEnd()} pixels from the end`);
    await room.evaluate((room) => room.scrollTo(0, 0));
    await page.getByRole("button", { name: "Go to the end" }).waitFor();
    gates[0].resolve();
    await paragraphs(20);
    assert.equal(await room.evaluate((room) => room.scrollTop), 0);
    await page.getByRole("button", { name: "Go to the end" }).click();
    gates[1].resolve();
    assert.match(await lastAnswer(page), /The end\.$/);
    assert.ok(await fromEnd() < 2, `${await fromEnd()} pixels from the end`);
  });
}
