/** Dawn's compiler and kernels: a part of the table of cases, against plain float64 loops. */
import { WebGpuBackend } from "../../src/backend/webgpu/webgpu_backend.ts";
import { CASES, checkCase } from "../backend/cases.ts";
import { dawnDevice, SOFTWARE, testOnDawn } from "./library.ts";

/** All of them where a GPU compiles them; software takes seconds for some, so that one of so many must do there. */
const SHARE = SOFTWARE ? 24 : 1;

[["subgroups"], []].forEach((features, variant) => {
  testOnDawn(
    `operations ${features.length > 0 ? "with" : "without"} subgroups give the float64 loops' results`,
    async () => {
      using backend = await WebGpuBackend.open({ gpu: "dawn", device: await dawnDevice(features) });
      for (const opCase of CASES.filter((_, i) => i % SHARE === variant % SHARE)) await checkCase(backend, opCase);
    },
  );
});
