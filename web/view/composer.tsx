/** Where a message is written, sent, and its answer stopped. */
import { useState } from "preact/hooks";
import type { Store } from "../state/store.ts";
import { GrowingTextarea, sendsOnEnter } from "./growing_textarea.tsx";
import { SendIcon, StopIcon } from "./icons.tsx";

const ID = "message";

export function focusComposer(): void {
  document.getElementById(ID)?.focus();
}

interface ComposerProps {
  readonly store: Store;
  readonly answering: boolean;
  readonly model: string;
  readonly thinking: boolean;
}

export function Composer({ store, answering, model, thinking }: ComposerProps) {
  const [text, setText] = useState("");
  const empty = text.trim() === "";
  const send = () => {
    if (empty || answering) return;
    store.send(text.trim());
    setText("");
  };
  const hear = (event: KeyboardEvent) => {
    if (!sendsOnEnter(event)) return;
    event.preventDefault();
    send();
  };
  const submit = (event: Event) => {
    event.preventDefault();
    send();
  };
  return (
    <form class="composer" onSubmit={submit}>
      <GrowingTextarea
        id={ID}
        label="Message"
        placeholder={model === "" ? "Message" : `Message ${model}`}
        value={text}
        onInput={setText}
        onKeyDown={hear}
      />
      <div class="composer-foot">
        <button
          type="button"
          class="toggle"
          aria-pressed={thinking}
          onClick={() => store.changeSettings({ thinking: !thinking })}
        >
          Think first
        </button>
        <span class="hint keys">{answering ? "Esc stops" : "Enter sends, Shift + Enter breaks the line"}</span>
        {answering
          ? (
            <button type="button" class="send" aria-label="Stop" title="Stop" onClick={() => store.stop()}>
              <StopIcon />
            </button>
          )
          : (
            <button type="submit" class="send" aria-label="Send" title="Send" disabled={empty}>
              <SendIcon />
            </button>
          )}
      </div>
    </form>
  );
}
