/** On what a command runs its model: settled before the model is opened, and told. */
import type { DeviceChoice, EngineSettings, StageInfo } from "../mod.ts";
import type { Host } from "./host.ts";

/** Who computes, and why; tells of measurements, which hold up the first start. */
export async function settleDevice({ terminal, chooseDevice }: Host, options: EngineSettings): Promise<DeviceChoice> {
  return await chooseDevice(options, (computer) => terminal.note(measuring(computer)));
}

export const measuring = (computer: string): string => `Measuring ${computer}, once on this computer\n`;

/** `NVIDIA H100 by wgpu-native`. */
export const deviceName = ({ device, gpu }: Pick<StageInfo, "device" | "gpu">): string =>
  gpu === undefined ? device : `${device} by ${gpu}`;
