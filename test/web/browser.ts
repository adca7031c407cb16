/** A headless Chromium on the chat page of a live server. */
import assert from "node:assert/strict";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { type AppOptions, createApp } from "../../src/server/app.ts";
import type { ServedModel } from "../../src/server/served.ts";

const CHROMIUM = "/usr/bin/chromium";

/** Why there is no browser here; empty if there is one. */
const missing = await Deno.stat(CHROMIUM).then(() => "", () => `there is no ${CHROMIUM}`);

/** One for all tests of a file; each has a context of its own. */
let browser: Browser | null = null;
Deno.test.afterAll(() => browser?.close());

export interface Live {
  readonly page: Page;
  readonly server: Deno.HttpServer<Deno.NetAddr>;
}

interface LiveOptions extends Partial<AppOptions> {
  readonly model: () => ServedModel | null;
  readonly browser?: BrowserContextOptions;
  /** Answers in the server's place where it gives something. */
  readonly instead?: (request: Request) => Response | null;
}

/** A test of the page. Afterwards nothing may have gone wrong in it, nor may it have asked another server for anything. */
export function pageTest(name: string, options: () => LiveOptions, run: (live: Live) => Promise<void>): void {
  Deno.test({
    name: missing === "" ? name : `${name} (skipped: ${missing})`,
    ignore: missing !== "",
    // The browser outlives the test.
    sanitizeResources: false,
    sanitizeOps: false,
    fn: () => onPage(options(), run),
  });
}

async function onPage(options: LiveOptions, run: (live: Live) => Promise<void>): Promise<void> {
  const { browser: browserOptions = {}, instead = () => null, ...appOptions } = options;
  const app = createApp({ name: "nano", ...appOptions });
  const answer = (request: Request) => instead(request) ?? app.fetch(request);
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, answer);
  const origin = `http://127.0.0.1:${server.addr.port}`;
  browser ??= await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
  const context = await browser.newContext({ permissions: ["clipboard-read", "clipboard-write"], ...browserOptions });
  try {
    context.setDefaultTimeout(20_000);
    const page = await context.newPage();
    const problems = watch(page, origin);
    await page.goto(`${origin}/`);
    await run({ page, server });
    assert.deepEqual(problems, []);
  } finally {
    await context.close();
    await server.shutdown();
  }
}

/** Collects what must not happen: errors, refusals by the content policy, requests to other servers. */
function watch(page: Page, origin: string): string[] {
  const problems: string[] = [];
  page.on("pageerror", (error) => problems.push(String(error)));
  page.on("console", (message) => {
    // What the server refuses is shown to the person, and Chromium reports it here as well.
    const expected = message.text().startsWith("Failed to load resource");
    if (!expected && ["error", "warning"].includes(message.type())) problems.push(message.text());
  });
  page.on("request", (request) => {
    if (new URL(request.url()).origin !== origin) problems.push(`asked ${request.url()}`);
  });
  return problems;
}

export const messageBox = (page: Page) => page.getByRole("textbox", { name: "Message" });

/** Writes a message and sends it by Enter. */
export async function send(page: Page, text: string): Promise<void> {
  await messageBox(page).fill(text);
  await messageBox(page).press("Enter");
}

export const answers = (page: Page) => page.locator(".answer");

/** The text of the last answer, once it is over. */
export async function lastAnswer(page: Page): Promise<string> {
  const last = answers(page).last();
  await last.and(page.locator("[aria-busy=false]")).waitFor();
  return await last.locator(":scope > .markdown").innerText();
}
