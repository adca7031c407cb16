/** The generator of webgpu_h.ts: what it reads of a header, and that it writes what is committed. */
import { strict as assert } from "node:assert";
import { dirname, join } from "node:path";
import { findLibrary } from "../../../src/backend/webgpu/wgpu_native/find.ts";
import { featureName, generate } from "../../../src/backend/webgpu/wgpu_native/header/generate.ts";
import { Layouts } from "../../../src/backend/webgpu/wgpu_native/header/layout.ts";
import { parseHeaders } from "../../../src/backend/webgpu/wgpu_native/header/parse.ts";

const HEADER = `
#define WIDE \\
  typedef struct Ignored { int x; } Ignored;
typedef uint64_t WGPUFlags; // typedef uint32_t Commented;
typedef WGPUFlags Usage;
static const Usage Usage_Read = 0x0000000000000001;
static const Usage Usage_Both = (1 << 0) | (1 << 3);
typedef enum Kind { Kind_One = 0x00000001, /** two */ Kind_Two = 0x0000000A, Kind_Force32 = 0x7FFFFFFF } Kind WGPU_ENUM_ATTRIBUTE;
typedef struct ThingImpl* Thing WGPU_OBJECT_ATTRIBUTE;
typedef struct WGPUStringView { WGPU_NULLABLE char const * data; size_t length; } WGPUStringView;
typedef struct Inner { uint32_t first; union { Pair pair; void * other; } data; double last; } Inner;
typedef struct Pair { void *a; int b; } Pair;
typedef struct Outer {
    struct Inner const * list;
    Kind kind; Inner inner; WGPUStringView label; Usage usage; uint32_t end;
} Outer WGPU_STRUCTURE_ATTRIBUTE;
typedef void (*Callback)(Kind kind, WGPUStringView message, WGPU_NULLABLE void* userdata1);
WGPU_EXPORT Thing wgpuMake(WGPU_NULLABLE Outer const * outer, size_t count, void const * data, Callback callback) WGPU_FUNCTION_ATTRIBUTE;
void wgpuReset(void);
`;

Deno.test("parseHeaders() reads enums, flags, structs, handles, callbacks and functions, without comments and macros", () => {
  const header = parseHeaders([HEADER]);
  assert.deepEqual([...header.values.get("Kind")!], [["One", 1], ["Two", 10]]);
  assert.deepEqual([...header.values.get("Usage")!], [["Read", 1], ["Both", 9]]);
  assert.deepEqual([...header.structs.keys()], ["WGPUStringView", "Inner", "Pair", "Outer"]);
  assert.deepEqual([...header.handles], ["Thing"]);
  assert.deepEqual(header.functions.get("wgpuReset"), { parameters: [], result: "void" });
  assert.deepEqual(header.functions.get("wgpuMake")!.parameters[0], { name: "outer", type: "Outer const *" });
});

Deno.test("Layouts places fields as C does on 64 bits, and names types as Deno's FFI does", () => {
  const layouts = new Layouts(parseHeaders([HEADER]));
  assert.deepEqual(layouts.of("Outer"), {
    size: 80,
    fields: {
      list: [0, "pointer"],
      kind: [8, "u32"],
      "inner.first": [16, "u32"],
      "inner.data.a": [24, "pointer"],
      "inner.data.b": [32, "i32"],
      "inner.last": [40, "f64"],
      label: [48, "string"],
      usage: [64, "u64"],
      end: [72, "u32"],
    },
  });
  const types = ["Thing", "Outer const *", "void const *", "void *", "Callback", "size_t", "Usage", "Kind", "Pair"];
  assert.deepEqual(types.map((type) => layouts.ffi(type)), [
    ...["pointer", "buffer", "buffer", "pointer", "pointer", "usize", "u64", "u32"],
    { struct: ["pointer", "i32"] },
  ]);
  assert.throws(() => layouts.of("Nothing"), { name: "RangeError", message: /have no such struct/ });
});

Deno.test("features have the standard's names", () => {
  const names = [
    "ShaderF16",
    "TimestampQuery",
    "Depth32FloatStencil8",
    "Float32Filterable",
    "ShaderInt64",
    "Subgroups",
  ];
  assert.deepEqual(names.map(featureName), [
    ...["shader-f16", "timestamp-query", "depth32float-stencil8", "float32-filterable", "shader-int64", "subgroups"],
  ]);
});

/** The library's headers, which a wheel has beside it; null where there are none. */
const headers = (() => {
  try {
    const folder = dirname(findLibrary());
    return ["webgpu.h", "wgpu.h"].map((name) => Deno.readTextFileSync(join(folder, name)));
  } catch {
    return null;
  }
})();

Deno.test({
  name: headers
    ? "webgpu_h.ts is what the generator makes of the library's headers"
    : "webgpu_h.ts is what the generator makes of the headers (skipped: there are none beside the library, as there are in a wheel)",
  ignore: headers === null,
  fn() {
    const committed = new URL("../../../src/backend/webgpu/wgpu_native/webgpu_h.ts", import.meta.url);
    assert.equal(generate(headers!), Deno.readTextFileSync(committed));
  },
});
