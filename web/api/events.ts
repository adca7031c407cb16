/** Server-sent events out of a body's bytes: the data of each, in order. */

/** Comments, which keep a connection alive, and fields other than `data` are skipped; so is an event that is cut off. */
export async function* eventData(body: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<string> {
  let rest = "";
  for await (const text of texts(body)) {
    const events = (rest + text).replaceAll("\r\n", "\n").split("\n\n");
    rest = events.pop()!;
    for (const event of events) {
      const data = event.split("\n").filter((line) => line.startsWith("data:")).map(withoutField);
      if (data.length > 0) yield data.join("\n");
    }
  }
}

/** Not every browser can iterate a stream. */
async function* texts(body: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<string> {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  try {
    for (let read = await reader.read(); !read.done; read = await reader.read()) yield read.value;
  } finally {
    await reader.cancel();
  }
}

function withoutField(line: string): string {
  return line.slice("data:".length).replace(/^ /, "");
}
