/** Fetches wgpu-native with its headers, which its tests read: `deno run -A scripts/fetch_wgpu.ts FOLDER`. */
import { basename, join } from "node:path";
import { fetchPinned } from "../src/backend/webgpu/libraries/pinned.ts";
import { unzip } from "../src/backend/webgpu/libraries/unzip.ts";
import { WHEELS } from "../src/backend/webgpu/wgpu_native/releases.ts";

const [folder] = Deno.args;
const wheel = WHEELS[`${Deno.build.os} ${Deno.build.arch}`];
if (folder === undefined || wheel === undefined) {
  throw new RangeError("Cannot fetch wgpu-native: give a folder to put it");
}

const WANTED = [/\/webgpu\.h$/, /\/wgpu\.h$/, /wgpu_native-release\./];

await Deno.mkdir(folder, { recursive: true });
const have = Array.from(Deno.readDirSync(folder), ({ name }) => `/${name}`);
if (!WANTED.every((pattern) => have.some((name) => pattern.test(name)))) {
  const archive = await fetchPinned(wheel);
  for (const pattern of WANTED) {
    let found = "";
    const content = await unzip(archive, (name) => pattern.test(found = name));
    await Deno.writeFile(join(folder, basename(found)), content!);
  }
}
