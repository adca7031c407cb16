/** What components need of the store and the browser. */
import { useEffect, useLayoutEffect, useState } from "preact/hooks";
import { titleOf } from "../state/conversation.ts";
import type { Theme } from "../state/settings.ts";
import type { State, Store } from "../state/store.ts";

/** However fast tokens come, the page is drawn once a frame. */
export function useStore(store: Store): State {
  const [state, setState] = useState(store.state);
  useEffect(() => {
    let frame = 0;
    return store.subscribe(() => {
      frame ||= requestAnimationFrame(() => {
        frame = 0;
        setState(store.state);
      });
    });
  }, [store]);
  return state;
}

/** Keeps the open conversation in the address, so that reload and the back button find it. */
export function useAddress(store: Store): void {
  const { current } = store;
  const id = current?.id ?? "";
  useLayoutEffect(() => {
    if (location.hash.slice(1) !== id) history.pushState(null, "", id === "" ? location.pathname : `#${id}`);
  }, [id]);
  useEffect(() => {
    const follow = () => store.open(location.hash.slice(1));
    addEventListener("popstate", follow);
    return () => removeEventListener("popstate", follow);
  }, [store]);
  useEffect(() => {
    document.title = current ? `${titleOf(current)} · Ringlet` : "Ringlet";
  });
}

export function useTheme(theme: Theme): void {
  useEffect(() => {
    if (theme === "system") delete document.documentElement.dataset["theme"];
    else document.documentElement.dataset["theme"] = theme;
  }, [theme]);
}

/** Escape ends the answer, unless it closes something. */
export function useEscape(store: Store): void {
  useEffect(() => {
    const hear = (event: KeyboardEvent) => {
      if (event.key !== "Escape" || event.defaultPrevented || document.querySelector("dialog[open]")) return;
      store.stop();
    };
    addEventListener("keydown", hear);
    return () => removeEventListener("keydown", hear);
  }, [store]);
}

/** Seconds down to 0. */
export function useCountdown(seconds: number): number {
  const [left, setLeft] = useState(seconds);
  useEffect(() => {
    if (left <= 0) return;
    const timer = setTimeout(() => setLeft(left - 1), 1000);
    return () => clearTimeout(timer);
  }, [left]);
  return left;
}
