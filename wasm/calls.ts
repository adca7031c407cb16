/** Writes how the kernels of a header are called by their numbers: a switch in C, and what TypeScript must know of their parameters. */

// A prototype that returns nothing, up to its semicolon.
const KERNEL = /^void (\w+)\(([^)]*)\);/gm;

/** Members of the union of arguments. */
type Kind = "pointer" | "number" | "count";

const kindOf = (parameter: string): Kind =>
  parameter.includes("*") ? "pointer" : parameter.includes("float") ? "number" : "count";

function kernelsOf(header: string): { readonly name: string; readonly kinds: readonly Kind[] }[] {
  return [...header.matchAll(KERNEL)].map(([, name = "", list = ""]) => ({ name, kinds: list.split(",").map(kindOf) }));
}

/** The switch, for `module`_calls.h. */
export function callsInC(module: string, header: string): string {
  const guard = `${module.toUpperCase()}_CALLS_H`;
  const cases = kernelsOf(header).map(({ name, kinds }, number) =>
    `  case ${number}: return ${name}(${kinds.map((kind, i) => `a[${i}].${kind}`).join(", ")});`
  );
  return `// Calls of kernels by their numbers, generated from ${module}.h by build.ts. Do not edit.
#ifndef ${guard}
#define ${guard}
#include "${module}.h"

union argument {
  void *pointer;
  float number;
  uint32_t count;
};

static void call_kernel(uint32_t kernel, const union argument *a) {
  switch (kernel) {
${cases.join("\n")}
  }
}

#endif
`;
}

/** The numbers, for `module`_calls.ts. */
export function callsInTypeScript(module: string, header: string): string {
  const entries = kernelsOf(header).map(({ name, kinds }) => {
    const floats = kinds.flatMap((kind, i) => kind === "number" ? [i] : []);
    return `  { name: "${name}", floats: [${floats.join(", ")}] },`;
  });
  return `/** Kernels by their numbers, generated from ${module}.h by build.ts. Do not edit. */

/** In the order of their numbers, with those of their arguments that are floats. */
export const KERNELS = [
${entries.join("\n")}
] as const;
`;
}
