/** Takes one file out of a ZIP archive. */

/** Signatures of the two records that are read, and where what is wanted lies in them. */
const DIRECTORY_END = 0x06054b50;
const DIRECTORY_END_BYTES = 22;
const ENTRY = 0x02014b50;
const ENTRY_BYTES = 46;
const LOCAL_BYTES = 30;

const DEFLATED = 8;

/**
 * The content of the first file whose name is wanted; null if there is none.
 * @throws {SyntaxError} if it is no archive
 */
export async function unzip(
  archive: Uint8Array<ArrayBuffer>,
  wanted: (name: string) => boolean,
): Promise<Uint8Array<ArrayBuffer> | null> {
  const view = new DataView(archive.buffer, archive.byteOffset, archive.byteLength);
  const end = directoryEnd(view);
  let at = view.getUint32(end + 16, true);
  for (let left = view.getUint16(end + 10, true); left > 0; left--) {
    if (at + ENTRY_BYTES > archive.length || view.getUint32(at, true) !== ENTRY) {
      throw new SyntaxError("Cannot read the archive: its directory is broken");
    }
    const [name, extra, comment] = [28, 30, 32].map((offset) => view.getUint16(at + offset, true));
    const begin = at + ENTRY_BYTES;
    if (wanted(new TextDecoder().decode(archive.subarray(begin, begin + name!)))) {
      return await content(archive, view, at);
    }
    at = begin + name! + extra! + comment!;
  }
  return null;
}

/** It is the last record, but for a comment. */
function directoryEnd(view: DataView): number {
  for (let at = view.byteLength - DIRECTORY_END_BYTES; at >= 0; at--) {
    if (view.getUint32(at, true) === DIRECTORY_END) return at;
  }
  throw new SyntaxError("Cannot read the archive: it has no directory");
}

async function content(
  archive: Uint8Array<ArrayBuffer>,
  view: DataView,
  entry: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const local = view.getUint32(entry + 42, true);
  const begin = local + LOCAL_BYTES + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
  const stored = archive.slice(begin, begin + view.getUint32(entry + 20, true));
  if (view.getUint16(entry + 10, true) !== DEFLATED) return stored;
  const stream = new Blob([stored]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
