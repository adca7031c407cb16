/** The bar above a conversation. */
import { type Conversation, titleOf } from "../state/conversation.ts";
import { ListIcon, PlusIcon } from "./icons.tsx";

interface HeaderProps {
  readonly title: Conversation | null;
  readonly model: string;
  readonly listed: boolean;
  readonly toggleList: () => void;
  readonly begin: () => void;
}

export function Header({ title, model, listed, toggleList, begin }: HeaderProps) {
  return (
    <header class="header">
      <button
        type="button"
        class="icon-button"
        aria-label={listed ? "Hide conversations" : "Show conversations"}
        aria-expanded={listed}
        aria-controls="sidebar"
        onClick={toggleList}
      >
        <ListIcon />
      </button>
      <h1 class="title">{title ? titleOf(title) : <span class="hidden">New conversation</span>}</h1>
      <span class="model" title="The served model">{model}</span>
      <button type="button" class="icon-button header-new" aria-label="New conversation" onClick={begin}>
        <PlusIcon />
      </button>
    </header>
  );
}
