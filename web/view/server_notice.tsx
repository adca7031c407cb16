/** Why nothing can be asked yet. */
import { useEffect, useRef, useState } from "preact/hooks";
import type { ServerState } from "../state/server.ts";
import type { Store } from "../state/store.ts";
import { focusComposer } from "./composer.tsx";

interface ServerNoticeProps {
  readonly store: Store;
  readonly server: ServerState;
  readonly hasKey: boolean;
}

export function ServerNotice({ store, server: { status }, hasKey }: ServerNoticeProps) {
  if (status === "down") return <Notice text="The server does not answer. Trying again every two seconds." />;
  if (status === "loading") return <Notice text="The model is still being loaded." />;
  if (status === "stopped") return <Notice text="The model has stopped. The server must be started again." />;
  if (status === "locked") return <KeyForm store={store} hasKey={hasKey} />;
  return null;
}

function Notice({ text }: { readonly text: string }) {
  return <p class="notice" role="status">{text}</p>;
}

function KeyForm({ store, hasKey }: Pick<ServerNoticeProps, "store" | "hasKey">) {
  const [key, setKey] = useState("");
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => {
    field.current!.focus();
    return focusComposer;
  }, []);
  const use = (event: Event) => {
    event.preventDefault();
    if (key.trim() !== "") store.changeSettings({ key: key.trim() });
  };
  return (
    <form class="notice" onSubmit={use}>
      <label for="key">
        {hasKey ? "The server does not accept this API key. Another one:" : "This server asks for an API key."}
      </label>
      <input
        id="key"
        ref={field}
        class="input"
        type="password"
        autocomplete="off"
        value={key}
        onInput={(event) => setKey(event.currentTarget.value)}
      />
      <button type="submit" class="button primary">Use</button>
    </form>
  );
}
