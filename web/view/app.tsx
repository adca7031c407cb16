/** The whole page. */
import { useEffect, useState } from "preact/hooks";
import type { Store } from "../state/store.ts";
import { Announcer } from "./announcer.tsx";
import { Composer, focusComposer } from "./composer.tsx";
import { Header } from "./header.tsx";
import { useAddress, useEscape, useStore, useTheme } from "./hooks.ts";
import { Messages } from "./messages.tsx";
import { ServerNotice } from "./server_notice.tsx";
import { SettingsDialog } from "./settings_dialog.tsx";
import { Sidebar } from "./sidebar.tsx";
import { Toast } from "./toast.tsx";

/** Where the list of conversations covers the page instead of standing beside it; as in layout.css. */
const NARROW = "(max-width: 760px)";

export function App({ store }: { readonly store: Store }) {
  const state = useStore(store);
  const { current, answering } = store;
  const [listed, setListed] = useState(!matchMedia(NARROW).matches);
  const [choosing, setChoosing] = useState(false);
  useAddress(store);
  useEscape(store);
  useTheme(state.settings.theme);
  useEffect(() => {
    if (matchMedia(NARROW).matches) setListed(false);
    else focusComposer();
  }, [state.current]);
  const hideIfNarrow = () => matchMedia(NARROW).matches && setListed(false);
  return (
    <div class={listed ? "page" : "page unlisted"}>
      <button type="button" class="skip" onClick={focusComposer}>Skip to the message box</button>
      <Sidebar store={store} state={state} shown={listed} hide={hideIfNarrow} choose={() => setChoosing(true)} />
      <div class="room">
        <Header
          title={current}
          model={state.server.model}
          listed={listed}
          toggleList={() => setListed(!listed)}
          begin={() => store.open(null)}
        />
        <ServerNotice store={store} server={state.server} hasKey={state.settings.key !== ""} />
        <Messages
          key={current?.id}
          store={store}
          conversation={current}
          model={state.server.model}
          choose={() => setChoosing(true)}
        />
        <Composer store={store} answering={answering} model={state.server.model} thinking={state.settings.thinking} />
      </div>
      <SettingsDialog
        store={store}
        settings={state.settings}
        open={choosing}
        close={() => setChoosing(false)}
      />
      <Toast store={store} state={state} />
      <Announcer conversation={current} />
    </div>
  );
}
