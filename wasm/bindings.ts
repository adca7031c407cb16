/** Turns a C header of kernels into a TypeScript interface: one method a prototype, comments kept, pointers branded. */
import type { Elem } from "./memory.ts";

const ELEMS: Record<string, Elem> = {
  float: "f32",
  double: "f64",
  uint8_t: "u8",
  int8_t: "i8",
  uint16_t: "u16",
  int16_t: "i16",
  uint32_t: "u32",
  int32_t: "i32",
};

// A run of // comment lines, then one prototype up to its semicolon.
const PROTOTYPE = /((?:^\/\/.*\n)*)^((?:const )?\w+(?: \*|\* | ))(\w+)\(([^)]*)\);/gm;

function type(c: string): string {
  const name = c.replace(/\bconst\b|\*/g, "").trim();
  if (name === "void" && !c.includes("*")) return "void";
  const elem = ELEMS[name];
  if (elem === undefined) throw new SyntaxError(`Cannot bind C type '${c.trim()}': use the fixed-width types`);
  return c.includes("*") ? `Ptr<"${elem}">` : "number";
}

function parameter(c: string): string {
  const name = /(\w+)\s*$/.exec(c)?.[1];
  if (name === undefined) throw new SyntaxError(`Cannot bind parameter '${c}': it has no name`);
  return `${camel(name)}: ${type(c.trim().slice(0, -name.length))}`;
}

const camel = (name: string) => name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());

/** The interface of `header` as TypeScript, with the names that the module must export. */
export function bindings(module: string, header: string): { source: string; exports: string[] } {
  const exports: string[] = [];
  const methods = [...header.matchAll(PROTOTYPE)].map(([, comment = "", result = "", name = "", list = ""]) => {
    exports.push(name);
    const parameters = list.trim() === "void" ? [] : list.replace(/\s+/g, " ").split(",").map(parameter);
    const doc = comment.replace(/^\/\/ ?/gm, " * ");
    return `${doc ? `/**\n${doc} */\n` : ""}${name}(${parameters.join(", ")}): ${type(result)};`;
  });
  const title = module[0]?.toUpperCase() + module.slice(1);
  const body = methods.join("\n\n");
  const imports = body.includes("Ptr<") ? "ModuleExports, Ptr" : "ModuleExports";
  const source = `/** Typed bindings of ${module}.wasm, generated from ${module}.h by build.ts. Do not edit. */
import type { ${imports} } from "./memory.ts";

/** Where the module lies. */
export const url: URL = new URL("./${module}.wasm", import.meta.url);

/** The functions of ${module}.h. */
export interface ${title}Exports extends ModuleExports {
${body}
}
`;
  return { source, exports };
}
