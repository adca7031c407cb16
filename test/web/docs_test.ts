/** The API's page, and what it makes of a schema. */
import assert from "node:assert/strict";
import { bounds, type Document, objectsOf, typeName } from "../../web/docs/openapi.ts";
import { complaints } from "./axe.ts";
import { pageTest } from "./browser.ts";

Deno.test("typeName() is a schema in a word", () => {
  assert.equal(typeName({ type: ["string", "null"] }), "string | null");
  assert.equal(typeName({ type: "array", items: { $ref: "#/components/schemas/Model" } }), "Model[]");
  assert.equal(typeName({ items: { anyOf: [{ type: "string" }, { type: "null" }] } }), "(string | null)[]");
  assert.equal(typeName({ type: "string", enum: ["auto", "none"] }), '"auto" | "none"');
  assert.equal(typeName({}), "any");
});

Deno.test("bounds() says which numbers are right", () => {
  assert.equal(bounds({ minimum: 0, maximum: 2 }), "0 to 2");
  assert.equal(bounds({ minimum: 1 }), "at least 1");
  assert.equal(bounds({ exclusiveMinimum: 0, maximum: 1 }), "more than 0, at most 1");
  assert.equal(bounds({ maximum: 1 }), "at most 1");
  assert.equal(bounds({}), "");
});

Deno.test("objectsOf() finds what a schema holds, also where it holds itself", () => {
  const tree = { type: "object", properties: { children: { items: { $ref: "#/components/schemas/Tree" } } } };
  const loop = { anyOf: [{ $ref: "#/components/schemas/Loop" }] };
  const document: Document = {
    info: { title: "", version: "" },
    paths: {},
    components: { schemas: { Tree: tree, Loop: loop } },
  };
  assert.deepEqual(objectsOf({ items: { $ref: "#/components/schemas/Tree" } }, document), [tree]);
  assert.deepEqual(objectsOf({ $ref: "#/components/schemas/Loop" }, document), []);
});

pageTest("/docs shows every operation, and unfolds what it takes", () => ({ model: () => null }), async ({ page }) => {
  await page.goto(new URL("/docs", page.url()).href);
  const chat = page.locator("details", { hasText: "/v1/chat/completions" });
  await chat.locator("summary").first().click();
  await chat.getByText("temperature", { exact: true }).waitFor();
  await chat.getByLabel("more of messages").first().click();
  await chat.getByText("tool_call_id", { exact: true }).first().waitFor();
  assert.deepEqual(await complaints(page), []);
});
