/** What a person has said; it can be said differently. */
import { useEffect, useRef, useState } from "preact/hooks";
import type { UserMessage } from "../state/conversation.ts";
import { CopyButton } from "./copy_button.tsx";
import { GrowingTextarea, sendsOnEnter } from "./growing_textarea.tsx";
import { EditIcon } from "./icons.tsx";

interface UserViewProps {
  readonly message: UserMessage;
  readonly send: (text: string) => void;
}

export function UserView({ message, send }: UserViewProps) {
  const [editing, setEditing] = useState(false);
  const edit = useRef<HTMLButtonElement>(null);
  const wasEditing = useRef(false);
  useEffect(() => {
    if (wasEditing.current && !editing) edit.current?.focus();
    wasEditing.current = editing;
  }, [editing]);
  const done = (text: string | null) => {
    setEditing(false);
    if (text !== null) send(text);
  };
  return (
    <article class="message user">
      <h2 class="hidden">You said</h2>
      {editing ? <Editor text={message.content} done={done} /> : (
        <>
          <div class="bubble">{message.content}</div>
          <div class="actions">
            <CopyButton text={message.content} what="message" />
            <button
              type="button"
              class="icon-button"
              ref={edit}
              aria-label="Edit message"
              title="Edit"
              onClick={() => setEditing(true)}
            >
              <EditIcon />
            </button>
          </div>
        </>
      )}
    </article>
  );
}

/** Calls `done` with the new text, or with null if it is to stay. */
function Editor({ text, done }: { readonly text: string; readonly done: (text: string | null) => void }) {
  const [draft, setDraft] = useState(text);
  const save = () => {
    if (draft.trim() !== "") done(draft.trim());
  };
  const hear = (event: KeyboardEvent) => {
    if (sendsOnEnter(event)) save();
    else if (event.key === "Escape") done(null);
    else return;
    event.preventDefault();
  };
  return (
    <div class="editor">
      <GrowingTextarea label="Edited message" value={draft} focused onInput={setDraft} onKeyDown={hear} />
      <div class="editor-foot">
        <span class="hint">Replaces what follows.</span>
        <button type="button" class="button" onClick={() => done(null)}>Cancel</button>
        <button type="button" class="button primary" disabled={draft.trim() === ""} onClick={save}>Send</button>
      </div>
    </div>
  );
}
