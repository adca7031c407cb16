import assert from "node:assert/strict";
import { createApp } from "../../src/server/app.ts";

const app = createApp({ name: "nano", model: () => null });

for (const path of ["/", "/docs"]) {
  Deno.test(`GET ${path} is a page, under a policy that lets it load and ask this server only`, async () => {
    const response = await app.request(path);
    assert.equal(response.status, 200);
    assert.equal(response.headers.get("content-type"), "text/html; charset=utf-8");
    const policy = response.headers.get("content-security-policy")!.split("; ");
    assert.ok(policy.includes("default-src 'none'") && policy.includes("script-src 'self'"), policy.join());
    assert.ok(!policy.join().includes("unsafe"));
    assert.doesNotMatch(await response.text(), /<script(?![^>]* src="\/assets\/)|<style|style=|https?:/);
  });

  Deno.test(`every file that ${path} names is there`, async () => {
    const page = await (await app.request(path)).text();
    const named = [...page.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, path]) => path!);
    assert.equal(named.length, 3);
    for (const path of named) {
      const response = await app.request(path);
      assert.equal(response.status, 200, path);
      assert.ok((await response.text()).length > 100, path);
    }
  });
}

Deno.test("a browser that has a file is told that it has not changed", async () => {
  const first = await app.request("/assets/page.js");
  assert.equal(first.headers.get("cache-control"), "no-cache");
  const again = await app.request("/assets/page.js", { headers: { "if-none-match": first.headers.get("etag")! } });
  assert.equal(again.status, 304);
  assert.equal(again.headers.get("content-security-policy"), first.headers.get("content-security-policy"));
  assert.equal(await again.text(), "");
});

Deno.test("other paths are still unknown, and say so as JSON", async () => {
  for (const path of ["/assets", "/assets/other.js", "/index.html"]) {
    const response = await app.request(path);
    assert.equal(response.status, 404, path);
    assert.equal((await response.json()).error.code, "unknown_url");
  }
  assert.equal((await app.request("/", { method: "POST" })).status, 405);
});
