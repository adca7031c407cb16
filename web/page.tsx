/** The chat page's entry: wires the store to the browser. */
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
import { render } from "preact";
import { openShelf, Saved } from "./state/storage.ts";
import { Store } from "./state/store.ts";
import { App } from "./view/app.tsx";

const store = new Store(new Saved(openShelf()), location.hash.slice(1));
addEventListener("storage", ({ key }) => store.takeOver(key));
addEventListener("pagehide", () => store.close());
store.connect();
render(<App store={store} />, document.body);
