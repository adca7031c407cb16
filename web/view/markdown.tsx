/** Text as Markdown; what is added to it is written behind what is there. */
import { useLayoutEffect, useRef } from "preact/hooks";
import { MarkdownWriter } from "../markdown/renderer.ts";

export function Markdown({ text, done }: { readonly text: string; readonly done: boolean }) {
  const root = useRef<HTMLDivElement>(null);
  const writer = useRef<MarkdownWriter | null>(null);
  useLayoutEffect(() => {
    if (!writer.current?.write(text)) {
      writer.current = new MarkdownWriter(root.current!);
      writer.current.write(text);
    }
    if (done) writer.current.end();
  }, [text, done]);
  return <div class="markdown" ref={root} />;
}
