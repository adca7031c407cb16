/** The list of conversations, and what leads elsewhere. */
import { type Conversation, titleOf } from "../state/conversation.ts";
import type { State, Store } from "../state/store.ts";
import { DeleteIcon, Mark, PlusIcon, SettingsIcon } from "./icons.tsx";
import { ThemeSwitch } from "./theme_switch.tsx";

interface SidebarProps {
  readonly store: Store;
  readonly state: State;
  readonly shown: boolean;
  /** Called after a choice, where the list covers the page. */
  readonly hide: () => void;
  readonly choose: () => void;
}

export function Sidebar({ store, state, shown, hide, choose }: SidebarProps) {
  const open = (id: string | null) => {
    store.open(id);
    hide();
  };
  const escape = (event: KeyboardEvent) => {
    if (event.key === "Escape") hide();
  };
  return (
    <>
      <div class="shade" onClick={hide} />
      <nav id="sidebar" class="sidebar" aria-label="Conversations" inert={!shown} onKeyDown={escape}>
        <div class="brand">
          <Mark />
          <span>Ringlet</span>
        </div>
        <button type="button" class="row-button" onClick={() => open(null)}>
          <PlusIcon />New conversation
        </button>
        <ul class="conversations">
          {state.conversations.map((each) => (
            <Row
              key={each.id}
              conversation={each}
              current={each.id === state.current}
              open={() => open(each.id)}
              remove={() => store.delete(each.id)}
            />
          ))}
        </ul>
        <div class="sidebar-foot">
          <button type="button" class="row-button" onClick={choose}>
            <SettingsIcon />Settings
          </button>
          <ThemeSwitch theme={state.settings.theme} change={(theme) => store.changeSettings({ theme })} />
        </div>
      </nav>
    </>
  );
}

interface RowProps {
  readonly conversation: Conversation;
  readonly current: boolean;
  readonly open: () => void;
  readonly remove: () => void;
}

function Row({ conversation, current, open, remove }: RowProps) {
  const title = titleOf(conversation);
  return (
    <li class="conversation">
      <button type="button" class="conversation-open" aria-current={current ? "page" : undefined} onClick={open}>
        {title}
      </button>
      <button type="button" class="icon-button conversation-delete" aria-label={`Delete “${title}”`} onClick={remove}>
        <DeleteIcon />
      </button>
    </li>
  );
}
