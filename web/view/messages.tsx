/** The messages of a conversation, in a room that follows the answer while it grows. */
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Conversation } from "../state/conversation.ts";
import type { Store } from "../state/store.ts";
import { AnswerView } from "./answer_view.tsx";
import { DownIcon } from "./icons.tsx";
import { UserView } from "./user_view.tsx";

interface MessagesProps {
  readonly store: Store;
  readonly conversation: Conversation | null;
  readonly model: string;
  readonly choose: () => void;
}

/** Pixels from the end within which the reader is taken to be there. */
const NEAR = 60;

export function Messages({ store, conversation, model, choose }: MessagesProps) {
  const room = useRef<HTMLElement>(null);
  const { following, follow, scrolled } = useFollowing(room, conversation);
  const messages = conversation?.messages ?? [];
  return (
    <main class="messages" ref={room} onScroll={scrolled} tabIndex={-1} aria-label="Conversation">
      {messages.length === 0
        ? (
          <p class="greeting">
            {model === "" ? "What would you like to know?" : `What would you like to ask ${model}?`}
          </p>
        )
        : (
          <div class="column">
            {messages.map((message, index) =>
              message.role === "user"
                ? <UserView key={index} message={message} send={(text) => store.edit(index, text)} />
                : (
                  <AnswerView
                    key={index}
                    answer={message}
                    retry={index === messages.length - 1 ? () => store.regenerate() : null}
                    choose={choose}
                    begin={() => store.open(null)}
                  />
                )
            )}
          </div>
        )}
      {following ? null : (
        <button type="button" class="to-end" aria-label="Go to the end" onClick={follow}>
          <DownIcon />
        </button>
      )}
    </main>
  );
}

/** Stays at the end as messages come, until the reader scrolls away from it. */
function useFollowing(room: { readonly current: HTMLElement | null }, conversation: Conversation | null) {
  const [following, setFollowing] = useState(true);
  const toEnd = () => room.current?.scrollTo({ top: room.current.scrollHeight });
  const count = conversation?.messages.length;
  useEffect(() => setFollowing(true), [count]);
  useLayoutEffect(() => {
    if (following) toEnd();
  }, [conversation, following]);
  const scrolled = () => {
    const { scrollTop, scrollHeight, clientHeight } = room.current!;
    setFollowing(scrollHeight - scrollTop - clientHeight < NEAR);
  };
  const follow = () => {
    setFollowing(true);
    toEnd();
  };
  return { following, follow, scrolled };
}
