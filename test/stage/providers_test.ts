/** The table of providers: who fails is left out with the reason, it is remembered whole, and for one state of the computer only. */
import { strict as assert } from "node:assert";
import type { Computer, Figures } from "../../src/stage/probe.ts";
import { measureProviders, recallProviders } from "../../src/stage/providers.ts";

const figures = (computer: Computer, hardware = false): Figures => ({
  ...{ device: "a GPU", identity: `${computer}: a GPU`, hardware, features: ["f16"] },
  ...{ roundTripMillis: 1, recordMicros: 2, dispatchMicros: 3, bandwidth: 4e9, flops: 5e9, matrixFlops: null },
});

async function inFolder(test: (file: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await test(`${folder}/devices.json`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function measure(file: string | null, probe: (computer: Computer, threads: number) => Promise<Figures>) {
  return measureProviders({ file, version: "1.0.0", threads: 2, onMeasure: () => {}, probe });
}

Deno.test("measureProviders() measures WASM where no GPU is more than the CPU, and each once", async () => {
  const asked: Computer[] = [], measured: Computer[] = [];
  const probe = (computer: Computer, threads: number) => {
    measured.push(computer);
    assert.equal(threads, 2);
    return Promise.resolve(figures(computer));
  };
  const onMeasure = (computer: Computer) => void asked.push(computer);
  const { rows } = await measureProviders({ file: null, version: "1.0.0", threads: 2, onMeasure, probe });
  assert.deepEqual(measured, asked);
  assert.equal(measured[0], "deno");
  assert.deepEqual(rows.map(({ computer }) => computer), ["deno", "wgpu-native", "dawn", "wasm"]);
  const hardware = await measure(null, (computer) => Promise.resolve(figures(computer, true)));
  assert.ok(!hardware.rows.some(({ computer }) => computer === "wasm"));
});

Deno.test("measureProviders() goes on where one fails, and keeps the reason", async () => {
  const probe = (computer: Computer) =>
    computer === "deno" ? Promise.reject(new Error("it broke")) : Promise.resolve(figures(computer));
  const { rows } = await measure(null, probe);
  assert.deepEqual(rows[0], { computer: "deno", figures: null, error: "it broke" });
  assert.deepEqual(rows.at(-1), { computer: "wasm", figures: figures("wasm"), error: null });
});

Deno.test("a table is remembered for one version, as it was measured", async () => {
  await inFolder(async (file) => {
    assert.equal(await recallProviders(file, "1.0.0"), null);
    const table = await measure(file, (computer) => Promise.resolve(figures(computer)));
    assert.deepEqual(await recallProviders(file, "1.0.0"), table);
    assert.equal(await recallProviders(file, "1.0.1"), null);
    const again = await measure(file, (computer) => Promise.resolve({ ...figures(computer), bandwidth: 7 }));
    assert.deepEqual(await recallProviders(file, "1.0.0"), again);
    assert.equal(await recallProviders(null, "1.0.0"), null);
  });
});

Deno.test("a table in which nobody has figures is not remembered", async () => {
  await inFolder(async (file) => {
    const table = await measure(file, () => Promise.reject(new Error("not today")));
    assert.ok(table.rows.every(({ figures }) => figures === null));
    assert.equal(await recallProviders(file, "1.0.0"), null);
  });
});

Deno.test("a measurement that is stopped rejects, and nothing is remembered", async () => {
  await inFolder(async (file) => {
    const stopping = new AbortController();
    const probe = (computer: Computer) => {
      if (computer === "deno") return Promise.resolve(figures(computer));
      stopping.abort(new Error("stopped"));
      return Promise.reject(new Error("its process ended"));
    };
    const { signal } = stopping;
    const measured = measureProviders({ file, version: "1.0.0", threads: 2, onMeasure: () => {}, probe, signal });
    await assert.rejects(measured, { message: "stopped" });
    assert.equal(await recallProviders(file, "1.0.0"), null);
  });
});

Deno.test("a broken table is none, and is written anew", async () => {
  await inFolder(async (file) => {
    const probe = (computer: Computer) => Promise.resolve(figures(computer));
    const table = await measure(file, probe);
    const whole = JSON.parse(await Deno.readTextFile(file));
    const [good] = table.rows;
    const tables = [
      ...[null, 7, [], {}, { measured: 1, rows: [] }, { measured: "now", rows: {} }],
      ...[null, {}, { ...good, computer: "cuda" }, { ...good, figures: {} }, { ...good, figures: null }]
        .map((row) => ({ measured: "now", rows: [good, row] })),
    ];
    for (const broken of tables) {
      whole.providers.choices.figures = broken;
      await Deno.writeTextFile(file, JSON.stringify(whole));
      assert.equal(await recallProviders(file, "1.0.0"), null, JSON.stringify(broken));
    }
    const again = await measure(file, probe);
    assert.deepEqual(await recallProviders(file, "1.0.0"), again);
  });
});

Deno.test("where the file cannot be written it is measured again, without an error", async () => {
  await inFolder(async (file) => {
    await Deno.mkdir(file);
    const { rows } = await measure(file, (computer) => Promise.resolve(figures(computer)));
    assert.ok(rows.length > 0);
    assert.equal(await recallProviders(file, "1.0.0"), null);
  });
});
