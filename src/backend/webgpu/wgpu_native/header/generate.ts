/** Writes webgpu_h.ts, what the bindings know of the C API: `generate.ts FOLDER`, which has webgpu.h and wgpu.h of the release. */
import { Layouts } from "./layout.ts";
import { type Header, parseHeaders } from "./parse.ts";

/** The functions that the bindings call, without `wgpu`. */
const FUNCTIONS = [
  ...["GetVersion", "SetLogCallback", "SetLogLevel", "CreateInstance", "InstanceRelease", "GenerateReport"],
  ...["InstanceEnumerateAdapters", "InstanceRequestAdapter"],
  ...["AdapterGetInfo", "AdapterInfoFreeMembers", "AdapterGetLimits", "AdapterGetFeatures", "AdapterRequestDevice"],
  ...["AdapterRelease", "SupportedFeaturesFreeMembers"],
  ...["DeviceGetLimits", "DeviceGetFeatures", "DeviceGetQueue", "DevicePoll", "DeviceDestroy", "DeviceRelease"],
  ...["DeviceCreateBuffer", "DeviceCreateBindGroupLayout", "DeviceCreatePipelineLayout", "DeviceCreateBindGroup"],
  ...["DeviceCreateShaderModule", "DeviceCreateComputePipeline", "DeviceCreateCommandEncoder", "DeviceCreateQuerySet"],
  ...["BufferMapAsync", "BufferGetMappedRange", "BufferUnmap", "BufferDestroy", "BufferRelease"],
  ...["BindGroupLayoutRelease", "PipelineLayoutRelease", "BindGroupRelease", "ShaderModuleRelease", "QuerySetRelease"],
  ...["ComputePipelineGetBindGroupLayout", "ComputePipelineRelease"],
  ...["CommandEncoderBeginComputePass", "CommandEncoderCopyBufferToBuffer", "CommandEncoderClearBuffer"],
  ...["CommandEncoderResolveQuerySet", "CommandEncoderFinish", "CommandEncoderRelease", "CommandBufferRelease"],
  ...["ComputePassEncoderSetPipeline", "ComputePassEncoderSetBindGroup", "ComputePassEncoderDispatchWorkgroups"],
  ...["ComputePassEncoderDispatchWorkgroupsIndirect", "ComputePassEncoderEnd", "ComputePassEncoderRelease"],
  ...["QueueSubmitForIndex", "QueueWriteBuffer", "QueueOnSubmittedWorkDone", "QueueRelease"],
];

/** The structs that they are given, without `WGPU`. */
const STRUCTS = [
  ...["InstanceDescriptor", "InstanceExtras", "RequestAdapterOptions", "AdapterInfo", "Limits", "SupportedFeatures"],
  ...["DeviceDescriptor", "BufferDescriptor", "BindGroupLayoutDescriptor", "BindGroupLayoutEntry"],
  ...[
    "PipelineLayoutDescriptor",
    "BindGroupDescriptor",
    "BindGroupEntry",
    "ShaderModuleDescriptor",
    "ShaderSourceWGSL",
  ],
  ...["ComputePipelineDescriptor", "ConstantEntry", "QuerySetDescriptor", "CommandEncoderDescriptor"],
  ...["CommandBufferDescriptor", "ComputePassDescriptor", "PassTimestampWrites", "GlobalReport"],
  ...["RequestAdapterCallbackInfo"],
];

const CALLBACKS = [
  ...["RequestAdapterCallback", "RequestDeviceCallback", "BufferMapCallback", "QueueWorkDoneCallback"],
  ...["UncapturedErrorCallback", "DeviceLostCallback", "LogCallback"],
];

/** The enums whose values they use; flags of buffers, shader stages and map modes are those of the standard. */
const ENUMS = [
  ...["SType", "NativeSType", "BackendType", "AdapterType", "PowerPreference", "BufferBindingType", "QueryType"],
  ...["CallbackMode", "ErrorType", "MapAsyncStatus", "InstanceBackend", "InstanceFlag", "LogLevel"],
];

/** Features whose names in the standard do not follow from those in C. */
const FEATURE_NAMES: Readonly<Record<string, string>> = {
  Depth32FloatStencil8: "depth32float-stencil8",
  TextureCompressionBCSliced3D: "texture-compression-bc-sliced-3d",
  TextureCompressionASTCSliced3D: "texture-compression-astc-sliced-3d",
  RG11B10UfloatRenderable: "rg11b10ufloat-renderable",
  BGRA8UnormStorage: "bgra8unorm-storage",
};

/** `ShaderF16` as `shader-f16`. */
export function featureName(name: string): string {
  return FEATURE_NAMES[name] ??
    name.replaceAll(/([a-z0-9])([A-Z])/g, "$1-$2").replaceAll(/([a-z])(\d+bit)/g, "$1-$2").toLowerCase();
}

/** The text of webgpu_h.ts. */
export function generate(texts: readonly string[]): string {
  const header = parseHeaders(texts);
  const layouts = new Layouts(header);
  const signature = (
    of: ReadonlyMap<string, { parameters: readonly { type: string }[]; result: string }>,
    name: string,
  ) => {
    const found = of.get(name);
    if (found === undefined) throw new RangeError(`Cannot bind ${name}: the headers have no such function`);
    const result = found.result === "void"
      ? "void"
      : found.result.includes("*")
      ? "pointer"
      : layouts.ffi(found.result);
    return { parameters: found.parameters.map(({ type }) => layouts.ffi(type)), result };
  };
  const callback = (name: string) => {
    const { parameters, result } = signature(header.callbacks, name);
    return { parameters: parameters.map((type) => type === "buffer" ? "pointer" : type), result };
  };
  return [
    "/** What webgpu.h and wgpu.h declare, as far as it is used; written by header/generate.ts. */",
    "// deno-fmt-ignore-file",
    exported("FUNCTIONS", entries(FUNCTIONS, (name) => [`wgpu${name}`, signature(header.functions, `wgpu${name}`)])),
    exported("CALLBACKS", entries(CALLBACKS, (name) => [name, callback(`WGPU${name}`)])),
    exported("STRUCTS", entries(STRUCTS, (name) => [name, layouts.of(`WGPU${name}`)])),
    exported("ENUMS", entries(ENUMS, (name) => [name, Object.fromEntries(header.values.get(`WGPU${name}`)!)])),
    "/** By the names that the standard gives them; those that only wgpu has begin with `wgpu-`. */",
    exported("FEATURES", features(header)),
    "",
  ].join("\n");
}

const entries = <T>(names: readonly string[], entry: (name: string) => [string, T]) => names.map(entry);

function exported(name: string, all: readonly (readonly [string, unknown])[]): string {
  const lines = all.map(([key, value]) => `  ${JSON.stringify(key)}: ${JSON.stringify(value)},`);
  return [`export const ${name} = {`, ...lines, "} as const;"].join("\n");
}

/** Subgroups by the number that the library knows them by, which is not the standard's. */
function features({ values }: Header): [string, number][] {
  const names = new Map([...values.get("WGPUFeatureName")!].map(([name, value]) => [featureName(name), value]));
  for (const [name, value] of values.get("WGPUNativeFeature")!) {
    names.set(name === "Subgroup" ? "subgroups" : `wgpu-${featureName(name)}`, value);
  }
  return [...names];
}

if (import.meta.main) {
  const [folder = "."] = Deno.args;
  const texts = ["webgpu.h", "wgpu.h"].map((name) => Deno.readTextFileSync(`${folder}/${name}`));
  Deno.writeTextFileSync(new URL("../webgpu_h.ts", import.meta.url), generate(texts));
}
