/** Markdown as it streams in, written into an element: no HTML of the model's is ever parsed, nothing is fetched. */
import * as smd from "streaming-markdown";
import { codeBlock, labelCode } from "./code_block.ts";
import { safeHref } from "./links.ts";

/** Headings of an answer stand below those of the page. */
const FIRST_LEVEL = 3;

export class MarkdownWriter {
  readonly #parser: smd.Parser;
  #written = "";

  constructor(readonly root: HTMLElement) {
    root.replaceChildren();
    this.#parser = smd.parser(renderer(root));
  }

  /** Writes what `text` has more than before; false if it does not begin with what is there already. */
  write(text: string): boolean {
    if (!text.startsWith(this.#written)) return false;
    if (text.length > this.#written.length) smd.parser_write(this.#parser, text.slice(this.#written.length));
    this.#written = text;
    return true;
  }

  /** Writes what could still have become something else. */
  end(): void {
    smd.parser_end(this.#parser);
  }
}

function renderer(root: HTMLElement): smd.Default_Renderer {
  return { ...smd.default_renderer(root), add_token: addToken, set_attr: setAttribute };
}

type Data = smd.Default_Renderer_Data;

function addToken(data: Data, type: smd.Token): void {
  switch (type) {
    case smd.CODE_BLOCK:
    case smd.CODE_FENCE:
      return open(data, codeBlock());
    case smd.HEADING_1:
    case smd.HEADING_2:
    case smd.HEADING_3:
    case smd.HEADING_4:
    case smd.HEADING_5:
    case smd.HEADING_6: {
      const level = Math.min(smd.heading_to_level(type) + FIRST_LEVEL - 1, 6);
      return open(data, element(`h${level}`));
    }
    case smd.IMAGE:
      return open(data, element("a"));
    case smd.TABLE:
      return open(data, { outer: scroller(), inner: element("table").inner });
    case smd.CHECKBOX:
      return open(data, checkbox());
    default:
      smd.default_add_token(data, type);
  }
}

function setAttribute(data: Data, type: smd.Attr, value: string): void {
  const node = data.nodes[data.index]!;
  switch (type) {
    case smd.HREF:
    case smd.SRC: {
      const href = safeHref(value);
      if (href === null) return;
      node.setAttribute("href", href);
      node.setAttribute("target", "_blank");
      node.setAttribute("rel", "noopener noreferrer nofollow");
      return;
    }
    case smd.LANG:
      return labelCode(node, value);
    default:
      smd.default_set_attr(data, type, value);
  }
}

/** `outer` is put into the page, `inner` takes what follows. */
interface Opened {
  readonly outer: HTMLElement;
  readonly inner: HTMLElement;
}

function open(data: Data, { outer, inner }: Opened): void {
  data.nodes[data.index]!.append(outer);
  data.nodes[++data.index] = outer.contains(inner) ? inner : outer.appendChild(inner);
}

function element(name: string): Opened {
  const made = document.createElement(name);
  return { outer: made, inner: made };
}

function scroller(): HTMLElement {
  const made = document.createElement("div");
  made.className = "scroller";
  made.tabIndex = 0;
  made.setAttribute("role", "region");
  made.setAttribute("aria-label", "Table");
  return made;
}

function checkbox(): Opened {
  const made = document.createElement("input");
  made.type = "checkbox";
  made.disabled = true;
  made.setAttribute("aria-label", "Task");
  return { outer: made, inner: made };
}
