/** The release of Dawn that is fetched: npm's package `webgpu`, Dawn as a module of Node's for several systems. */
import type { Pinned } from "../libraries/pinned.ts";

export const RELEASE = "0.6.2";

/** What the module is called. */
export const FILE_NAME = "dawn.node";

/** The archive at the registry that Deno and npm would ask. */
export function packageAt(
  registry: string = Deno.env.get("NPM_CONFIG_REGISTRY") || "https://registry.npmjs.org",
): Pinned {
  return {
    url: `${registry.replace(/\/+$/, "")}/webgpu/-/webgpu-${RELEASE}.tgz`,
    bytes: 51_264_151,
    algorithm: "SHA-512",
    hash: "dcbe067e6a892ef6142045899e011063ed87422525005920f3e3fc3430e3dd7c" +
      "798471c814efebf095beca77ea063ee41cde266e7c0eef8b81fa5ad1b4b869e1",
  };
}

/** Folders of the archive by system and processor, as `Deno.build` names them. */
export const FOLDERS: Readonly<Record<string, string>> = {
  "linux x86_64": "package/dist/linux-x64/",
  "linux aarch64": "package/dist/linux-arm64/",
  "darwin x86_64": "package/dist/darwin-universal/",
  "darwin aarch64": "package/dist/darwin-universal/",
  "windows x86_64": "package/dist/win32-x64/",
  "windows aarch64": "package/dist/win32-arm64/",
};
