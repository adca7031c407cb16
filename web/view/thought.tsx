/** A thought, folded until somebody wants to read it. */
import { useState } from "preact/hooks";
import type { Answer } from "../state/conversation.ts";
import { ChevronIcon } from "./icons.tsx";
import { Markdown } from "./markdown.tsx";

export function Thought({ answer }: { readonly answer: Answer }) {
  const [open, setOpen] = useState(false);
  const thinking = answer.status === "streaming" && answer.content === "";
  const seconds = Math.round((answer.thoughtMillis ?? answer.stats?.millis ?? 0) / 1000);
  return (
    <details class="thought" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary class={thinking ? "thought-label thinking" : "thought-label"}>
        <ChevronIcon />
        {thinking ? "Thinking" : "Thought"}
        {seconds > 0 && (thinking ? ` · ${duration(seconds)}` : ` for ${duration(seconds)}`)}
      </summary>
      {open && <Markdown text={answer.reasoning} done={!thinking} />}
    </details>
  );
}

function duration(seconds: number): string {
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}
