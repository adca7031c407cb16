/** Tiny checkpoints of every variant of the architecture, with logits by the float64 reference program. */
import { fileURLToPath } from "node:url";
import type { DecayConvention } from "../../src/pipeline/messages.ts";

export const DECAYS: readonly DecayConvention[] = ["serving", "hf", "mlx"];

/** The reference program's variants, each with what makes it small enough to be committed. */
const VARIANTS: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  base: {},
  yarn: {},
  flash: { num_hidden_layers: 8, num_attention_heads: 8, num_key_value_heads: 2 },
  nogroup: {},
  tied: {},
  "odd-heads": { num_hidden_layers: 7, head_dim: 12 },
  // Blocks of 128 with a ragged edge.
  fp8: { hidden_size: 136, moe_intermediate_size: 132, moe_shared_expert_intermediate_size: 132, num_experts: 4 },
};

const SMALL = {
  hidden_size: 48,
  intermediate_size: 64,
  vocab_size: 96,
  eos_token_id: 94,
  pad_token_id: 94,
  num_hidden_layers: 6,
  layer_group_size: 3,
  head_dim: 8,
  num_experts: 8,
  n_group: 2,
  topk_group: 1,
  num_experts_per_tok: 2,
  moe_intermediate_size: 16,
  moe_shared_expert_intermediate_size: 16,
};

export const VARIANT_NAMES: readonly string[] = Object.keys(VARIANTS);

/** A checkpoint's folder and what the reference makes of some tokens. */
export interface Tiny {
  readonly folder: string;
  readonly tokens: Uint32Array;
  /** [T, V] */
  readonly logits: (decay: DecayConvention) => Promise<Float32Array>;
}

const REFERENCE = fileURLToPath(new URL("../reference/ring_ref.py", import.meta.url));
const DATA = fileURLToPath(new URL("../data/tiny", import.meta.url));

// Debian's own, which has its numpy, before whatever else is called python3.
const PYTHONS = ["/usr/bin/python3", "python3"];

async function run(command: string, args: readonly string[]): Promise<{ success: boolean; stderr: string }> {
  try {
    const { success, stderr } = await new Deno.Command(command, { args: [...args] }).output();
    return { success, stderr: new TextDecoder().decode(stderr) };
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return { success: false, stderr: `${command} is not there` };
  }
}

/** A Python that has numpy, or null. */
export async function findPython(): Promise<string | null> {
  for (const python of PYTHONS) if ((await run(python, ["-c", "import numpy"])).success) return python;
  return null;
}

async function reference(python: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await run(python, [REFERENCE, ...args]);
  if (!success) throw new Error(`ring_ref.py ${args.join(" ")} failed: ${stderr}`);
}

/** Makes a variant in `folder`; `small` as committed, else as the reference program has it. */
export async function makeTiny(
  python: string,
  folder: string,
  variant: string,
  { seed, count, small = false }: { readonly seed: number; readonly count: number; readonly small?: boolean },
): Promise<Tiny> {
  const keys = small ? { ...SMALL, ...(variant === "nogroup" ? { n_group: 1 } : {}), ...VARIANTS[variant] } : {};
  const sets = Object.entries(keys).flatMap(([key, value]) => ["--set", `${key}=${value}`]);
  await reference(python, "make-tiny", folder, "--seed", `${seed}`, "--variant", variant, ...sets);
  const golden = async (decay: DecayConvention) => {
    const out = `${folder}/golden-${decay}.json`;
    await reference(python, "golden", folder, "--tokens", `random:${count}:${seed}`, "--out", out, "--decay", decay);
    const { tokens, logits } = JSON.parse(await Deno.readTextFile(out)) as { tokens: number[]; logits: number[][] };
    await Deno.remove(out);
    return { tokens, logits: Float32Array.from(logits.flat()) };
  };
  const serving = await golden("serving");
  const logits = async (decay: DecayConvention) => (decay === "serving" ? serving : await golden(decay)).logits;
  return { folder, tokens: Uint32Array.from(serving.tokens), logits };
}

/** A committed variant. */
export async function openTiny(variant: string): Promise<Tiny> {
  const folder = `${DATA}/${variant}`;
  const tokens = Uint32Array.from(JSON.parse(await Deno.readTextFile(`${folder}/tokens.json`)) as number[]);
  const logits = async (decay: DecayConvention) =>
    new Float32Array((await Deno.readFile(`${folder}/logits-${decay}.f32`)).buffer);
  return { folder, tokens, logits };
}

// deno run -A test/model/tiny.ts: makes the committed variants again.
if (import.meta.main) {
  const python = await findPython();
  if (python === null) throw new Error("Cannot make checkpoints: no Python with numpy is there");
  for (const [i, variant] of VARIANT_NAMES.entries()) {
    const folder = `${DATA}/${variant}`;
    await Deno.mkdir(folder, { recursive: true });
    const tiny = await makeTiny(python, folder, variant, { seed: 100 + i, count: 70, small: true });
    await Deno.writeTextFile(`${folder}/tokens.json`, JSON.stringify([...tiny.tokens]));
    for (const decay of DECAYS) {
      const logits = await tiny.logits(decay);
      await Deno.writeFile(`${folder}/logits-${decay}.f32`, new Uint8Array(logits.buffer));
    }
  }
}
