/** The release of the C library that is fetched: it comes in the wheels of the Python package wgpu 0.32.0. */
import type { Pinned } from "../libraries/pinned.ts";

/** Of wgpu-native. */
export const RELEASE = "29.0.1.1";

/** What the library is called once it is installed. */
export const FILE_NAMES: Readonly<Record<string, string>> = {
  linux: "libwgpu_native.so",
  darwin: "libwgpu_native.dylib",
  windows: "wgpu_native.dll",
};

/** Of a wheel, which is a ZIP archive. */
const wheel = (path: string, platform: string, bytes: number, hash: string): Pinned => ({
  url: `https://files.pythonhosted.org/packages/${path}/wgpu-0.32.0-py3-none-${platform}.whl`,
  bytes,
  algorithm: "SHA-256",
  hash,
});

/** By system and processor, as `Deno.build` names them. */
export const WHEELS: Readonly<Record<string, Pinned>> = {
  "linux x86_64": wheel(
    "99/a9/8b00e9d0cbd1ec0766e5b3c8063e61f0335262afe07cef82c307899bcf01",
    "manylinux_2_28_x86_64",
    3499105,
    "6499a31b5a29a10b4f1089fea4a0806411f42605fa86b6c0b543a07ca0de8568",
  ),
  "linux aarch64": wheel(
    "40/52/36819230b805b07fc4c3e92242aba7b73a0ce25e03b124992af79a6b1d4d",
    "manylinux_2_28_aarch64",
    3504842,
    "00454ba1bc794d38c8365f4ad29f381b88ce0a7f115133bfaa6f1dfad7eb2764",
  ),
  "darwin x86_64": wheel(
    "1b/4b/173e7685a22edf2d33ed330a038c8859d2c62bff900eb637a702661333ff",
    "macosx_10_9_x86_64",
    2944358,
    "cfd3967616a3c42e2b7a234407df38668c697f5aa505d56e0814d647b6746302",
  ),
  "darwin aarch64": wheel(
    "d7/3b/a21ac5d2c5fcc13c2709123f497f5e008726221c56dc83ba0850fc2d230d",
    "macosx_11_0_arm64",
    2838856,
    "6c3f654ea01ab2de8a2903354ced02a3c6ef161d0fba1aa4fea60aa86d021908",
  ),
  "windows x86_64": wheel(
    "dc/5a/92d8ebd91d2e6e772a4d90656231472a8dad6ab050174336510fa9dff978",
    "win_amd64",
    3457977,
    "493c8a0425c7d3cc728a2489bce40d1a016d800306e59763ff1b21e176e66323",
  ),
  "windows aarch64": wheel(
    "6b/16/4b097baac7c8d6e013e67f1483d100847b9ea350eb393c301a28a95c4bd5",
    "win_arm64",
    3264513,
    "cb0414107825bd94538220cf3f329c83697b99b8e39c6e16e4e6726e427de75c",
  ),
};
