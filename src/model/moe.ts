/** The MLP of one layer (spec c.9, c.10): dense, or routed experts beside a shared one. */
import type { Norm, Ops, Router } from "../backend/backend.ts";
import type { Weight } from "../backend/tensor.ts";
import type { Activations } from "./activations.ts";
import { isMoeLayer } from "./config.ts";
import type { Stack } from "./loader.ts";
import type { Weights } from "./weights.ts";

/** SwiGLU: down(silu(gate(x)) ⊙ up(x)). One matrix each, or one for every expert. */
export interface SwiGlu {
  readonly gate: Weight;
  readonly up: Weight;
  readonly down: Weight;
}

/** One layer's MLP behind its norm. */
export type Mlp =
  | { readonly kind: "dense"; readonly norm: Norm; readonly dense: SwiGlu }
  | {
    readonly kind: "experts";
    readonly norm: Norm;
    readonly map: Weight;
    readonly router: Router;
    readonly experts: SwiGlu;
    readonly shared: SwiGlu | null;
  };

/** The name of a part's matrix, or those of every expert's. */
type Names = (part: "gate_proj" | "up_proj" | "down_proj") => Stack["names"];

/** One kernel reads gate and up side by side, so they must be alike. */
async function loadSwiGlu(loader: Weights, prefix: string, names: Names): Promise<SwiGlu> {
  const stack = (part: Parameters<Names>[0]) => ({ label: `${prefix}.${part}`, names: names(part) });
  const [gate, up] = await loader.alike([stack("gate_proj"), stack("up_proj")]);
  const [down] = await loader.alike([stack("down_proj")]);
  return { gate: gate!, up: up!, down: down! };
}

/** Loads the MLP of layer `layer`. */
export async function loadMlp(loader: Weights, layer: number): Promise<Mlp> {
  const { config } = loader;
  const prefix = `model.layers.${layer}.mlp`;
  const one = (name: string) => loadSwiGlu(loader, name, (part) => `${name}.${part}.weight`);
  const norm = await loader.norm(`model.layers.${layer}.post_attention_layernorm.weight`);
  if (!isMoeLayer(config, layer)) return { kind: "dense", norm, dense: await one(prefix) };
  const experts = await loadSwiGlu(
    loader,
    `${prefix}.experts`,
    (part) => Array.from({ length: config.experts }, (_, e) => `${prefix}.experts.${e}.${part}.weight`),
  );
  return {
    kind: "experts",
    norm,
    map: await loader.matrix(`${prefix}.gate.weight`),
    router: {
      score: config.scoreFunction,
      groups: config.groups,
      groupsKept: config.groupsKept,
      perToken: config.expertsPerToken,
      normalize: config.normTopK,
      scale: config.routedScale,
      bias: config.expertBias ? await loader.vector(`${prefix}.gate.expert_bias`) : null,
    },
    experts,
    shared: config.sharedExperts > 0 ? await one(`${prefix}.shared_experts`) : null,
  };
}

/** hidden += mlp(norm(hidden)). Everything that reads the norm comes before what changes hidden. */
export function recordMlp(ops: Ops, layer: Mlp, { hidden, dense, shared, routing, experts }: Activations): void {
  if (layer.kind === "dense") {
    ops.gateUp(dense, hidden, layer.norm, layer.dense.gate, layer.dense.up);
    ops.projectAdd(hidden, dense, { weight: layer.dense.down, bias: null });
    return;
  }
  ops.route(routing, hidden, layer.norm, layer.map, layer.router);
  const { gate, up, down } = layer.experts;
  const beside = layer.shared && { ...layer.shared, out: shared, x: shared };
  ops.expertsGateUp(experts, hidden, layer.norm, routing, gate, up, beside);
  ops.expertsDownAdd(hidden, experts, routing, down, beside);
}
