/** Takes files out of a compressed TAR archive, as npm's packages are. */

const BLOCK = 512;

/** Where a header has what is read of it. */
const NAME = [0, 100] as const;
const SIZE = [124, 136] as const;
const TYPE = 156;

/** Types of an entry that is a file. */
const FILE = [0, "0".charCodeAt(0)];

/**
 * The contents of all files whose names are wanted.
 * @throws {TypeError} if it is no archive that gzip made
 * @throws {SyntaxError} if what was compressed is no TAR archive
 */
export async function untar(
  archive: Uint8Array<ArrayBuffer>,
  wanted: (name: string) => boolean,
): Promise<Map<string, Uint8Array<ArrayBuffer>>> {
  const stream = new Blob([archive]).stream().pipeThrough(new DecompressionStream("gzip"));
  const all = new Uint8Array(await new Response(stream).arrayBuffer());
  const found = new Map<string, Uint8Array<ArrayBuffer>>();
  for (let at = 0; at + BLOCK <= all.length && all[at] !== 0;) {
    const header = all.subarray(at, at += BLOCK);
    const name = text(header, NAME), size = parseInt(text(header, SIZE), 8);
    if (!(at + size <= all.length)) throw new SyntaxError(`Cannot read the archive: it ends within ${name}`);
    if (FILE.includes(header[TYPE]!) && wanted(name)) found.set(name, all.slice(at, at + size));
    at += Math.ceil(size / BLOCK) * BLOCK;
  }
  return found;
}

/** Up to the first zero. */
function text(header: Uint8Array<ArrayBuffer>, [begin, end]: readonly [number, number]): string {
  return new TextDecoder().decode(header.subarray(begin, end)).split("\0")[0]!;
}
