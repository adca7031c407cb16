/** Dispatches side by side: what a batch's shared expert computes and what its routed ones do need no barrier between them. */
import { strict as assert } from "node:assert";
import type { Ops } from "../../src/backend/backend.ts";
import type { WebGpuPlan } from "../../src/backend/webgpu/plan.ts";
import { WebGpuBackend } from "../../src/backend/webgpu/webgpu_backend.ts";
import { CaseMaker, hiddenStep } from "./case_maker.ts";
import { GPU, testOnGpu } from "../gpu.ts";
import { deviceOf, VARIANTS } from "./webgpu_device.ts";

const [T, H, I, E, K] = [16, 32, 16, 4, 2] as const;
const LAYERS = 3;

/** How the bindings of a layout are used. */
type Uses = readonly { readonly binding: number; readonly writes: boolean }[];

/** What a dispatch uses. */
type Used = ReadonlyMap<GPUBuffer, boolean>;

/** Notes what every bind group of a device uses. */
function watch(device: GPUDevice): (group: GPUBindGroup) => Used {
  const layouts = new Map<GPUBindGroupLayout, Uses>();
  const groups = new Map<GPUBindGroup, Used>();
  const [createLayout, createGroup] = [device.createBindGroupLayout, device.createBindGroup];
  device.createBindGroupLayout = (descriptor) => {
    const layout = createLayout.call(device, descriptor);
    const entries = [...descriptor.entries];
    layouts.set(layout, entries.map(({ binding, buffer }) => ({ binding, writes: buffer?.type === "storage" })));
    return layout;
  };
  device.createBindGroup = (descriptor) => {
    const group = createGroup.call(device, descriptor);
    const uses = new Map(layouts.get(descriptor.layout)!.map(({ binding, writes }) => [binding, writes]));
    const bound = [...descriptor.entries].map(({ binding, resource }) =>
      [(resource as GPUBufferBinding).buffer, uses.get(binding)!] as const
    );
    groups.set(group, new Map(bound));
    return group;
  };
  return (group) => groups.get(group)!;
}

/** The groups of each dispatch of a plan. */
function dispatchesOf(plan: WebGpuPlan, counts: ReturnType<WebGpuPlan["write"]>): GPUBindGroup[][] {
  const all: GPUBindGroup[][] = [];
  let groups: GPUBindGroup[] = [];
  const pass = {
    setPipeline: () => groups = [],
    setBindGroup: (index: number, group: GPUBindGroup) => groups[index] = group,
    dispatchWorkgroups: () => all.push(groups),
  };
  plan.replay(pass as unknown as GPUComputePassEncoder, counts);
  return all;
}

/** Whether each dispatch waits: for a buffer that it uses otherwise than it was used before, or that is written again. */
function waits(dispatches: readonly Used[]): boolean[] {
  const before = new Map<GPUBuffer, boolean>();
  return dispatches.map((used) => {
    const waiting = [...used].some(([buffer, writes]) => before.has(buffer) && (writes || before.get(buffer)!));
    for (const [buffer, writes] of used) before.set(buffer, writes);
    return waiting;
  });
}

const { features, missing } = VARIANTS.find(({ name }) => name === "with subgroups")!;

testOnGpu("routed experts of a batch do not wait for the shared one, in none of its layers", async () => {
  const device = await deviceOf(features);
  const usedBy = watch(device);
  using backend = await WebGpuBackend.open({ gpu: GPU, device });
  const make = new CaseMaker(backend, 1);
  const [hidden, norm, out, shared] = [
    make.empty("hidden", [T, H]),
    make.norm(H),
    make.empty("out", [T, K, I]),
    make.empty("shared", [T, I]),
  ];
  const routing = { ids: make.empty("ids", [T, K], "u32"), weights: make.empty("weights", [T, K]) };
  const how = {
    score: "sigmoid",
    groups: 1,
    groupsKept: 1,
    perToken: K,
    normalize: true,
    scale: 1,
    bias: null,
  } as const;
  const layers = Array.from({ length: LAYERS }, () => ({
    map: make.weight("bf16", [E, H]),
    experts: [make.weight("bf16", [E, I, H]), make.weight("bf16", [E, I, H]), make.weight("bf16", [E, H, I])] as const,
    beside: {
      ...{ out: shared, x: shared, down: make.weight("bf16", [H, I]) },
      ...{ gate: make.weight("bf16", [I, H]), up: make.weight("bf16", [I, H]) },
    },
  }));
  await make.written();
  const build = (ops: Ops) => {
    ops.receive(hidden);
    for (const { map, experts: [gate, up, down], beside } of layers) {
      ops.route(routing, hidden, norm, map, how);
      ops.expertsGateUp(out, hidden, norm, routing, gate, up, beside);
      ops.expertsDownAdd(hidden, out, routing, down, beside);
    }
  };
  const step = hiddenStep(H, [[0, 0, T]]);
  const plan = backend.record({ rows: T, segments: 1, outputs: 0 }, build) as WebGpuPlan;
  const dispatches = dispatchesOf(plan, plan.write(device.queue, step));
  const waiting = waits(dispatches.map((groups) => new Map(groups.flatMap((group) => [...usedBy(group)]))));
  const leading = dispatches.flatMap((groups, i) => groups.length > 1 ? [i] : []);
  assert.equal(leading.length, 2 * LAYERS);
  for (const i of leading) {
    assert.deepEqual([waiting[i], waiting[i + 1]], [true, false], `dispatches ${i} and ${i + 1}`);
  }
}, missing);
