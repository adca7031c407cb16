/** A sentence at the foot of the page that goes when something else is done. */
import { titleOf } from "../state/conversation.ts";
import type { State, Store } from "../state/store.ts";
import { CloseIcon } from "./icons.tsx";

export function Toast({ store, state: { deleted, notice } }: { readonly store: Store; readonly state: State }) {
  const text = notice ?? (deleted ? `“${titleOf(deleted)}” was deleted.` : null);
  return (
    <div role="status">
      {text !== null && (
        <div class="toast">
          <span class="toast-text">{text}</span>
          {notice === null && <button type="button" class="button" onClick={() => store.undelete()}>Undo</button>}
          <button type="button" class="icon-button" aria-label="Dismiss" onClick={() => store.dismiss()}>
            <CloseIcon />
          </button>
        </div>
      )}
    </div>
  );
}
