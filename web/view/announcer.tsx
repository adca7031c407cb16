/** Tells a screen reader how an answer goes on, a sentence at a time. */
import { useEffect, useRef } from "preact/hooks";
import { type Answer, type Conversation, lastAnswer } from "../state/conversation.ts";
import { plain, sentencesEnd } from "./speech.ts";

/** What has been said of the answer that comes. */
interface Spoken {
  readonly length: number;
  readonly thinking: boolean;
}

export function Announcer({ conversation }: { readonly conversation: Conversation | null }) {
  const log = useRef<HTMLDivElement>(null);
  const spoken = useRef<Spoken | null>(null);
  const answer = conversation && lastAnswer(conversation);
  useEffect(() => {
    spoken.current = null;
  }, [conversation?.id]);
  useEffect(() => {
    if (answer) spoken.current = speak(answer, spoken.current, log.current!);
  }, [answer]);
  return <div class="hidden" role="log" aria-live="polite" aria-label="The answer as it comes" ref={log} />;
}

/** Says what is new; of an answer that did not come while the page watched, nothing. */
function speak(answer: Answer, spoken: Spoken | null, log: HTMLElement): Spoken | null {
  const streaming = answer.status === "streaming";
  const { content } = answer;
  if (spoken === null && !streaming) return null;
  const begins = spoken === null || content.length < spoken.length;
  if (begins) log.replaceChildren();
  const before = begins ? { length: 0, thinking: false } : spoken;
  const thinking = answer.reasoning !== "";
  if (thinking && !before.thinking) say(log, "Thinking");
  const length = streaming ? Math.max(sentencesEnd(content), before.length) : content.length;
  if (length > before.length) say(log, plain(content.slice(before.length, length)));
  if (streaming) return { length, thinking };
  if (answer.status !== "failed") say(log, answer.status === "done" ? "The answer is complete." : "Stopped.");
  return null;
}

function say(log: HTMLElement, text: string): void {
  const line = document.createElement("p");
  line.textContent = text;
  log.append(line);
}
