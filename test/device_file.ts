/** Where tests remember what they measured of devices: beside the user's own cache, and gone with the process. */
import { join } from "node:path";

export const CACHE_FOLDER: string = await Deno.makeTempDir({ prefix: "ringlet-test-cache-" });

export const DEVICE_FILE: string = join(CACHE_FOLDER, "devices.json");

globalThis.addEventListener("unload", () => Deno.removeSync(CACHE_FOLDER, { recursive: true }));
