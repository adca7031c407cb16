/** Reads the declarations of a C header in the style of webgpu.h: enums, flags, structs, callbacks and functions. */

/** A name with its type as it is written: `size_t`, `WGPUDevice`, `WGPULimits const *`. */
export interface Declared {
  readonly name: string;
  readonly type: string;
}

export interface CFunction {
  readonly parameters: readonly Declared[];
  readonly result: string;
}

/** What headers declare. Values of flags count as those of enums. */
export interface Header {
  readonly values: ReadonlyMap<string, ReadonlyMap<string, number>>;
  readonly structs: ReadonlyMap<string, readonly Declared[]>;
  /** Types of pointers to things that the header does not show. */
  readonly handles: ReadonlySet<string>;
  /** Types that are another by name: `WGPUBool` for `uint32_t`. */
  readonly aliases: ReadonlyMap<string, string>;
  readonly callbacks: ReadonlyMap<string, CFunction>;
  readonly functions: ReadonlyMap<string, CFunction>;
}

const COMMENTS = /\/\*[\s\S]*?\*\/|\/\/.*$/gm;
const PREPROCESSOR = /^[ \t]*#(?:.*\\\n)*.*$/gm;
const DECORATIONS = /\b(?:WGPU_NULLABLE|WGPU_EXPORT|WGPU_[A-Z]+_ATTRIBUTE)\b/g;

/** A union counts as its first member, which in these headers is as large as any. */
const UNION = /union\s*\{\s*(\w+)[^}]*\}\s*(\w+)\s*;/g;

const ENUM = /typedef enum (\w+)\s*\{([^}]*)\}/g;
const ENUMERATOR = /(\w+)\s*=\s*([^,\n]+)/g;
const FLAG = /static const (\w+) (\w+) = ([^;]+);/g;
const STRUCT = /typedef struct (\w+)\s*\{([^}]*)\}\s*\w+\s*;/g;
const HANDLE = /typedef struct \w+Impl\s*\*\s*(\w+)\s*;/g;
const ALIAS = /typedef (uint\d+_t|WGPUFlags) (\w+)\s*;/g;
const CALLBACK = /typedef ([\w ]+?)\s*\(\*(\w+)\)\s*\(([^)]*)\)/g;
const FUNCTION = /^\s*([\w *]+?)\s*\b(wgpu[A-Z]\w*)\s*\(([^)]*)\)\s*;/gm;

/** The declarations of several headers together. */
export function parseHeaders(texts: readonly string[]): Header {
  const text = texts.join("\n").replace(COMMENTS, "").replace(PREPROCESSOR, "").replace(DECORATIONS, "")
    .replace(UNION, "$1 $2;");
  return {
    values: parseValues(text),
    structs: new Map([...text.matchAll(STRUCT)].map(([, name, body]) => [name!, declarations(body!, ";")])),
    handles: new Set([...text.matchAll(HANDLE)].map(([, name]) => name!)),
    aliases: new Map([...text.matchAll(ALIAS)].map(([, type, name]) => [name!, type!])),
    callbacks: new Map(
      [...text.matchAll(CALLBACK)].map(([, result, name, list]) => [name!, signature(result!, list!)]),
    ),
    functions: new Map(
      [...text.matchAll(FUNCTION)].map(([, result, name, list]) => [name!, signature(result!, list!)]),
    ),
  };
}

/** Enumerators without the name of their enum: `Validation` of `WGPUErrorType`. */
function parseValues(text: string): Map<string, Map<string, number>> {
  const all = new Map<string, Map<string, number>>();
  for (const [, type, body] of text.matchAll(ENUM)) {
    const values = [...body!.matchAll(ENUMERATOR)].map(([, name, value]) => [short(name!), evaluate(value!)] as const);
    all.set(type!, new Map(values.filter(([name]) => name !== "Force32")));
  }
  for (const [, type, name, value] of text.matchAll(FLAG)) {
    const values = all.get(type!) ?? new Map<string, number>();
    if (short(name!) !== "Force32") values.set(short(name!), evaluate(value!));
    all.set(type!, values);
  }
  return all;
}

const short = (name: string) => name.slice(name.indexOf("_") + 1);

/** `0x00000010`, `1 << 3`, `(1 << 0) | (1 << 2)`. */
function evaluate(expression: string): number {
  const terms = expression.replaceAll(/[()]/g, "").split("|");
  return terms.reduce((sum, term) => {
    const [value, shift = "0"] = term.split("<<");
    return sum + Number(value) * 2 ** Number(shift);
  }, 0);
}

function signature(result: string, list: string): CFunction {
  return { parameters: list.trim() === "void" ? [] : declarations(list, ","), result: result.trim() };
}

function declarations(text: string, separator: string): Declared[] {
  return text.split(separator).map((each) => each.trim()).filter((each) => each !== "").map((each) => {
    const [, type, name] = /^(.*?)(\w+)$/s.exec(each)!;
    return { name: name!, type: type!.replaceAll(/\bstruct\b/g, "").replaceAll(/\s+/g, " ").trim() };
  });
}
