/** Checkpoints whose tensors are stored in several types: what is widened must give the logits of the original. */
import { strict as assert } from "node:assert";
import { toF32 } from "../../src/formats/dtype.ts";
import { type Checkpoint, openCheckpoint } from "../../src/formats/safetensors.ts";
import { testOnBackends } from "../backend/backends.ts";
import { folderOf, safetensors, type TinyTensor } from "../formats/tiny_checkpoint.ts";
import { distance, Stages } from "./stages.ts";
import { openTiny } from "./tiny.ts";

/** The tensors of a BF16 checkpoint, those that `widen` picks as F32. */
async function tensors(checkpoint: Checkpoint, widen: (name: string) => boolean): Promise<TinyTensor[]> {
  const all: TinyTensor[] = [];
  for (const { name, dtype, shape } of checkpoint.tensors.values()) {
    const bytes = await checkpoint.read(name);
    const wide = dtype === "BF16" && widen(name);
    const data = wide ? new Uint8Array(toF32("BF16", bytes).buffer) : bytes;
    all.push({ name, dtype: wide ? "F32" : dtype, shape, data });
  }
  return all;
}

testOnBackends("alike() widens stacks and pairs of several types without changing a value", async (backend) => {
  const tiny = await openTiny("base");
  using checkpoint = await openCheckpoint(tiny.folder);
  // One expert of a stack, the gates of all shared experts without their ups, and a few on their own.
  const odd = (name: string) =>
    /experts\.3\.up_proj|shared_experts\.gate_proj|dense|layers\.2\.mlp\.gate\.weight/.test(name);
  await using folder = await folderOf({
    "config.json": await Deno.readTextFile(`${tiny.folder}/config.json`),
    "model.safetensors": safetensors(await tensors(checkpoint, odd)),
  });
  using model = await Stages.open(folder.path, backend.open);
  const far = distance(await model.logits(tiny.tokens, [70]), await tiny.logits("serving"));
  assert.ok(far <= 1e-5, `off by ${far}`);
});
